// wavetwin's native kernel, one translation unit of these parts:
//
//   packets.h   mixed dual-tree wavelet packets of images, and the adjoint
//   lattice.h   its splits, by rotations
//   level1.h    one level of the dual tree: a smoothed map and six moduli
//   splits.h    its splits, by filters
//   pooling.h   batch norm, positive part and maximum
//   blurring.h  the same, and a blur after it
//   samples.h   the same of each sample alone, and the statistics of batch norms
//   vectors.h   vectors of 8 numbers, memory and threads, for all
//
// Each exports C functions, for float and double; wavetwin/runtime/bank/native calls them by ctypes.

#include "blurring.h"
#include "level1.h"
#include "packets.h"
#include "pooling.h"
#include "samples.h"

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
