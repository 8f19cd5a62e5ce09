"""Wavelet transforms of images as PyTorch modules, for anybody's model; torch is all they need.

docs/transforms.md has a table from the names of pytorch_wavelets, kymatio, dtcwt and PyWavelets to
these. Filters are constants (buffers outside of the state dict, exact in float64), nothing is written
by hand that torch can differentiate, trace and compile.
"""

from wavetwin.transforms.dwt import DWT2d, IDWT2d, WaveletCoefficients

__all__ = ["DWT2d", "IDWT2d", "WaveletCoefficients"]
