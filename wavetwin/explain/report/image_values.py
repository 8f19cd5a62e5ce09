"""Read the per-image values of a score, for intervals over images and for pairs of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wavetwin.explain.report.figures import Form
from wavetwin.explain.report.runs import Record, Run, entry_of
from wavetwin.ir.evaluations import Shifts
from wavetwin.runtime.evaluation.metrics import flip_shares
from wavetwin.runtime.process.errors import RunError

__all__ = ["ImageValues", "image_values"]


@dataclass(frozen=True)
class ImageValues:
    """The scores of one entry, image by image."""

    positions: Tensor
    """Places in the split, (images,); so are the labels."""
    labels: Tensor
    values: Mapping[str, Tensor]
    """By the measure's name, float64 (images,)."""
    forms: Mapping[str, Form]


def image_values(run: Run, record: Record) -> ImageValues | None:
    """Return an entry's per-image scores; None where the entry keeps none.

    Raises:
        RunError: the file of the entry's predictions is missing or damaged.
    """
    name = record.get("predictions")
    if name is None:
        return None
    file = run.folder / name
    try:
        table = load_file(file)
        return _of_table(table, record)
    except (OSError, SafetensorError, KeyError) as error:
        raise RunError(
            "file-damaged",
            f"cannot be read: {error}",
            "evaluate again with evaluate.py --again",
            subject=file,
        ) from error


def _of_table(table: Mapping[str, Tensor], record: Record) -> ImageValues:
    entry = entry_of(record)
    values: dict[str, Tensor] = {}
    forms: dict[str, Form] = {}
    if isinstance(entry, Shifts) and not entry.measure.compares_steps:
        _, rows, columns = table["kl"].shape
        for moves in range(1, max(rows, columns)):
            # Of a grid, the diagonal.
            position = table["kl"][:, min(moves, rows - 1), min(moves, columns - 1)]
            name = f"KL at {moves / entry.pixel_divide:g} px"
            values[name], forms[name] = position.double(), "number"
    elif isinstance(entry, Shifts):
        shares = {
            int(step): flip_shares(table["classes"], int(step))
            for step in record["scores"]["flip_rate"]
        }
        values["mean flip rate"] = sum(shares.values(), start=0 * shares[1]) / len(shares)
        values |= {f"flip rate, step {step}": share for step, share in shares.items()}
        forms |= dict.fromkeys(values, "rate")
    else:
        for predictions in (1, 5):
            name = f"top-{predictions} error"
            values[name], forms[name] = table[f"top{predictions}_wrong"].double(), "rate"
        if "loss" in table:
            values["loss"], forms["loss"] = table["loss"].double(), "number"
    return ImageValues(table["positions"], table["labels"], values, forms)
