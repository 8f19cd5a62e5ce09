"""Measure how alike two banks of kernels are.

No definition is published: the poster "Sparsifying Convolutional Layers with Dual-Tree Wavelet Packets"
compares by eye. Here every kernel is cut to the window that
holds most of its energy, two kernels are as alike as the largest modulus of their inner product over
all shifts, and the banks are paired so that the pairs are as alike as can be.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.explain.study.kernel_measures import analytic_spectrum
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.packages import require

__all__ = [
    "MATCHED",
    "Similarity",
    "Windows",
    "best_windows",
    "compare_banks",
    "cross_similarity",
    "frequency_distance",
    "random_kernels",
]

MATCHED = 0.7
"""A pair counts as matched above this similarity."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Kernels cut to one size."""

    kernels: Tensor
    """(channels, side, side)."""
    energy_kept: Tensor
    """Share of each kernel's energy, (channels,)."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """The best pairing of two banks."""

    pairs: tuple[tuple[int, int, float], ...]
    """(first's channel, second's channel, similarity), by the first's channel; as many as the
    smaller bank has."""

    @property
    def values(self) -> Tensor:
        """Similarities of the pairs."""
        return torch.tensor([value for _, _, value in self.pairs], dtype=torch.float64)

    @property
    def mean(self) -> float:
        """Over the pairs."""
        return float(self.values.mean())

    @property
    def median(self) -> float:
        """Over the pairs."""
        return float(self.values.quantile(0.5))

    @property
    def matched_share(self) -> float:
        """Share of the pairs above `MATCHED`."""
        return float((self.values > MATCHED).double().mean())


def best_windows(kernels: Float[Tensor, "channels height width"] | Tensor, side: int) -> Windows:
    """Return each kernel's window of `side` x `side` taps with the largest energy.

    Kernels that are smaller are surrounded by zeros.

    Raises:
        RunError: a kernel is zero.
    """
    missing = [max(0, side - size) for size in kernels.shape[-2:]]
    padded = F.pad(
        kernels, (missing[1] // 2, -(-missing[1] // 2), missing[0] // 2, -(-missing[0] // 2))
    )
    energy = padded.abs().square()
    totals = energy.sum((1, 2))
    if bool((totals == 0).any()):
        raise RunError(
            "nothing-to-measure",
            f"the kernel of channel {int((totals == 0).nonzero()[0])} is zero: it is like nothing",
            "compare weights that were trained or initialised",
        )
    sums = F.avg_pool2d(energy.unsqueeze(1), side, stride=1)
    best = sums.flatten(1).argmax(1).tolist()
    cut: list[Tensor] = []
    for kernel, position in zip(padded, best, strict=True):
        top, left = divmod(position, sums.shape[-1])
        cut.append(kernel[top : top + side, left : left + side])
    windows = torch.stack(cut)
    return Windows(windows, windows.abs().square().sum((1, 2)) / totals)


def cross_similarity(first: Tensor, second: Tensor, *, ignore_phase: bool) -> Tensor:
    """Return the largest |<u, v>| over all whole shifts, (first's channels, second's channels).

    Kernels are scaled to norm 1. With real kernels 1 means equal up to sign, position and size; a pair
    a quarter of a wave apart is far from it. Where the phase is ignored, real kernels are first made
    analytic, and such a pair is alike.

    Args:
        first: (channels, height, width), real, or complex where a modulus follows.
        second: the same; of any size.
        ignore_phase: compare analytic kernels; else real ones, of complex kernels the real parts.
    """
    # Room for every shift of the one past the other.
    points = first.shape[1] + second.shape[1], first.shape[2] + second.shape[2]
    spectra = [_unit_spectrum(kernels, points, ignore_phase) for kernels in (first, second)]
    similarity = _largest_products(*spectra)
    if ignore_phase:
        # A kernel and its conjugate have the same modulus; the latter's spectrum is mirrored.
        mirrored = spectra[1].conj().flip((1, 2)).roll((1, 1), (1, 2))
        similarity = torch.maximum(similarity, _largest_products(spectra[0], mirrored))
    return similarity.clamp_max(1.0)


def compare_banks(first: Tensor, second: Tensor, *, ignore_phase: bool) -> Similarity:
    """Return the pairing of two banks with the largest sum of similarities (Hungarian method).

    Raises:
        RunError: SciPy, which finds it, is not installed.
    """
    similarity = cross_similarity(first, second, ignore_phase=ignore_phase)
    rows, columns = _optimise().linear_sum_assignment((1 - similarity).cpu().numpy())
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return Similarity(tuple((i, j, float(similarity[i, j])) for i, j in pairs))


def frequency_distance(
    first: Float[Tensor, "channels 2"], second: Float[Tensor, "others 2"]
) -> float:
    """Return the Wasserstein-1 distance of two clouds of frequencies, radians per pixel.

    Every frequency weighs the same within its cloud. A frequency and minus it are one, and
    frequencies 2 pi apart: the distance is the shortest way.

    Raises:
        RunError: SciPy is not installed.
    """
    cost = torch.minimum(_way(first, second), _way(first, -second)).double().cpu().numpy()
    rows, columns = cost.shape
    # Every point of either cloud is repeated until both have as many: transport is a pairing then.
    number = math.lcm(rows, columns)
    if number <= 1024:
        repeated = cost.repeat(number // rows, axis=0).repeat(number // columns, axis=1)
        chosen = _optimise().linear_sum_assignment(repeated)
        return float(repeated[chosen].mean())
    return _transport(cost)


def random_kernels(number: int, side: int, seed: int) -> Float[Tensor, "number side side"]:
    """Return kernels of independent normal weights: what chance alone gives."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, side, side, generator=generator, dtype=torch.float64)


def _way(first: Tensor, second: Tensor) -> Tensor:
    difference = first[:, None, :] - second[None, :, :]
    return (torch.remainder(difference + math.pi, 2 * math.pi) - math.pi).norm(dim=-1)


def _transport(cost: Any) -> float:
    """Return the least mean cost of moving one cloud to another of another size."""
    sparse = importlib.import_module("scipy.sparse")
    rows, columns = cost.shape
    leaving = sparse.kron(sparse.eye(rows), [[1.0] * columns])
    arriving = sparse.kron([[1.0] * rows], sparse.eye(columns))
    solved = _optimise().linprog(
        cost.ravel(),
        A_eq=sparse.vstack((leaving, arriving), format="csr"),
        b_eq=[1 / rows] * rows + [1 / columns] * columns,
        method="highs",
    )
    assert solved.success, solved.message
    return float(solved.fun)


def _largest_products(first: Tensor, second: Tensor) -> Tensor:
    """Return the largest modulus of the inner products over all shifts, from the spectra."""
    rows = [torch.fft.ifft2(one.conj() * second).abs().flatten(1).amax(1) for one in first]
    return torch.stack(rows)


def _unit_spectrum(kernels: Tensor, points: tuple[int, int], ignore_phase: bool) -> Tensor:
    """Return the Fourier transforms of kernels scaled to norm 1."""
    if ignore_phase:
        spectra = analytic_spectrum(kernels, points)
    else:
        spectra = torch.fft.fft2(kernels.real if kernels.is_complex() else kernels, s=points)
    # By Parseval's theorem the mean of the squares is the sum of the kernel's.
    return spectra / spectra.abs().square().mean((1, 2), keepdim=True).sqrt()


def _optimise() -> Any:
    require("scipy", "pairing kernels")
    return importlib.import_module("scipy.optimize")
