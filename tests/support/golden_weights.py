"""The deterministic weights behind tests/golden, and access to its files."""

from __future__ import annotations

import json
import zlib
from functools import cache

import numpy as np
import torch
from torch import Tensor

from tests.support.paths import GOLDEN

_KEPT = ("num_batches_tracked", "_hfilters", "_gfilters", "filt")


@cache
def golden_tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the float64 value of a parameter or statistic, from its name in the reference.

    Entries share most of them, and drawing AlexNet's takes longer than using it: not to be changed.
    """
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    last = name.rsplit(".", 1)[-1]
    if last == "running_var":
        values = 1 + 0.1 * np.abs(values)
    elif last in ("running_mean", "bias"):
        values = 0.1 * values
    elif len(shape) == 1 or "colormix" in name:
        values = 1 + 0.1 * values
    else:
        values *= np.sqrt(2.0 / int(np.prod(shape[1:])))
    return torch.from_numpy(values)


def golden_state(file: str, name: str) -> dict[str, Tensor]:
    """Return a reference state dict without what keeps the value it is built with."""
    shapes: dict[str, list[int]] = _shapes()[file][name]
    return {
        key: golden_tensor(key, tuple(shape))
        for key, shape in shapes.items()
        if key.rsplit(".", 1)[-1] not in _KEPT and key != "features.1.high.2.weight"
    }


def golden_shapes(file: str, name: str) -> dict[str, tuple[int, ...]]:
    """Return all names and shapes of a reference state dict."""
    return {key: tuple(shape) for key, shape in _shapes()[file][name].items()}


def golden_arrays(file: str) -> dict[str, Tensor]:
    """Return a file's entries as float64 tensors."""
    with np.load(GOLDEN / file) as arrays:
        return {key: torch.from_numpy(arrays[key].astype(np.float64)) for key in arrays.files}


def relative_error(value: Tensor, expected: Tensor) -> float:
    """Return the largest deviation over the largest absolute value expected."""
    assert value.shape == expected.shape
    return float((value - expected).abs().max() / expected.abs().max())


@cache
def _shapes() -> dict[str, dict[str, dict[str, list[int]]]]:
    return json.loads((GOLDEN / "state_shapes.json").read_text(encoding="utf-8"))
