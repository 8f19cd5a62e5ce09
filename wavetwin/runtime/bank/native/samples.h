// Each sample by itself: norm and positive part; and the statistics of batch norms.
//
// Maps lie and are joined as in pooling.h. Their pixels are read in the order of memory, some of them at a time where
// there are sums over them: in single precision over these, then in double precision.

#pragma once

#include "pooling.h"

namespace {

constexpr Index PIXELS_AT_ONCE = 16;

inline Index round_up(Index channels) { return (channels + LANES - 1) / LANES * LANES; }

// What is read of each sample alone; rows that lie next to each other are one.
struct Samples : Pooling {
  explicit Samples(const Index* p) : Pooling(p) {
    bool is_dense = row == width * column;
    for (const Part& part : parts) is_dense = is_dense && part.row == width * part.column;
    if (!is_dense) return;
    width *= height;
    height = 1;
  }
  Index pixels() const { return height * width; }
};

// Call with every vector of channels of a pixel: the channel in the part, how many there are.
template <class F> inline __attribute__((always_inline)) void for_vectors(Index channels, const F& run) {
  Index c = 0;
  for (; c + LANES <= channels; c += LANES) run(c, LANES);
  if (c < channels) run(c, channels - c);
}

// Call with every vector of channels of some pixels: where the first of them is, how many there are, the channels.
template <class F> inline __attribute__((always_inline)) void in_pieces(Index width, Index channels, const F& run) {
  for (Index start = 0; start < width; start += PIXELS_AT_ONCE) {
    const Index pixels = std::min(PIXELS_AT_ONCE, width - start);
    for_vectors(channels, [&](Index c, Index count) __attribute__((always_inline)) { run(start, pixels, c, count); });
  }
}

template <class T> inline void add_double(double* to, Vector<T> v) { store(to, load(to) + __builtin_convertvector(v, Vector<double>)); }

// Sums per channel of two kinds, of groups of images, in a room of its own each.
struct ChannelSums {
  Index groups, channels, wide;
  std::vector<double> first, second;
  ChannelSums(Index batch, Index count)
      : groups(std::min(batch, GROUPS)), channels(count), wide(round_up(count) + LANES),
        first(static_cast<std::size_t>(groups * wide)), second(first.size()) {}
  void total(const std::vector<double>& parts, double* result) const {
    for (Index c = 0; c < channels; ++c) {
      double sum = 0;
      for (Index group = 0; group < groups; ++group) sum += parts[static_cast<std::size_t>(group * wide + c)];
      result[c] = sum;
    }
  }
};

// Mean and variance of every channel: sums of what is left of a value near the mean, and of its square.
template <class T>
void sample_statistics(const Index* numbers, const T* const* x, double* mean, double* variance, Index batch, Index threads) {
  const Samples p(numbers);
  std::vector<T> near(static_cast<std::size_t>(p.channels));
  // Of some pixels in the middle of the first image.
  const Index some = std::min(p.width, PIXELS_AT_ONCE), at = p.height > 1 ? 0 : (p.width - some) / 2;
  for (std::size_t k = 0; k < p.parts.size(); ++k) {
    const Pooling::Part& part = p.parts[k];
    for (Index c = 0; c < part.channels; ++c) {
      T sum = 0;
      for (Index n = at; n < at + some; ++n) sum += x[k][p.height / 2 * part.row + n * part.column + c];
      near[static_cast<std::size_t>(part.first + c)] = sum / static_cast<T>(some);
    }
  }
  ChannelSums sums(batch, p.channels);
  for_each(sums.groups, threads, [&](Index group) {
    double *sum_row = sums.first.data() + group * sums.wide, *square_row = sums.second.data() + group * sums.wide;
    for (Index image = batch * group / sums.groups; image < batch * (group + 1) / sums.groups; ++image)
      for (std::size_t k = 0; k < p.parts.size(); ++k)
        for (Index r = 0; r < p.height; ++r) {
          const Pooling::Part& part = p.parts[k];
          const T* row = x[k] + image * part.image + r * part.row;
          in_pieces(p.width, part.channels, [&](Index start, Index pixels, Index c, Index count) __attribute__((always_inline)) {
            const Vector<T> middle = load_some(near.data() + part.first + c, count);
            const T* in = row + start * part.column + c;
            Vector<T> sum = {}, square = {};
            for (Index n = 0; n < pixels; ++n, in += part.column) {
              const Vector<T> d = load_some(in, count) - middle;
              sum += d;
              square += d * d;
            }
            add_double<T>(sum_row + part.first + c, sum);
            add_double<T>(square_row + part.first + c, square);
          });
        }
  });
  sums.total(sums.first, mean);
  sums.total(sums.second, variance);
  const double values = static_cast<double>(batch * p.pixels());
  for (Index c = 0; c < p.channels; ++c) {
    mean[c] /= values;
    variance[c] = std::max(0.0, variance[c] / values - mean[c] * mean[c]);
    mean[c] += static_cast<double>(near[static_cast<std::size_t>(c)]);
  }
}

// Positive parts of normed maps; where they are is a code.
template <class T, bool NORM>
void rectify_image(const Samples& p, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, Index image) {
  typedef typename CodesOf<T>::number Number;
  for (std::size_t k = 0; k < p.parts.size(); ++k)
    for (Index r = 0; r < p.height; ++r) {
      const Pooling::Part& part = p.parts[k];
      const T* in = x[k] + image * part.image + r * part.row;
      Index at = (image * p.pixels() + r * p.width) * p.channels + part.first;
      for (Index n = 0; n < p.width; ++n, in += part.column, at += p.channels)
        for_vectors(part.channels, [&](Index c, Index count) __attribute__((always_inline)) {
          Vector<T> v = load_some(in + c, count);
          if (NORM) v = v * load_some(scale + part.first + c, count) + load_some(shift + part.first + c, count);
          const Codes<T> is_kept = (v > Vector<T>{}) | (v != v);  // whatever is no number stays
          store_some(out + at + c, is_kept ? v : Vector<T>{}, count);
          if (codes != nullptr) store_codes<T>(codes + at + c, is_kept ? Codes<T>{} : Codes<T>{} + static_cast<Number>(NOTHING), count);
        });
    }
}

template <class T>
void sample_forward(const Index* numbers, const T* const* x, const T* scale, const T* shift, T* out, std::uint8_t* codes, Index batch,
                    Index threads) {
  const Samples p(numbers);
  for_each(batch, threads, [&](Index image) {
    if (scale != nullptr) rectify_image<T, true>(p, x, scale, shift, out, codes, image);
    else rectify_image<T, false>(p, x, scale, shift, out, codes, image);
  });
}

template <class T> inline Vector<T> reached(const T* gradient, const std::uint8_t* codes, Index count) {
  const Vector<T> g = load_some(gradient, count);
  return load_codes<T>(codes, count) == Codes<T>{} ? g : Vector<T>{};
}

// Per channel, sums of the gradients that reach a sample, and of their products with these samples.
template <class T>
void sample_sums(const Index* numbers, const T* const* x, const T* gradient, const std::uint8_t* codes, double* sums, double* products,
                 Index batch, Index threads) {
  const Samples p(numbers);
  ChannelSums found(batch, p.channels);
  for_each(found.groups, threads, [&](Index group) {
    double *sum_row = found.first.data() + group * found.wide, *product_row = found.second.data() + group * found.wide;
    for (Index image = batch * group / found.groups; image < batch * (group + 1) / found.groups; ++image)
      for (std::size_t k = 0; k < p.parts.size(); ++k)
        for (Index r = 0; r < p.height; ++r) {
          const Pooling::Part& part = p.parts[k];
          const T* row = x[k] + image * part.image + r * part.row;
          const T* g = gradient + image * p.image + r * p.row + part.first;
          const Index first = (image * p.pixels() + r * p.width) * p.channels + part.first;
          in_pieces(p.width, part.channels, [&](Index start, Index pixels, Index c, Index count) __attribute__((always_inline)) {
            Vector<T> sum = {}, product = {};
            for (Index n = start; n < start + pixels; ++n) {
              const Index at = first + n * p.channels + c;
              const Vector<T> d = reached(g + n * p.column + c, codes + at, count);
              sum += d;
              product += d * load_some(row + n * part.column + c, count);
            }
            add_double<T>(sum_row + part.first + c, sum);
            add_double<T>(product_row + part.first + c, product);
          });
        }
  });
  found.total(found.first, sums);
  found.total(found.second, products);
}

// Gradients of the maps, as `pool_backward` gives them.
template <class T, bool NORM>
void unrectify_image(const Samples& p, const T* const* x, const T* gradient, const std::uint8_t* codes, const T* coefficients,
                     T* const* of_x, Index image) {
  for (std::size_t k = 0; k < p.parts.size(); ++k)
    for (Index r = 0; r < p.height; ++r) {
      const Pooling::Part& part = p.parts[k];
      const T* in = NORM ? x[k] + image * part.image + r * part.row : nullptr;
      const T *g = gradient + image * p.image + r * p.row + part.first, *of_part = NORM ? coefficients + part.first : nullptr;
      const std::uint8_t* code = codes + (image * p.pixels() + r * p.width) * p.channels + part.first;
      T* out = of_x[k] + (image * p.pixels() + r * p.width) * part.channels;
      for (Index n = 0; n < p.width; ++n)
        for_vectors(part.channels, [&](Index c, Index count) __attribute__((always_inline)) {
          Vector<T> d = reached(g + n * p.column + c, code + n * p.channels + c, count);
          if (NORM)
            d = load_some(of_part + c, count) * d + load_some(of_part + 2 * p.channels + c, count) +
                load_some(of_part + p.channels + c, count) * load_some(in + n * part.column + c, count);
          store_some(out + n * part.channels + c, d, count);
        });
    }
}

template <class T>
void sample_backward(const Index* numbers, const T* const* x, const T* gradient, const std::uint8_t* codes, const T* coefficients,
                     T* const* of_x, Index batch, Index threads) {
  const Samples p(numbers);
  for_each(batch, threads, [&](Index image) {
    if (coefficients != nullptr) unrectify_image<T, true>(p, x, gradient, codes, coefficients, of_x, image);
    else unrectify_image<T, false>(p, x, gradient, codes, coefficients, of_x, image);
  });
}

}  // namespace

#define WAVETWIN_STATISTICS(T, NAME)                                                                                       \
  extern "C" void wavetwin_sample_statistics_##NAME(                                                                       \
      const Index* numbers, const T* const* x, double* mean, double* variance, Index batch, Index threads) {               \
    sample_statistics<T>(numbers, x, mean, variance, batch, threads);                                                      \
  }

WAVETWIN_STATISTICS(float, float32)
WAVETWIN_STATISTICS(double, float64)
WAVETWIN_POOLING(sample, float, float32)
WAVETWIN_POOLING(sample, double, float64)
