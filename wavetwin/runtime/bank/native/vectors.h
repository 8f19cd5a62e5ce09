// Vectors of 8 numbers, the room that a thread keeps, and the threads: what all parts of the kernel stand on.
//
// Types: float and double; a vector always has 8 numbers. GCC and Clang map it to what the CPU has.
//
// Threads: images are the tasks, on the OpenMP threads of the process (torch's own: a second pool of
// threads would fight with torch's for the cores), or on std::thread where there is no OpenMP. Sums over
// images go by fixed groups of images, in order: the bits do not depend on the number of threads.

#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <thread>
#include <vector>

extern "C" void GOMP_parallel(void (*)(void*), void*, unsigned, unsigned) __attribute__((weak));

namespace {

using Index = std::int64_t;

constexpr Index LANES = 8;
constexpr Index GROUPS = 32;  // groups of images whose gradients are summed apart

template <class T> struct VectorOf {
  typedef T type __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));
};
template <class T> using Vector = typename VectorOf<T>::type;
template <class T> inline Vector<T> load(const T* p) { return *reinterpret_cast<const Vector<T>*>(p); }
template <class T> inline void store(T* p, Vector<T> v) { *reinterpret_cast<Vector<T>*>(p) = v; }

// Cover 0 to n by whole blocks of B, the last of which overlaps and computes some of it again; by ones if n < B.
template <Index B, class Whole, class One> inline void in_blocks(Index n, const Whole& whole, const One& one) {
  if (n < B) {
    for (Index k = 0; k < n; ++k) one(k);
    return;
  }
  for (Index k = 0; k + B <= n; k += B) whole(k);
  if (n % B != 0) whole(n - B);
}

// Transpose 8 rows of 8 numbers, times a factor.
template <class T> inline void transpose(const T* const in[LANES], T* const out[LANES], T factor = T(1)) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define WAVETWIN_SHUFFLES
#endif
#endif
#ifdef WAVETWIN_SHUFFLES
  Vector<T> a[8], b[8], c[8];
  for (Index i = 0; i < 8; ++i) a[i] = factor * load(in[i]);
  for (Index i = 0; i < 8; i += 2) {
    b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (Index h = 0; h < 8; h += 4) {
    c[h] = __builtin_shufflevector(b[h], b[h + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    c[h + 1] = __builtin_shufflevector(b[h], b[h + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    c[h + 2] = __builtin_shufflevector(b[h + 1], b[h + 3], 0, 1, 8, 9, 4, 5, 12, 13);
    c[h + 3] = __builtin_shufflevector(b[h + 1], b[h + 3], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (Index i = 0; i < 4; ++i) {
    store<T>(out[i], __builtin_shufflevector(c[i], c[i + 4], 0, 1, 2, 3, 8, 9, 10, 11));
    store<T>(out[i + 4], __builtin_shufflevector(c[i], c[i + 4], 4, 5, 6, 7, 12, 13, 14, 15));
  }
#else
  for (Index i = 0; i < 8; ++i)
    for (Index j = 0; j < 8; ++j) out[j][i] = factor * in[i][j];
#endif
}

struct Strides { Index image, channel, row, column; };

// Room of a thread; kept from call to call, so that the system need not give fresh pages each time.
template <class T> T* thread_room(Index numbers) {
  static thread_local std::unique_ptr<unsigned char[]> room;
  static thread_local std::size_t bytes = 0;
  const std::size_t needed = static_cast<std::size_t>(numbers) * sizeof(T) + 64;
  if (needed > bytes) {
    room.reset();
    room.reset(new unsigned char[needed]);
    bytes = needed;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(room.get());
  return reinterpret_cast<T*>((address + 63) / 64 * 64);
}

// ---- Threads ----

template <class F> struct Tasks {
  std::atomic<Index> next{0};
  Index count;
  const F& run;
  Tasks(Index n, const F& f) : count(n), run(f) {}
  static void take(void* self) {
    auto& tasks = *static_cast<Tasks*>(self);
    for (Index i = tasks.next++; i < tasks.count; i = tasks.next++) tasks.run(i);
  }
};

template <class F> void for_each(Index count, Index threads, const F& run) {
  Tasks<F> tasks(count, run);
  const Index some = std::max<Index>(1, std::min(threads, count));
  if (some == 1) {
    Tasks<F>::take(&tasks);
  } else if (GOMP_parallel != nullptr) {
    GOMP_parallel(Tasks<F>::take, &tasks, static_cast<unsigned>(some), 0);
  } else {
    std::vector<std::thread> others;
    for (Index i = 1; i < some; ++i) others.emplace_back(Tasks<F>::take, &tasks);
    Tasks<F>::take(&tasks);
    for (std::thread& other : others) other.join();
  }
}

}  // namespace
