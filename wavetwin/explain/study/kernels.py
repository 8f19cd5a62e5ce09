"""Measure how alike the kernels of two first layers are, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wavetwin.explain.study.first_layer import FirstLayer
from wavetwin.explain.study.kernel_measures import (
    KernelMeasures,
    measure_kernels,
    measures_table,
)
from wavetwin.explain.study.rows import Table
from wavetwin.explain.study.similarity import (
    MATCHED,
    Similarity,
    Windows,
    best_windows,
    compare_banks,
    frequency_distance,
    random_kernels,
)

__all__ = ["Comparison", "KernelStudy", "study_kernels"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The first bank beside one other."""

    name: str
    """Of the other bank."""
    by_phase: Similarity
    """Of real kernels: a quarter of a wave matters."""
    without_phase: Similarity
    """Of analytic kernels."""
    frequency_distance: float
    """Wasserstein-1 of the clouds of characteristic frequencies, radians per pixel."""
    energy_kept: float
    """Mean share of the other kernels' energy in their windows."""


@dataclass(frozen=True, eq=False)
class KernelStudy:
    """Two layers, and the first beside what it should differ from."""

    first: FirstLayer
    second: FirstLayer
    side: int
    """Taps of the windows in both directions."""
    comparisons: tuple[Comparison, ...]
    """With the second layer, then with the nulls."""
    measures: tuple[tuple[KernelMeasures, ...], tuple[KernelMeasures, ...]]
    """Of each layer's whole kernels."""
    first_energy_kept: float
    """Mean share of the first kernels' energy in their windows."""

    def tables(self) -> list[Table]:
        """Return the summary, the pairs, and the measures of both layers."""
        return [self.summary(), self._pairs(), *self._measures()]

    def summary(self) -> Table:
        """Return a row a comparison."""
        rows = tuple(
            (
                each.name,
                label,
                similarity.mean,
                similarity.median,
                similarity.matched_share,
                each.frequency_distance,
                each.energy_kept,
            )
            for each in self.comparisons
            for label, similarity in (
                ("real", each.by_phase),
                ("analytic", each.without_phase),
            )
        )
        columns = (
            "beside",
            "product",
            "mean",
            "median",
            f"share above {MATCHED}",
            "frequency distance, radians a pixel",
            "energy kept",
        )
        caption = f"Similarity to {self.first.name}, windows of {self.side} x {self.side}"
        return Table("similarity", caption, columns, rows)

    def _pairs(self) -> Table:
        main = self.comparisons[0]
        rows = tuple(
            (label, *pair)
            for label, similarity in (
                ("real", main.by_phase),
                ("analytic", main.without_phase),
            )
            for pair in similarity.pairs
        )
        caption = f"Pairs of {self.first.name} and {self.second.name}"
        return Table("pairs", caption, ("product", "first", "second", "similarity"), rows)

    def _measures(self) -> list[Table]:
        return [
            measures_table(f"kernels_{which}", f"Kernels of {layer.name}", measures)
            for which, layer, measures in zip(
                ("first", "second"), (self.first, self.second), self.measures, strict=True
            )
        ]


def study_kernels(
    first: FirstLayer,
    second: FirstLayer,
    untrained: Mapping[str, FirstLayer],
    *,
    side: int | None,
    seed: int,
) -> KernelStudy:
    """Compare two first layers, and the first with nulls.

    Args:
        first: the reference.
        second: the other layer.
        untrained: layers as training begins, by the name of the comparison.
        side: taps of the windows; None: the smaller one of the two layers' kernels.
        seed: of the random kernels, as many as the second layer has.

    Raises:
        RunError: a kernel is zero, or SciPy is not installed.
    """
    both = [layer.luminance for layer in (first, second)]
    side = side or min(max(kernels.shape[-2:]) for kernels in both)
    reference = best_windows(both[0], side)
    measures = tuple(
        tuple(measure_kernels(kernels, layer.stride))
        for kernels, layer in zip(both, (first, second), strict=True)
    )
    frequencies = _frequencies(measures[0])

    def compare(name: str, kernels: Tensor, other: Tensor) -> Comparison:
        cut = best_windows(kernels, side)
        return Comparison(
            name,
            compare_banks(reference.kernels, cut.kernels, ignore_phase=False),
            compare_banks(reference.kernels, cut.kernels, ignore_phase=True),
            frequency_distance(frequencies, other),
            _mean_kept(cut),
        )

    comparisons = [compare(second.name, both[1], _frequencies(measures[1]))]
    for name, layer in untrained.items():
        kernels = layer.luminance
        own = _frequencies(tuple(measure_kernels(kernels, layer.stride)))
        comparisons.append(compare(name, kernels, own))
    chance = random_kernels(len(both[1]), side, seed)
    own = _frequencies(tuple(measure_kernels(chance, first.stride)))
    comparisons.append(compare("random kernels", chance, own))
    return KernelStudy(
        first,
        second,
        side,
        tuple(comparisons),
        (measures[0], measures[1]),
        _mean_kept(reference),
    )


def _frequencies(measures: tuple[KernelMeasures, ...]) -> Tensor:
    """Return the characteristic frequencies, (channels, 2)."""
    return torch.tensor([each.frequency for each in measures], dtype=torch.float64)


def _mean_kept(windows: Windows) -> float:
    return float(windows.energy_kept.mean())
