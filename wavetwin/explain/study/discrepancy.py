"""Measure how far RMax and CMod are apart, filter by filter (figure 5 of arXiv:2209.11740's poster)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from wavetwin.explain.study.banks import ComplexBank
from wavetwin.explain.study.images import Batch, crop
from wavetwin.explain.study.operators import apply_operators, squared_norm
from wavetwin.explain.study.positions import PacketPosition
from wavetwin.explain.study.rows import Table, quantiles, rank_correlation
from wavetwin.explain.study.theory import expected_discrepancy, spectrum_discrepancy
from wavetwin.runtime.bank.shapes import Complex, Float
from wavetwin.runtime.process.errors import RunError

__all__ = ["Discrepancy", "measure_discrepancy", "ratio"]


@dataclass(frozen=True, eq=False)
class Discrepancy:
    """What one bank gave on all images."""

    label: str
    """Of the bank, in file names: `J2`."""
    stride: int
    """m, of the convolution before the maximum."""
    positions: tuple[PacketPosition, ...]
    per_image: Tensor
    """|RMax - CMod|^2 / |CMod|^2, (images, filters)."""
    theory: Tensor
    """gamma^2 at the centre of each filter's cell, (filters,)."""
    theory_of_spectrum: Tensor
    """gamma^2 averaged over each filter's energy, (filters,)."""

    @property
    def mean(self) -> Tensor:
        """Over the images, (filters,)."""
        return self.per_image.mean(0)

    def by_class(self) -> dict[tuple[int, int], float]:
        """Return the mean over the filters of each phase class, without the low-pass ones.

        See `PacketPlace.phase_class`. The low-pass filters see the mean grey level around them, of
        which the modulus makes nothing; they would hide their class.
        """
        groups: dict[tuple[int, int], list[float]] = {}
        for position, value in zip(self.positions, self.mean.tolist(), strict=True):
            if position.band > 0:
                groups.setdefault(position.phase_class(self.stride), []).append(value)
        return {key: sum(values) / len(values) for key, values in sorted(groups.items())}

    def table(self) -> Table:
        """Return a row a filter."""
        columns = (
            *POSITION_COLUMNS,
            "discrepancy",
            "root",
            "theory_at_centre",
            "theory_over_spectrum",
        )
        rows = tuple(
            (*position_cells(position), mean, mean**0.5, centre, spectrum)
            for position, mean, centre, spectrum in zip(
                self.positions,
                self.mean.tolist(),
                self.theory.tolist(),
                self.theory_of_spectrum.tolist(),
                strict=True,
            )
        )
        caption = f"Discrepancy of RMax and CMod, {self.label}, m = {self.stride}"
        return Table(f"discrepancy_{self.label}", caption, columns, rows)

    def figures(self) -> dict[str, float]:
        """Return what stands for all filters, by its label."""
        mean = self.mean
        low, median, high = quantiles(mean, (0.0, 0.5, 1.0))
        classes = {
            f"mean of class ({first}, {second})": value
            for (first, second), value in self.by_class().items()
        }
        passing = passes_band(self.positions)
        return {
            "median": median,
            "least": low,
            "largest": high,
            "median of the root": float(mean.sqrt().median()),
            **classes,
            "mean of the low-pass filters": float(mean[~passing].mean()),
            "median of theory over the spectrum": float(self.theory_of_spectrum.median()),
            "rank correlation with it, without low-pass": rank_correlation(
                mean[passing], self.theory_of_spectrum[passing]
            ),
        }


POSITION_COLUMNS = (
    "filter",
    "orientation_degrees",
    "dyadic_band",
    "vertical_cell",
    "horizontal_cell",
    "vertical_frequency_rad_per_px",
    "horizontal_frequency_rad_per_px",
    "vertical_centroid_rad_per_px",
    "horizontal_centroid_rad_per_px",
)
"""Of every table with a row a filter; frequencies in radians a pixel, as everywhere."""


def position_cells(position: PacketPosition) -> tuple[int | float, ...]:
    """Return a filter's entries in `POSITION_COLUMNS`."""
    return (
        position.number,
        position.orientation,
        position.band,
        *position.cell,
        *position.centre,
        *position.centroid,
    )


def passes_band(positions: tuple[PacketPosition, ...]) -> Tensor:
    """Return for each filter whether it is no low-pass one, (filters,)."""
    return torch.tensor([position.band > 0 for position in positions])


def measure_discrepancy(
    bank: ComplexBank,
    kernels: Complex[Tensor, "filters height width"],
    positions: tuple[PacketPosition, ...],
    batches: Iterable[Batch],
    *,
    label: str,
    border: int,
) -> Discrepancy:
    """Return the discrepancies of a bank's filters.

    Args:
        bank: the filters, at the stride of the convolution.
        kernels: the same filters, for theory.
        positions: of the filters; theory at the centre is that of their cells.
        batches: the images.
        label: of the bank, for file names.
        border: output samples that are cut off on every side.

    Raises:
        RunError: an image has nothing at the frequencies of some filter.
    """
    found: list[Tensor] = []
    with torch.no_grad():
        for batch in batches:
            outputs = apply_operators(bank, crop(batch.windows), border)
            found.append(ratio(outputs.rmax - outputs.cmod, outputs.cmod, batch.names))
    centres = torch.tensor(
        [position.centre for position in positions], dtype=torch.float64
    ).reshape(-1, 2)
    return Discrepancy(
        label=label,
        stride=bank.stride,
        positions=positions,
        per_image=torch.cat(found).double().cpu(),
        theory=expected_discrepancy(centres * bank.stride),
        theory_of_spectrum=spectrum_discrepancy(kernels, bank.stride),
    )


def ratio(
    difference: Float[Tensor, "images filters height width"],
    reference: Float[Tensor, "images filters height width"],
    names: tuple[str, ...],
) -> Float[Tensor, "images filters"]:
    """Return |difference|^2 / |reference|^2 over the positions.

    Raises:
        RunError: a reference is nothing but rounding.
    """
    energy = squared_norm(reference)
    # Images are grey levels of 0 to 255, filters have a norm of about 1.
    rounding = (255 * 16 * torch.finfo(energy.dtype).eps) ** 2 * reference[0, 0].numel()
    if bool((energy <= rounding).any()):
        image, number = (energy <= rounding).nonzero()[0].tolist()
        raise RunError(
            "nothing-to-measure",
            f"the image {names[image]} has nothing at the frequencies of filter {number}",
            "leave it out of --images: it is flat, or was drawn",
        )
    return squared_norm(difference) / energy
