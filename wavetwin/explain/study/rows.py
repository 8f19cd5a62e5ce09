"""Hold a study's tables: all numbers for CSV, and summaries of many of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavetwin.runtime.bank.shapes import Float

__all__ = ["Table", "Value", "quantiles", "rank_correlation"]

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns."""

    name: str
    """Of its file, without the ending."""
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def csv(self) -> str:
        """Return the table as CSV: a header, then the rows, numbers with all their digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()

    def as_text(self, digits: int = 3) -> list[list[str]]:
        """Return header and rows for people, fractions with so many digits."""
        return [list(self.columns), *([_text(v, digits) for v in row] for row in self.rows)]


def quantiles(values: Float[Tensor, " values"], shares: Sequence[float]) -> list[float]:
    """Return quantiles, interpolated between the values beside them."""
    wanted = torch.tensor(shares, dtype=values.dtype, device=values.device)
    return torch.quantile(values, wanted).tolist()


def rank_correlation(first: Float[Tensor, " values"], second: Float[Tensor, " values"]) -> float:
    """Return Spearman's rank correlation; values that agree to nine digits share their mean rank.

    Both halves of the dual tree mirror each other: what should be equal differs by rounding. NaN
    where one of both is constant.
    """
    ranks = torch.stack([_ranks(first), _ranks(second)])
    centred = ranks - ranks.mean(1, keepdim=True)
    norms = centred.norm(dim=1)
    return float(centred[0] @ centred[1] / (norms[0] * norms[1]))


def _ranks(values: Tensor) -> Tensor:
    rounded = torch.tensor([float(f"{value:.9g}") for value in values.tolist()]).double()
    _, group, counts = torch.unique(rounded, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts.double() - 1) / 2)[group]


def _text(value: Value, digits: int) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return (
            f"{value:z.{digits}f}"
            if abs(value) >= 10 ** (1 - digits) or value == 0
            else f"{value:.2g}"
        )
    return str(value)
