"""Measure what a shift of the image does to RMax, CMod and plain subsampling (figure 6 of arXiv:2209.11740's poster)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wavetwin.explain.study.banks import ComplexBank
from wavetwin.explain.study.discrepancy import POSITION_COLUMNS, passes_band, position_cells, ratio
from wavetwin.explain.study.images import Batch, crop
from wavetwin.explain.study.operators import Outputs, apply_operators
from wavetwin.explain.study.positions import PacketPosition
from wavetwin.explain.study.rows import Table, quantiles, rank_correlation

__all__ = ["DIRECTIONS", "MEASURES", "Direction", "Stability", "measure_stability"]

Direction = Literal["horizontal", "vertical", "diagonal"]
DIRECTIONS: dict[str, tuple[int, int]] = {
    "horizontal": (0, 1),
    "vertical": (1, 0),
    "diagonal": (1, 1),
}
"""(down, right) of one pixel."""

MEASURES = {
    "rmax": "RMax",
    "cmod": "CMod",
    "plain": "plain subsampling",
    "rmax_by_cmod": "RMax, by CMod's norm",
    "plain_by_cmod": "plain subsampling, by CMod's norm",
}
"""What is measured: |F(T_q X) - F(X)|^2 over |F(X)|^2, or over |CMod(X)|^2."""


@dataclass(frozen=True, eq=False)
class Stability:
    """What one bank gave on all images."""

    label: str
    stride: int
    """m: the outputs have a sample every 2m pixels."""
    direction: Direction
    shifts: tuple[int, ...]
    """Pixels. From m on, the shifted image is nearer to another sample: CMod then moves, and max
    pooling, which looks around, changes more slowly."""
    positions: tuple[PacketPosition, ...]
    per_image: dict[tuple[str, int], Tensor]
    """By measure and shift, (images, filters)."""
    discrepancy: Tensor
    """Of RMax and CMod, mean over the images, (filters,)."""

    def mean(self, measure: str, shift: int) -> Tensor:
        """Return the mean over the images, (filters,)."""
        return self.per_image[measure, shift].mean(0)

    def table(self) -> Table:
        """Return a row a filter and shift."""
        rows = tuple(
            (*position_cells(position), shift, shift / (2 * self.stride), *values)
            for shift in self.shifts
            for position, *values in zip(
                self.positions,
                *(self.mean(measure, shift).tolist() for measure in MEASURES),
                strict=True,
            )
        )
        columns = (*POSITION_COLUMNS, "shift", "shift_by_2m", *MEASURES)
        caption = f"Change under {self.direction} shifts, {self.label}, m = {self.stride}"
        return Table(f"stability_{self.label}", caption, columns, rows)

    def summary(self) -> Table:
        """Return a row a shift and measure: median, 10 % and 90 % quantiles over the filters."""
        rows = tuple(
            (
                self.label,
                shift,
                shift / (2 * self.stride),
                caption,
                *quantiles(self.mean(measure, shift), (0.5, 0.1, 0.9)),
            )
            for shift in self.shifts
            for measure, caption in MEASURES.items()
        )
        columns = ("bank", "shift", "shift by 2m", "of", "median", "10 %", "90 %")
        caption = f"Over the filters, {self.direction} shifts in pixels"
        return Table(f"summary_{self.label}", caption, columns, rows)

    def figures(self) -> dict[str, float]:
        """Return what stands for all filters at the smallest shift, by its label."""
        first, passing = self.shifts[0], passes_band(self.positions)
        return {
            f"rank correlation of RMax at {first} px with the discrepancy, without low-pass": (
                rank_correlation(self.mean("rmax", first)[passing], self.discrepancy[passing])
            )
        }


def measure_stability(
    bank: ComplexBank,
    positions: tuple[PacketPosition, ...],
    batches: Iterable[Batch],
    *,
    label: str,
    direction: Direction,
    shifts: Sequence[int],
    border: int,
) -> Stability:
    """Return what shifts change; arguments as those of `measure_discrepancy`.

    Raises:
        RunError: an image has nothing at the frequencies of some filter.
    """
    found: dict[tuple[str, int], list[Tensor]] = {
        (measure, shift): [] for shift in shifts for measure in MEASURES
    }
    discrepancies: list[Tensor] = []
    down, right = DIRECTIONS[direction]
    with torch.no_grad():
        for batch in batches:
            still = apply_operators(bank, crop(batch.windows), border)
            discrepancies.append(ratio(still.rmax - still.cmod, still.cmod, batch.names))
            for shift in shifts:
                images = crop(batch.windows, (shift * down, shift * right))
                moved = apply_operators(bank, images, border)
                for measure, values in _changes(still, moved, batch.names).items():
                    found[measure, shift].append(values)
    return Stability(
        label=label,
        stride=bank.stride,
        direction=direction,
        shifts=tuple(shifts),
        positions=positions,
        per_image={key: torch.cat(values).double().cpu() for key, values in found.items()},
        discrepancy=torch.cat(discrepancies).double().cpu().mean(0),
    )


def _changes(still: Outputs, moved: Outputs, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return each of `MEASURES`, (images, filters)."""
    return {
        "rmax": ratio(moved.rmax - still.rmax, still.rmax, names),
        "cmod": ratio(moved.cmod - still.cmod, still.cmod, names),
        "plain": ratio(moved.plain - still.plain, still.plain, names),
        "rmax_by_cmod": ratio(moved.rmax - still.rmax, still.cmod, names),
        "plain_by_cmod": ratio(moved.plain - still.plain, still.cmod, names),
    }
