"""Transform images by wavelets, as PyTorch modules for anybody's model; torch is all they need.

docs/transforms.md has a table from the names of pytorch_wavelets, kymatio, dtcwt and PyWavelets to
these. Filters are constants (buffers outside of the state dict, exact in float64), nothing is written
by hand that torch can differentiate, trace and compile.
"""

from wavetwin.runtime.layers.scattering import Scattering2d, ScatteringPath
from wavetwin.runtime.layers.wavelet_pool import WaveletPool2d
from wavetwin.runtime.layers.wavelet_unpool import WaveletUnpool2d
from wavetwin.transforms.blur import BlurPool2d
from wavetwin.transforms.dtcwt import DTCWT2d, DualTreeCoefficients, DualTreeParts, IDTCWT2d
from wavetwin.transforms.dwt import DWT2d, IDWT2d, WaveletCoefficients
from wavetwin.transforms.packets import DualTreePackets2d, IDualTreePackets2d
from wavetwin.transforms.swt import ISWT2d, SWT2d

__all__ = [
    "BlurPool2d",
    "DTCWT2d",
    "DWT2d",
    "DualTreeCoefficients",
    "DualTreePackets2d",
    "DualTreeParts",
    "IDTCWT2d",
    "IDWT2d",
    "IDualTreePackets2d",
    "ISWT2d",
    "SWT2d",
    "Scattering2d",
    "ScatteringPath",
    "WaveletCoefficients",
    "WaveletPool2d",
    "WaveletUnpool2d",
]
