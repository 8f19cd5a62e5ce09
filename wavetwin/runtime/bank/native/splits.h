// A split takes a map to its low-pass and high-pass child: every input is loaded once for both. Its adjoint
// gathers: input p takes child sample k with tap t wherever p = k * stride + t * dilation; per residue of p
// modulo the stride these (k, t) are the same list. Children have rows of zeros around them, so that no index
// is tested.

#pragma once

#include "vectors.h"

namespace {

#if defined(__AVX512VL__)
constexpr Index ROW_BLOCK = 8;  // columns of a row whose sums are in registers
#else
constexpr Index ROW_BLOCK = 4;
#endif

struct Term { Index shift, tap; };
struct Stage {
  Index taps, stride, dilation;
  std::vector<std::vector<Term>> terms;  // of the adjoint, per residue of the input modulo the stride
};

// ---- Splits and their adjoints. A row of a map is W vectors. ----

template <class T, Index W, Index B, bool BOTH>
inline void split_block(const T* at, T* low, T* high, const Stage& s, const T* low_taps, const T* high_taps) {
  const Index row = W * LANES, step = s.stride * row, hop = s.dilation * row, taps = s.taps;
  Vector<T> l[B][W] = {}, h[B][W] = {};
  for (Index t = 0; t < taps; ++t, at += hop) {
    const Vector<T> a = load(low_taps + t * LANES), c = load(high_taps + t * LANES);
#pragma GCC unroll 8
    for (Index b = 0; b < B; ++b)
#pragma GCC unroll 8
      for (Index w = 0; w < W; ++w) {
        const Vector<T> x = load(at + b * step + w * LANES);
        l[b][w] += a * x;
        if (BOTH) h[b][w] += c * x;
      }
  }
#pragma GCC unroll 8
  for (Index b = 0; b < B; ++b)
#pragma GCC unroll 8
    for (Index w = 0; w < W; ++w) {
      store(low + b * row + w * LANES, l[b][w]);
      if (BOTH) store(high + b * row + w * LANES, h[b][w]);
    }
}

template <class T, Index W, Index B, bool BOTH>
void split_rows(const T* in, T* low, T* high, Index n, const Stage& s, const T* low_taps, const T* high_taps) {
  const Index row = W * LANES, step = s.stride * row;
  in_blocks<B>(
      n,
      [&](Index k) { split_block<T, W, B, BOTH>(in + k * step, low + k * row, BOTH ? high + k * row : nullptr, s, low_taps, high_taps); },
      [&](Index k) { split_block<T, W, 1, BOTH>(in + k * step, low + k * row, BOTH ? high + k * row : nullptr, s, low_taps, high_taps); });
}

// A block of the adjoint: input rows that lie `s.stride * apart` from each other, of U terms whose children's
// rows lie `apart` from each other. A child's row is loaded once for all inputs of the block.
template <class T, Index W, Index B, Index U, bool BOTH, bool ADD>
inline void join_block(const T* low, const T* high, T* in, Index some, Index apart, Index between,
                       const Term* terms, const T* low_taps, const T* high_taps) {
  Vector<T> sum[B][W] = {};
#pragma GCC unroll 32
  for (Index j = 0; j < U + B - 1; ++j) {
    const Index at = (B - 1 - j) * apart;
#pragma GCC unroll 8
    for (Index w = 0; w < W; ++w) {
      const Vector<T> l = load(low + at + w * LANES), h = BOTH ? load(high + at + w * LANES) : l;
#pragma GCC unroll 8
      for (Index b = 0; b < B; ++b) {
        const Index u = b + j - (B - 1);
        if (u < 0 || u >= U) continue;
        sum[b][w] += load(low_taps + terms[u].tap * LANES) * l;
        if (BOTH) sum[b][w] += load(high_taps + terms[u].tap * LANES) * h;
      }
    }
  }
  for (Index b = 0; b < some; ++b)
    for (Index w = 0; w < W; ++w) {
      T* p = in + b * between + w * LANES;
      store(p, ADD ? load(p) + sum[b][w] : sum[b][w]);
    }
}

template <class T, Index W, Index B, Index U, bool BOTH, bool ADD>
void join_phases(const T* low, const T* high, T* in, Index count, Index stride, const std::vector<Term>& terms,
                 const T* low_taps, const T* high_taps) {
  const Index row = W * LANES, spacing = U == 1 ? 1 : terms[1].shift - terms[0].shift;
  for (Index phase = 0; phase < spacing; ++phase) {
    const Index n = (count - phase + spacing - 1) / spacing;
    for (Index i = 0; i < n; i += B) {
      const Index q = phase + i * spacing, at = (q - terms[0].shift) * row;
      join_block<T, W, B, U, BOTH, ADD>(low + at, high + at, in + q * stride * row, std::min(B, n - i), spacing * row,
                                        spacing * stride * row, terms.data(), low_taps, high_taps);
    }
  }
}

template <class T, Index W, Index B, bool BOTH, bool ADD>
void join_rows(const T* low, const T* high, T* in, Index n, const Stage& s, const T* low_taps, const T* high_taps) {
  const Index row = W * LANES;
  for (Index r = 0; r < s.stride; ++r) {
    const Index count = (n - r + s.stride - 1) / s.stride;
    // 10 taps in steps of 1 or 2: most of the work of the published filters.
    if constexpr (W == 1) switch (s.terms[r].size()) {
      case 5: join_phases<T, W, B, 5, BOTH, ADD>(low, high, in + r * row, count, s.stride, s.terms[r], low_taps, high_taps); continue;
      case 10: join_phases<T, W, B, 10, BOTH, ADD>(low, high, in + r * row, count, s.stride, s.terms[r], low_taps, high_taps); continue;
      default: break;
    }
    for (Index q = 0; q < count; q += B) {
      Vector<T> sum[B][W] = {};
      for (const Term& term : s.terms[r]) {
        const Vector<T> a = load(low_taps + term.tap * LANES), c = load(high_taps + term.tap * LANES);
        const Index at = (q - term.shift) * row;
#pragma GCC unroll 8
        for (Index b = 0; b < B; ++b)
#pragma GCC unroll 8
          for (Index w = 0; w < W; ++w) {
            sum[b][w] += a * load(low + at + b * row + w * LANES);
            if (BOTH) sum[b][w] += c * load(high + at + b * row + w * LANES);
          }
      }
      const Index some = std::min(B, count - q);
      for (Index b = 0; b < some; ++b)
        for (Index w = 0; w < W; ++w) {
          T* p = in + ((q + b) * s.stride + r) * row + w * LANES;
          store(p, ADD ? load(p) + sum[b][w] : sum[b][w]);
        }
    }
  }
}

}  // namespace
