"""Take the modulus of complex numbers, right wherever the type holds it, and twice differentiable."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor


def modulus(real: Tensor, imaginary: Tensor, bias: float = 0.0) -> Tensor:
    """Return sqrt(real^2 + imaginary^2 + bias^2) - bias, of the type of `real`.

    A positive bias makes it smooth; without one the gradient is 0 where both parts are 0 (a black
    image). Twice differentiable, also at 0. Nothing between overflows or underflows: the result is
    right wherever the type holds it. Half-precision inputs are computed in float32.

    Args:
        real: real parts, of any shape.
        imaginary: imaginary parts, of the same shape.
        bias: not negative; about the modulus below which values are noise.
    """
    dtype = real.dtype
    if dtype in (torch.float16, torch.bfloat16):
        real, imaginary = real.float(), imaginary.float()
    if bias > 0:
        return _smooth_norm((real, imaginary), bias).to(dtype)
    is_zero = (real == 0) & (imaginary == 0)
    # The root never sees a zero, whose infinite slope would give 0 * inf = NaN.
    real = torch.where(is_zero, 1.0, real)
    if torch.compiler.is_exporting() or (
        not torch.compiler.is_compiling() and torch._C._is_tracing()
    ):
        # What traces are turned into (ONNX, TorchScript's runtimes) has no operation `hypot`.
        scale = _largest_part(real, imaginary)
        root = ((real / scale).square() + (imaginary / scale).square()).sqrt() * scale
    else:
        root = torch.hypot(real, imaginary)
    return torch.where(is_zero, 0.0, root).to(dtype)


def smooth_norm(parts: Sequence[Tensor], bias: float) -> Tensor:
    """Return sqrt(sum of squares + bias^2) - bias, of the type of the parts; see `modulus`.

    Args:
        parts: real tensors of one shape.
        bias: positive.

    Raises:
        ValueError: the bias is 0, whose root has no second derivative at 0.
    """
    if not bias > 0:
        raise ValueError(f"bias {bias}: a positive number is needed")
    dtype = parts[0].dtype
    if dtype in (torch.float16, torch.bfloat16):
        parts = [part.float() for part in parts]
    return _smooth_norm(parts, bias).to(dtype)


def _smooth_norm(parts: Sequence[Tensor], bias: float) -> Tensor:
    """Return the norm of numbers that are divided by their size, times their size."""
    scale = _largest_part(*parts).clamp(min=bias)
    squares = functools.reduce(torch.add, ((part / scale).square() for part in parts))
    relative = bias / scale
    # The same as root - bias, without subtracting nearly equal numbers.
    return squares / ((squares + relative.square()).sqrt() + relative) * scale


def _largest_part(*parts: Tensor) -> Tensor:
    """Return the largest absolute value of the parts, finite.

    What is divided by it and multiplied with it does not depend on it, and neither do derivatives.
    """
    largest = functools.reduce(torch.maximum, (part.detach().abs() for part in parts))
    return largest.clamp(max=torch.finfo(largest.dtype).max)
