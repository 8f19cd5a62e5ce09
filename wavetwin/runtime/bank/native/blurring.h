// Pooling with a blur: norm, positive part and maximum at every position, then a filter at the kept ones.
//
// An image goes row by row, in vectors of channels; no map between the first and the last is ever whole:
//
//   line[column][v]      a row of the joined parts, normed, with the maximum's margin before and after it
//     | along the row, the largest of a window and where it was
//   largest[row][c][v]   of the last rows that a window has
//     | down the columns, the largest of these and where it was: together a byte a maximum, which is kept
//   maxima[c][v]         a row of maxima
//     | the filter along the row, at the kept columns
//   across[row][o][v]    of the last rows that the filter has
//     | the filter down the columns
//   out[i][o][channel]
//
// v: vectors of 8 channels, those of one part after those of another; the last of a part may be filled up. A map is
// reflected at its borders: the filter's margins are rows and columns that are there already.
//
// Backwards, the gradient of a row of maxima is gathered from the kept rows and columns that read it, and that of a
// sample from the windows whose byte names it.

#pragma once

#include "pooling.h"

namespace {

constexpr Index COLUMNS_AT_ONCE = 16;

struct Blur {
  // Where a filter that is centred at a kept sample reads, and of each sample which kept ones read it, with which weight.
  struct Side {
    Index length, kept;
    std::vector<Index> sources;  // per kept sample, as many as there are taps
    std::vector<std::vector<std::pair<Index, Index>>> readers;  // per sample: kept sample, tap
    Side(Index n, Index taps, Index stride) : length(n), kept((n + stride - 1) / stride), readers(static_cast<std::size_t>(n)) {
      const Index before = (taps - 1) / 2;
      for (Index k = 0; k < kept; ++k)
        for (Index t = 0; t < taps; ++t) {
          const Index at = k * stride + t - before;
          const Index source = at < 0 ? -at : at < length ? at : 2 * (length - 1) - at;
          sources.push_back(source);
          readers[static_cast<std::size_t>(source)].push_back({k, t});
        }
    }
    const Index* of(Index kept_sample, Index taps) const { return sources.data() + kept_sample * taps; }
  };
  struct Slice { std::size_t part; Index channel, result, count; };  // a vector of channels: where they lie, how many there are

  Index taps, stride;
  bool positive;  // whether positive parts are taken
  Pooling window; // in steps of 1; the strides are those of the gradient of what is kept
  Side rows, columns;
  std::vector<Slice> slices;
  Index wide;

  explicit Blur(const Index* n)
      : taps(n[0]), stride(n[1]), positive(n[2] != 0), window(n + 3), rows(window.out_height, taps, stride),
        columns(window.out_width, taps, stride) {
    for_channels(window, [&](const Pooling::Part&, std::size_t k, Index c, Index at, Index count) { slices.push_back({k, c, at, count}); });
    wide = static_cast<Index>(slices.size()) * LANES;
  }
  Index line_width() const { return window.width + 2 * window.margin; }
  Index codes() const { return window.out_height * window.out_width * wide; }  // of an image
};

// Room of a thread, cut into rows.
template <class T> struct BlurRows {
  T *line, *largest, *maxima, *across;
  std::uint8_t* places;  // of `largest`
  explicit BlurRows(const Blur& b) {
    const Pooling& p = b.window;
    const Index row = p.out_width * b.wide, line_size = b.line_width() * b.wide;
    const Index bytes = (p.size * row + static_cast<Index>(sizeof(T)) - 1) / static_cast<Index>(sizeof(T));
    line = thread_room<T>(line_size + (p.size + 1) * row + (b.taps + 1) * b.columns.kept * b.wide + bytes);
    largest = line + line_size;
    maxima = largest + p.size * row;
    across = maxima + row;
    places = reinterpret_cast<std::uint8_t*>(across + (b.taps + 1) * b.columns.kept * b.wide);
  }
};

// A row of the joined parts, normed, between margins that are never taken.
template <class T, bool NORM>
void read_line(const Blur& b, const T* const* x, Index image, Index row, const T* scale, const T* shift, T* line) {
  const Pooling& p = b.window;
  const T nothing = b.positive ? T(0) : -std::numeric_limits<T>::infinity();
  std::fill(line, line + p.margin * b.wide, nothing);
  line += p.margin * b.wide;
  std::fill(line + p.width * b.wide, line + (p.width + p.margin) * b.wide, nothing);
  for (std::size_t k = 0; k < p.parts.size(); ++k) {
    const Pooling::Part& part = p.parts[k];
    const T *in = x[k] + image * part.image + row * part.row, *a = NORM ? scale + part.first : nullptr, *c = NORM ? shift + part.first : nullptr;
    T* out = line;
    auto vector = [&](Index at, Index count) __attribute__((always_inline)) {
      const Vector<T> value = load_some(in + at, count);
      store(out + at, NORM ? value * load_some(a + at, count) + load_some(c + at, count) : value);
    };
    for (Index n = 0; n < p.width; ++n, in += part.column, out += b.wide) {
      Index at = 0;
      for (; at + LANES <= part.channels; at += LANES) vector(at, LANES);
      if (at < part.channels) vector(at, part.channels - at);
    }
    line += (part.channels + LANES - 1) / LANES * LANES;
  }
}

// The largest of `count` vectors and its place; the first of equal ones, and whatever is no number.
template <class T, class Value, class Place>
inline __attribute__((always_inline)) void take_largest(Index count, bool positive, const Value& value, const Place& place, T* out,
                                                        std::uint8_t* places) {
  Vector<T> best = {};
  Codes<T> found = Codes<T>{} + NOTHING;
  for (Index k = 0; k < count; ++k) {
    const Vector<T> v = value(k);
    const Codes<T> at = place(k);
    const Codes<T> larger = (v > best) | (v != v);
    const bool is_first = k == 0 && !positive;
    best = is_first ? v : larger ? v : best;
    found = is_first ? at : larger ? at : found;
  }
  store(out, best);
  if (places != nullptr) store_codes<T>(places, found, LANES);
}

// Along a line, windows of SIZE; 0: of any.
template <class T, Index SIZE>
void take_along(const T* line, Index size, bool positive, Index numbers, Index wide, T* out, std::uint8_t* places) {
  typedef typename CodesOf<T>::number Number;
  const Index some = SIZE > 0 ? SIZE : size;
  auto all = [&](bool is_positive) __attribute__((always_inline)) {
    for (Index n = 0; n < numbers; n += LANES)
      take_largest<T>(
          some, is_positive, [&](Index k) { return load(line + n + k * wide); },
          [&](Index k) { return Codes<T>{} + static_cast<Number>(k); }, out + n, places == nullptr ? nullptr : places + n);
  };
  if (positive) all(true);
  else all(false);
}

// Down the columns, of `count` rows, the first of which is row `first` of the window.
template <class T, Index COUNT>
void take_down(const T* const* rows, const std::uint8_t* const* row_places, Index count, Index first, Index size, bool positive,
               Index numbers, T* out, std::uint8_t* places) {
  typedef typename CodesOf<T>::number Number;
  const Index some = COUNT > 0 ? COUNT : count;
  auto all = [&](bool is_positive, bool keeps) __attribute__((always_inline)) {
    for (Index n = 0; n < numbers; n += LANES)
      take_largest<T>(
          some, is_positive, [&](Index k) { return load(rows[k] + n); },
          [&](Index k) {
            if (!keeps) return Codes<T>{};
            return load_codes<T>(row_places[k] + n, LANES) + static_cast<Number>((first + k) * size);
          },
          out + n, keeps ? places + n : nullptr);
  };
  if (positive) places == nullptr ? all(true, false) : all(true, true);
  else places == nullptr ? all(false, false) : all(false, true);
}

// A row of maxima, filtered along the row at the kept columns.
template <class T, Index TAPS> void filter_along(const Blur& b, const T* taps, const T* maxima, T* out) {
  const Index some = TAPS > 0 ? TAPS : b.taps;
  for (Index o = 0; o < b.columns.kept; ++o, out += b.wide) {
    const Index* sources = b.columns.of(o, some);
    for (Index v = 0; v < b.wide; v += LANES) {
      Vector<T> sum = taps[0] * load(maxima + sources[0] * b.wide + v);
      for (Index t = 1; t < some; ++t) sum += taps[t] * load(maxima + sources[t] * b.wide + v);
      store(out + v, sum);
    }
  }
}

// Rows that were filtered along them, filtered down the columns, to where the result lies.
template <class T, Index TAPS> void filter_down(const Blur& b, const T* taps, const T* const* rows, T* out) {
  const Index some = TAPS > 0 ? TAPS : b.taps;
  for (Index o = 0; o < b.columns.kept; ++o, out += b.window.channels) {
    const Index start = o * b.wide;
    for (std::size_t v = 0; v < b.slices.size(); ++v) {
      const Index at = start + static_cast<Index>(v) * LANES;
      Vector<T> sum = taps[0] * load(rows[0] + at);
      for (Index t = 1; t < some; ++t) sum += taps[t] * load(rows[t] + at);
      store_some(out + b.slices[v].result, sum, b.slices[v].count);
    }
  }
}

template <class T, bool NORM>
void blur_image(const Blur& b, const T* taps, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, Index image) {
  const Pooling& p = b.window;
  const BlurRows<T> room(b);
  const Index row = p.out_width * b.wide, across = b.columns.kept * b.wide, rows = b.taps + 1;
  if (codes != nullptr) codes += image * b.codes();
  out += image * b.rows.kept * b.columns.kept * p.channels;
  std::vector<const T*> found(static_cast<std::size_t>(std::max(p.size, b.taps)));
  std::vector<const std::uint8_t*> places(static_cast<std::size_t>(p.size));
  Index next_line = 0, next = 0;
  auto add_maxima = [&](Index m) {
    T* maxima = room.maxima;
    std::uint8_t* code = codes == nullptr ? nullptr : codes + m * row;
    const Range window_rows = window(m, p.height, p);
    const Index first = m - p.margin + window_rows.first, stop = m - p.margin + window_rows.stop;
    for (Index r = std::max(next_line, first); r < stop; ++r) {
      read_line<T, NORM>(b, x, image, r, scale, shift, room.line);
      if (p.size == 1) {
        if (b.positive) take_along<T, 1>(room.line, 1, true, row, b.wide, maxima, code);
        else maxima = room.line;
        continue;
      }
      T* largest = room.largest + r % p.size * row;
      std::uint8_t* place = codes == nullptr ? nullptr : room.places + r % p.size * row;
      if (p.size == 3) take_along<T, 3>(room.line, 3, b.positive, row, b.wide, largest, place);
      else take_along<T, 0>(room.line, p.size, b.positive, row, b.wide, largest, place);
    }
    next_line = stop;
    if (p.size > 1) {
      for (Index r = first; r < stop; ++r) {
        found[static_cast<std::size_t>(r - first)] = room.largest + r % p.size * row;
        places[static_cast<std::size_t>(r - first)] = room.places + r % p.size * row;
      }
      if (stop - first == 3) take_down<T, 3>(found.data(), places.data(), 3, window_rows.first, p.size, b.positive, row, maxima, code);
      else take_down<T, 0>(found.data(), places.data(), stop - first, window_rows.first, p.size, b.positive, row, maxima, code);
    }
    T* result = room.across + m % rows * across;
    if (b.taps == 3) filter_along<T, 3>(b, taps, maxima, result);
    else filter_along<T, 0>(b, taps, maxima, result);
  };
  for (Index i = 0; i < b.rows.kept; ++i, out += b.columns.kept * p.channels) {
    const Index* sources = b.rows.of(i, b.taps);
    const Index first = *std::min_element(sources, sources + b.taps), last = *std::max_element(sources, sources + b.taps);
    for (next = std::max(next, first); next <= last; ++next) add_maxima(next);
    for (Index t = 0; t < b.taps; ++t) found[static_cast<std::size_t>(t)] = room.across + sources[t] % rows * across;
    if (b.taps == 3) filter_down<T, 3>(b, taps, found.data(), out);
    else filter_down<T, 0>(b, taps, found.data(), out);
  }
  // Maxima that no kept sample reads have no gradient, whatever their byte is; it is written, so that it is one.
  if (codes != nullptr)
    for (Index m = 0; m < p.out_height; ++m)
      if (b.rows.readers[static_cast<std::size_t>(m)].empty()) std::fill(codes + m * row, codes + (m + 1) * row, NOTHING);
}

template <class T>
void blur_forward(const Index* numbers, const T* taps, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes,
                  Index batch, Index threads) {
  const Blur b(numbers);
  for_each(batch, threads, [&](Index image) {
    if (scale != nullptr) blur_image<T, true>(b, taps, x, scale, shift, out, codes, image);
    else blur_image<T, false>(b, taps, x, scale, shift, out, codes, image);
  });
}

// ---- The adjoint ----

template <class T> struct BlurAdjointRows {
  T *down, *maxima, *samples;  // filtered down the columns; gradients of the last rows of maxima; of a row of samples
  explicit BlurAdjointRows(const Blur& b) {
    const Pooling& p = b.window;
    const Index row = p.out_width * b.wide, kept = b.columns.kept * b.wide;
    down = thread_room<T>(kept + p.size * row + p.width * b.wide);
    maxima = down + kept;
    samples = maxima + p.size * row;
  }
};

// The gradients of a row of maxima.
template <class T> void unfilter_row(const Blur& b, const T* taps, const T* gradient, Index m, T* down, T* out) {
  const Pooling& p = b.window;
  const auto& row_readers = b.rows.readers[static_cast<std::size_t>(m)];
  if (row_readers.empty()) {
    std::fill(out, out + p.out_width * b.wide, T(0));
    return;
  }
  bool is_first = true;
  for (const auto& [kept, tap] : row_readers) {
    const T *from = gradient + kept * p.row, weight = taps[tap];
    T* to = down;
    for (Index o = 0; o < b.columns.kept; ++o, from += p.column)
      for (const Blur::Slice& s : b.slices) {
        const Vector<T> product = weight * load_some(from + s.result, s.count);
        store(to, is_first ? product : load(to) + product);
        to += LANES;
      }
    is_first = false;
  }
  for (Index c = 0; c < p.out_width; ++c, out += b.wide) {
    is_first = true;
    for (const auto& [kept, tap] : b.columns.readers[static_cast<std::size_t>(c)]) {
      const T *from = down + kept * b.wide, weight = taps[tap];
      for (Index v = 0; v < b.wide; v += LANES) store(out + v, is_first ? weight * load(from + v) : load(out + v) + weight * load(from + v));
      is_first = false;
    }
    if (is_first) std::fill(out, out + b.wide, T(0));
  }
}

// A row of windows that samples are in: the gradients of the maxima, their codes, and that of the window's first column.
template <class T> struct WindowRow {
  const T* gradient;
  const std::uint8_t* codes;
  Index code;
};

// The gradients of some numbers of a row of samples, each in R rows of windows and C columns; 0: of any number.
// The last of the columns lies at `at`, where a sample is the window's column `first`.
template <class T, Index R, Index C>
inline void gather(const WindowRow<T>* rows, Index row_count, Index column_count, Index at, Index first, Index wide, Index numbers, T* out) {
  typedef typename CodesOf<T>::number Number;
  const Index some_rows = R > 0 ? R : row_count, some_columns = C > 0 ? C : column_count;
  WindowRow<T> own[R > 0 ? R : 1];  // in registers: what is stored might be anything else
  if (R > 0) std::copy(rows, rows + R, own);
  for (Index v = 0; v < numbers; v += LANES) {
    Vector<T> sum = {};
#pragma GCC unroll 3
    for (Index r = 0; r < some_rows; ++r)
#pragma GCC unroll 3
      for (Index c = 0; c < some_columns; ++c) {
        const WindowRow<T>& row = R > 0 ? own[r] : rows[r];
        const Index from = at - c * wide + v;
        const Codes<T> is_taken = load_codes<T>(row.codes + from, LANES) == static_cast<Number>(row.code + first + c);
        sum += is_taken ? load(row.gradient + from) : Vector<T>{};
      }
    store(out + v, sum);
  }
}

// Call with every row of samples and its gradients, [column][v].
template <class T, class F>
void for_adjoint_rows(const Blur& b, const T* taps, const T* gradient, const std::uint8_t* codes, Index image, const F& run) {
  const Pooling& p = b.window;
  const BlurAdjointRows<T> room(b);
  const Index row = p.out_width * b.wide;
  gradient += image * p.image;
  if (codes != nullptr) codes += image * b.codes();
  std::vector<WindowRow<T>> rows(static_cast<std::size_t>(p.size));
  // Columns whose samples are in all windows that there can be.
  const Index whole = std::min(p.width, std::max<Index>(0, p.size - 1 - p.margin)), edge = std::max(whole, p.out_width - p.margin);
  Index next = 0;
  for (Index r = 0; r < p.height; ++r) {
    const Range range = readers(r, p.out_height, p);
    for (next = std::max(next, range.first); next < range.stop; ++next)
      unfilter_row(b, taps, gradient, next, room.down, room.maxima + next % p.size * row);
    if (codes == nullptr) {
      run(r, room.maxima + r % p.size * row);
      continue;
    }
    Index count = 0;
    for (Index m = range.first; m < range.stop; ++m, ++count)
      rows[static_cast<std::size_t>(count)] = {room.maxima + m % p.size * row, codes + m * row, (r + p.margin - m) * p.size};
    for (Index n = 0; n < p.width;) {
      const Range columns = readers(n, p.out_width, p);
      const Index last = columns.stop - 1, some = columns.stop - columns.first, stop = n == whole ? std::max(edge, n + 1) : n + 1;
      auto samples = [&](const auto& run_of) {
        run_of(rows.data(), count, some, last * b.wide, n + p.margin - last, b.wide, (stop - n) * b.wide, room.samples + n * b.wide);
      };
      if (count == 3 && some == 3) samples(gather<T, 3, 3>);
      else if (count == 1 && some == 1) samples(gather<T, 1, 1>);
      else samples(gather<T, 0, 0>);
      n = stop;
    }
    run(r, room.samples);
  }
}

// Per channel, sums of the gradients after the norm, and of their products with what was normed.
template <class T>
void blur_sums(const Index* numbers, const T* taps, const T* const* x, const T* gradient, const std::uint8_t* codes, double* sums,
               double* products, Index batch, Index threads) {
  const Blur b(numbers);
  const Pooling& p = b.window;
  const Index groups = std::min(batch, GROUPS);
  std::vector<double> sum_parts(static_cast<std::size_t>(groups * p.channels)), product_parts(sum_parts.size());
  for_each(groups, threads, [&](Index group) {
    std::vector<T> row_sums(static_cast<std::size_t>(2 * b.wide));
    for (Index image = batch * group / groups; image < batch * (group + 1) / groups; ++image)
      for_adjoint_rows<T>(b, taps, gradient, codes, image, [&](Index r, const T* of_samples) {
        std::fill(row_sums.begin(), row_sums.end(), T(0));
        // Some columns at a time, so that memory is read from its beginning to its end.
        for (Index start = 0; start < p.width; start += COLUMNS_AT_ONCE)
          for (std::size_t v = 0; v < b.slices.size(); ++v) {
            const Blur::Slice& s = b.slices[v];
            const Pooling::Part& part = p.parts[s.part];
            const T* in = x[s.part] + image * part.image + r * part.row + start * part.column + s.channel;
            const T* d = of_samples + start * b.wide + static_cast<Index>(v) * LANES;
            T *to = row_sums.data() + static_cast<Index>(v) * LANES, *to_product = to + b.wide;
            Vector<T> sum = load(to), product = load(to_product);
            for (Index n = start; n < std::min(p.width, start + COLUMNS_AT_ONCE); ++n, in += part.column, d += b.wide) {
              sum += load(d);
              product += load(d) * load_some(in, s.count);
            }
            store(to, sum);
            store(to_product, product);
          }
        for (std::size_t v = 0; v < b.slices.size(); ++v)
          for (Index i = 0; i < b.slices[v].count; ++i) {
            const std::size_t from = v * LANES + static_cast<std::size_t>(i);
            const std::size_t to = static_cast<std::size_t>(group * p.channels + b.slices[v].result + i);
            sum_parts[to] += static_cast<double>(row_sums[from]);
            product_parts[to] += static_cast<double>(row_sums[from + static_cast<std::size_t>(b.wide)]);
          }
      });
  });
  add_groups(sum_parts, groups, p.channels, sums);
  add_groups(product_parts, groups, p.channels, products);
}

// Gradients of the maps, as `pool_backward` gives them.
template <class T>
void blur_backward(const Index* numbers, const T* taps, const T* const* x, const T* gradient, const std::uint8_t* codes,
                   const T* coefficients, T* const* of_x, Index batch, Index threads) {
  const Blur b(numbers);
  const Pooling& p = b.window;
  for_each(batch, threads, [&](Index image) {
    for_adjoint_rows<T>(b, taps, gradient, codes, image, [&](Index r, const T* of_samples) {
      for (Index n = 0; n < p.width; ++n)
        for (std::size_t v = 0; v < b.slices.size(); ++v) {
          const Blur::Slice& s = b.slices[v];
          const Pooling::Part& part = p.parts[s.part];
          Vector<T> d = load(of_samples + n * b.wide + static_cast<Index>(v) * LANES);
          if (coefficients != nullptr) {
            const T* c = coefficients + s.result;
            d = load_some(c, s.count) * d + load_some(c + 2 * p.channels, s.count) +
                load_some(c + p.channels, s.count) * load_some(x[s.part] + image * part.image + r * part.row + n * part.column + s.channel, s.count);
          }
          store_some(of_x[s.part] + ((image * p.height + r) * p.width + n) * part.channels + s.channel, d, s.count);
        }
    });
  });
}

}  // namespace

#define WAVETWIN_BLUR(T, NAME)                                                                                             \
  extern "C" void wavetwin_blur_forward_##NAME(                                                                            \
      const Index* numbers, const T* taps, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, \
      Index batch, Index threads) {                                                                                        \
    blur_forward<T>(numbers, taps, x, scale, shift, out, codes, batch, threads);                                           \
  }                                                                                                                        \
  extern "C" void wavetwin_blur_sums_##NAME(                                                                               \
      const Index* numbers, const T* taps, const T* const* x, const T* gradient, const std::uint8_t* codes, double* sums,  \
      double* products, Index batch, Index threads) {                                                                      \
    blur_sums<T>(numbers, taps, x, gradient, codes, sums, products, batch, threads);                                       \
  }                                                                                                                        \
  extern "C" void wavetwin_blur_backward_##NAME(                                                                           \
      const Index* numbers, const T* taps, const T* const* x, const T* gradient, const std::uint8_t* codes,                \
      const T* coefficients, T* const* of_x, Index batch, Index threads) {                                                 \
    blur_backward<T>(numbers, taps, x, gradient, codes, coefficients, of_x, batch, threads);                               \
  }

WAVETWIN_BLUR(float, float32)
WAVETWIN_BLUR(double, float64)
