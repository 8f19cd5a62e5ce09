// One level of the dual tree: a smoothed map and six moduli.
//
// A lane is a map: 8 maps of a batch are filtered together, along the rows, then along the columns, two rows of
// these at a time; four neighbouring samples are a quad, whose sums and differences are the complex bands. Samples
// beyond a border are sums of samples of the map, as Python lays them out for any mode.

#pragma once

#include "splits.h"

namespace {

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

#define WAVETWIN_LEVEL(T, NAME)                                                                                          \
  extern "C" void wavetwin_level_forward_##NAME(                                                                         \
      const Index* numbers, const T* values, const T* x, T* out, T* kept, Index batch, Index threads) {                  \
    level_forward<T>(read_level<T>(numbers, values), x, out, kept, batch, threads);                                      \
  }                                                                                                                      \
  extern "C" void wavetwin_level_backward_##NAME(                                                                        \
      const Index* numbers, const T* values, const T* gradient, const T* kept, T* of_x, Index batch, Index threads) {    \
    level_backward<T>(read_level<T>(numbers, values), gradient, kept, of_x, batch, threads);                             \
  }

WAVETWIN_LEVEL(float, float32)
WAVETWIN_LEVEL(double, float64)
