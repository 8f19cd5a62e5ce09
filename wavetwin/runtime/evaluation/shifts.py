"""Measure how predictions change when the image moves (arXiv:2212.00394).

Each image is enlarged once and goes to the device once; its shifted copies are windows of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from wavetwin.ir.evaluations import Shifts
from wavetwin.runtime.data.eight_bits import resize_in_8_bits
from wavetwin.runtime.data.transforms import fit, resize
from wavetwin.runtime.evaluation.metrics import divergence_from_first, flip_shares
from wavetwin.runtime.evaluation.per_image import Evaluated, Evaluation, Table

__all__ = ["evaluate_shifts", "shift_positions"]

Position = tuple[int, int]
"""Top and left of a window."""


def evaluate_shifts(run: Evaluation) -> Evaluated:
    """Return flip rates at each step, or the Kullback-Leibler divergence at each shift."""
    entry, (height, width) = run.entry, run.size
    assert isinstance(entry, Shifts), entry
    divide, moves = entry.pixel_divide, entry.num_steps
    grid = shift_positions(entry.direction, moves)
    positions = [position for row in grid for position in row]
    is_divergence = not entry.measure.compares_steps

    def measure(images: Tensor, labels: Tensor) -> Table:
        parts: list[Tensor] = []
        reference: Tensor | None = None
        for part in torch.split(
            torch.arange(len(positions)), max(1, run.batch_size // len(images))
        ):
            logits = _predict_windows(run, images, [positions[i] for i in part.tolist()], divide)
            if not is_divergence:
                parts.append(logits.argmax(-1).to(torch.int32))
                continue
            logits = logits.cpu()
            if reference is None:
                reference = logits[:, :1]
            parts.append(divergence_from_first(torch.cat((reference, logits), dim=1))[:, 1:])
        values = torch.cat(parts, dim=1).reshape(-1, len(grid), len(grid[0]))
        return {"kl": values.float()} if is_divergence else {"classes": values}

    large = divide * (height + entry.max_shift), divide * (width + entry.max_shift)
    # Enlarged images are divide ** 2 times as large: fewer of them are read at once, so that as
    # much memory is taken, and a forward pass is filled with several windows of each.
    few = max(1, run.batch_size // divide**2) if run.data.limit_batches is None else None
    table = run.collect(lambda x: fit(x, large, entry.resize), measure, batch_size=few)
    if is_divergence:
        return _divergences(run, table)
    assert entry.max_step is not None, entry
    return _flip_rates(run, table, min(entry.max_step, moves))


def shift_positions(direction: str, moves: int) -> list[list[Position]]:
    """Return rows of (top, left) of the windows, each one sample further than the one before.

    `both` is the grid of all moves down and to the right.
    """
    line = range(moves + 1)
    match direction:
        case "vertical":
            return [[(move, 0)] for move in line]
        case "diagonal":
            return [[(move, move) for move in line]]
        case "both":
            return [[(down, right) for right in line] for down in line]
        case _:
            return [[(0, move) for move in line]]


def _predict_windows(
    run: Evaluation, images: Tensor, positions: Sequence[Position], divide: int
) -> Tensor:
    """Return logits (images, positions, classes) of windows of enlarged images, in one pass."""
    height, width = run.size
    rows, columns = divide * height, divide * width
    windows = torch.stack(
        [images[..., top : top + rows, left : left + columns] for top, left in positions], dim=1
    )
    change = resize_in_8_bits if run.entry.rounds_to_8_bits else resize
    logits = run.predict(change(windows.flatten(0, 1), height, width))
    return logits.reshape(len(images), len(positions), -1)


def _flip_rates(run: Evaluation, table: Table, max_step: int) -> Evaluated:
    shares = {str(step): flip_shares(table["classes"], step) for step in range(1, max_step + 1)}
    mean = torch.stack(list(shares.values())).mean(0)
    flat = run.finish(shares | {"mean": mean}, table)

    def nest(values: dict[str, object]) -> dict[str, object]:
        if not values:
            return {}
        by_step = {name: value for name, value in values.items() if name != "mean"}
        return {"flip_rate": by_step, "mean_flip_rate": values["mean"]}

    return replace(flat, scores=nest(flat.scores), intervals=nest(flat.intervals))


def _divergences(run: Evaluation, table: Table) -> Evaluated:
    _, rows, columns = table["kl"].shape
    flat = {
        f"{row},{column}": table["kl"][:, row, column]
        for row in range(rows)
        for column in range(columns)
    }
    evaluated = run.finish(flat, table, no_rates=tuple(flat))

    def nest(values: dict[str, object]) -> dict[str, object]:
        if not values:
            return {}
        if rows == 1 or columns == 1:
            return {"kl_divergence": list(values.values())}
        return {
            "kl_divergence": [
                [values[f"{row},{column}"] for column in range(columns)] for row in range(rows)
            ]
        }

    return replace(evaluated, scores=nest(evaluated.scores), intervals=nest(evaluated.intervals))
