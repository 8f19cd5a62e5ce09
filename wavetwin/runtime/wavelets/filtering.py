"""Apply a two-channel wavelet bank to images: analysis, synthesis, both without decimation, too.

Bands of one level are on one dimension of four, vertical filter first: approximation (low, low),
horizontal detail (high, low), vertical detail (low, high), diagonal detail (high, high), which is
PyWavelets' cA, cH, cV, cD. Filters are a tensor of two rows, low-pass and high-pass, in the type of
the maps, and are convolved: `y[k] = sum_j f[j] x[2k + 1 - j]`; for `periodization` alone
`sum_j f[j] x[(2k + taps / 2 - j) mod m]`, m the even length.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.ir.wavelet_taps import WaveletTaps
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.wavelets.extension import extend


def analysis_filters(taps: WaveletTaps) -> Float[Tensor, "2 taps"]:
    """Return a wavelet's low-pass and high-pass filter of analysis, float64 on the CPU."""
    return torch.tensor([taps.analysis_low, taps.analysis_high], dtype=torch.float64, device="cpu")


def synthesis_filters(taps: WaveletTaps) -> Float[Tensor, "2 taps"]:
    """Return a wavelet's low-pass and high-pass filter of synthesis, float64 on the CPU."""
    rows = [taps.synthesis_low, taps.synthesis_high]
    return torch.tensor(rows, dtype=torch.float64, device="cpu")


def analyse(
    x: Float[Tensor, "batch channels height width"],
    filters: Float[Tensor, "filters taps"],
    mode: str,
    is_half: bool = False,
) -> Float[Tensor, "batch channels bands out_height out_width"]:
    """Return the four bands of one level, or of one filter the approximation alone.

    Args:
        x: the maps.
        filters: of analysis: both, or the low-pass alone.
        mode: a boundary mode.
        is_half: whether bands have ceil(n / 2) samples, cut evenly on both sides of the
            (n + taps - 1) // 2 that PyWavelets gives; needs no more arithmetic than it returns.
    """
    before, after = _margins(filters.shape[1], mode, is_half)
    kernel = filters.flip(1).unsqueeze(1)
    batch, channels = x.shape[:2]
    maps = extend(x.flatten(0, 1).unsqueeze(1), 3, before, after, mode)
    maps = F.conv2d(maps, kernel.unsqueeze(2), stride=(1, 2)).flatten(0, 1).unsqueeze(1)
    maps = F.conv2d(extend(maps, 2, before, after, mode), kernel.unsqueeze(3), stride=(2, 1))
    return maps.reshape(batch, channels, kernel.shape[0] ** 2, *maps.shape[2:])


@dataclass(frozen=True)
class AnalysedSide:
    """A side of a map, filtered and halved as `analyse` does with one filter."""

    taps: tuple[float, ...]
    mode: str
    is_half: bool

    def __call__(self, length: int) -> Float[Tensor, "kept length"]:
        """Return what the kept samples are sums of, float64."""
        before, after = _margins(len(self.taps), self.mode, self.is_half)
        samples = extend(torch.eye(length, dtype=torch.float64), 0, before, after, self.mode)
        kernel = torch.tensor(self.taps, dtype=torch.float64).flip(0).view(1, 1, -1)
        return F.conv1d(samples.t().unsqueeze(1), kernel, stride=2)[:, 0].t()


def synthesise(
    bands: Float[Tensor, "batch channels 4 height width"],
    filters: Float[Tensor, "2 taps"],
    mode: str,
) -> Float[Tensor, "batch channels out_height out_width"]:
    """Return the maps of which `analyse` made these bands, one line more where they were odd.

    Args:
        bands: all that `analyse` returns, not cut.
        filters: of synthesis.
        mode: the boundary mode of the analysis; it matters for `periodization` alone.
    """
    batch, channels = bands.shape[:2]
    maps = bands.reshape(-1, 2, *bands.shape[3:])
    maps = _synthesise_axis(maps, filters, mode, 2)
    maps = _synthesise_axis(maps.reshape(-1, 2, *maps.shape[2:]), filters, mode, 3)
    return maps.reshape(batch, channels, *maps.shape[2:])


def analyse_undecimated(
    x: Float[Tensor, "batch channels height width"],
    filters: Float[Tensor, "2 taps"],
    dilation: int,
) -> Float[Tensor, "batch channels 4 height width"]:
    """Return one level's four bands at every sample; maps are periodic.

    Args:
        x: the maps, of any size.
        filters: of analysis.
        dilation: step between taps, 2**(level - 1).
    """
    reach = filters.shape[1] // 2 * dilation
    before, after = reach - dilation, reach
    kernel = filters.flip(1).unsqueeze(1)
    batch, channels = x.shape[:2]
    maps = extend(x.flatten(0, 1).unsqueeze(1), 3, before, after, "periodic")
    maps = F.conv2d(maps, kernel.unsqueeze(2), dilation=(1, dilation)).flatten(0, 1).unsqueeze(1)
    maps = extend(maps, 2, before, after, "periodic")
    maps = F.conv2d(maps, kernel.unsqueeze(3), dilation=(dilation, 1))
    return maps.reshape(batch, channels, 4, *maps.shape[2:])


def synthesise_undecimated(
    bands: Float[Tensor, "batch channels 4 height width"],
    filters: Float[Tensor, "2 taps"],
    dilation: int,
) -> Float[Tensor, "batch channels height width"]:
    """Return the maps of which `analyse_undecimated` made these bands.

    Undecimated bands are redundant: the mean of the reconstructions from even and from odd samples,
    which PyWavelets takes.
    """
    reach = filters.shape[1] // 2 * dilation
    before, after = reach, reach - dilation
    kernel = filters.flip(1).unsqueeze(0) / 2
    batch, channels = bands.shape[:2]
    maps = bands.reshape(-1, 2, *bands.shape[3:])
    maps = F.conv2d(
        extend(maps, 2, before, after, "periodic"), kernel.unsqueeze(3), dilation=(dilation, 1)
    )
    maps = extend(maps.reshape(-1, 2, *maps.shape[2:]), 3, before, after, "periodic")
    maps = F.conv2d(maps, kernel.unsqueeze(2), dilation=(1, dilation))
    return maps.reshape(batch, channels, *maps.shape[2:])


def band_gains(
    filters: Float[Tensor, "2 taps"], levels: int, normalise: str
) -> Float[Tensor, " 2"]:
    """Return what the last level's low-pass and high-pass are multiplied by, in each direction.

    Args:
        filters: of analysis, float64.
        levels: how often the approximation is split with PyWavelets' gain before and by them.
        normalise: `orthonormal`, `dc` (a low-pass of sum sqrt(2) has gain 1 through all levels), or
            `unit_variance` (white noise keeps its variance in every band).
    """
    if normalise == "orthonormal":
        return filters.new_ones(2)
    if normalise == "dc":
        return filters.new_full((2,), 2 ** (-levels / 2))
    before = filters.new_ones(1)
    for level in range(levels - 1):
        before = _cascade(before, filters[0], 2**level)
    whole = [_cascade(before, row, 2 ** (levels - 1)) for row in filters]
    return torch.stack([1 / row.norm() for row in whole])


def _cascade(first: Tensor, second: Tensor, step: int) -> Tensor:
    """Return the filter that filters by `first`, then by `second` at every `step`-th sample."""
    spread = second.new_zeros(step * (len(second) - 1) + 1)
    spread[::step] = second
    padding = len(spread) - 1
    return F.conv1d(first.view(1, 1, -1), spread.flip(0).view(1, 1, -1), padding=padding).flatten()


def crop(x: Tensor, height: int, width: int, top: int = 0, left: int = 0) -> Tensor:
    """Return `height` rows and `width` columns of maps, from row `top` and column `left` on."""
    if not torch.compiler.is_compiling():
        return x[:, :, top : top + height, left : left + width]
    # A slice asks whether anything is cut, and a trace would hold for that answer only.
    rows = torch.arange(height, device=x.device) + top
    columns = torch.arange(width, device=x.device) + left
    return x.index_select(2, rows).index_select(3, columns)


def _margins(num_taps: int, mode: str, is_half: bool) -> tuple[int, int]:
    """Return the samples to add before and after.

    With one more after than an even length needs, the convolution's own floor gives both parities.
    """
    if mode == "periodization":
        return num_taps // 2 - 1, num_taps // 2
    cut = (num_taps // 2 - 1) // 2
    return (num_taps - 2 - 2 * cut, 2 * cut + 1) if is_half else (num_taps - 2, num_taps - 1)


def _synthesise_axis(bands: Tensor, filters: Tensor, mode: str, dim: int) -> Tensor:
    """Join a low and a high band, (images, 2, height, width), along one axis: (images, 1, ...)."""
    num_taps = filters.shape[1]
    if mode == "periodization":
        margin = num_taps // 4
        bands = extend(bands, dim, margin, margin, "periodic")
        crop = num_taps // 2 - 1 + 2 * margin
    else:
        crop = num_taps - 2
    kernel = filters.unsqueeze(1)
    if dim == 3:
        return F.conv_transpose2d(bands, kernel.unsqueeze(2), stride=(1, 2), padding=(0, crop))
    return F.conv_transpose2d(bands, kernel.unsqueeze(3), stride=(2, 1), padding=(crop, 0))
