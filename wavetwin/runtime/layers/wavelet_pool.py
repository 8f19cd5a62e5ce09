"""Pool by a wavelet bank: any bands of its last level, at any gain, fixed or learned."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.ir.operations import BAND_MAPS
from wavetwin.ir.wavelet_taps import WaveletTaps, wavelet_taps
from wavetwin.runtime.bank.native.pooling import native_blur
from wavetwin.runtime.bank.native.windows import EACH, Blur, is_for_kernel
from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.modulus import smooth_norm
from wavetwin.runtime.layers.pieces import keep_layout
from wavetwin.runtime.wavelets.extension import check_mode
from wavetwin.runtime.wavelets.filtering import (
    AnalysedSide,
    analyse,
    analysis_filters,
    band_gains,
)
from wavetwin.runtime.wavelets.lattice import free_angles, lattice_filters

NORMALISATIONS = ("orthonormal", "dc", "unit_variance")
"""How bands are scaled."""


class WaveletPool2d(ByKernel, ConstantBuffers):
    """Splits each channel `levels` times by a wavelet bank and keeps bands of the last level.

    `(batch, channels, height, width)` to `(batch, maps, out_height, out_width)`, maps band by band,
    as the twins' layers order them: all channels' approximation first. Details of the levels before
    the last are dropped.

    Args:
        wavelet: a discrete wavelet's name in PyWavelets, or taps of one's own.
        bands: `ll`, the approximation, alone and without arithmetic for the others (channels maps);
            `all`, approximation, horizontal, vertical, diagonal detail (4 channels; of one level and
            an orthogonal wavelet lossless); `mix`, a learned 1x1 map of all of them (channels), which
            begins as the mean of a window; `modulus`, the approximation and the smooth absolute value
            of each detail (4 channels); `energy`, the approximation and the root of the details'
            summed squares (2 channels).
        levels: how often maps are halved.
        normalise: `dc`, so that the approximation of a constant is that constant (PyWavelets' bands
            over 2 a level); `orthonormal`, PyWavelets' own; `unit_variance`, so that every band of
            white noise has its variance.
        mode: a name of `wavetwin.ir.wavelets.BOUNDARY_MODES`.
        size: `half` gives ceil(n / 2) samples a level, PyWavelets' bands cut evenly on both sides;
            `full` all of them, (n + taps - 1) // 2. The same for `periodization`.
        learn: `lattice` makes the wavelet's angles parameters: whatever they become, the bank is
            orthogonal, the approximation of a constant is constant and its details are 0.
        channels: of the maps, needed by `mix` alone.
        groups: of `mix`: 1, or `channels` for a mix of each channel's own bands.
        bias: how smooth `modulus` and `energy` are: sqrt(x^2 + bias^2) - bias.

    Raises:
        ValueError: an argument is out of range, or the wavelet no lattice.
    """

    filters: Tensor
    scales: Tensor
    angles: nn.Parameter
    weight: nn.Parameter

    def __init__(
        self,
        wavelet: str | WaveletTaps = "haar",
        bands: str = "ll",
        levels: int = 1,
        normalise: str = "dc",
        mode: str = "periodization",
        size: str = "half",
        learn: str | None = None,
        channels: int | None = None,
        groups: int = 1,
        bias: float = 1e-2,
    ) -> None:
        super().__init__()
        _check_choice("bands", bands, tuple(BAND_MAPS))
        _check_choice("normalise", normalise, NORMALISATIONS)
        _check_choice("size", size, ("half", "full"))
        if learn not in (None, "lattice"):
            raise ValueError(f"learn {learn!r}: None or 'lattice'")
        check_mode(mode)
        if levels < 1:
            raise ValueError(f"{levels} levels: 1 or more are needed")
        if bands in ("modulus", "energy") and not bias > 0:
            raise ValueError(f"bias {bias}: a positive number is needed")
        self.wavelet = wavelet
        self.bands = bands
        self.levels = levels
        self.normalise = normalise
        self.mode = mode
        self.size = size
        self.learn = learn
        self.bias = bias
        self.groups = groups
        taps = wavelet_taps(wavelet) if isinstance(wavelet, str) else wavelet
        filters = analysis_filters(taps)
        if bands == "ll":
            filters = filters[:1]
        gains = band_gains(analysis_filters(taps), levels, normalise)
        self._sides = tuple(
            AnalysedSide(tuple(row.tolist()), mode, size == "half")
            for row in (filters[0], *(filters * gains[: len(filters), None]))
        )
        self.register_constant("scales", gains[: len(filters)].unsqueeze(1))
        if learn is None:
            self.register_constant("filters", filters)
        else:
            self.register_constant("start", free_angles(taps))
            self.angles = nn.Parameter(torch.empty_like(self.get_buffer("start")))
        if bands == "mix":
            if channels is None or channels < 1 or groups not in (1, channels):
                raise ValueError(f"mix of {channels} channels in {groups} groups: 1 or channels")
            self.weight = nn.Parameter(torch.empty(channels, 4 * channels // groups, 1, 1))
            # Gain of a constant through all levels, which the mix begins by undoing.
            low = float(analysis_filters(taps)[0].sum())
            self._mean = 1 / (low ** (2 * levels) * float(gains[0]) ** 2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the angles to the wavelet's and the mix to the mean of a window."""
        with torch.no_grad():
            if self.learn is not None:
                self.angles.copy_(self.get_buffer("start"))
            if self.bands == "mix":
                channels = self.weight.shape[0]
                own = torch.arange(channels) if self.groups == 1 else torch.zeros(channels).long()
                self.weight.zero_()
                self.weight[torch.arange(channels), 4 * own] = self._mean

    def bank(self) -> Float[Tensor, "filters taps"]:
        """Return the filters in use, of PyWavelets' gain: the low-pass, and the high-pass if needed."""
        if self.learn is None:
            return self.filters
        with torch.autocast(self.angles.device.type, enabled=False):
            return lattice_filters(self.angles)[: len(self.scales)]

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch maps out_height out_width"]:
        """Return the pooled maps."""
        if self.native and self.learn is None and is_for_kernel((x,), EACH):
            bands = self._analyse_natively(x)
        else:
            bands = rounded_once(self._analyse, x, self.bank())
        return keep_layout(x, self._combine(bands))

    def _analyse(self, x: Tensor, filters: Tensor) -> Tensor:
        is_half = self.size == "half"
        for _ in range(self.levels - 1):
            x = analyse(x, filters[:1], self.mode, is_half)[:, :, 0]
        return analyse(x, filters * self.scales, self.mode, is_half)

    def _analyse_natively(self, x: Tensor) -> Tensor:
        before, *last = self._sides
        for _ in range(self.levels - 1):
            x = native_blur(x, Blur(before, before))
        bands = [native_blur(x, Blur(rows, columns)) for columns in last for rows in last]
        whole = bands[0] if len(bands) == 1 else torch.cat(bands, 1)
        return whole.unflatten(1, (len(bands), -1)).transpose(1, 2)

    def _combine(self, bands: Tensor) -> Tensor:
        """Return the maps of (batch, channels, bands, height, width)."""
        if self.bands == "mix":
            return F.conv2d(bands.flatten(1, 2), self.weight, groups=self.groups)
        if self.bands in ("ll", "all"):
            return bands.transpose(1, 2).flatten(1, 2)
        low, *details = bands.unbind(2)
        if self.bands == "energy":
            return torch.cat((low, smooth_norm(details, self.bias)), 1)
        return torch.cat((low, *(smooth_norm((detail,), self.bias) for detail in details)), 1)

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        name = self.wavelet if isinstance(self.wavelet, str) else "given taps"
        learn = f", learn={self.learn!r}" if self.learn else ""
        return (
            f"{name}, bands={self.bands!r}, levels={self.levels}, normalise={self.normalise!r}, "
            f"mode={self.mode!r}, size={self.size!r}{learn}"
        )


def _check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{argument} {value!r}: one of {', '.join(choices)}")
