// Pooling: batch norm, positive part and maximum of maps with the channels last, which may come
// in several tensors that are joined only in what is written; a code says which sample of a window was taken.

#pragma once

#include "vectors.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace {

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
// GCC takes apart what is a single instruction, and does best by way of 16 bits where there is none.
typedef std::int16_t Shorts __attribute__((vector_size(16)));
template <class T> inline Codes<T> widen(Bytes bytes) {
#ifdef __AVX2__
  const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(&bytes)));
  return __builtin_convertvector(reinterpret_cast<Codes<float>>(wide), Codes<T>);
#else
  return __builtin_convertvector(__builtin_convertvector(bytes, Shorts), Codes<T>);
#endif
}
template <class T> inline Bytes narrow(Codes<T> codes) {
#ifdef __AVX512VL__
  return __builtin_convertvector(codes, Bytes);
#else
  return __builtin_convertvector(__builtin_convertvector(codes, Shorts), Bytes);
#endif
}
template <class T> inline Codes<T> load_codes(const std::uint8_t* p, Index count) {
  Bytes bytes = {};
  std::memcpy(&bytes, p, static_cast<std::size_t>(count));
  return widen<T>(bytes);
}
template <class T> inline void store_codes(std::uint8_t* p, Codes<T> codes, Index count) {
  const Bytes bytes = narrow<T>(codes);
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

}  // namespace

// What poolings without a blur export.
#define WAVETWIN_POOLING(KIND, T, NAME)                                                                                    \
  extern "C" void wavetwin_##KIND##_forward_##NAME(                                                                        \
      const Index* numbers, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, Index batch,   \
      Index threads) {                                                                                                     \
    KIND##_forward<T>(numbers, x, scale, shift, out, codes, batch, threads);                                               \
  }                                                                                                                        \
  extern "C" void wavetwin_##KIND##_sums_##NAME(                                                                           \
      const Index* numbers, const T* const* x, const T* gradient, const std::uint8_t* codes, double* sums,                 \
      double* products, Index batch, Index threads) {                                                                      \
    KIND##_sums<T>(numbers, x, gradient, codes, sums, products, batch, threads);                                           \
  }                                                                                                                        \
  extern "C" void wavetwin_##KIND##_backward_##NAME(                                                                       \
      const Index* numbers, const T* const* x, const T* gradient, const std::uint8_t* codes, const T* coefficients,        \
      T* const* of_x, Index batch, Index threads) {                                                                        \
    KIND##_backward<T>(numbers, x, gradient, codes, coefficients, of_x, batch, threads);                                   \
  }

WAVETWIN_POOLING(pool, float, float32)
WAVETWIN_POOLING(pool, double, float64)
