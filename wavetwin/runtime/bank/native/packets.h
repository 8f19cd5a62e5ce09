// The packet bank: mixed dual-tree wavelet packets of images, and the adjoint.
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
// The modulus. Its derivative is the number over its modulus, 0 at 0: a unit, which is kept or computed again.

#pragma once

#include "splits.h"

namespace {

constexpr Index STRIP_VECTORS = 4;
constexpr Index COLUMNS = STRIP_VECTORS * LANES;
#if defined(__AVX512VL__)
constexpr Index STRIP_BLOCK = 2;  // output rows of a strip whose sums are in registers: 32 of these
#else
constexpr Index STRIP_BLOCK = 1;
#endif
constexpr Index PIXELS = 12;  // output columns whose outputs or slots are in registers

// ---- The program: integers that cascade.py writes, read in the same order here. ----

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

template <class T> struct Task {
  const Program& p;
  const Mixing<T>& mixing;
  const T* vertical_taps;
  const T* horizontal_taps;
  const T* x;
  Strides xs;
  const T* colour;
};

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

}  // namespace

#define WAVETWIN_BANK(T, NAME)                                                                                           \
  extern "C" void wavetwin_bank_forward_##NAME(                                                                          \
      const Index* program, const T* vertical_taps, const T* horizontal_taps, const T* matrix, const std::uint8_t* mask, \
      const T* bias, const T* x, const Index* x_strides, const T* colour, T* const* out, const Index* out_strides, T* slots,\
      T* units, Index batch, Index threads) {                                                                            \
    forward<T>(program, vertical_taps, horizontal_taps, matrix, mask, bias, x, x_strides, colour, out, out_strides, slots,\
               units, batch, threads);                                                                                   \
  }                                                                                                                      \
  extern "C" void wavetwin_bank_backward_##NAME(                                                                         \
      const Index* program, const T* vertical_taps, const T* horizontal_taps, const T* matrix, const std::uint8_t* mask, \
      const T* bias, const T* const* gradient, const Index* gradient_strides, const T* x, const Index* x_strides,        \
      const T* colour, const T* slots, const T* units, T* of_matrix, T* of_bias, T* of_colour, T* of_x,                  \
      const Index* of_x_strides, Index batch, Index threads) {                                                           \
    backward<T>(program, vertical_taps, horizontal_taps, matrix, mask, bias, gradient, gradient_strides, x, x_strides,   \
                colour, slots, units, of_matrix, of_bias, of_colour, of_x, of_x_strides, batch, threads);                \
  }

WAVETWIN_BANK(float, float32)
WAVETWIN_BANK(double, float64)
