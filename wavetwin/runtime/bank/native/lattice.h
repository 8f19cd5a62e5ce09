// A split by a lattice of rotations, and its adjoint: half of the operations of two filters.
//
// Both filters of an orthonormal pair of 2 K taps are one chain of K rotations of the plane, with a delay of
// one of the two between them (Vaidyanathan and Hoang 1988, doi:10.1109/29.1491). Input samples come in pairs;
// a rotation is taken without its cosine, two multiplications with additions, so that a pair of outputs takes
// 2 K of them where two filters take 4 K. What the cosines would have made of it is one factor for all splits
// of a bank (lattice.py); the luminance and the lines are scaled by it.
//
// Outputs are taken in runs whose inputs are neighbouring pairs: every 2 * dilation / stride of them. Of the
// first K - 1 steps of a run, which give no output, only the rotations are taken that a later step needs.

#pragma once

#include "vectors.h"

// A run's numbers stay in registers where all of it is one function, and nothing else is.
#define WAVETWIN_ONE __attribute__((always_inline))
#define WAVETWIN_APART __attribute__((noinline))

namespace {

// One run: rows of inputs, in pairs, and of the children, each with what lies between a row and the next.
// A child that nobody takes has its rows where nothing is lost, or is read as zeros, with nothing between.
template <class T> struct Run {
  T *even, *odd;
  Index between;
  T *first, *second;
  Index between_first, between_second;
};

// A step: a pair of inputs goes through `some` rotations. late[k] waits for the next step's rotation k.
template <class T, Index K, Index C>
WAVETWIN_ONE inline void rotate(const Vector<T>* turns, Vector<T> (&late)[K][C], Vector<T> (&p)[C], Vector<T> (&q)[C], Index some) {
#pragma GCC unroll 16
  for (Index k = 0; k < K; ++k) {
    if (k >= some) continue;
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) {
      const Vector<T> a = p[c], b = k == 0 ? q[c] : late[k][c];
      if (k > 0) late[k][c] = q[c];
      p[c] = a + turns[k] * b;
      q[c] = b - turns[k] * a;
    }
  }
}

template <class T, Index K, Index C>
WAVETWIN_APART void split_run(const Run<T>& given, Index n, Index first_late, Index second_late, const T* numbers) {
  const Run<T> run = given;  // of its own: what is stored might lie in the other
  Vector<T> turns[K], late[K][C] = {}, p[C], q[C];
#pragma GCC unroll 16
  for (Index k = 0; k < K; ++k) turns[k] = Vector<T>{} + numbers[k];
  const T *even = run.even, *odd = run.odd;
  auto step = [&](Index some) WAVETWIN_ONE {
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) { p[c] = load(even + c * LANES); q[c] = load(odd + c * LANES); }
    even += run.between;
    odd += run.between;
    rotate<T, K, C>(turns, late, p, q, some);
  };
#pragma GCC unroll 16
  for (Index k = 1; k < K; ++k) {
    step(k);
    // The last rotation's second number waits for the one that follows.
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) late[k][c] = q[c];
  }
  T *first = run.first, *second = run.second;
  auto keep = [&](T*& to, const Vector<T>(&from)[C], Index between) WAVETWIN_ONE {
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) store(to + c * LANES, from[c]);
    to += between;
  };
  if (first_late != second_late) {
    step(K);
    if (first_late != 0) keep(second, q, run.between_second);
    else keep(first, p, run.between_first);
    --n;
  }
  for (Index i = 0; i < n; ++i) {
    step(K);
    keep(first, p, run.between_first);
    keep(second, q, run.between_second);
  }
  if (first_late != second_late) {
    step(K);
    if (first_late != 0) keep(first, p, run.between_first);
    else keep(second, q, run.between_second);
  }
}

// The adjoint of a step, from the last rotation that has an input other than zero to the first.
template <class T, Index K, Index C>
WAVETWIN_ONE inline void rotate_back(const Vector<T>* turns, Vector<T> (&late)[K][C], Vector<T> (&p)[C], Vector<T> (&q)[C], Index some) {
#pragma GCC unroll 16
  for (Index j = 0; j < K; ++j) {
    const Index k = K - 1 - j;
    if (k >= some) continue;
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) {
      const Vector<T> a = p[c] - turns[k] * q[c], b = q[c] + turns[k] * p[c];
      p[c] = a;
      q[c] = k == 0 ? b : late[k][c];
      if (k > 0) late[k][c] = b;
    }
  }
}

template <class T, Index K, Index C, bool ADD>
WAVETWIN_APART void join_run(const Run<T>& given, Index n, Index first_late, Index second_late, const T* numbers) {
  const Run<T> run = given;  // of its own: what is stored might lie in the other
  Vector<T> turns[K], late[K][C] = {}, p[C], q[C];
#pragma GCC unroll 16
  for (Index k = 0; k < K; ++k) turns[k] = Vector<T>{} + numbers[k];
  const Index extra = first_late != second_late;
  const Index last = n - 1 + extra + K - 1;
  T *even = run.even + last * run.between, *odd = run.odd + last * run.between;
  const T *first = run.first + (n - 1) * run.between_first, *second = run.second + (n - 1) * run.between_second;
  auto step = [&](Index some) WAVETWIN_ONE {
    rotate_back<T, K, C>(turns, late, p, q, some);
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) {
      store(even + c * LANES, ADD ? load(even + c * LANES) + p[c] : p[c]);
      store(odd + c * LANES, ADD ? load(odd + c * LANES) + q[c] : q[c]);
    }
    even -= run.between;
    odd -= run.between;
  };
  auto take = [&](const T*& from, Vector<T>(&to)[C], Index between) WAVETWIN_ONE {
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) to[c] = load(from + c * LANES);
    from -= between;
  };
  auto none = [&](Vector<T>(&to)[C]) WAVETWIN_ONE {
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) to[c] = Vector<T>{};
  };
  if (extra != 0) {
    if (first_late != 0) { take(first, p, run.between_first); none(q); }
    else { take(second, q, run.between_second); none(p); }
    step(K);
    --n;
  }
  for (Index i = 0; i < n; ++i) {
    take(first, p, run.between_first);
    take(second, q, run.between_second);
    step(K);
  }
  if (extra != 0) {
    if (first_late != 0) { take(second, q, run.between_second); none(p); }
    else { take(first, p, run.between_first); none(q); }
    step(K);
  }
#pragma GCC unroll 16
  for (Index k = 1; k < K; ++k) {
    // Rotations above give zeros now; the first of the others has its second number alone.
    none(p);
#pragma GCC unroll 4
    for (Index c = 0; c < C; ++c) q[c] = late[K - k][c];
    step(K - k);
  }
}

}  // namespace
