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
// v: vectors of 8 channels, those of one part after those of another; the last of a part may be filled up. What each kept
// row and column is a sum of, also beyond a border, Python lays out.
//
// Backwards, the gradient of a row of maxima is gathered from the kept rows and columns that read it, and that of a
// sample from the windows whose byte names it.

#pragma once

#include "pooling.h"

namespace {

constexpr Index COLUMNS_AT_ONCE = 16;

struct Blur {
  // Each kept sample of a side is a sum of samples, with weights; and so is each sample's gradient, of kept ones.
  struct Side {
    struct Reader { Index kept, weight; };
    Index kept, most;                           // kept samples; how many samples from the first to the last that are needed at once
    const Index *first, *source;                // per kept sample, where its samples begin; these
    std::vector<std::vector<Reader>> readers;   // per sample
    Side(Index length, Index count, const Index* p, Index weight) : kept(count), most(1), first(p), source(p + count + 1), readers(static_cast<std::size_t>(length)) {
      Index last = 0;
      for (Index k = 0; k < kept; ++k) {
        Index lowest = length;
        for (Index i = first[k]; i < first[k + 1]; ++i) {
          readers[static_cast<std::size_t>(source[i])].push_back({k, weight + i});
          lowest = std::min(lowest, source[i]);
          last = std::max(last, source[i]);
        }
        most = std::max(most, last - lowest + 1);
      }
    }
    Index total() const { return first[kept]; }
    Index longest() const {
      Index found = 0;
      for (Index k = 0; k < kept; ++k) found = std::max(found, first[k + 1] - first[k]);
      return found;
    }
  };
  struct Slice { std::size_t part; Index channel, result, count; };  // a vector of channels: where they lie, how many there are

  bool positive;  // whether positive parts are taken
  Pooling window; // in steps of 1; the strides are those of the gradient of what is kept
  Side rows, columns;
  std::vector<Slice> slices;
  Index wide;

  // Numbers: whether positive parts are taken, the kept rows and columns, what each of these is a sum of, then `Pooling`'s.
  // Weights of the rows come before those of the columns.
  explicit Blur(const Index* n) : Blur(n, n + 3 + n[1] + 1 + n[3 + n[1]]) {}
  Blur(const Index* n, const Index* of_columns)
      : positive(n[0] != 0), window(of_columns + n[2] + 1 + of_columns[n[2]]), rows(window.out_height, n[1], n + 3, 0),
        columns(window.out_width, n[2], of_columns, rows.total()) {
    for_channels(window, [&](const Pooling::Part&, std::size_t k, Index c, Index at, Index count) { slices.push_back({k, c, at, count}); });
    wide = static_cast<Index>(slices.size()) * LANES;
  }
  Index line_width() const { return window.width + 2 * window.margin; }
  Index codes() const { return window.out_height * window.out_width * wide; }  // of an image
};

// Room of a thread, cut into rows.
template <class T> struct BlurRows {
  T *line, *largest, *maxima, *result, *across;
  std::uint8_t* places;  // of `largest`
  explicit BlurRows(const Blur& b) {
    const Pooling& p = b.window;
    const Index row = p.out_width * b.wide, line_size = b.line_width() * b.wide, kept = b.columns.kept * b.wide;
    const Index bytes = (p.size * row + static_cast<Index>(sizeof(T)) - 1) / static_cast<Index>(sizeof(T));
    line = thread_room<T>(line_size + (p.size + 1) * row + (b.rows.most + 1) * kept + bytes);
    largest = line + line_size;
    maxima = largest + p.size * row;
    result = maxima + row;
    across = result + kept;
    places = reinterpret_cast<std::uint8_t*>(across + b.rows.most * kept);
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

// Weighted sums of N rows of numbers; 0: of any.
template <class T, Index N> void add_up(const T* const* rows, const T* weights, Index count, Index numbers, T* out) {
  const Index some = N > 0 ? N : count;
  const T* from[N > 0 ? N : 1];  // in registers: what is stored might be anything else
  T by[N > 0 ? N : 1];
  for (Index k = 0; k < N; ++k) {
    from[k] = rows[k];
    by[k] = weights[k];
  }
  for (Index n = 0; n < numbers; n += LANES) {
    Vector<T> sum = {};
#pragma GCC unroll 4
    for (Index k = 0; k < some; ++k) sum += (N > 0 ? by[k] : weights[k]) * load((N > 0 ? from[k] : rows[k]) + n);
    store(out + n, sum);
  }
}
template <class T> void add_up(const T* const* rows, const T* weights, Index count, Index numbers, T* out) {
  switch (count) {
    case 1: return add_up<T, 1>(rows, weights, 1, numbers, out);
    case 2: return add_up<T, 2>(rows, weights, 2, numbers, out);
    case 3: return add_up<T, 3>(rows, weights, 3, numbers, out);
    case 4: return add_up<T, 4>(rows, weights, 4, numbers, out);
    default: return add_up<T, 0>(rows, weights, count, numbers, out);
  }
}

template <class T, bool NORM>
void blur_image(const Blur& b, const T* weights, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, Index image) {
  const Pooling& p = b.window;
  const BlurRows<T> room(b);
  const Index row = p.out_width * b.wide, across = b.columns.kept * b.wide;
  if (codes != nullptr) codes += image * b.codes();
  out += image * b.rows.kept * b.columns.kept * p.channels;
  std::vector<const T*> found(static_cast<std::size_t>(std::max({p.size, b.rows.longest(), b.columns.longest()})));
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
    T* result = room.across + m % b.rows.most * across;
    const T* of_columns = weights + b.rows.total();
    for (Index o = 0; o < b.columns.kept; ++o, result += b.wide) {
      const Index start = b.columns.first[o], count = b.columns.first[o + 1] - start;
      for (Index k = 0; k < count; ++k) found[static_cast<std::size_t>(k)] = maxima + b.columns.source[start + k] * b.wide;
      add_up<T>(found.data(), of_columns + start, count, b.wide, result);
    }
  };
  const bool is_dense = b.wide == p.channels;
  for (Index i = 0; i < b.rows.kept; ++i, out += b.columns.kept * p.channels) {
    const Index start = b.rows.first[i], count = b.rows.first[i + 1] - start;
    const Index *sources = b.rows.source + start, last = count == 0 ? -1 : *std::max_element(sources, sources + count);
    for (; next <= last; ++next)
      if (!b.rows.readers[static_cast<std::size_t>(next)].empty()) add_maxima(next);
    for (Index k = 0; k < count; ++k) found[static_cast<std::size_t>(k)] = room.across + sources[k] % b.rows.most * across;
    add_up<T>(found.data(), weights + start, count, across, is_dense ? out : room.result);
    for (Index o = 0; o < b.columns.kept && !is_dense; ++o)
      for (std::size_t v = 0; v < b.slices.size(); ++v)
        store_some(out + o * p.channels + b.slices[v].result, load(room.result + o * b.wide + static_cast<Index>(v) * LANES), b.slices[v].count);
  }
  // Maxima that no kept sample reads have no gradient, whatever their byte is; it is written, so that it is one.
  if (codes != nullptr)
    for (Index m = 0; m < p.out_height; ++m)
      if (b.rows.readers[static_cast<std::size_t>(m)].empty()) std::fill(codes + m * row, codes + (m + 1) * row, NOTHING);
}

template <class T>
void blur_forward(const Index* numbers, const T* weights, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes,
                  Index batch, Index threads) {
  const Blur b(numbers);
  for_each(batch, threads, [&](Index image) {
    if (scale != nullptr) blur_image<T, true>(b, weights, x, scale, shift, out, codes, image);
    else blur_image<T, false>(b, weights, x, scale, shift, out, codes, image);
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
template <class T> void unfilter_row(const Blur& b, const T* weights, const T* gradient, Index m, T* down, T* out) {
  const Pooling& p = b.window;
  const auto& row_readers = b.rows.readers[static_cast<std::size_t>(m)];
  if (row_readers.empty()) {
    std::fill(out, out + p.out_width * b.wide, T(0));
    return;
  }
  bool is_first = true;
  for (const Blur::Side::Reader& reader : row_readers) {
    const T *from = gradient + reader.kept * p.row, weight = weights[reader.weight];
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
    for (const Blur::Side::Reader& reader : b.columns.readers[static_cast<std::size_t>(c)]) {
      const T *from = down + reader.kept * b.wide, weight = weights[reader.weight];
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
void for_adjoint_rows(const Blur& b, const T* weights, const T* gradient, const std::uint8_t* codes, Index image, const F& run) {
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
      unfilter_row(b, weights, gradient, next, room.down, room.maxima + next % p.size * row);
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
void blur_sums(const Index* numbers, const T* weights, const T* const* x, const T* gradient, const std::uint8_t* codes, double* sums,
               double* products, Index batch, Index threads) {
  const Blur b(numbers);
  const Pooling& p = b.window;
  const Index groups = std::min(batch, GROUPS);
  std::vector<double> sum_parts(static_cast<std::size_t>(groups * p.channels)), product_parts(sum_parts.size());
  for_each(groups, threads, [&](Index group) {
    std::vector<T> row_sums(static_cast<std::size_t>(2 * b.wide));
    for (Index image = batch * group / groups; image < batch * (group + 1) / groups; ++image)
      for_adjoint_rows<T>(b, weights, gradient, codes, image, [&](Index r, const T* of_samples) {
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
void blur_backward(const Index* numbers, const T* weights, const T* const* x, const T* gradient, const std::uint8_t* codes,
                   const T* coefficients, T* const* of_x, Index batch, Index threads) {
  const Blur b(numbers);
  const Pooling& p = b.window;
  for_each(batch, threads, [&](Index image) {
    for_adjoint_rows<T>(b, weights, gradient, codes, image, [&](Index r, const T* of_samples) {
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
      const Index* numbers, const T* weights, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, \
      Index batch, Index threads) {                                                                                        \
    blur_forward<T>(numbers, weights, x, scale, shift, out, codes, batch, threads);                                           \
  }                                                                                                                        \
  extern "C" void wavetwin_blur_sums_##NAME(                                                                               \
      const Index* numbers, const T* weights, const T* const* x, const T* gradient, const std::uint8_t* codes, double* sums,  \
      double* products, Index batch, Index threads) {                                                                      \
    blur_sums<T>(numbers, weights, x, gradient, codes, sums, products, batch, threads);                                       \
  }                                                                                                                        \
  extern "C" void wavetwin_blur_backward_##NAME(                                                                           \
      const Index* numbers, const T* weights, const T* const* x, const T* gradient, const std::uint8_t* codes,                \
      const T* coefficients, T* const* of_x, Index batch, Index threads) {                                                 \
    blur_backward<T>(numbers, weights, x, gradient, codes, coefficients, of_x, batch, threads);                               \
  }

WAVETWIN_BLUR(float, float32)
WAVETWIN_BLUR(double, float64)
