// The packet bank's native kernel: mixed dual-tree wavelet packets of images, and the adjoint.
//
// What is computed. An image's colours become one luminance map; that map is filtered along the columns
// and along the rows by filters of the dual-tree packet cascade; each output is a weighted sum of the
// results ("slots"). docs/bank.md explains slots, wavetwin/runtime/bank/native/cascade.py lays them out,
// and wavetwin/runtime/bank computes the same with torch's operations.
//
// Algorithm: the cascade of stages. A packet's filter has up to 66 taps for three levels, but it is a
// chain of short filters, one a stage, shared by all packets with the same beginning. A split takes a
// node of a stage to its low-pass and high-pass child at once: every input is loaded once for both.
// Samples that no output reads are never computed: with an output step of S, stage s reads a grid of
// spacing gcd(S, 2^s), so that the first stages subsample (polyphase) and the later ones, once the
// step is reached, have dilated taps. A stage is given by taps, stride and dilation alone.
//
//   y[row][col]        luminance, a strip of COLUMNS columns, zeros above and below the image
//     | vertical cascade, along the rows of the strip; a vector holds 8 columns
//   leaves[path][m][col]
//     | 8 x 8 transpositions: now a vector holds 8 lanes, each a (tree, vertical path)
//   line[m][k][x][8]   k: vectors of lanes; x: columns, with the zeros beside the image
//     | horizontal cascade, along x, row by row of the output; a lane's taps are its tree's
//   slots[m][q][n][8]  q: (vector of lanes, horizontal path); n: column of the output
//     | mixing: an output vector (8 outputs) is the sum over the slots that it takes
//   out[m][n][8 o]
//     | for a modulus: real and imaginary part of an output become one number, in the row
//
// The backward pass runs the same way up. The adjoint of a split gathers: input p takes child sample k
// with tap t wherever p = k * stride + t * dilation; per residue of p modulo the stride these (k, t) are
// the same list. Children have rows of zeros around them, so that no index is tested.
// Slots that were not kept are computed again, row by row; a line's gradient takes the line's room.
//
// Tiles: a strip's stages and a row's stages lie in the first and second level of the cache; a
// split keeps B x W accumulators for each child in registers.
//
// Threads: images are the tasks, on the OpenMP threads of the process (torch's own: a second pool of
// threads would fight with torch's for the cores), or on std::thread where there is no OpenMP. Sums over
// images go by fixed groups of images, in order: the bits do not depend on the number of threads.
//
// The modulus. Its derivative is the number over its modulus, 0 at 0: a unit, which is kept or computed again.
//
// Pooling. Below the bank: batch norm, positive part and maximum of maps with the channels last, which may come
// in several tensors that are joined only in what is written; a code says which sample of a window was taken.
//
// Types: float and double; a vector always has 8 numbers. GCC and Clang map it to what the CPU has.

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
constexpr Index STRIP_VECTORS = 4;
constexpr Index COLUMNS = STRIP_VECTORS * LANES;
#if defined(__AVX512VL__)
constexpr Index STRIP_BLOCK = 2;  // output rows of a strip whose sums are in registers: 32 of these
constexpr Index ROW_BLOCK = 8;    // the same of columns, in the horizontal cascade
#else
constexpr Index STRIP_BLOCK = 1;
constexpr Index ROW_BLOCK = 4;
#endif
constexpr Index PIXELS = 12;     // output columns whose outputs or slots are in registers
constexpr Index GROUPS = 32;     // groups of images whose gradients are summed apart

template <class T> struct VectorOf {
  typedef T type __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));
};
template <class T> using Vector = typename VectorOf<T>::type;
template <class T> inline Vector<T> load(const T* p) { return *reinterpret_cast<const Vector<T>*>(p); }
template <class T> inline void store(T* p, Vector<T> v) { *reinterpret_cast<Vector<T>*>(p) = v; }

// ---- The program: integers that cascade.py writes, read in the same order here. ----

struct Term { Index shift, tap; };
struct Stage {
  Index taps, stride, dilation;
  std::vector<std::vector<Term>> terms;  // of the adjoint, per residue of the input modulo the stride
};
struct Split { Index parent, low, high, low_taps, high_taps; };  // -1: no such child
struct Cascade {
  std::vector<std::vector<Split>> stages;
  std::vector<Index> nodes;  // per stage
};
struct Program {
  Index height, width, colours, out_height, out_width, top, left, lane_vectors, slot_vectors;
  Index output_vectors, outputs, parts;
  bool modulus;                    // of two parts: one result
  std::vector<Stage> stages;
  Cascade vertical;
  std::vector<Index> lanes;        // lane_vectors * 8 leaves of the vertical cascade; -1: none
  std::vector<Cascade> horizontal; // per vector of lanes
  std::vector<Index> first_slot;   // per vector of lanes
  std::vector<Index> rows, columns;  // of the lines and strips, per stage: inputs, then outputs
  Index margin;                    // rows of zeros around what adjoints read

  explicit Program(const Index* p) {
    height = *p++; width = *p++; colours = *p++; out_height = *p++; out_width = *p++;
    top = *p++; left = *p++; lane_vectors = *p++; slot_vectors = *p++; output_vectors = *p++;
    outputs = *p++; parts = *p++; modulus = *p++ != 0;
    stages.resize(*p++);
    Index reach = 0, largest = 1;
    for (Stage& s : stages) {
      s.taps = *p++; s.stride = *p++; s.dilation = *p++;
      s.terms.resize(s.stride);
      for (Index r = 0; r < s.stride; ++r)
        for (Index t = 0; t < s.taps; ++t)
          if ((t * s.dilation - r) % s.stride == 0)
            s.terms[r].push_back({(t * s.dilation - r) / s.stride, t});
      reach = std::max(reach, s.taps * s.dilation);
      largest = std::max(largest, s.dilation);
    }
    margin = reach + ROW_BLOCK * largest + 1;
    p = read(p, vertical);
    lanes.assign(p, p + lane_vectors * LANES);
    p += lane_vectors * LANES;
    horizontal.resize(lane_vectors);
    for (Cascade& cascade : horizontal) { first_slot.push_back(*p++); p = read(p, cascade); }
    rows = lengths(out_height);
    columns = lengths(out_width);
  }
  const Index* read(const Index* p, Cascade& cascade) {
    cascade.stages.resize(stages.size());
    cascade.nodes.resize(stages.size());
    for (std::size_t s = 0; s < stages.size(); ++s) {
      cascade.nodes[s] = *p++;
      cascade.stages[s].resize(*p++);
      for (Split& split : cascade.stages[s]) {
        split = {p[0], p[1], p[2], p[3], p[4]};
        p += 5;
      }
    }
    return p;
  }
  std::vector<Index> lengths(Index outputs_) const {
    std::vector<Index> found(stages.size() + 1, outputs_);
    for (std::size_t s = stages.size(); s-- > 0;)
      found[s] = (found[s + 1] - 1) * stages[s].stride + (stages[s].taps - 1) * stages[s].dilation + 1;
    return found;
  }
  Index results() const { return modulus ? 1 : parts; }
  Index strip_start() const { return std::max<Index>(0, -left); }  // in a line, where the image begins
  Index line_length() const { return columns[0] + COLUMNS; }       // and room for the last strip's end
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

// Cover 0 to n by whole blocks of B, the last of which overlaps and computes some of it again; by ones if n < B.
template <Index B, class Whole, class One> inline void in_blocks(Index n, const Whole& whole, const One& one) {
  if (n < B) {
    for (Index k = 0; k < n; ++k) one(k);
    return;
  }
  for (Index k = 0; k + B <= n; k += B) whole(k);
  if (n % B != 0) whole(n - B);
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

// Maps of all stages: stage s has `nodes[s]` maps of `lengths[s + 1]` rows, each with `margin` rows of
// zeros before and after it.
template <class T> struct Maps {
  std::vector<T*> first;
  std::vector<Index> between;
  static Index size(const Cascade& c, const std::vector<Index>& lengths, Index margin, Index row) {
    Index total = 0;
    for (std::size_t s = 0; s < c.nodes.size(); ++s) total += c.nodes[s] * (lengths[s + 1] + 2 * margin) * row;
    return total;
  }
  Maps(T* room, const Cascade& c, const std::vector<Index>& lengths, Index margin, Index row) {
    for (std::size_t s = 0; s < c.nodes.size(); ++s) {
      between.push_back((lengths[s + 1] + 2 * margin) * row);
      first.push_back(room + margin * row);
      if (margin > 0)
        for (Index node = 0; node < c.nodes[s]; ++node) {
          T* map = room + node * between[s];
          std::fill(map, map + margin * row, T(0));
          std::fill(map + between[s] - margin * row, map + between[s], T(0));
        }
      room += c.nodes[s] * between[s];
    }
  }
  T* at(std::size_t stage, Index node) const { return first[stage] + node * between[stage]; }
};

template <class T, Index W, Index B>
void run_cascade(const Program& p, const Cascade& c, const std::vector<Index>& lengths, const T* taps,
                 const T* input, const Maps<T>& maps, T* leaves, Index leaf_size) {
  for (std::size_t s = 0; s < c.stages.size(); ++s) {
    const bool last = s + 1 == c.stages.size() && leaves != nullptr;
    for (const Split& split : c.stages[s]) {
      const T* in = s == 0 ? input : maps.at(s - 1, split.parent);
      auto child = [&](Index node) { return last ? leaves + node * leaf_size : maps.at(s, node); };
      const T* low_taps = taps + split.low_taps * LANES;
      const T* high_taps = taps + split.high_taps * LANES;
      if (split.low >= 0 && split.high >= 0)
        split_rows<T, W, B, true>(in, child(split.low), child(split.high), lengths[s + 1], p.stages[s], low_taps, high_taps);
      else if (split.low >= 0)
        split_rows<T, W, B, false>(in, child(split.low), nullptr, lengths[s + 1], p.stages[s], low_taps, low_taps);
      else
        split_rows<T, W, B, false>(in, child(split.high), nullptr, lengths[s + 1], p.stages[s], high_taps, high_taps);
    }
  }
}

template <class T, Index W, Index B>
void run_adjoint(const Program& p, const Cascade& c, const std::vector<Index>& lengths, const T* taps,
                 const Maps<T>& maps, T* input) {
  for (std::size_t s = c.stages.size(); s-- > 0;) {
    bool first = true;
    for (const Split& split : c.stages[s]) {
      T* in = s == 0 ? input : maps.at(s - 1, split.parent);
      const bool both = split.low >= 0 && split.high >= 0, add = s == 0 && !first;
      const Index one = split.low >= 0 ? split.low : split.high;
      const T* low = maps.at(s, one);
      const T* high = both ? maps.at(s, split.high) : low;
      const T* low_taps = taps + (split.low >= 0 ? split.low_taps : split.high_taps) * LANES;
      const T* high_taps = taps + split.high_taps * LANES;
      const Index n = lengths[s];
      const Stage& stage = p.stages[s];
      if (both && add) join_rows<T, W, B, true, true>(low, high, in, n, stage, low_taps, high_taps);
      else if (both) join_rows<T, W, B, true, false>(low, high, in, n, stage, low_taps, high_taps);
      else if (add) join_rows<T, W, B, false, true>(low, high, in, n, stage, low_taps, low_taps);
      else join_rows<T, W, B, false, false>(low, high, in, n, stage, low_taps, low_taps);
      first = false;
    }
  }
}

// Transpose 8 rows of 8 numbers.
template <class T> inline void transpose(const T* const in[LANES], T* const out[LANES]) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define WAVETWIN_SHUFFLES
#endif
#endif
#ifdef WAVETWIN_SHUFFLES
  Vector<T> a[8], b[8], c[8];
  for (Index i = 0; i < 8; ++i) a[i] = load(in[i]);
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
    for (Index j = 0; j < 8; ++j) out[j][i] = in[i][j];
#endif
}

// ---- Mixing ----

// What each output vector takes, and what each slot vector gives, of a matrix that is mostly zeros.
template <class T> struct Mixing {
  struct Row { Index slot, lane; };
  std::vector<std::vector<Row>> rows;       // per output vector
  std::vector<Index> first_row;             // per output vector, and the total
  std::vector<T> weights;                   // per row, 8 outputs
  std::vector<std::vector<Index>> outputs;  // per slot vector
  std::vector<Index> first_output;
  std::vector<T> adjoint;                   // per output of a slot vector, 8 lanes

  Mixing(const Program& p, const T* matrix, const std::uint8_t* mask) {
    const Index wide = p.output_vectors * LANES;
    for (Index o = 0; o < p.output_vectors; ++o) {
      first_row.push_back(static_cast<Index>(weights.size()) / LANES);
      rows.emplace_back();
      for (Index q = 0; q < p.slot_vectors; ++q)
        for (Index lane = 0; lane < LANES; ++lane) {
          const Index at = (q * LANES + lane) * wide + o * LANES;
          if (std::none_of(mask + at, mask + at + LANES, [](std::uint8_t m) { return m != 0; })) continue;
          rows.back().push_back({q, lane});
          weights.insert(weights.end(), matrix + at, matrix + at + LANES);
        }
    }
    first_row.push_back(static_cast<Index>(weights.size()) / LANES);
    for (Index q = 0; q < p.slot_vectors; ++q) {
      first_output.push_back(static_cast<Index>(adjoint.size()) / LANES);
      outputs.emplace_back();
      for (Index o = 0; o < wide; ++o) {
        bool any = false;
        for (Index lane = 0; lane < LANES; ++lane) any |= mask[(q * LANES + lane) * wide + o] != 0;
        if (!any) continue;
        outputs.back().push_back(o);
        for (Index lane = 0; lane < LANES; ++lane) adjoint.push_back(matrix[(q * LANES + lane) * wide + o]);
      }
    }
  }
  Index num_rows() const { return first_row.back(); }
};

template <class T, Index B>
inline void mix_pixels(const Mixing<T>& mixing, Index o, const T* slots, Index n, Index width, Index wide,
                       const T* bias, T* out) {
  Vector<T> sum[B];
  for (Index b = 0; b < B; ++b) sum[b] = load(bias + o * LANES);
  const T* weight = mixing.weights.data() + mixing.first_row[o] * LANES;
  for (const auto& row : mixing.rows[o]) {
    const Vector<T> m = load(weight);
    const T* s = slots + (row.slot * width + n) * LANES + row.lane;
#pragma GCC unroll 16
    for (Index b = 0; b < B; ++b) sum[b] += s[b * LANES] * m;
    weight += LANES;
  }
  for (Index b = 0; b < B; ++b) store(out + (n + b) * wide + o * LANES, sum[b]);
}

// A row of slots to a row of outputs, [n][output vectors][8].
template <class T>
void mix_row(const Program& p, const Mixing<T>& mixing, const T* slots, const T* bias, T* out) {
  const Index width = p.out_width, wide = p.output_vectors * LANES;
  for (Index o = 0; o < p.output_vectors; ++o)
    in_blocks<PIXELS>(
        width, [&](Index n) { mix_pixels<T, PIXELS>(mixing, o, slots, n, width, wide, bias, out); },
        [&](Index n) { mix_pixels<T, 1>(mixing, o, slots, n, width, wide, bias, out); });
}

// The gradients of R rows of weights: sums over the pixels, by P interleaved sums each. Where the rows are
// neighbouring lanes of one vector (ALONG) they need one address.
template <class T, Index R, Index P, bool ALONG>
inline void add_weights(const typename Mixing<T>::Row* rows, const T* slots, const T* gradient, Index width, Index wide,
                        T* result) {
  Vector<T> sum[P][R] = {};
  const T* s[R];
#pragma GCC unroll 8
  for (Index r = 0; r < R; ++r) s[r] = ALONG && r > 0 ? s[0] + r : slots + rows[r].slot * width * LANES + rows[r].lane;
  Index n = 0;
  for (; n + P <= width; n += P)
#pragma GCC unroll 4
    for (Index k = 0; k < P; ++k) {
      const Vector<T> g = load(gradient + (n + k) * wide);
#pragma GCC unroll 16
      for (Index r = 0; r < R; ++r) sum[k][r] += (ALONG ? s[0] + r : s[r])[(n + k) * LANES] * g;
    }
  for (; n < width; ++n) {
    const Vector<T> g = load(gradient + n * wide);
#pragma GCC unroll 16
    for (Index r = 0; r < R; ++r) sum[0][r] += (ALONG ? s[0] + r : s[r])[n * LANES] * g;
  }
#pragma GCC unroll 16
  for (Index r = 0; r < R; ++r) {
    for (Index k = 1; k < P; ++k) sum[0][r] += sum[k][r];
    store(result + r * LANES, load(result + r * LANES) + sum[0][r]);
  }
}

// Adds the gradient of the mixing of a row of outputs.
template <class T>
void add_mixing_gradient(const Program& p, const Mixing<T>& mixing, const T* slots, const T* gradient, T* result) {
  const Index width = p.out_width, wide = p.output_vectors * LANES;
  for (Index o = 0; o < p.output_vectors; ++o) {
    const auto* rows = mixing.rows[o].data();
    const T* g = gradient + o * LANES;
    T* into = result + mixing.first_row[o] * LANES;
    Index left = static_cast<Index>(mixing.rows[o].size());
    auto along = [&] {
      for (Index r = 1; r < LANES; ++r)
        if (rows[r].slot != rows[0].slot || rows[r].lane != r) return false;
      return rows[0].lane == 0;
    };
    while (left > 0) {
      const Index some = left >= LANES && along() ? LANES : left >= 6 ? 6 : left >= 3 ? 3 : 1;
      switch (some) {
        case LANES: add_weights<T, LANES, 2, true>(rows, slots, g, width, wide, into); break;
        case 6: add_weights<T, 6, 2, false>(rows, slots, g, width, wide, into); break;
        case 3: add_weights<T, 3, 4, false>(rows, slots, g, width, wide, into); break;
        default: add_weights<T, 1, 4, false>(rows, slots, g, width, wide, into);
      }
      rows += some;
      into += some * LANES;
      left -= some;
    }
  }
}

template <class T, Index B>
inline void unmix_pixels(const Mixing<T>& mixing, Index q, const T* gradient, Index n, Index wide, T* out) {
  Vector<T> sum[B] = {};
  const T* weight = mixing.adjoint.data() + mixing.first_output[q] * LANES;
  for (const Index o : mixing.outputs[q]) {
    const Vector<T> m = load(weight);
    const T* g = gradient + n * wide + o;
#pragma GCC unroll 16
    for (Index b = 0; b < B; ++b) sum[b] += g[b * wide] * m;
    weight += LANES;
  }
  for (Index b = 0; b < B; ++b) store(out + (n + b) * LANES, sum[b]);
}

template <class T>
void unmix_row(const Program& p, const Mixing<T>& mixing, Index q, const T* gradient, T* out) {
  const Index wide = p.output_vectors * LANES;
  in_blocks<PIXELS>(
      p.out_width, [&](Index n) { unmix_pixels<T, PIXELS>(mixing, q, gradient, n, wide, out); },
      [&](Index n) { unmix_pixels<T, 1>(mixing, q, gradient, n, wide, out); });
}

// ---- One image ----

struct Strides { Index image, channel, row, column; };

template <class T> struct Task {
  const Program& p;
  const Mixing<T>& mixing;
  const T* vertical_taps;
  const T* horizontal_taps;
  const T* x;
  Strides xs;
  const T* colour;
};

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

template <class T> struct Workspace {
  T *strip, *vertical, *lines, *horizontal, *slots, *vertical_adjoint, *horizontal_adjoint, *outputs;
  std::vector<Maps<T>> row_maps, row_adjoints;  // per vector of lanes
  Workspace(const Program& p, bool backward) {
    const Index strip_size = p.rows[0] * COLUMNS;
    const Index vertical_size = Maps<T>::size(p.vertical, p.rows, 0, COLUMNS);
    const Index line_size = p.out_height * p.lane_vectors * p.line_length() * LANES;
    Index horizontal_size = 0, adjoint_size = 0;
    for (const Cascade& c : p.horizontal) {
      horizontal_size = std::max(horizontal_size, Maps<T>::size(c, p.columns, 0, LANES));
      adjoint_size += Maps<T>::size(c, p.columns, p.margin, LANES);
    }
    const Index slot_size = p.slot_vectors * p.out_width * LANES;
    const Index output_size = p.out_width * p.output_vectors * LANES;
    const Index vertical_adjoint_size = backward ? Maps<T>::size(p.vertical, p.rows, p.margin, COLUMNS) : 0;
    if (!backward) adjoint_size = 0;
    const Index sizes[] = {strip_size, vertical_size, line_size, horizontal_size, slot_size,
                           vertical_adjoint_size, adjoint_size, output_size};
    T** const parts[] = {&strip, &vertical, &lines, &horizontal, &slots,
                         &vertical_adjoint, &horizontal_adjoint, &outputs};
    Index total = 0;
    for (const Index size : sizes) total += (size + 15) / 16 * 16;
    T* room = thread_room<T>(total);
    for (std::size_t i = 0; i < 8; ++i) {
      *parts[i] = room;
      room += (sizes[i] + 15) / 16 * 16;
    }
    T* adjoint = horizontal_adjoint;
    for (const Cascade& c : p.horizontal) {
      row_maps.emplace_back(horizontal, c, p.columns, 0, LANES);
      if (!backward) continue;
      row_adjoints.emplace_back(adjoint, c, p.columns, p.margin, LANES);
      adjoint += Maps<T>::size(c, p.columns, p.margin, LANES);
    }
  }
};

// Luminance of a strip that begins at an image column; zeros outside the image.
template <class T> void read_strip(const Task<T>& task, const T* x, Index column, T* strip) {
  const Program& p = task.p;
  const Index first = std::max<Index>(0, -p.top), last = std::min(p.rows[0], p.height - p.top);
  const Index some = std::min(COLUMNS, p.width - column);
  std::fill(strip, strip + first * COLUMNS, T(0));
  std::fill(strip + last * COLUMNS, strip + p.rows[0] * COLUMNS, T(0));
  for (Index r = first; r < last; ++r) {
    T* out = strip + r * COLUMNS;
    const T* in = x + (r + p.top) * task.xs.row + column * task.xs.column;
    const Index cs = task.xs.channel, ws = task.xs.column;
    if (p.colours == 3 && cs == 1 && ws == 3) {
      const T c0 = task.colour[0], c1 = task.colour[1], c2 = task.colour[2];
      for (Index i = 0; i < some; ++i) out[i] = c0 * in[3 * i] + c1 * in[3 * i + 1] + c2 * in[3 * i + 2];
    } else if (p.colours == 3 && ws == 1) {
      const T c0 = task.colour[0], c1 = task.colour[1], c2 = task.colour[2];
      for (Index i = 0; i < some; ++i) out[i] = c0 * in[i] + c1 * in[cs + i] + c2 * in[2 * cs + i];
    } else if (p.colours == 1 && ws == 1) {
      for (Index i = 0; i < some; ++i) out[i] = task.colour[0] * in[i];
    } else {
      for (Index i = 0; i < some; ++i) {
        T sum = 0;
        for (Index c = 0; c < p.colours; ++c) sum += task.colour[c] * in[c * cs + i * ws];
        out[i] = sum;
      }
    }
    std::fill(out + some, out + COLUMNS, T(0));
  }
}

// The vertical cascade of an image: lines[m][k][x][8].
template <class T> void filter_columns(const Task<T>& task, const T* x, Workspace<T>& w) {
  const Program& p = task.p;
  const Index length = p.line_length(), start = p.strip_start();
  const Index first = std::max<Index>(0, p.left), stop = std::min(p.width, p.left + p.columns[0]);
  for (Index line = 0; line < p.out_height * p.lane_vectors; ++line) {
    T* out = w.lines + line * length * LANES;
    std::fill(out, out + start * LANES, T(0));
    std::fill(out + (start + stop - first) * LANES, out + length * LANES, T(0));
  }
  const Maps<T> maps(w.vertical, p.vertical, p.rows, 0, COLUMNS);
  const std::size_t last = p.stages.size() - 1;
  const T zeros[LANES] = {};
  for (Index column = first; column < stop; column += COLUMNS) {
    read_strip(task, x, column, w.strip);
    run_cascade<T, STRIP_VECTORS, STRIP_BLOCK>(p, p.vertical, p.rows, task.vertical_taps, w.strip, maps, static_cast<T*>(nullptr), 0);
    const Index some = std::min(COLUMNS, stop - column);
    for (Index m = 0; m < p.out_height; ++m)
      for (Index k = 0; k < p.lane_vectors; ++k) {
        const T* leaves[LANES];
        T* columns[LANES];
        T* out = w.lines + ((m * p.lane_vectors + k) * length + start + column - first) * LANES;
        for (Index c = 0; c < some; c += LANES) {
          for (Index lane = 0; lane < LANES; ++lane) {
            const Index leaf = p.lanes[k * LANES + lane];
            leaves[lane] = leaf < 0 ? zeros : maps.at(last, leaf) + m * COLUMNS + c;
          }
          for (Index i = 0; i < LANES; ++i) columns[i] = out + (c + i) * LANES;
          transpose<T>(leaves, columns);
        }
      }
    // Beyond the last column that is read lie zeros, which a strip's end may have overwritten.
    if (stop < p.width && column + COLUMNS >= stop)
      for (Index line = 0; line < p.out_height * p.lane_vectors; ++line) {
        T* out = w.lines + line * length * LANES;
        std::fill(out + (start + stop - first) * LANES, out + length * LANES, T(0));
      }
  }
}

// The horizontal cascades of an output row: slots[q][n][8].
template <class T> void filter_row(const Task<T>& task, Index m, Workspace<T>& w, T* slots) {
  const Program& p = task.p;
  for (Index k = 0; k < p.lane_vectors; ++k) {
    const Cascade& c = p.horizontal[k];
    run_cascade<T, 1, ROW_BLOCK>(
        p, c, p.columns, task.horizontal_taps, w.lines + (m * p.lane_vectors + k) * p.line_length() * LANES, w.row_maps[k],
        slots + p.first_slot[k] * p.out_width * LANES, p.out_width * LANES);
  }
}

// Copy a row [n][output vectors][8] to where a part's outputs lie, or back.
template <class T> void write_row(const Program& p, const T* row, T* const* out, const Strides& os, Index offset) {
  const Index wide = p.output_vectors * LANES, per_part = wide / p.parts;
  for (Index part = 0; part < p.results(); ++part) {
    T* to = out[part] + offset;
    const T* from = row + part * per_part;
    if (os.channel == 1)
      for (Index n = 0; n < p.out_width; ++n)
        std::memcpy(to + n * os.column, from + n * wide, sizeof(T) * static_cast<std::size_t>(p.outputs));
    else
      for (Index o = 0; o < p.outputs; ++o)
        for (Index n = 0; n < p.out_width; ++n) to[o * os.channel + n * os.column] = from[n * wide + o];
  }
}
template <class T> void read_row(const Program& p, T* row, const T* const* gradient, const Strides* gs, Index image, Index m) {
  const Index wide = p.output_vectors * LANES, per_part = wide / p.parts;
  for (Index part = 0; part < p.results(); ++part) {
    const Strides& s = gs[part];
    const T* from = gradient[part] + image * s.image + m * s.row;
    T* to = row + part * per_part;
    if (s.channel == 1)
      for (Index n = 0; n < p.out_width; ++n)
        std::memcpy(to + n * wide, from + n * s.column, sizeof(T) * static_cast<std::size_t>(p.outputs));
    else
      for (Index o = 0; o < p.outputs; ++o)
        for (Index n = 0; n < p.out_width; ++n) to[n * wide + o] = from[o * s.channel + n * s.column];
    for (Index n = 0; n < p.out_width; ++n) std::fill(to + n * wide + p.outputs, to + n * wide + per_part, T(0));
  }
}

// Put moduli in the place of real parts, in a row of outputs; write the units, where there is room for them.
template <class T> void take_moduli(const Program& p, T* row, T* units) {
  const Index wide = p.output_vectors * LANES, half = wide / 2;
  const Vector<T> zero = {}, one = zero + T(1), most = zero + std::numeric_limits<T>::max();
  for (Index n = 0; n < p.out_width; ++n, row += wide) {
    for (Index o = 0; o < half; o += LANES) {
      const Vector<T> x = load(row + o), y = load(row + half + o);
      const Vector<T> a = x < zero ? -x : x, b = y < zero ? -y : y;
      const Vector<T> large = a > b ? a : b, small = a > b ? b : a;
      // Nothing between overflows or underflows where the modulus does not.
      const Vector<T> ratio = small / (large > zero ? large : one);
      Vector<T> root = one + ratio * ratio;
      for (Index i = 0; i < LANES; ++i) root[i] = std::sqrt(root[i]);
      root = large > most ? large : large * root;
      store(row + o, root);
      if (units == nullptr) continue;
      const Vector<T> divisor = root > zero ? root : one;
      store(units + o, x / divisor);
      store(units + half + o, y / divisor);
    }
    if (units != nullptr) units += wide;
  }
}

// Of gradients of moduli, those of real and imaginary parts.
template <class T> void spread_moduli(const Program& p, T* row, const T* units) {
  const Index wide = p.output_vectors * LANES, half = wide / 2;
  for (Index n = 0; n < p.out_width; ++n, row += wide, units += wide)
    for (Index o = 0; o < half; o += LANES) {
      const Vector<T> g = load(row + o);
      store(row + o, g * load(units + o));
      store(row + half + o, g * load(units + half + o));
    }
}

// The sum of products of two rows.
template <class T> T product(const T* d, const T* in, Index step, Index n) {
  T part[LANES] = {}, sum = 0;
  for (Index i = 0; i < n; ++i) part[i % LANES] += d[i] * in[i * step];
  for (Index i = 0; i < LANES; ++i) sum += part[i];
  return sum;
}

// Repeat each of 8 numbers three times: 24 numbers, in three vectors.
template <class T> inline void repeat_thrice(Vector<T> d, Vector<T> out[3]) {
#ifdef WAVETWIN_SHUFFLES
  out[0] = __builtin_shufflevector(d, d, 0, 0, 0, 1, 1, 1, 2, 2);
  out[1] = __builtin_shufflevector(d, d, 2, 3, 3, 3, 4, 4, 4, 5);
  out[2] = __builtin_shufflevector(d, d, 5, 5, 6, 6, 6, 7, 7, 7);
#else
  for (Index i = 0; i < 3 * LANES; ++i) out[i / LANES][i % LANES] = d[i / 3];
#endif
}

// Add the products of a row with three interleaved colours.
template <class T> void add_interleaved_products(const T* d, const T* in, Index n, Vector<T>* sums) {
  Index i = 0;
  Vector<T> three[3];
  for (; i + LANES <= n; i += LANES, in += 3 * LANES) {
    repeat_thrice<T>(load(d + i), three);
    for (Index v = 0; v < 3; ++v) sums[v] += three[v] * load(in + v * LANES);
  }
  T rest[3 * LANES] = {};
  for (Index j = 0; j < 3 * (n - i); ++j) rest[j] = d[i + j / 3] * in[j];
  for (Index v = 0; v < 3; ++v) sums[v] += load(rest + v * LANES);
}

// The adjoint of filter_columns, whose lines hold gradients now: gradients of colours and image.
template <class T>
void join_columns(const Task<T>& task, const T* x, Workspace<T>& w, double* of_colour, T* of_x, const Strides& ds) {
  const Program& p = task.p;
  const Index length = p.line_length(), start = p.strip_start();
  const Index first = std::max<Index>(0, p.left), stop = std::min(p.width, p.left + p.columns[0]);
  const Maps<T> maps(w.vertical_adjoint, p.vertical, p.rows, p.margin, COLUMNS);
  const std::size_t last = p.stages.size() - 1;
  const Index top = std::max<Index>(0, -p.top), bottom = std::min(p.rows[0], p.height - p.top);
  T spare[LANES];
  for (Index column = first; column < stop; column += COLUMNS) {
    const Index some = std::min(COLUMNS, stop - column);
    for (Index m = 0; m < p.out_height; ++m)
      for (Index k = 0; k < p.lane_vectors; ++k) {
        const T* in = w.lines + ((m * p.lane_vectors + k) * length + start + column - first) * LANES;
        for (Index c = 0; c < COLUMNS; c += LANES) {
          const T* columns[LANES];
          T* leaves[LANES];
          for (Index i = 0; i < LANES; ++i) {
            const Index leaf = p.lanes[k * LANES + i];
            columns[i] = in + (c + i) * LANES;
            leaves[i] = leaf < 0 ? spare : maps.at(last, leaf) + m * COLUMNS + c;
          }
          transpose<T>(columns, leaves);
        }
      }
    run_adjoint<T, STRIP_VECTORS, 2>(p, p.vertical, p.rows, task.vertical_taps, maps, w.strip);
    Vector<T> sums[3] = {};  // products with interleaved colours: number i of these 24 is of colour i % 3
    for (Index r = top; r < bottom; ++r) {
      const T* d = w.strip + r * COLUMNS;
      const Index row = r + p.top;
      const T* in = x + row * task.xs.row + column * task.xs.column;
      if (of_colour != nullptr) {
        if (p.colours == 3 && task.xs.channel == 1 && task.xs.column == 3) add_interleaved_products(d, in, some, sums);
        else
          for (Index c = 0; c < p.colours; ++c)
            of_colour[c] += static_cast<double>(product(d, in + c * task.xs.channel, task.xs.column, some));
      }
      if (of_x != nullptr)
        for (Index c = 0; c < p.colours; ++c) {
          T* out = of_x + c * ds.channel + row * ds.row + column * ds.column;
          for (Index i = 0; i < some; ++i) out[i * ds.column] = task.colour[c] * d[i];
        }
    }
    if (of_colour != nullptr)
      for (Index i = 0; i < 3 * LANES; ++i)
        if (i % 3 < p.colours) of_colour[i % 3] += static_cast<double>(sums[i / LANES][i % LANES]);
  }
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

// ---- Batches ----

template <class T>
void forward(const Index* program, const T* vertical_taps, const T* horizontal_taps, const T* matrix,
             const std::uint8_t* mask, const T* bias, const T* x, const Index* x_strides, const T* colour,
             T* const* out, const Index* out_strides, T* slots, T* units, Index batch, Index threads) {
  const Program p(program);
  const Mixing<T> mixing(p, matrix, mask);
  const Strides os{out_strides[0], out_strides[1], out_strides[2], out_strides[3]};
  const Task<T> task{p, mixing, vertical_taps, horizontal_taps, x,
                     {x_strides[0], x_strides[1], x_strides[2], x_strides[3]}, colour};
  const Index row_size = p.slot_vectors * p.out_width * LANES, unit_size = p.out_width * p.output_vectors * LANES;
  for_each(batch, threads, [&](Index image) {
    Workspace<T> w(p, false);
    filter_columns(task, x + image * task.xs.image, w);
    for (Index m = 0; m < p.out_height; ++m) {
      T* row = slots == nullptr ? w.slots : slots + (image * p.out_height + m) * row_size;
      filter_row(task, m, w, row);
      mix_row(p, mixing, row, bias, w.outputs);
      if (p.modulus) take_moduli(p, w.outputs, units == nullptr ? nullptr : units + (image * p.out_height + m) * unit_size);
      write_row(p, w.outputs, out, os, image * os.image + m * os.row);
    }
  });
}

template <class T>
void backward(const Index* program, const T* vertical_taps, const T* horizontal_taps, const T* matrix,
              const std::uint8_t* mask, const T* bias, const T* const* gradient, const Index* gradient_strides, const T* x,
              const Index* x_strides, const T* colour, const T* slots, const T* units, T* of_matrix, T* of_bias,
              T* of_colour, T* of_x, const Index* of_x_strides, Index batch, Index threads) {
  const Program p(program);
  const Mixing<T> mixing(p, matrix, mask);
  std::vector<Strides> gs;
  for (Index part = 0; part < p.results(); ++part) {
    const Index* s = gradient_strides + 4 * part;
    gs.push_back({s[0], s[1], s[2], s[3]});
  }
  Strides ds{};
  if (of_x != nullptr) ds = {of_x_strides[0], of_x_strides[1], of_x_strides[2], of_x_strides[3]};
  const Task<T> task{p, mixing, vertical_taps, horizontal_taps, x,
                     {x_strides[0], x_strides[1], x_strides[2], x_strides[3]}, colour};
  const Index row_size = p.slot_vectors * p.out_width * LANES, wide = p.output_vectors * LANES;
  const Index groups = std::min(batch, GROUPS), weights = mixing.num_rows() * LANES;
  const bool needs_image = of_colour != nullptr || of_x != nullptr;
  std::vector<T> sums(static_cast<std::size_t>(groups * weights), T(0));
  std::vector<double> bias_sums(static_cast<std::size_t>(groups * wide), 0.0);
  std::vector<double> colour_sums(static_cast<std::size_t>(groups * p.colours), 0.0);
  for_each(groups, threads, [&](Index group) {
    Workspace<T> w(p, true);
    const Index length = p.line_length();
    std::vector<T> bias_row(static_cast<std::size_t>(wide));
    const bool no_units = p.modulus && units == nullptr;
    std::vector<T> own_units(static_cast<std::size_t>(no_units ? p.out_width * wide : 0));
    for (Index image = batch * group / groups; image < batch * (group + 1) / groups; ++image) {
      const T* one = x + image * task.xs.image;
      const bool again = (of_matrix != nullptr || no_units) && slots == nullptr;
      if (again) filter_columns(task, one, w);
      for (Index m = 0; m < p.out_height; ++m) {
        const Index number = image * p.out_height + m;
        const T* row = again ? w.slots : slots + number * row_size;
        if (again) filter_row(task, m, w, w.slots);
        if (no_units) {
          mix_row(p, mixing, row, bias, w.outputs);
          take_moduli(p, w.outputs, own_units.data());
        }
        read_row(p, w.outputs, gradient, gs.data(), image, m);
        if (p.modulus) spread_moduli(p, w.outputs, no_units ? own_units.data() : units + number * p.out_width * wide);
        if (of_bias != nullptr) {
          std::fill(bias_row.begin(), bias_row.end(), T(0));
          for (Index n = 0; n < p.out_width; ++n)
            for (Index o = 0; o < wide; ++o) bias_row[static_cast<std::size_t>(o)] += w.outputs[n * wide + o];
          for (Index o = 0; o < wide; ++o) bias_sums[static_cast<std::size_t>(group * wide + o)] += static_cast<double>(bias_row[static_cast<std::size_t>(o)]);
        }
        if (of_matrix != nullptr) add_mixing_gradient(p, mixing, row, w.outputs, sums.data() + group * weights);
        if (!needs_image) continue;
        for (Index k = 0; k < p.lane_vectors; ++k) {
          const Cascade& c = p.horizontal[k];
          const Maps<T>& maps = w.row_adjoints[k];
          for (Index leaf = 0; leaf < c.nodes.back(); ++leaf)
            unmix_row(p, mixing, p.first_slot[k] + leaf, w.outputs, maps.at(p.stages.size() - 1, leaf));
          T* line = w.lines + (m * p.lane_vectors + k) * length * LANES;
          run_adjoint<T, 1, ROW_BLOCK>(p, c, p.columns, task.horizontal_taps, maps, line);
          std::fill(line + p.columns[0] * LANES, line + length * LANES, T(0));
        }
      }
      if (needs_image)
        join_columns(task, one, w, of_colour == nullptr ? nullptr : colour_sums.data() + group * p.colours,
                     of_x == nullptr ? nullptr : of_x + image * ds.image, ds);
    }
  });
  if (of_matrix != nullptr) {
    std::fill(of_matrix, of_matrix + p.slot_vectors * LANES * wide, T(0));
    for (Index o = 0; o < p.output_vectors; ++o)
      for (std::size_t r = 0; r < mixing.rows[static_cast<std::size_t>(o)].size(); ++r) {
        const auto& row = mixing.rows[static_cast<std::size_t>(o)][r];
        for (Index i = 0; i < LANES; ++i) {
          double sum = 0;
          for (Index group = 0; group < groups; ++group)
            sum += static_cast<double>(sums[static_cast<std::size_t>(
                group * weights + (mixing.first_row[static_cast<std::size_t>(o)] + static_cast<Index>(r)) * LANES + i)]);
          of_matrix[(row.slot * LANES + row.lane) * wide + o * LANES + i] = static_cast<T>(sum);
        }
      }
  }
  auto total = [&](const std::vector<double>& parts, Index size, T* result) {
    for (Index i = 0; i < size; ++i) {
      double sum = 0;
      for (Index group = 0; group < groups; ++group) sum += parts[static_cast<std::size_t>(group * size + i)];
      result[i] = static_cast<T>(sum);
    }
  };
  if (of_bias != nullptr) total(bias_sums, wide, of_bias);
  if (of_colour != nullptr) total(colour_sums, p.colours, of_colour);
}

// ---- Pooling ----

// Maps with the channels last, in parts of some channels each that lie one after the other in the result.
struct Pooling {
  struct Part { Index channels, first, image, row, column; };  // where its channels begin in the result; strides
  Index height, width, size, step, margin, out_height, out_width, channels = 0;
  Index image, row, column;  // strides of the gradient of the result
  std::vector<Part> parts;
  explicit Pooling(const Index* p) {
    height = *p++; width = *p++; size = *p++; step = *p++; margin = *p++; out_height = *p++; out_width = *p++;
    image = *p++; row = *p++; column = *p++;
    parts.resize(*p++);
    for (Part& part : parts) {
      part = {p[0], channels, p[1], p[2], p[3]};
      channels += part.channels;
      p += 4;
    }
  }
  Index outputs() const { return out_height * out_width * channels; }
};

struct Range { Index first, stop; };
// Of the window of an output: the samples that are inside the map, counted from the window's first.
inline Range window(Index output, Index length, const Pooling& p) {
  const Index start = output * p.step - p.margin;
  return {std::max<Index>(0, -start), std::min(p.size, length - start)};
}
inline bool is_whole(Range window_of_3) { return window_of_3.first == 0 && window_of_3.stop == 3; }
// The outputs in whose windows a sample is.
inline Range readers(Index sample, Index outputs, const Pooling& p) {
  const Index below = sample + p.margin - p.size + 1;
  return {below <= 0 ? 0 : (below + p.step - 1) / p.step, std::min(outputs, (sample + p.margin) / p.step + 1)};
}

constexpr std::uint8_t NOTHING = 255;  // no sample of a window is positive

template <class T> struct CodesOf;
template <> struct CodesOf<float> { typedef std::int32_t number; };
template <> struct CodesOf<double> { typedef std::int64_t number; };
template <class T> struct CodesVector {
  typedef typename CodesOf<T>::number type __attribute__((vector_size(8 * sizeof(T))));
};
template <class T> using Codes = typename CodesVector<T>::type;
typedef std::uint8_t Bytes __attribute__((vector_size(8)));

template <class T> inline Vector<T> load_some(const T* p, Index count) {
  if (count == LANES) return load(p);
  T whole[LANES] = {};
  for (Index i = 0; i < count; ++i) whole[i] = p[i];
  return load(whole);
}
template <class T> inline void store_some(T* p, Vector<T> v, Index count) {
  if (count == LANES) return store(p, v);
  for (Index i = 0; i < count; ++i) p[i] = v[i];
}
template <class T> inline Codes<T> load_codes(const std::uint8_t* p, Index count) {
  Bytes bytes = {};
  std::memcpy(&bytes, p, static_cast<std::size_t>(count));
  return __builtin_convertvector(bytes, Codes<T>);
}
template <class T> inline void store_codes(std::uint8_t* p, Codes<T> codes, Index count) {
  const Bytes bytes = __builtin_convertvector(codes, Bytes);
  std::memcpy(p, &bytes, static_cast<std::size_t>(count));
}

// Call with every vector of channels: the part, its index, the channel in the part and in the result, and how many.
template <class F> inline void for_channels(const Pooling& p, const F& run) {
  for (std::size_t k = 0; k < p.parts.size(); ++k) {
    const Pooling::Part& part = p.parts[k];
    Index c = 0;
    for (; c + LANES <= part.channels; c += LANES) run(part, k, c, part.first + c, LANES);
    if (c < part.channels) run(part, k, c, part.first + c, part.channels - c);
  }
}

// Add up, per channel, what groups of images found, in order.
inline void add_groups(const std::vector<double>& found, Index groups, Index channels, double* result) {
  for (Index c = 0; c < channels; ++c) {
    double sum = 0;
    for (Index group = 0; group < groups; ++group) sum += found[static_cast<std::size_t>(group * channels + c)];
    result[c] = sum;
  }
}

// Mean and variance of every channel: sums of what is left of a value near the mean, and of its square.
template <class T>
void pool_statistics(const Index* numbers, const T* const* x, double* mean, double* variance, Index batch, Index threads) {
  const Pooling p(numbers);
  std::vector<T> near(static_cast<std::size_t>(p.channels));
  for_channels(p, [&](const Pooling::Part& part, std::size_t k, Index c, Index at, Index count) {
    const T* row = x[k] + p.height / 2 * part.row + c;
    for (Index i = 0; i < count; ++i) {
      T sum = 0;
      for (Index n = 0; n < p.width; ++n) sum += row[n * part.column + i];
      near[static_cast<std::size_t>(at + i)] = sum / static_cast<T>(p.width);
    }
  });
  const Index groups = std::min(batch, GROUPS);
  std::vector<double> sums(static_cast<std::size_t>(groups * p.channels)), squares(sums.size());
  for_each(groups, threads, [&](Index group) {
    std::vector<T> row_sums(static_cast<std::size_t>(2 * p.channels));
    for (Index image = batch * group / groups; image < batch * (group + 1) / groups; ++image)
      for (Index r = 0; r < p.height; ++r)
        for_channels(p, [&](const Pooling::Part& part, std::size_t k, Index c, Index at, Index count) {
          const T* in = x[k] + image * part.image + r * part.row + c;
          const Vector<T> middle = load_some(near.data() + at, count);
          Vector<T> sum[2] = {}, square[2] = {};
          for (Index n = 0; n < p.width; ++n, in += part.column) {
            const Vector<T> d = load_some(in, count) - middle;
            sum[n % 2] += d;
            square[n % 2] += d * d;
          }
          for (Index i = 0; i < count; ++i) {
            sums[static_cast<std::size_t>(group * p.channels + at + i)] += static_cast<double>(sum[0][i] + sum[1][i]);
            squares[static_cast<std::size_t>(group * p.channels + at + i)] += static_cast<double>(square[0][i] + square[1][i]);
          }
        });
  });
  add_groups(sums, groups, p.channels, mean);
  add_groups(squares, groups, p.channels, variance);
  const double values = static_cast<double>(batch * p.height * p.width);
  for (Index c = 0; c < p.channels; ++c) {
    mean[c] /= values;
    variance[c] = std::max(0.0, variance[c] / values - mean[c] * mean[c]);
    mean[c] += static_cast<double>(near[static_cast<std::size_t>(c)]);
  }
}

// The largest positive value of a window and its code.
template <class T, bool NORM>
inline __attribute__((always_inline)) void pool_window(const T* in, Index row, Index column, Range rows, Range columns, Index size, Index count,
                                                       Vector<T> scale, Vector<T> shift, T* out, std::uint8_t* codes) {
  Vector<T> best = {};
  Codes<T> found = Codes<T>{} + NOTHING;
  for (Index r = rows.first; r < rows.stop; ++r)
    for (Index c = columns.first; c < columns.stop; ++c) {
      Vector<T> v = load_some(in + r * row + c * column, count);
      if (NORM) v = v * scale + shift;
      const Codes<T> larger = (v > best) | (v != v);  // whatever is no number stays
      best = larger ? v : best;
      found = larger ? Codes<T>{} + static_cast<typename CodesOf<T>::number>(r * size + c) : found;
    }
  store_some(out, best, count);
  if (codes != nullptr) store_codes<T>(codes, found, count);
}

template <class T, bool NORM>
void pool_image(const Pooling& p, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, Index image) {
  const Vector<T> zero = {};
  for (Index i = 0; i < p.out_height; ++i) {
    const Range rows = window(i, p.height, p);
    for (Index j = 0; j < p.out_width; ++j) {
      const Range columns = window(j, p.width, p);
      const bool whole = p.size == 3 && is_whole(rows) && is_whole(columns);
      const Index result = ((image * p.out_height + i) * p.out_width + j) * p.channels;
      for_channels(p, [&](const Pooling::Part& part, std::size_t k, Index c, Index at, Index count) {
        const T* in = x[k] + image * part.image + (i * p.step - p.margin) * part.row + (j * p.step - p.margin) * part.column + c;
        const Vector<T> a = NORM ? load_some(scale + at, count) : zero, b = NORM ? load_some(shift + at, count) : zero;
        std::uint8_t* code = codes == nullptr ? nullptr : codes + result + at;
        if (whole && count == LANES)
          pool_window<T, NORM>(in, part.row, part.column, {0, 3}, {0, 3}, 3, LANES, a, b, out + result + at, code);
        else if (p.size == 1 && count == LANES)
          pool_window<T, NORM>(in, part.row, part.column, {0, 1}, {0, 1}, 1, LANES, a, b, out + result + at, code);
        else
          pool_window<T, NORM>(in, part.row, part.column, rows, columns, p.size, count, a, b, out + result + at, code);
      });
    }
  }
}

template <class T>
void pool_forward(const Index* numbers, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes,
                  Index batch, Index threads) {
  const Pooling p(numbers);
  for_each(batch, threads, [&](Index image) {
    if (scale != nullptr) pool_image<T, true>(p, x, scale, shift, out, codes, image);
    else pool_image<T, false>(p, x, scale, shift, out, codes, image);
  });
}

// Of a window, add the gradient that reaches the sample that was taken, and its product with the sample.
template <class T>
inline __attribute__((always_inline)) void sum_window(const T* in, Index row, Index column, Range rows, Range columns, Index size, Index count,
                                                      Vector<T> g, Codes<T> code, Vector<T>& sum, Vector<T>& product) {
  typedef typename CodesOf<T>::number Number;
  Vector<T> taken = {};
  for (Index r = rows.first; r < rows.stop; ++r)
    for (Index c = columns.first; c < columns.stop; ++c)
      taken = code == static_cast<Number>(r * size + c) ? load_some(in + r * row + c * column, count) : taken;
  const Vector<T> reaches = code != static_cast<Number>(NOTHING) ? g : Vector<T>{};
  sum += reaches;
  product += reaches * taken;
}

// Per channel, sums of the gradients that reach a sample, and of their products with these samples.
template <class T>
void pool_sums(const Index* numbers, const T* const* x, const T* gradient, const std::uint8_t* codes, double* sums,
               double* products, Index batch, Index threads) {
  const Pooling p(numbers);
  const Index groups = std::min(batch, GROUPS);
  std::vector<double> sum_parts(static_cast<std::size_t>(groups * p.channels)), product_parts(sum_parts.size());
  for_each(groups, threads, [&](Index group) {
    for (Index image = batch * group / groups; image < batch * (group + 1) / groups; ++image)
      for (Index i = 0; i < p.out_height; ++i) {
        const Range rows = window(i, p.height, p);
        for_channels(p, [&](const Pooling::Part& part, std::size_t k, Index c, Index at, Index count) {
          Vector<T> sum = {}, product = {};
          const T* row = x[k] + image * part.image + (i * p.step - p.margin) * part.row + c;
          for (Index j = 0; j < p.out_width; ++j) {
            const Range columns = window(j, p.width, p);
            const Index result = ((image * p.out_height + i) * p.out_width + j) * p.channels + at;
            const Vector<T> g = load_some(gradient + image * p.image + i * p.row + j * p.column + at, count);
            const Codes<T> code = load_codes<T>(codes + result, count);
            const T* in = row + (j * p.step - p.margin) * part.column;
            if (p.size == 3 && count == LANES && is_whole(rows) && is_whole(columns))
              sum_window<T>(in, part.row, part.column, {0, 3}, {0, 3}, 3, LANES, g, code, sum, product);
            else if (p.size == 1 && count == LANES)
              sum_window<T>(in, part.row, part.column, {0, 1}, {0, 1}, 1, LANES, g, code, sum, product);
            else
              sum_window<T>(in, part.row, part.column, rows, columns, p.size, count, g, code, sum, product);
          }
          for (Index n = 0; n < count; ++n) {
            sum_parts[static_cast<std::size_t>(group * p.channels + at + n)] += static_cast<double>(sum[n]);
            product_parts[static_cast<std::size_t>(group * p.channels + at + n)] += static_cast<double>(product[n]);
          }
        });
      }
  });
  add_groups(sum_parts, groups, p.channels, sums);
  add_groups(product_parts, groups, p.channels, products);
}

// An output that reads a sample: where its code and its gradient lie, and by which code.
struct Reader { Index at, gradient, code; };

// The outputs along one side that read each sample.
struct Readers {
  std::vector<Reader> all;
  std::vector<Index> first;
  Readers(Index length, Index outputs, Index between, Index stride, Index codes, const Pooling& p) {
    for (Index sample = 0; sample < length; ++sample) {
      first.push_back(static_cast<Index>(all.size()));
      const Range range = readers(sample, outputs, p);
      for (Index output = range.first; output < range.stop; ++output)
        all.push_back({output * between, output * stride, (sample + p.margin - output * p.step) * codes});
    }
    first.push_back(static_cast<Index>(all.size()));
  }
  const Reader* begin(Index sample) const { return all.data() + first[static_cast<std::size_t>(sample)]; }
  const Reader* end(Index sample) const { return all.data() + first[static_cast<std::size_t>(sample) + 1]; }
};

// The gradients of the channels of one pixel, which outputs of R rows and C columns read; 0: of any number.
template <class T, Index R, Index C, bool NORM>
inline void pool_pixel(const Pooling::Part& part, Index channels, const Reader* rows, Index row_count, const Reader* columns,
                       Index column_count, const T* gradient, const std::uint8_t* codes, const T* coefficients, const T* x, T* of_x) {
  typedef typename CodesOf<T>::number Number;
  const Index some_rows = R > 0 ? R : row_count, some_columns = C > 0 ? C : column_count;
  auto vector = [&](Index c, Index count) __attribute__((always_inline)) {
    Vector<T> sum = {};
    for (Index i = 0; i < some_rows; ++i)
      for (Index j = 0; j < some_columns; ++j) {
        const Index at = rows[i].at + columns[j].at + c;
        const Codes<T> is_taken = load_codes<T>(codes + at, count) == static_cast<Number>(rows[i].code + columns[j].code);
        sum += is_taken ? load_some(gradient + rows[i].gradient + columns[j].gradient + c, count) : Vector<T>{};
      }
    if (NORM)
      sum = load_some(coefficients + c, count) * sum + load_some(coefficients + 2 * channels + c, count) +
            load_some(coefficients + channels + c, count) * load_some(x + c, count);
    store_some(of_x + c, sum, count);
  };
  Index c = 0;
  for (; c + LANES <= part.channels; c += LANES) vector(c, LANES);
  if (c < part.channels) vector(c, part.channels - c);
}

template <class T, bool NORM>
void join_image(const Pooling& p, const Readers& rows, const Readers& columns, const T* const* x, const T* gradient,
                const std::uint8_t* codes, const T* coefficients, T* const* of_x, Index image) {
  for (std::size_t k = 0; k < p.parts.size(); ++k) {
    const Pooling::Part& part = p.parts[k];
    const Index start = image * p.outputs() + part.first;
    const T *g = gradient + image * p.image + part.first, *of_part = NORM ? coefficients + part.first : nullptr;
    const std::uint8_t* code = codes + start;
    for (Index r = 0; r < p.height; ++r) {
      const Reader* row = rows.begin(r);
      const Index row_count = rows.end(r) - row;
      for (Index n = 0; n < p.width; ++n) {
        const Reader* column = columns.begin(n);
        const Index column_count = columns.end(n) - column;
        const T* in = NORM ? x[k] + image * part.image + r * part.row + n * part.column : nullptr;
        T* out = of_x[k] + ((image * p.height + r) * p.width + n) * part.channels;
        auto pixel = [&](const auto& run) { run(part, p.channels, row, row_count, column, column_count, g, code, of_part, in, out); };
        if (row_count == 1 && column_count == 1) pixel(pool_pixel<T, 1, 1, NORM>);
        else if (row_count == 1 && column_count == 2) pixel(pool_pixel<T, 1, 2, NORM>);
        else if (row_count == 2 && column_count == 1) pixel(pool_pixel<T, 2, 1, NORM>);
        else if (row_count == 2 && column_count == 2) pixel(pool_pixel<T, 2, 2, NORM>);
        else if (row_count == 3 && column_count == 3) pixel(pool_pixel<T, 3, 3, NORM>);
        else pixel(pool_pixel<T, 0, 0, NORM>);
      }
    }
  }
}

// Gradients of the maps: where no coefficients are given, of the maximum alone; else a * that + b * x + c.
template <class T>
void pool_backward(const Index* numbers, const T* const* x, const T* gradient, const std::uint8_t* codes,
                   const T* coefficients, T* const* of_x, Index batch, Index threads) {
  const Pooling p(numbers);
  const Readers rows(p.height, p.out_height, p.out_width * p.channels, p.row, p.size, p);
  const Readers columns(p.width, p.out_width, p.channels, p.column, 1, p);
  for_each(batch, threads, [&](Index image) {
    if (coefficients != nullptr) join_image<T, true>(p, rows, columns, x, gradient, codes, coefficients, of_x, image);
    else join_image<T, false>(p, rows, columns, x, gradient, codes, coefficients, of_x, image);
  });
}

// ---- One level of the dual tree: a smoothed map and six moduli ----

// A lane is a map: 8 maps of a batch are filtered together, along the rows, then along the columns, two rows of
// these at a time; four neighbouring samples are a quad, whose sums and differences are the complex bands. Samples
// beyond a border are sums of samples of the map, as Python lays them out for any mode.
constexpr Index BANDS = 6, PARTS = 2 * BANDS;

template <class T> struct Border {  // of each sample of a line with margins, the samples of the line that it is a sum of
  const Index *first, *source;
  const T* weight;
  bool is_plain(Index at) const { return first[at + 1] - first[at] == 1 && weight[first[at]] == T(1); }
};

template <class T> struct Level {
  Index channels, height, width, taps, even_height, even_width;
  Strides xs, ds;
  const T *low, *high;  // taps, each 8 times
  T square, offset;     // of the modulus: the bias, squared, and what is taken off the root
  Border<T> rows, columns;
  Stage stage;
  Index padded_height() const { return even_height + taps - 1; }
  Index padded_width() const { return even_width + taps - 1; }
  Index margin() const { return taps + ROW_BLOCK + 1; }
  Index half_height() const { return even_height / 2; }
  Index half_width() const { return even_width / 2; }
  Index quads() const { return half_height() * half_width(); }
};

// The first samples of 8 lanes, some of which may not be there.
template <class T> struct Planes {
  T* first[LANES];
  Index count, column;
  bool is_row() const { return column == 1; }
  bool is_last() const {  // neighbouring channels, which lie next to each other
    for (Index i = 1; i < LANES; ++i)
      if (i >= count || first[i] != first[0] + i) return false;
    return true;
  }
};

// Read a row of 8 maps as [column][8], or write one.
template <class T> void read_lanes(const Planes<const T>& planes, Index row, Index width, T* line) {
  Index n = 0;
  if (planes.is_last())
    for (; n < width; ++n) store(line + n * LANES, load(planes.first[0] + row + n * planes.column));
  else if (planes.is_row())
    for (; n + LANES <= width; n += LANES) {
      const T* in[LANES];
      T* out[LANES];
      for (Index i = 0; i < LANES; ++i) {
        in[i] = planes.first[i] + row + n;
        out[i] = line + (n + i) * LANES;
      }
      transpose<T>(in, out);
    }
  for (; n < width; ++n)
    for (Index i = 0; i < LANES; ++i) line[n * LANES + i] = planes.first[i][row + n * planes.column];
}
template <class T> void write_lanes(const Planes<T>& planes, Index row, Index width, const T* line) {
  Index n = 0;
  if (planes.is_last())
    for (; n < width; ++n) store(planes.first[0] + row + n * planes.column, load(line + n * LANES));
  else if (planes.is_row() && planes.count == LANES)
    for (; n + LANES <= width; n += LANES) {
      const T* in[LANES];
      T* out[LANES];
      for (Index i = 0; i < LANES; ++i) {
        in[i] = line + (n + i) * LANES;
        out[i] = planes.first[i] + row + n;
      }
      transpose<T>(in, out);
    }
  for (; n < width; ++n)
    for (Index i = 0; i < planes.count; ++i) planes.first[i][row + n * planes.column] = line[n * LANES + i];
}

// The maps of a group of lanes; lanes that are not there read the first one's map.
template <class T> Planes<T> planes_of(T* x, const Strides& s, Index channels, Index group, Index maps) {
  Planes<T> planes{{}, std::min(LANES, maps - group * LANES), s.column};
  for (Index i = 0; i < LANES; ++i) {
    const Index map = group * LANES + (i < planes.count ? i : 0);
    planes.first[i] = x + map / channels * s.image + map % channels * s.channel;
  }
  return planes;
}

template <class T> void add_row(T* to, const T* from, T weight, Index width) {
  for (Index n = 0; n < width * LANES; n += LANES) store(to + n, load(to + n) + weight * load(from + n));
}

// Quads of two rows: from `taps + 1` rows of both horizontal filters, four sums for each of the four samples.
template <class T>
inline void filter_quad(const Level<T>& p, const T* const* low_rows, const T* const* high_rows, Index n, Vector<T> sums[4][4]) {
  Vector<T> sum[4][4] = {};  // low low, low high, high low, high high (along the columns first); sample of the quad
  for (Index t = 0; t <= p.taps; ++t) {
    const Vector<T> l[2] = {load(low_rows[t] + n * LANES), load(low_rows[t] + (n + 1) * LANES)};
    const Vector<T> h[2] = {load(high_rows[t] + n * LANES), load(high_rows[t] + (n + 1) * LANES)};
#pragma GCC unroll 2
    for (Index r = 0; r < 2; ++r) {
      if (t - r < 0 || t - r >= p.taps) continue;
      const Vector<T> low = load(p.low + (t - r) * LANES), high = load(p.high + (t - r) * LANES);
#pragma GCC unroll 2
      for (Index c = 0; c < 2; ++c) {
        sum[0][2 * r + c] += low * l[c];
        sum[1][2 * r + c] += low * h[c];
        sum[2][2 * r + c] += high * l[c];
        sum[3][2 * r + c] += high * h[c];
      }
    }
  }
  for (Index i = 0; i < 4; ++i)
    for (Index j = 0; j < 4; ++j) sums[i][j] = sum[i][j];
}

// Which of the four sums is the complex band of each angle below 90 degrees.
constexpr Index SUM_OF_BAND[3] = {2, 3, 1};

template <class T>
void level_forward(const Level<T>& p, const T* x, T* out, T* kept, Index batch, Index threads) {
  const Index maps = batch * p.channels, h = p.half_height(), w = p.half_width();
  const Strides os{7 * p.channels * h * w, h * w, w, 1};
  const T root_of_half = std::sqrt(T(0.5));
  for_each((maps + LANES - 1) / LANES, threads, [&](Index group) {
    const Index line = p.padded_width() * LANES, row = p.even_width * LANES, rows = p.height * row;
    Index plain = 0;
    for (Index at = 0; at < p.padded_height(); ++at) plain += p.rows.is_plain(at);
    const Index extra = (p.padded_height() - plain) * row;
    T* room = thread_room<T>(p.width * LANES + line + 2 * (rows + extra) + 7 * w * LANES);
    T *raw = room, *padded = raw + p.width * LANES, *low = padded + line, *high = low + rows;
    T *more = high + rows, *result = more + 2 * extra;
    const Planes<const T> planes = planes_of<const T>(x, p.xs, p.channels, group, maps);
    for (Index r = 0; r < p.height; ++r) {
      read_lanes<T>(planes, r * p.xs.row, p.width, raw);
      for (Index at = 0; at < p.padded_width(); ++at) {
        Vector<T> sum = {};
        for (Index k = p.columns.first[at]; k < p.columns.first[at + 1]; ++k)
          sum += p.columns.weight[k] * load(raw + p.columns.source[k] * LANES);
        store(padded + at * LANES, sum);
      }
      split_rows<T, 1, ROW_BLOCK, true>(padded, low + r * row, high + r * row, p.even_width, p.stage, p.low, p.high);
    }
    std::vector<const T*> low_rows, high_rows;
    for (Index at = 0; at < p.padded_height(); ++at) {
      if (p.rows.is_plain(at)) {
        low_rows.push_back(low + p.rows.source[p.rows.first[at]] * row);
        high_rows.push_back(high + p.rows.source[p.rows.first[at]] * row);
        continue;
      }
      std::fill(more, more + 2 * row, T(0));
      for (Index k = p.rows.first[at]; k < p.rows.first[at + 1]; ++k) {
        add_row(more, low + p.rows.source[k] * row, p.rows.weight[k], p.even_width);
        add_row(more + row, high + p.rows.source[k] * row, p.rows.weight[k], p.even_width);
      }
      low_rows.push_back(more);
      high_rows.push_back(more + row);
      more += 2 * row;
    }
    for (Index i = 0; i < h; ++i) {
      for (Index j = 0; j < w; ++j) {
        Vector<T> sums[4][4];
        filter_quad(p, low_rows.data() + 2 * i, high_rows.data() + 2 * i, 2 * j, sums);
        store(result + j * LANES, (sums[0][0] + sums[0][1] + sums[0][2] + sums[0][3]) * T(0.25));
        T* ratios = kept == nullptr ? nullptr : kept + (group * p.quads() + i * w + j) * PARTS * LANES;
        for (Index band = 0; band < 3; ++band) {
          const Vector<T>* q = sums[SUM_OF_BAND[band]];
          const Vector<T> real[2] = {(q[0] - q[3]) * root_of_half, (q[0] + q[3]) * root_of_half};
          const Vector<T> imaginary[2] = {(q[1] + q[2]) * root_of_half, (q[1] - q[2]) * root_of_half};
          for (Index mirrored = 0; mirrored < 2; ++mirrored) {
            const Index at = mirrored != 0 ? BANDS - 1 - band : band;
            Vector<T> root = p.square + real[mirrored] * real[mirrored] + imaginary[mirrored] * imaginary[mirrored];
            for (Index lane = 0; lane < LANES; ++lane) root[lane] = std::sqrt(root[lane]);
            store(result + ((1 + at) * w + j) * LANES, root - p.offset);
            if (ratios == nullptr) continue;
            const Vector<T> inverse = T(1) / root;
            store(ratios + at * LANES, real[mirrored] * inverse);
            store(ratios + (BANDS + at) * LANES, imaginary[mirrored] * inverse);
          }
        }
      }
      for (Index band = 0; band < 7; ++band)
        write_lanes<T>(planes_of<T>(out + band * p.channels * h * w, os, p.channels, group, maps), i * w, w, result + band * w * LANES);
    }
  });
}

template <class T>
void level_backward(const Level<T>& p, const T* gradient, const T* kept, T* of_x, Index batch, Index threads) {
  const Index maps = batch * p.channels, h = p.half_height(), w = p.half_width();
  const Strides gs{7 * p.channels * h * w, h * w, w, 1};
  const T root_of_half = std::sqrt(T(0.5));
  for_each((maps + LANES - 1) / LANES, threads, [&](Index group) {
    const Index row = p.even_width * LANES, wide = row + 2 * p.margin() * LANES;
    const Index all_rows = p.padded_height() * row;
    T* room = thread_room<T>(7 * w * LANES + 8 * row + 2 * all_rows + 2 * p.height * wide + p.padded_width() * LANES + p.width * LANES);
    T *g = room, *quads = g + 7 * w * LANES, *low = quads + 8 * row, *high = low + all_rows;
    T *own_low = high + all_rows, *own_high = own_low + p.height * wide, *padded = own_high + p.height * wide;
    T* raw = padded + p.padded_width() * LANES;
    std::fill(low, padded, T(0));
    for (Index i = 0; i < h; ++i) {
      for (Index band = 0; band < 7; ++band)
        read_lanes<T>(planes_of<const T>(gradient + band * p.channels * h * w, gs, p.channels, group, maps), i * w, w, g + band * w * LANES);
      for (Index j = 0; j < w; ++j) {
        auto put = [&](Index sum, Index r, Index c, Vector<T> v) { store(quads + (sum * 2 + r) * row + (2 * j + c) * LANES, v); };
        const Vector<T> mean = load(g + j * LANES) * T(0.25);
        for (Index at = 0; at < 4; ++at) put(0, at / 2, at % 2, mean);
        const T* ratios = kept + (group * p.quads() + i * w + j) * PARTS * LANES;
        for (Index band = 0; band < 3; ++band) {
          const Index other = BANDS - 1 - band;
          const Vector<T> a = load(g + ((1 + band) * w + j) * LANES) * root_of_half;
          const Vector<T> b = load(g + ((1 + other) * w + j) * LANES) * root_of_half;
          const Vector<T> real = a * load(ratios + band * LANES), mirrored_real = b * load(ratios + other * LANES);
          const Vector<T> imaginary = a * load(ratios + (BANDS + band) * LANES);
          const Vector<T> mirrored_imaginary = b * load(ratios + (BANDS + other) * LANES);
          put(SUM_OF_BAND[band], 0, 0, real + mirrored_real);
          put(SUM_OF_BAND[band], 0, 1, imaginary + mirrored_imaginary);
          put(SUM_OF_BAND[band], 1, 0, imaginary - mirrored_imaginary);
          put(SUM_OF_BAND[band], 1, 1, mirrored_real - real);
        }
      }
      for (Index t = 0; t <= p.taps; ++t) {
        T *to_low = low + (2 * i + t) * row, *to_high = high + (2 * i + t) * row;
        for (Index r = 0; r < 2; ++r) {
          if (t - r < 0 || t - r >= p.taps) continue;
          const Vector<T> a = load(p.low + (t - r) * LANES), b = load(p.high + (t - r) * LANES);
          const T* from = quads + r * row;
          for (Index n = 0; n < row; n += LANES) {
            store(to_low + n, load(to_low + n) + a * load(from + n) + b * load(from + 4 * row + n));
            store(to_high + n, load(to_high + n) + a * load(from + 2 * row + n) + b * load(from + 6 * row + n));
          }
        }
      }
    }
    for (Index at = 0; at < p.padded_height(); ++at)
      for (Index k = p.rows.first[at]; k < p.rows.first[at + 1]; ++k) {
        const Index to = p.rows.source[k] * wide + p.margin() * LANES;
        add_row(own_low + to, low + at * row, p.rows.weight[k], p.even_width);
        add_row(own_high + to, high + at * row, p.rows.weight[k], p.even_width);
      }
    const Planes<T> planes = planes_of<T>(of_x, p.ds, p.channels, group, maps);
    for (Index r = 0; r < p.height; ++r) {
      const Index from = r * wide + p.margin() * LANES;
      join_rows<T, 1, ROW_BLOCK, true, false>(own_low + from, own_high + from, padded, p.padded_width(), p.stage, p.low, p.high);
      std::fill(raw, raw + p.width * LANES, T(0));
      for (Index at = 0; at < p.padded_width(); ++at)
        for (Index k = p.columns.first[at]; k < p.columns.first[at + 1]; ++k)
          add_row(raw + p.columns.source[k] * LANES, padded + at * LANES, p.columns.weight[k], 1);
      write_lanes<T>(planes, r * p.ds.row, p.width, raw);
    }
  });
}

// Numbers: sizes, strides of the maps and of their gradient, then what each sample with the margins is a sum of.
template <class T> Level<T> read_level(const Index* p, const T* values) {
  Level<T> level{};
  level.channels = *p++; level.height = *p++; level.width = *p++;
  level.taps = *p++; level.even_height = *p++; level.even_width = *p++;
  level.xs = {p[0], p[1], p[2], p[3]};
  level.ds = {p[4], p[5], p[6], p[7]};
  p += 8;
  level.square = *values++;
  level.offset = *values++;
  level.low = values;
  level.high = values + level.taps * LANES;
  values += 2 * level.taps * LANES;
  Border<T>* const borders[] = {&level.rows, &level.columns};
  const Index lengths[] = {level.padded_height(), level.padded_width()};
  for (Index side = 0; side < 2; ++side) {
    const Index terms = p[lengths[side]];
    *borders[side] = {p, p + lengths[side] + 1, values};
    p += lengths[side] + 1 + terms;
    values += terms;
  }
  level.stage.taps = level.taps;
  level.stage.stride = level.stage.dilation = 1;
  level.stage.terms.resize(1);
  for (Index t = 0; t < level.taps; ++t) level.stage.terms[0].push_back({t, t});
  return level;
}

}  // namespace

#define WAVETWIN_BANK(T, NAME)                                                                                            \
  extern "C" void wavetwin_bank_forward_##NAME(                                                                           \
      const Index* program, const T* vertical_taps, const T* horizontal_taps, const T* matrix, const std::uint8_t* mask,  \
      const T* bias, const T* x, const Index* x_strides, const T* colour, T* const* out, const Index* out_strides, T* slots,\
      T* units, Index batch, Index threads) {                                                                             \
    forward<T>(program, vertical_taps, horizontal_taps, matrix, mask, bias, x, x_strides, colour, out, out_strides, slots,\
               units, batch, threads);                                                                                    \
  }                                                                                                                       \
  extern "C" void wavetwin_bank_backward_##NAME(                                                                          \
      const Index* program, const T* vertical_taps, const T* horizontal_taps, const T* matrix, const std::uint8_t* mask,  \
      const T* bias, const T* const* gradient, const Index* gradient_strides, const T* x, const Index* x_strides,         \
      const T* colour, const T* slots, const T* units, T* of_matrix, T* of_bias, T* of_colour, T* of_x,                   \
      const Index* of_x_strides, Index batch, Index threads) {                                                            \
    backward<T>(program, vertical_taps, horizontal_taps, matrix, mask, bias, gradient, gradient_strides, x, x_strides,    \
                colour, slots, units, of_matrix, of_bias, of_colour, of_x, of_x_strides, batch, threads);                 \
  }                                                                                                                       \
  extern "C" void wavetwin_pool_statistics_##NAME(                                                                        \
      const Index* numbers, const T* const* x, double* mean, double* variance, Index batch, Index threads) {              \
    pool_statistics<T>(numbers, x, mean, variance, batch, threads);                                                       \
  }                                                                                                                       \
  extern "C" void wavetwin_pool_forward_##NAME(                                                                           \
      const Index* numbers, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, Index batch,  \
      Index threads) {                                                                                                    \
    pool_forward<T>(numbers, x, scale, shift, out, codes, batch, threads);                                                \
  }                                                                                                                       \
  extern "C" void wavetwin_pool_sums_##NAME(                                                                              \
      const Index* numbers, const T* const* x, const T* gradient, const std::uint8_t* codes, double* sums, double* products,\
      Index batch, Index threads) {                                                                                       \
    pool_sums<T>(numbers, x, gradient, codes, sums, products, batch, threads);                                            \
  }                                                                                                                       \
  extern "C" void wavetwin_pool_backward_##NAME(                                                                          \
      const Index* numbers, const T* const* x, const T* gradient, const std::uint8_t* codes, const T* coefficients,       \
      T* const* of_x, Index batch, Index threads) {                                                                       \
    pool_backward<T>(numbers, x, gradient, codes, coefficients, of_x, batch, threads);                                    \
  }                                                                                                                       \
  extern "C" void wavetwin_level_forward_##NAME(                                                                          \
      const Index* numbers, const T* values, const T* x, T* out, T* kept, Index batch, Index threads) {                   \
    level_forward<T>(read_level<T>(numbers, values), x, out, kept, batch, threads);                                       \
  }                                                                                                                       \
  extern "C" void wavetwin_level_backward_##NAME(                                                                         \
      const Index* numbers, const T* values, const T* gradient, const T* kept, T* of_x, Index batch, Index threads) {     \
    level_backward<T>(read_level<T>(numbers, values), gradient, kept, of_x, batch, threads);                              \
  }

WAVETWIN_BANK(float, float32)
WAVETWIN_BANK(double, float64)

// The vector extensions that this was compiled for: with the source and the compiler they decide the bits.
extern "C" const char* wavetwin_bank_features() {
  return ""
#ifdef __AVX512F__
         "avx512f "
#endif
#ifdef __AVX512VL__
         "avx512vl "
#endif
#ifdef __AVX2__
         "avx2 "
#endif
#ifdef __AVX__
         "avx "
#endif
#ifdef __FMA__
         "fma "
#endif
#ifdef __ARM_FEATURE_SVE
         "sve "
#endif
#ifdef __ARM_NEON
         "neon "
#endif
#ifdef __ARM_FEATURE_FMA
         "fma "
#endif
#if defined(__x86_64__)
         "x86-64";
#elif defined(__aarch64__)
         "aarch64";
#else
         "other";
#endif
}
