"""What the tests of the transforms share: stored outputs, images, dense matrices."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import numpy as np
import pywt
import torch
from torch import Tensor

from tests.support.paths import GOLDEN

SYSTEMS = GOLDEN / "systems"


@functools.cache
def golden(name: str) -> dict[str, np.ndarray]:
    """Return a file of tests/golden/systems, whole."""
    with np.load(SYSTEMS / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}


def image(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return the same standard normal numbers every time."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def relative_error(actual: Tensor, expected: Tensor | np.ndarray) -> float:
    """Return the largest deviation, relative to the largest value expected."""
    actual, wanted = actual.detach(), torch.as_tensor(expected).detach()
    assert actual.shape == wanted.shape, (actual.shape, wanted.shape)
    return float((actual - wanted).abs().max() / wanted.abs().max().clamp(min=1e-300))


def flat(x: object) -> list[Tensor]:
    """Return the tensors of nested tuples and lists, in order; complex ones as real pairs."""
    if isinstance(x, Tensor):
        return [torch.view_as_real(x) if x.is_complex() else x]
    assert isinstance(x, tuple | list)
    return [tensor for part in x for tensor in flat(part)]


def joined(x: object) -> Tensor:
    """Return all numbers of nested tuples of tensors as one vector."""
    return torch.cat([tensor.flatten() for tensor in flat(x)])


def matrix_of(function: Callable[[np.ndarray], np.ndarray], height: int, width: int) -> Tensor:
    """Return the matrix of a linear function of images, (outputs, height * width)."""
    units = np.eye(height * width).reshape(-1, height, width)
    return torch.from_numpy(np.stack([function(unit) for unit in units], axis=1))


def wavedec2(x: np.ndarray, wavelet: str, mode: str, levels: int) -> np.ndarray:
    """Return PyWavelets' coefficients as one vector: the approximation, then details, finest first."""
    with warnings.catch_warnings():
        # PyWavelets says where a level has no sample that the border does not touch.
        warnings.simplefilter("ignore", UserWarning)
        low, *details = pywt.wavedec2(x, wavelet, mode=mode, level=levels)
    return np.concatenate([low.ravel(), *(np.ravel(d) for level in details[::-1] for d in level)])
