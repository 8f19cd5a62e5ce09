"""Call the native kernel's poolings: what is pooled, whether the kernel takes it, and blurs alone.

Maps may come in several tensors with the channels last, whose channels follow each other in the result
alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavetwin.runtime.bank.eager import (
    is_dispatch_watched,
    is_eager,
    is_plain_tensor,
    outside_modes,
)
from wavetwin.runtime.bank.native.cascade import LANES
from wavetwin.runtime.bank.native.compute import call_kernel

__all__ = [
    "EACH",
    "BatchStatistics",
    "Blur",
    "Pooling",
    "Side",
    "Window",
    "batch_statistics",
    "empty_maps",
    "is_for_kernel",
    "sparse_rows",
    "with_channels_last",
]

_LARGEST_WINDOW = 15
"""Side of a window whose samples all have a code of a byte."""


@dataclass(frozen=True)
class Window:
    """Which samples a maximum is taken of."""

    size: int
    step: int
    margin: int

    def outputs(self, length: int) -> int:
        """Return the number of windows along a side."""
        return (length + 2 * self.margin - self.size) // self.step + 1


EACH = Window(1, 1, 0)
"""Every sample by itself."""


Side = Callable[[int], Tensor]
"""From the length of a side to what each kept sample is a sum of: (kept, length), float64; equal ones are the same."""


@dataclass(frozen=True, eq=False)
class Blur:
    """A linear map of columns and of rows of a map, also after a maximum of step 1."""

    rows: Side
    columns: Side

    def by_torch(self, x: Tensor) -> Tensor:
        """Return the same of (batch, channels, height, width) by products of matrices."""
        with outside_modes():
            rows, columns = self.rows(x.shape[2]).to(x.dtype), self.columns(x.shape[3]).to(x.dtype)
        return torch.matmul(torch.matmul(rows, x), columns.t())

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return how many rows and columns are kept of maps of a size."""
        return _kept(self.rows, height), _kept(self.columns, width)


@dataclass(frozen=True, eq=False)
class Pooling:
    """What is made of values, which may have been normed."""

    window: Window
    blur: Blur | None = None
    relu: bool = True

    @property
    def keeps_codes(self) -> bool:
        """Whether the backward pass needs to know which samples were taken."""
        return self.relu or self.window != EACH

    @property
    def is_of_samples(self) -> bool:
        """Whether every sample is taken by itself."""
        return self.window == EACH and self.blur is None

    def size(self, x: Tensor) -> tuple[int, int]:
        """Return the height and the width of what is made of maps."""
        height, width = map(self.window.outputs, x.shape[2:])
        return (height, width) if self.blur is None else self.blur.size(height, width)

    def num_codes(self, parts: Sequence[Tensor]) -> int:
        """Return the bytes that say which samples were taken, of the joined maps."""
        maxima = math.prod(map(self.window.outputs, parts[0].shape[2:])) * len(parts[0])
        if self.blur is None:
            return maxima * sum(part.shape[1] for part in parts)
        return maxima * sum(-(-part.shape[1] // LANES) * LANES for part in parts)

    def call(
        self,
        what: str,
        parts: Sequence[Tensor],
        gradient: Tensor | None,
        *arguments: Tensor | list[Tensor] | None,
    ) -> None:
        """Call the kernel's function of this kind of pooling."""
        numbers = _numbers(parts, self.window, gradient)
        if self.blur is None:
            kind = "sample" if self.is_of_samples else "pool"
            call_kernel(f"{kind}_{what}", parts[0], numbers, list(parts), *arguments)
            return
        size = tuple(map(self.window.outputs, parts[0].shape[2:]))
        sums, weights = _sums(self.blur.rows, self.blur.columns, *size, self.relu, parts[0].dtype)
        own = torch.tensor(numbers, dtype=torch.int64, device="cpu")
        numbers = torch.cat((sums, own))
        call_kernel(f"blur_{what}", parts[0], numbers, weights, list(parts), *arguments)


@dataclass(frozen=True, eq=False)
class BatchStatistics:
    """Of every channel of the joined maps, float64."""

    mean: Tensor
    variance: Tensor
    """Divided by the number of values, not by one less."""
    values: int
    """Of a channel in the batch."""


def is_for_kernel(parts: Sequence[Tensor], window: Window, blur_size: int = 1) -> bool:
    """Return whether the kernel takes these maps: on a CPU, channels last, in eager mode.

    Maxima that are blurred must be larger than the filter's margins.
    """
    first = parts[0]
    return (
        window.size <= _LARGEST_WINDOW
        and is_eager()
        and not is_dispatch_watched()
        and first.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and all(
            is_plain_tensor(part)
            and part.device.type == "cpu"
            and part.dtype == first.dtype
            and part.ndim == 4
            and part.shape[2:] == first.shape[2:]
            and part.shape[0] == first.shape[0]
            and (part.stride(1) == 1 or part.shape[1] == 1)
            and part.numel() > 0
            for part in parts
        )
        and all(window.outputs(length) > blur_size // 2 for length in first.shape[2:])
    )


def batch_statistics(parts: Sequence[Tensor], window: Window) -> BatchStatistics:
    """Return mean and variance of the channels of maps that `is_for_kernel` takes."""
    channels = sum(part.shape[1] for part in parts)
    mean, variance = (torch.empty(channels, dtype=torch.float64, device="cpu") for _ in range(2))
    numbers = _numbers(parts, window)
    call_kernel("sample_statistics", parts[0], numbers, list(parts), mean, variance)
    return BatchStatistics(mean, variance, parts[0].numel() // parts[0].shape[1])


def empty_maps(x: Tensor, channels: int, size: Sequence[int]) -> Tensor:
    """Return room for maps of a batch, channels last."""
    shape = (len(x), channels, *size)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def with_channels_last(gradient: Tensor) -> Tensor:
    """Return a gradient that lies as the kernel reads it."""
    if gradient.stride(1) == 1:
        return gradient
    return gradient.contiguous(memory_format=torch.channels_last)


def sparse_rows(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the numbers of each row begin, and after these their columns; the numbers that are not 0."""
    counts = (matrix != 0).sum(1)
    first = torch.cat((counts.new_zeros(1), counts.cumsum(0)))
    return torch.cat((first, matrix.nonzero()[:, 1])), matrix[matrix != 0]


@functools.lru_cache(maxsize=256)
def _kept(side: Side, length: int) -> int:
    with outside_modes():
        return len(side(length))


@functools.lru_cache(maxsize=64)
def _sums(
    rows: Side, columns: Side, height: int, width: int, relu: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return what `Blur` of blurring.h reads before `Pooling`'s numbers, and the weights."""
    with outside_modes():
        matrices = rows(height), columns(width)
        numbers, weights = zip(*map(sparse_rows, matrices), strict=True)
        start = torch.tensor([relu, *map(len, matrices)], dtype=torch.int64)
        return torch.cat((start, *numbers)), torch.cat(weights).to(dtype)


def _numbers(
    parts: Sequence[Tensor], window: Window, gradient: Tensor | None = None
) -> tuple[int, ...]:
    """Return what `Pooling` of pooling.h reads."""
    height, width = parts[0].shape[2:]
    strides = (0, 0, 0, 0) if gradient is None else gradient.stride()
    numbers = [
        height, width, window.size, window.step, window.margin, window.outputs(height),
        window.outputs(width), strides[0], strides[2], strides[3], len(parts),
    ]  # fmt: skip
    for part in parts:
        numbers += [part.shape[1], part.stride(0), part.stride(2), part.stride(3)]
    return tuple(numbers)
