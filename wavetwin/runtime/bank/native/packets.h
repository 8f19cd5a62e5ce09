// The packet bank: mixed dual-tree wavelet packets of images, and the adjoint.
//
// What is computed. An image's colours become one luminance map; that map is filtered along the columns
// and along the rows by filters of the dual-tree packet cascade ("slots"); a packet is the sum or difference
// of two slots; each output is a weighted sum of packets. docs/bank.md explains slots,
// wavetwin/runtime/bank/native/cascade.py lays them out, and wavetwin/runtime/bank computes the same with
// torch's operations.
//
// Algorithm: the cascade of stages. A packet's filter has up to 66 taps for three levels, but it is a
// chain of short filters, one a stage, shared by all packets with the same beginning. A split takes a
// node of a stage to its low-pass and high-pass child at once, by a lattice (lattice.h).
// Samples that no output reads are never computed: with an output step of S, stage s reads a grid of
// spacing gcd(S, 2^s), so that the first stages subsample (polyphase) and the later ones, once the
// step is reached, have dilated taps. A stage is given by taps, stride and dilation alone. Where a last
// stage takes steps that no lattice has (3, 4, ...), two filters compute it.
//
//   y[row][col]        luminance, zeros above and below the image
//     | vertical cascade, in strips of COLUMNS columns; a vector holds 8 columns
//   leaves[path][m][col]
//     | 8 x 8 transpositions: now a vector holds 8 rows of the output, a block
//   line[leaf][block][x][8]  x: columns, with the zeros beside the image
//     | horizontal cascades of each leaf, along x, block by block
//   slots[q][n][8]     q: leaf and horizontal path, of one tree each; n: column of the output
//     | packets, and from them outputs
//   outputs[part, o][n][8]
//     | for a modulus: real and imaginary part of an output become one number
//     | 8 x 8 transpositions, for either layout
//   out
//
// The backward pass runs the same way up, block by block and then strip by strip; products with the colours
// are the last. Packets that were not kept are computed again; a line's gradient takes the line's room.
//
// Zeros around the image: of each stage's rows only those are computed that read some of the image, and of
// each stage's gradients only these are.
//
// The modulus. Its derivative is the number over its modulus, 0 at 0: a unit, which is kept or computed again.

#pragma once

#include <type_traits>
#include <utility>

#include "lattice.h"

namespace {

constexpr Index STRIP_VECTORS = 4;
constexpr Index COLUMNS = STRIP_VECTORS * LANES;
constexpr Index CHUNK = 2;   // vectors of a strip's row that go through a lattice of the published filters at once
constexpr Index PIXELS = 4;  // columns of the output whose sums are in registers

// ---- The program: integers that cascade.py writes, read in the same order here. ----

struct Span { Index from, to; };
struct PacketStage { Index taps, stride, dilation, pairs; };  // pairs of taps of a lattice; 0: there is none
// Of a lattice `first` and `second` are what the rotations give, of two filters their results; -1: no such
// child. Values are positions of tangents or taps. `shift` is where the first tap reads, in taps; a child
// is late where it begins a pair of taps after that.
struct Split { Index parent, first, second, first_values, second_values, shift, first_late, second_late; };
struct Cascade {
  std::vector<std::vector<Split>> stages;
  std::vector<Index> nodes;  // per stage
};
struct Line { Index leaf, cascade, first_slot; };
struct Part { Index slot, other; double sign, other_sign; };  // of a packet
struct Group { Index first_packet, packets, first_output, outputs, first_weight; };
struct Program {
  Index height, width, colours, out_height, out_width, top, left, outputs, parts;
  bool modulus;                     // of two parts: one result
  bool crossed;                     // lattices take a pair's second sample as their first
  Index slots, num_packets, weights;
  std::vector<PacketStage> stages;
  Cascade vertical;
  std::vector<Cascade> cascades;    // horizontal ones
  std::vector<Line> lines;          // in the order of leaves
  std::vector<Part> packets;        // of each the parts
  std::vector<Group> groups;
  std::vector<Index> rows, columns;            // per stage: inputs, then outputs
  std::vector<Span> live_rows, live_columns;   // which of these read some of the image

  explicit Program(const Index* p) {
    height = *p++; width = *p++; colours = *p++; out_height = *p++; out_width = *p++;
    top = *p++; left = *p++; outputs = *p++; parts = *p++; modulus = *p++ != 0; crossed = *p++ != 0;
    slots = *p++; num_packets = *p++; weights = *p++;
    stages.resize(*p++);
    for (PacketStage& s : stages) { s.taps = *p++; s.stride = *p++; s.dilation = *p++; s.pairs = *p++; }
    p = read(p, vertical);
    cascades.resize(*p++);
    for (Cascade& cascade : cascades) p = read(p, cascade);
    lines.resize(*p++);
    for (Line& line : lines) { line = {p[0], p[1], p[2]}; p += 3; }
    packets.resize(num_packets * parts);
    for (Part& part : packets) { part = {p[0], p[1], static_cast<double>(p[2]), static_cast<double>(p[3])}; p += 4; }
    groups.resize(*p++);
    for (Group& group : groups) { group = {p[0], p[1], p[2], p[3], p[4]}; p += 5; }
    rows = lengths(out_height);
    columns = lengths(out_width);
    live_rows = live(rows, {std::max<Index>(0, -top), std::min(rows[0], height - top)});
    live_columns = live(columns, {std::max<Index>(0, -left), std::min(columns[0], width - left)});
  }
  const Index* read(const Index* p, Cascade& cascade) {
    cascade.stages.resize(stages.size());
    cascade.nodes.resize(stages.size());
    for (std::size_t s = 0; s < stages.size(); ++s) {
      cascade.nodes[s] = *p++;
      cascade.stages[s].resize(*p++);
      for (Split& split : cascade.stages[s]) {
        split = {p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
        p += 8;
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
  std::vector<Span> live(const std::vector<Index>& lengths_, Span image) const {
    std::vector<Span> found{image};
    for (std::size_t s = 0; s < stages.size(); ++s) {
      const Index stride = stages[s].stride, reach = (stages[s].taps - 1) * stages[s].dilation;
      const Index from = std::max<Index>(0, (found[s].from - reach + stride - 1) / stride);
      const Index to = found[s].to <= 0 ? 0 : std::min(lengths_[s + 1], (found[s].to - 1) / stride + 1);
      found.push_back({std::min(from, lengths_[s + 1]), std::max(std::min(from, lengths_[s + 1]), to)});
    }
    return found;
  }
  Index results() const { return modulus ? 1 : parts; }
  Index blocks() const { return (out_height + LANES - 1) / LANES; }
  Index first_column() const { return live_columns[0].from + left; }  // of the image
  Index read_columns() const { return live_columns[0].to - live_columns[0].from; }
  Index plane_width() const { return (read_columns() + COLUMNS - 1) / COLUMNS * COLUMNS; }
  Index line_length() const { return columns[0] + COLUMNS; }          // and room for the last strip's end
  Index line_size() const { return line_length() * LANES; }
  Index output_size() const { return out_width * LANES; }             // of a map's block
};

// ---- Splits of whole maps. A row of a map is W vectors. ----

// Call f with the runs that make up a lattice's split of children's rows `live`, and how long each is.
template <class T, Index W, Index C, class F>
inline void for_runs(const Program& p, const PacketStage& s, const Split& split, T* parent, Index pitch, T* first, Index first_row,
                     T* second, Index second_row, Span live, const F& f) {
  const Index apart = 2 * s.dilation / s.stride;
  for (Index start = live.from; start < std::min(live.from + apart, live.to); ++start) {
    T* even = parent + (start * s.stride + split.shift * s.dilation) * pitch;
    T* odd = even + s.dilation * pitch;
    if (p.crossed) std::swap(even, odd);
    const Index n = (live.to - start + apart - 1) / apart;
    for (Index at = 0; at < W * LANES; at += C * LANES)
      f(Run<T>{even + at, odd + at, 2 * s.dilation * pitch, first + start * first_row + (first_row == 0 ? 0 : at),
               second + start * second_row + (second_row == 0 ? 0 : at), apart * first_row, apart * second_row},
        n);
  }
}

// The number of a lattice's rotations, as a constant: those of the q-shift filters.
template <class F> inline void with_pairs(Index pairs, const F& f) {
  switch (pairs) {
    case 5: f(std::integral_constant<Index, 5>{}); break;
    case 7: f(std::integral_constant<Index, 7>{}); break;
    case 8: f(std::integral_constant<Index, 8>{}); break;
    default: f(std::integral_constant<Index, 9>{});
  }
}

template <class T, Index W>
void split_map(const Program& p, const PacketStage& s, const Split& split, const T* parent, Index pitch, T* first, T* second,
               Index length, Span live, const T* values) {
  constexpr Index row = W * LANES;
  if (s.pairs == 0) {
    for (Index n = 0; n < length; ++n)
      for (Index at = 0; at < row; at += LANES) {
        Vector<T> one = {}, other = {};
        for (Index t = 0; t < s.taps; ++t) {
          const Vector<T> sample = load(parent + (n * s.stride + t * s.dilation) * pitch + at);
          one += values[split.first_values + t] * sample;
          other += values[split.second_values + t] * sample;
        }
        if (first != nullptr) store(first + n * row + at, one);
        if (second != nullptr) store(second + n * row + at, other);
      }
    return;
  }
  for (T* child : {first, second})
    if (child != nullptr) {
      std::fill(child, child + live.from * row, T(0));
      std::fill(child + live.to * row, child + length * row, T(0));
    }
  T lost[CHUNK * LANES];
  with_pairs(s.pairs, [&](auto pairs) {
    constexpr Index K = decltype(pairs)::value, C = K == 5 ? std::min(W, CHUNK) : 1;
    for_runs<T, W, C>(
        p, s, split, const_cast<T*>(parent), pitch, first == nullptr ? lost : first, first == nullptr ? 0 : row,
        second == nullptr ? lost : second, second == nullptr ? 0 : row, live, [&](const Run<T>& run, Index n) {
          split_run<T, K, C>(run, n, split.first_late, split.second_late, values + split.first_values);
        });
  });
}

// The adjoint: children's rows `live` to those of the parent that are `wanted`, of `length`.
template <class T, Index W>
void join_map(const Program& p, const PacketStage& s, const Split& split, T* parent, Index pitch, const T* first, const T* second,
              Index length, Span live, Span wanted, const T* values, bool add) {
  constexpr Index row = W * LANES;
  auto clear = [&](Index from, Index to) {
    for (Index r = from; r < to; ++r) std::fill(parent + r * pitch, parent + r * pitch + row, T(0));
  };
  const bool alone = s.pairs > 0 && 2 * s.dilation == s.stride;  // one run writes all that it reaches
  if (!add) {
    const Index begin = live.from * s.stride + split.shift, extra = split.first_late != split.second_late;
    const Index end = begin + 2 * (live.to - live.from + extra + s.pairs - 1);
    if (!alone || live.from == live.to) clear(0, length);
    else { clear(wanted.from, std::min(begin, wanted.to)); clear(std::max(end, wanted.from), wanted.to); }
  }
  if (s.pairs == 0) {
    for (Index n = live.from; n < live.to; ++n)
      for (Index t = 0; t < s.taps; ++t)
        for (Index at = 0; at < row; at += LANES) {
          T* to = parent + (n * s.stride + t * s.dilation) * pitch + at;
          Vector<T> sum = load(to);
          if (first != nullptr) sum += values[split.first_values + t] * load(first + n * row + at);
          if (second != nullptr) sum += values[split.second_values + t] * load(second + n * row + at);
          store(to, sum);
        }
    return;
  }
  T zeros[CHUNK * LANES] = {};
  with_pairs(s.pairs, [&](auto pairs) {
    constexpr Index K = decltype(pairs)::value, C = K == 5 ? std::min(W, CHUNK) : 1;
    for_runs<T, W, C>(
        p, s, split, parent, pitch, first == nullptr ? zeros : const_cast<T*>(first), first == nullptr ? 0 : row,
        second == nullptr ? zeros : const_cast<T*>(second), second == nullptr ? 0 : row, live, [&](const Run<T>& run, Index n) {
          const T* turns = values + split.first_values;
          if (add || !alone) join_run<T, K, C, true>(run, n, split.first_late, split.second_late, turns);
          else join_run<T, K, C, false>(run, n, split.first_late, split.second_late, turns);
        });
  });
}

// Maps of all stages but, where `leaves` lie elsewhere, the last: stage s has `nodes[s]` of them.
template <class T, Index W> struct Maps {
  std::vector<T*> first;
  std::vector<Index> sizes;
  static Index size(const Cascade& c, const std::vector<Index>& lengths) {
    Index total = 0;
    for (std::size_t s = 0; s < c.nodes.size(); ++s) total += c.nodes[s] * lengths[s + 1] * W * LANES;
    return total;
  }
  Maps(T* room, const Cascade& c, const std::vector<Index>& lengths, T* leaves, Index leaf_size) {
    for (std::size_t s = 0; s < c.nodes.size(); ++s) {
      const bool last = s + 1 == c.nodes.size();
      sizes.push_back(last ? leaf_size : lengths[s + 1] * W * LANES);
      first.push_back(last ? leaves : room);
      if (!last) room += c.nodes[s] * sizes[s];
    }
  }
  T* at(std::size_t stage, Index node) const { return node < 0 ? nullptr : first[stage] + node * sizes[stage]; }
};

template <class T, Index W>
void run_cascade(const Program& p, const Cascade& c, const std::vector<Index>& lengths, const std::vector<Span>& live,
                 const T* values, const T* input, Index pitch, const Maps<T, W>& maps) {
  for (std::size_t s = 0; s < c.stages.size(); ++s)
    for (const Split& split : c.stages[s])
      split_map<T, W>(p, p.stages[s], split, s == 0 ? input : maps.at(s - 1, split.parent), s == 0 ? pitch : W * LANES,
                      maps.at(s, split.first), maps.at(s, split.second), lengths[s + 1], live[s + 1], values);
}

// The adjoint; `add`: to what the input holds.
template <class T, Index W>
void run_adjoint(const Program& p, const Cascade& c, const std::vector<Index>& lengths, const std::vector<Span>& live,
                 const T* values, const Maps<T, W>& maps, T* input, Index pitch, bool add) {
  for (std::size_t s = c.stages.size(); s-- > 0;) {
    bool again = s == 0 && add;
    for (const Split& split : c.stages[s]) {
      join_map<T, W>(p, p.stages[s], split, s == 0 ? input : maps.at(s - 1, split.parent), s == 0 ? pitch : W * LANES,
                     maps.at(s, split.first), maps.at(s, split.second), lengths[s], live[s + 1], live[s], values, again);
      again = s == 0;
    }
  }
}

// ---- Mixing: maps are [n][8], vectors of 8 rows of the output. ----

// Sums over a group's packets for R of its outputs and B columns; `kept`: where packets go, too.
template <class T, Index R, Index B>
inline void mix_columns(const Part* parts, Index between, Index packets, const T* weights, const T* slots, Index size,
                        const T* bias, T* out, T* kept, Index kept_between) {
  Vector<T> sum[R][B];
#pragma GCC unroll 4
  for (Index r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (Index b = 0; b < B; ++b) sum[r][b] = Vector<T>{} + bias[r];
  for (Index i = 0; i < packets; ++i) {
    const Part& part = parts[i * between];
    const T *one = slots + part.slot * size, *other = slots + part.other * size;
    const Vector<T> sign = Vector<T>{} + static_cast<T>(part.sign), other_sign = Vector<T>{} + static_cast<T>(part.other_sign);
    Vector<T> packet[B];
#pragma GCC unroll 4
    for (Index b = 0; b < B; ++b) packet[b] = sign * load(one + b * LANES) + other_sign * load(other + b * LANES);
    if (kept != nullptr)
#pragma GCC unroll 4
      for (Index b = 0; b < B; ++b) {
        store(kept + i * kept_between + b * LANES, packet[b]);
        __builtin_prefetch(kept + (i + 2) * kept_between + b * LANES, 1);
      }
#pragma GCC unroll 4
    for (Index r = 0; r < R; ++r) {
      const Vector<T> weight = Vector<T>{} + weights[r * packets + i];
#pragma GCC unroll 4
      for (Index b = 0; b < B; ++b) sum[r][b] += weight * packet[b];
    }
  }
#pragma GCC unroll 4
  for (Index r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (Index b = 0; b < B; ++b) store(out + r * size + b * LANES, sum[r][b]);
}

// Call f with numbers from 0 to n in steps of at most 4, and how many are taken, as a constant.
template <class F> inline void in_fours(Index n, const F& f) {
  Index at = 0;
  for (; at + 4 <= n; at += 4) f(at, std::integral_constant<Index, 4>{});
  switch (n - at) {
    case 1: f(at, std::integral_constant<Index, 1>{}); break;
    case 2: f(at, std::integral_constant<Index, 2>{}); break;
    case 3: f(at, std::integral_constant<Index, 3>{}); break;
    default: break;
  }
}

// A block of slots to a block of outputs; packets are written where there is room for them.
template <class T>
void mix_block(const Program& p, const T* weights, const T* bias, const T* slots, T* outputs, T* packets) {
  const Index size = p.output_size();
  for (const Group& group : p.groups)
    for (Index part = 0; part < p.parts; ++part)
      in_fours(group.outputs, [&](Index o, auto some) {
        constexpr Index R = decltype(some)::value;
        const Part* parts = p.packets.data() + group.first_packet * p.parts + part;
        const T* w = weights + group.first_weight + o * group.packets;
        T* out = outputs + (part * p.outputs + group.first_output + o) * size;
        T* kept = packets == nullptr || o > 0 ? nullptr : packets + (part * p.num_packets + group.first_packet) * size;
        auto columns = [&](Index n, auto width) {
          mix_columns<T, R, decltype(width)::value>(parts, p.parts, group.packets, w, slots + n * LANES, size,
                                                    bias + group.first_output + o, out + n * LANES,
                                                    kept == nullptr ? nullptr : kept + n * LANES, size);
        };
        in_blocks<PIXELS>(
            p.out_width, [&](Index n) { columns(n, std::integral_constant<Index, PIXELS>{}); },
            [&](Index n) { columns(n, std::integral_constant<Index, 1>{}); });
      });
}

// Add the gradients of the weights from I packets to R outputs; apart, for the addresses to be in registers.
template <class T, Index R, Index I>
WAVETWIN_APART void add_products(const T* gradient, const T* packets, Index size, T* result, Index between) {
  Vector<T> sum[R][I] = {};
  for (Index n = 0; n < size; n += LANES) {
    Vector<T> packet[I];
#pragma GCC unroll 4
    for (Index c = 0; c < I; ++c) {
      packet[c] = load(packets + c * size + n);
      __builtin_prefetch(packets + (I + c) * size + n);
    }
#pragma GCC unroll 4
    for (Index r = 0; r < R; ++r) {
      const Vector<T> of_output = load(gradient + r * size + n);
#pragma GCC unroll 4
      for (Index c = 0; c < I; ++c) sum[r][c] += of_output * packet[c];
    }
  }
#pragma GCC unroll 4
  for (Index r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (Index c = 0; c < I; ++c) {
      T* at = result + r * between + c * LANES;
      store(at, load(at) + sum[r][c]);
    }
}

// Add the gradients of the weights, each 8 numbers that are to be summed.
template <class T> void add_weights(const Program& p, const T* gradient, const T* packets, T* result) {
  const Index size = p.output_size();
  for (const Group& group : p.groups)
    for (Index part = 0; part < p.parts; ++part)
      in_fours(group.outputs, [&](Index o, auto some) {
        in_fours(group.packets, [&](Index i, auto others) {
          add_products<T, decltype(some)::value, decltype(others)::value>(
              gradient + (part * p.outputs + group.first_output + o) * size,
              packets + (part * p.num_packets + group.first_packet + i) * size, size,
              result + (group.first_weight + o * group.packets + i) * LANES, group.packets * LANES);
        });
      });
}

// What the gradient of each slot is a sum of: outputs' gradients, by weights.
template <class T> struct Unmixing {
  struct Term { Index output; T weight; };
  std::vector<std::vector<Term>> terms;
  Unmixing(const Program& p, const T* weights, T scale) : terms(static_cast<std::size_t>(p.slots)) {
    for (const Group& group : p.groups)
      for (Index i = 0; i < group.packets; ++i)
        for (Index part = 0; part < p.parts; ++part) {
          const Part& one = p.packets[(group.first_packet + i) * p.parts + part];
          for (Index o = 0; o < group.outputs; ++o) {
            const Index output = part * p.outputs + group.first_output + o;
            const T weight = scale * weights[group.first_weight + o * group.packets + i];
            terms[one.slot].push_back({output, weight * static_cast<T>(one.sign)});
            terms[one.other].push_back({output, weight * static_cast<T>(one.other_sign)});
          }
        }
  }
};

template <class T, Index B>
inline void unmix_columns(const std::vector<typename Unmixing<T>::Term>& terms, const T* gradient, Index size, T* out) {
  Vector<T> sum[B] = {};
  for (const auto& term : terms) {
    const Vector<T> weight = Vector<T>{} + term.weight;
    const T* g = gradient + term.output * size;
#pragma GCC unroll 8
    for (Index b = 0; b < B; ++b) sum[b] += weight * load(g + b * LANES);
  }
#pragma GCC unroll 8
  for (Index b = 0; b < B; ++b) store(out + b * LANES, sum[b]);
}

template <class T> void unmix_slot(const Program& p, const std::vector<typename Unmixing<T>::Term>& terms, const T* gradient, T* out) {
  in_blocks<2 * PIXELS>(
      p.out_width, [&](Index n) { unmix_columns<T, 2 * PIXELS>(terms, gradient + n * LANES, p.output_size(), out + n * LANES); },
      [&](Index n) { unmix_columns<T, 1>(terms, gradient + n * LANES, p.output_size(), out + n * LANES); });
}

// ---- One image ----

template <class T> struct Task {
  const Program& p;
  const T* values;  // the lattices' factor of an axis, then tangents and taps
  const T* weights;
  const T* bias;
  const T* x;
  Strides xs;
  const T* colour;
  T scale() const { return values[0]; }
};

template <class T> struct Workspace {
  T *plane, *vertical, *leaves, *lines, *horizontal, *slots, *outputs, *packets;
  std::vector<Maps<T, 1>> row_maps;  // per line; their leaves are its slots
  Workspace(const Program& p, bool keeps_slots, bool makes_packets) {
    Index horizontal_size = 0, line_slots = 0;
    for (const Cascade& c : p.cascades) {
      horizontal_size = std::max(horizontal_size, Maps<T, 1>::size(c, p.columns));
      line_slots = std::max(line_slots, c.nodes.back());
    }
    const Index sizes[] = {
        p.rows[0] * p.plane_width(),
        Maps<T, STRIP_VECTORS>::size(p.vertical, p.rows),
        p.vertical.nodes.back() * p.blocks() * LANES * COLUMNS,
        p.vertical.nodes.back() * p.blocks() * p.line_size(),
        horizontal_size,
        (keeps_slots ? p.slots : line_slots) * p.output_size(),
        p.parts * p.outputs * p.output_size(),
        makes_packets ? p.num_packets * p.parts * p.output_size() : 0};
    T** const parts[] = {&plane, &vertical, &leaves, &lines, &horizontal, &slots, &outputs, &packets};
    Index total = 0;
    for (const Index size : sizes) total += (size + 15) / 16 * 16;
    T* room = thread_room<T>(total);
    for (std::size_t i = 0; i < 8; ++i) {
      *parts[i] = room;
      room += (sizes[i] + 15) / 16 * 16;
    }
    for (const Line& line : p.lines)
      row_maps.emplace_back(horizontal, p.cascades[line.cascade], p.columns, slots + (keeps_slots ? line.first_slot : 0) * p.output_size(),
                            p.output_size());
  }
  T* line(const Program& p, Index leaf, Index block) const { return lines + (leaf * p.blocks() + block) * p.line_size(); }
};

// Three interleaved colours to luminance.
template <class T> void add_interleaved(const T* in, Index n, const T* colour, T* out) {
  Index i = 0;
#ifdef WAVETWIN_SHUFFLES
  for (; i + LANES <= n; i += LANES, in += 3 * LANES) {
    const Vector<T> a = load(in), b = load(in + LANES), c = load(in + 2 * LANES);
    const Vector<T> red = __builtin_shufflevector(__builtin_shufflevector(a, b, 0, 3, 6, 9, 12, 15, 0, 0), c, 0, 1, 2, 3, 4, 5, 10, 13);
    const Vector<T> green = __builtin_shufflevector(__builtin_shufflevector(a, b, 1, 4, 7, 10, 13, 0, 0, 0), c, 0, 1, 2, 3, 4, 8, 11, 14);
    const Vector<T> blue = __builtin_shufflevector(__builtin_shufflevector(a, b, 2, 5, 8, 11, 14, 0, 0, 0), c, 0, 1, 2, 3, 4, 9, 12, 15);
    store(out + i, colour[0] * red + colour[1] * green + colour[2] * blue);
  }
#endif
  for (; i < n; ++i, in += 3) out[i] = colour[0] * in[0] + colour[1] * in[1] + colour[2] * in[2];
}

// The luminance of an image, scaled for the vertical cascade; zeros around it.
template <class T> void read_plane(const Task<T>& task, const T* x, T* plane) {
  const Program& p = task.p;
  const Index pitch = p.plane_width(), n = p.read_columns(), cs = task.xs.channel, ws = task.xs.column;
  const Span live = p.live_rows[0];
  std::vector<T> colour(task.colour, task.colour + p.colours);
  for (T& each : colour) each *= task.scale();
  std::fill(plane, plane + live.from * pitch, T(0));
  std::fill(plane + live.to * pitch, plane + p.rows[0] * pitch, T(0));
  for (Index r = live.from; r < live.to; ++r) {
    T* out = plane + r * pitch;
    const T* in = x + (r + p.top) * task.xs.row + p.first_column() * ws;
    if (p.colours == 3 && cs == 1 && ws == 3) {
      add_interleaved(in, n, colour.data(), out);
    } else {
      for (Index i = 0; i < n; ++i) out[i] = colour[0] * in[i * ws];
      for (Index c = 1; c < p.colours; ++c)
        for (Index i = 0; i < n; ++i) out[i] += colour[c] * in[c * cs + i * ws];
    }
    std::fill(out + n, out + pitch, T(0));
  }
}

// The vertical cascade of an image: lines[leaf][block][x][8].
template <class T> void filter_columns(const Task<T>& task, const T* x, Workspace<T>& w) {
  const Program& p = task.p;
  const Index leaves = p.vertical.nodes.back(), blocks = p.blocks(), length = p.out_height * COLUMNS;
  const Index leaf_size = blocks * LANES * COLUMNS, pitch = p.plane_width(), begin = p.live_columns[0].from;
  read_plane(task, x, w.plane);
  const Maps<T, STRIP_VECTORS> maps(w.vertical, p.vertical, p.rows, w.leaves, leaf_size);
  for (Index leaf = 0; leaf < leaves; ++leaf) {
    std::fill(w.leaves + leaf * leaf_size + length, w.leaves + (leaf + 1) * leaf_size, T(0));
    for (Index block = 0; block < blocks; ++block) {
      T* line = w.line(p, leaf, block);
      std::fill(line, line + begin * LANES, T(0));
      // The strips write zeros as far as the plane has columns.
      std::fill(line + std::min(begin + pitch, p.line_length()) * LANES, line + p.line_size(), T(0));
    }
  }
  for (Index column = 0; column < pitch; column += COLUMNS) {
    run_cascade<T, STRIP_VECTORS>(p, p.vertical, p.rows, p.live_rows, task.values, w.plane + column, pitch, maps);
    for (Index leaf = 0; leaf < leaves; ++leaf)
      for (Index block = 0; block < blocks; ++block) {
        const T* from = w.leaves + leaf * leaf_size + block * LANES * COLUMNS;
        T* to = w.line(p, leaf, block) + (begin + column) * LANES;
        for (Index c = 0; c < COLUMNS; c += LANES) {
          const T* in[LANES];
          T* out[LANES];
          for (Index i = 0; i < LANES; ++i) { in[i] = from + i * COLUMNS + c; out[i] = to + (c + i) * LANES; }
          transpose<T>(in, out, task.scale());
        }
      }
  }
}

// The horizontal cascades of a block: all slots.
template <class T> void filter_block(const Task<T>& task, Index block, Workspace<T>& w) {
  const Program& p = task.p;
  for (std::size_t i = 0; i < p.lines.size(); ++i)
    run_cascade<T, 1>(p, p.cascades[p.lines[i].cascade], p.columns, p.live_columns, task.values, w.line(p, p.lines[i].leaf, block), LANES,
                      w.row_maps[i]);
}

// Copy 8 vectors, `between` from each other, to where their lanes lie `lane` from each other; those that are there.
template <class T> inline void write_tile(const T* from, Index between, Index vectors, T* to, Index lane, Index lanes) {
  T spare[LANES * LANES];
  const T* in[LANES];
  T* out[LANES];
  const bool whole = vectors >= LANES && lanes >= LANES;
  for (Index i = 0; i < LANES; ++i) {
    in[i] = from + std::min(i, vectors - 1) * between;
    out[i] = whole ? to + i * lane : spare + i * LANES;
  }
  transpose<T>(in, out);
  if (whole) return;
  for (Index i = 0; i < std::min(lanes, LANES); ++i) std::copy(out[i], out[i] + std::min(vectors, LANES), to + i * lane);
}
// The other way; lanes that are not there are zeros.
template <class T> inline void read_tile(const T* from, Index lane, Index lanes, T* to, Index between, Index vectors) {
  T spare[LANES * LANES];
  const T* in[LANES];
  T* out[LANES];
  const bool whole = vectors >= LANES && lanes >= LANES;
  for (Index i = 0; i < LANES; ++i) {
    in[i] = whole ? from + i * lane : spare + i * LANES;
    out[i] = i < vectors ? to + i * between : spare + i * LANES;
  }
  if (!whole) {
    std::fill(spare, spare + LANES * LANES, T(0));
    for (Index i = 0; i < std::min(lanes, LANES); ++i) std::copy(from + i * lane, from + i * lane + std::min(vectors, LANES), spare + i * LANES);
  }
  transpose<T>(in, out);
}

// Copy a block of maps [o][n][8] to where a part's outputs lie, `some` rows of these.
template <class T> void write_block(const Program& p, const T* maps, T* out, const Strides& os, Index some) {
  const Index size = p.output_size();
  if (os.channel == 1) {
    for (Index n = 0; n < p.out_width; ++n)
      for (Index o = 0; o < p.outputs; o += LANES)
        write_tile(maps + o * size + n * LANES, size, p.outputs - o, out + n * os.column + o, os.row, some);
  } else if (os.column == 1) {
    for (Index o = 0; o < p.outputs; ++o)
      for (Index n = 0; n < p.out_width; n += LANES)
        write_tile(maps + o * size + n * LANES, LANES, p.out_width - n, out + o * os.channel + n, os.row, some);
  } else {
    for (Index o = 0; o < p.outputs; ++o)
      for (Index n = 0; n < p.out_width; ++n)
        for (Index i = 0; i < some; ++i) out[o * os.channel + n * os.column + i * os.row] = maps[o * size + n * LANES + i];
  }
}
template <class T> void read_block(const Program& p, const T* from, const Strides& gs, Index some, T* maps) {
  const Index size = p.output_size();
  if (gs.channel == 1) {
    for (Index n = 0; n < p.out_width; ++n)
      for (Index o = 0; o < p.outputs; o += LANES)
        read_tile(from + n * gs.column + o, gs.row, some, maps + o * size + n * LANES, size, p.outputs - o);
  } else if (gs.column == 1) {
    for (Index o = 0; o < p.outputs; ++o)
      for (Index n = 0; n < p.out_width; n += LANES)
        read_tile(from + o * gs.channel + n, gs.row, some, maps + o * size + n * LANES, LANES, p.out_width - n);
  } else {
    for (Index o = 0; o < p.outputs; ++o)
      for (Index n = 0; n < p.out_width; ++n)
        for (Index i = 0; i < LANES; ++i)
          maps[o * size + n * LANES + i] = i < some ? from[o * gs.channel + n * gs.column + i * gs.row] : T(0);
  }
}

// Put moduli in the place of real parts, in a block of outputs; write the units, where there is room for them.
template <class T> void take_moduli(const Program& p, T* maps, T* units) {
  const Index half = p.outputs * p.output_size();
  const Vector<T> zero = {}, one = zero + T(1), most = zero + std::numeric_limits<T>::max();
  for (Index at = 0; at < half; at += LANES) {
    const Vector<T> x = load(maps + at), y = load(maps + half + at);
    const Vector<T> a = x < zero ? -x : x, b = y < zero ? -y : y;
    const Vector<T> large = a > b ? a : b, small = a > b ? b : a;
    // Nothing between overflows or underflows where the modulus does not.
    const Vector<T> ratio = small / (large > zero ? large : one);
    Vector<T> root = one + ratio * ratio;
    for (Index i = 0; i < LANES; ++i) root[i] = std::sqrt(root[i]);
    root = large > most ? large : large * root;
    store(maps + at, root);
    if (units == nullptr) continue;
    const Vector<T> divisor = root > zero ? root : one;
    store(units + at, x / divisor);
    store(units + half + at, y / divisor);
  }
}

// Of gradients of moduli, those of real and imaginary parts.
template <class T> void spread_moduli(const Program& p, T* maps, const T* units) {
  const Index half = p.outputs * p.output_size();
  for (Index at = 0; at < half; at += LANES) {
    const Vector<T> g = load(maps + at);
    store(maps + at, g * load(units + at));
    store(maps + half + at, g * load(units + half + at));
  }
}

template <class T> T sum_of(Vector<T> v) {
  T sum = 0;
  for (Index i = 0; i < LANES; ++i) sum += v[i];
  return sum;
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
template <class T> void add_interleaved_products(const T* d, const T* in, Index n, double* of_colour) {
  Index i = 0;
  Vector<T> three[3], sums[3] = {};  // number i of these 24 is of colour i % 3
  for (; i + LANES <= n; i += LANES, in += 3 * LANES) {
    repeat_thrice<T>(load(d + i), three);
    for (Index v = 0; v < 3; ++v) sums[v] += three[v] * load(in + v * LANES);
  }
  T rest[3 * LANES] = {};
  for (Index j = 0; j < 3 * (n - i); ++j) rest[j] = d[i + j / 3] * in[j];
  for (Index v = 0; v < 3; ++v) sums[v] += load(rest + v * LANES);
  T of_three[3] = {};
  for (Index j = 0; j < 3 * LANES; ++j) of_three[j % 3] += sums[j / LANES][j % LANES];
  for (Index c = 0; c < 3; ++c) of_colour[c] += static_cast<double>(of_three[c]);
}

// The adjoint of filter_columns, whose lines hold gradients now: gradients of colours and image.
template <class T>
void join_columns(const Task<T>& task, const T* x, Workspace<T>& w, double* of_colour, T* of_x, const Strides& ds) {
  const Program& p = task.p;
  const Index leaves = p.vertical.nodes.back(), blocks = p.blocks(), leaf_size = blocks * LANES * COLUMNS;
  const Index pitch = p.plane_width(), begin = p.live_columns[0].from, n = p.read_columns();
  const Maps<T, STRIP_VECTORS> maps(w.vertical, p.vertical, p.rows, w.leaves, leaf_size);
  for (Index column = 0; column < pitch; column += COLUMNS) {
    for (Index leaf = 0; leaf < leaves; ++leaf)
      for (Index block = 0; block < blocks; ++block) {
        const T* from = w.line(p, leaf, block) + (begin + column) * LANES;
        T* to = w.leaves + leaf * leaf_size + block * LANES * COLUMNS;
        for (Index c = 0; c < COLUMNS; c += LANES) {
          const T* in[LANES];
          T* out[LANES];
          for (Index i = 0; i < LANES; ++i) { in[i] = from + (c + i) * LANES; out[i] = to + i * COLUMNS + c; }
          transpose<T>(in, out, task.scale());
        }
      }
    run_adjoint<T, STRIP_VECTORS>(p, p.vertical, p.rows, p.live_rows, task.values, maps, w.plane + column, pitch, false);
  }
  for (Index r = p.live_rows[0].from; r < p.live_rows[0].to; ++r) {
    const T* d = w.plane + r * pitch;
    const Index row = r + p.top, column = p.first_column();
    const T* in = x + row * task.xs.row + column * task.xs.column;
    if (of_colour != nullptr) {
      if (p.colours == 3 && task.xs.channel == 1 && task.xs.column == 3) add_interleaved_products(d, in, n, of_colour);
      else
        for (Index c = 0; c < p.colours; ++c)
          of_colour[c] += static_cast<double>(product(d, in + c * task.xs.channel, task.xs.column, n));
    }
    if (of_x != nullptr)
      for (Index c = 0; c < p.colours; ++c) {
        T* out = of_x + c * ds.channel + row * ds.row + column * ds.column;
        for (Index i = 0; i < n; ++i) out[i * ds.column] = task.colour[c] * d[i];
      }
  }
}

// ---- Batches ----

template <class T>
void forward(const Index* program, const T* values, const T* weights, const T* bias, const T* x, const Index* x_strides,
             const T* colour, T* const* out, const Index* out_strides, T* packets, T* units, Index batch, Index threads) {
  const Program p(program);
  const Strides os{out_strides[0], out_strides[1], out_strides[2], out_strides[3]};
  const Task<T> task{p, values, weights, bias, x, {x_strides[0], x_strides[1], x_strides[2], x_strides[3]}, colour};
  const Index blocks = p.blocks(), map = p.output_size();
  for_each(batch, threads, [&](Index image) {
    Workspace<T> w(p, true, false);
    filter_columns(task, x + image * task.xs.image, w);
    for (Index block = 0; block < blocks; ++block) {
      const Index number = image * blocks + block, first = block * LANES, some = std::min(LANES, p.out_height - first);
      filter_block(task, block, w);
      mix_block(p, weights, bias, w.slots, w.outputs, packets == nullptr ? nullptr : packets + number * p.num_packets * p.parts * map);
      if (p.modulus) take_moduli(p, w.outputs, units == nullptr ? nullptr : units + number * 2 * p.outputs * map);
      for (Index part = 0; part < p.results(); ++part)
        write_block(p, w.outputs + part * p.outputs * map, out[part] + image * os.image + first * os.row, os, some);
    }
  });
}

template <class T>
void backward(const Index* program, const T* values, const T* weights, const T* bias, const T* const* gradient,
              const Index* gradient_strides, const T* x, const Index* x_strides, const T* colour, const T* packets,
              const T* units, T* of_weights, T* of_bias, T* of_colour, T* of_x, const Index* of_x_strides, Index batch,
              Index threads) {
  const Program p(program);
  std::vector<Strides> gs;
  for (Index part = 0; part < p.results(); ++part) {
    const Index* s = gradient_strides + 4 * part;
    gs.push_back({s[0], s[1], s[2], s[3]});
  }
  Strides ds{};
  if (of_x != nullptr) ds = {of_x_strides[0], of_x_strides[1], of_x_strides[2], of_x_strides[3]};
  const Task<T> task{p, values, weights, bias, x, {x_strides[0], x_strides[1], x_strides[2], x_strides[3]}, colour};
  const Unmixing<T> unmixing(p, weights, task.scale());
  const Index groups = std::min(batch, GROUPS), blocks = p.blocks(), map = p.output_size();
  const bool needs_image = of_colour != nullptr || of_x != nullptr;
  const bool no_units = p.modulus && units == nullptr;
  const bool again = (of_weights != nullptr && packets == nullptr) || no_units;
  std::vector<T> weight_sums(static_cast<std::size_t>(groups * p.weights * LANES), T(0));
  std::vector<double> bias_sums(static_cast<std::size_t>(groups * p.outputs), 0.0);
  std::vector<double> colour_sums(static_cast<std::size_t>(groups * p.colours), 0.0);
  for_each(groups, threads, [&](Index group) {
    Workspace<T> w(p, again, again);
    std::vector<T> own_units(static_cast<std::size_t>(no_units ? 2 * p.outputs * map : 0));
    for (Index image = batch * group / groups; image < batch * (group + 1) / groups; ++image) {
      const T* one = x + image * task.xs.image;
      if (again) filter_columns(task, one, w);
      for (Index block = 0; block < blocks; ++block) {
        const Index number = image * blocks + block, first = block * LANES, some = std::min(LANES, p.out_height - first);
        const T* of_block = packets + number * p.num_packets * p.parts * map;
        if (again) {
          filter_block(task, block, w);
          mix_block(p, weights, bias, w.slots, w.outputs, w.packets);
          of_block = w.packets;
        }
        if (no_units) take_moduli(p, w.outputs, own_units.data());
        for (Index part = 0; part < p.results(); ++part)
          read_block(p, gradient[part] + image * gs[part].image + first * gs[part].row, gs[part], some, w.outputs + part * p.outputs * map);
        if (p.modulus) spread_moduli(p, w.outputs, no_units ? own_units.data() : units + number * 2 * p.outputs * map);
        if (of_bias != nullptr)
          for (Index o = 0; o < p.parts * p.outputs; ++o) {
            Vector<T> sum = {};
            for (Index n = 0; n < map; n += LANES) sum += load(w.outputs + o * map + n);
            bias_sums[static_cast<std::size_t>(group * p.outputs + o % p.outputs)] += static_cast<double>(sum_of<T>(sum));
          }
        if (of_weights != nullptr) add_weights(p, w.outputs, of_block, weight_sums.data() + group * p.weights * LANES);
        if (!needs_image) continue;
        Index leaf = -1;
        for (std::size_t i = 0; i < p.lines.size(); ++i) {
          const Line& line = p.lines[i];
          const Cascade& c = p.cascades[line.cascade];
          const Maps<T, 1>& maps = w.row_maps[i];
          for (Index slot = 0; slot < c.nodes.back(); ++slot)
            unmix_slot<T>(p, unmixing.terms[line.first_slot + slot], w.outputs, maps.at(p.stages.size() - 1, slot));
          T* to = w.line(p, line.leaf, block);
          run_adjoint<T, 1>(p, c, p.columns, p.live_columns, values, maps, to, LANES, line.leaf == leaf);
          leaf = line.leaf;
        }
      }
      if (needs_image)
        join_columns(task, one, w, of_colour == nullptr ? nullptr : colour_sums.data() + group * p.colours,
                     of_x == nullptr ? nullptr : of_x + image * ds.image, ds);
    }
  });
  if (of_weights != nullptr)
    for (Index i = 0; i < p.weights; ++i) {
      double sum = 0;
      for (Index group = 0; group < groups; ++group) sum += static_cast<double>(sum_of<T>(load(weight_sums.data() + (group * p.weights + i) * LANES)));
      of_weights[i] = static_cast<T>(sum);
    }
  auto total = [&](const std::vector<double>& parts, Index size, T* result) {
    for (Index i = 0; i < size; ++i) {
      double sum = 0;
      for (Index group = 0; group < groups; ++group) sum += parts[static_cast<std::size_t>(group * size + i)];
      result[i] = static_cast<T>(sum);
    }
  };
  if (of_bias != nullptr) total(bias_sums, p.outputs, of_bias);
  if (of_colour != nullptr) total(colour_sums, p.colours, of_colour);
}

}  // namespace

#define WAVETWIN_BANK(T, NAME)                                                                                            \
  extern "C" void wavetwin_bank_forward_##NAME(                                                                           \
      const Index* program, const T* values, const T* weights, const T* bias, const T* x, const Index* x_strides,         \
      const T* colour, T* const* out, const Index* out_strides, T* packets, T* units, Index batch, Index threads) {       \
    forward<T>(program, values, weights, bias, x, x_strides, colour, out, out_strides, packets, units, batch, threads);   \
  }                                                                                                                       \
  extern "C" void wavetwin_bank_backward_##NAME(                                                                          \
      const Index* program, const T* values, const T* weights, const T* bias, const T* const* gradient,                   \
      const Index* gradient_strides, const T* x, const Index* x_strides, const T* colour, const T* packets,               \
      const T* units, T* of_weights, T* of_bias, T* of_colour, T* of_x, const Index* of_x_strides, Index batch,           \
      Index threads) {                                                                                                    \
    backward<T>(program, values, weights, bias, gradient, gradient_strides, x, x_strides, colour, packets, units,         \
                of_weights, of_bias, of_colour, of_x, of_x_strides, batch, threads);                                      \
  }

WAVETWIN_BANK(float, float32)
WAVETWIN_BANK(double, float64)
