"""Go through a batch a few images at a time, so that what lies between stays in the caches.

On a CPU a fresh tensor of tens of megabytes costs more in page faults than in arithmetic, and
channels-last maps are pooled many times faster than others. The pooling layers therefore have a
second, hand-written way to compute the same thing; where it does not apply they use torch's
operations as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wavetwin.runtime.bank.eager import is_eager

PIECE_BYTES = 8 << 20
"""How many bytes of maps are worked on at once."""

SMALL_BYTES = 1 << 20
"""Maps of an image with fewer bytes stay in the caches by themselves: torch's operations are faster."""


def is_piecewise(x: Tensor) -> bool:
    """Return whether `x` is to be pooled piece by piece: on the CPU, in eager mode.

    Compilers and exporters fuse the plain operations themselves and keep sizes free.
    """
    return x.device.type == "cpu" and x.ndim == 4 and is_eager() and x.numel() > 0


def is_small(x: Tensor) -> bool:
    """Return whether an image's maps in `x` (batch, ...) are fewer bytes than pieces are worth."""
    return x[0].numel() * x.element_size() < SMALL_BYTES


def images_at_once(x: Tensor) -> int:
    """Return how many images of `x` (batch, ...) make a piece; at least one for each thread."""
    num_bytes = x[0].numel() * x.element_size()
    return max(torch.get_num_threads(), PIECE_BYTES // num_bytes)


def is_channels_last(x: Tensor) -> bool:
    """Return whether `x` (batch, channels, height, width) lies in memory channels last, and only so."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def to_channels_last(x: Tensor) -> Tensor:
    """Return `x` with its channels last in memory."""
    return x.contiguous(memory_format=torch.channels_last)


def keep_layout(x: Tensor, result: Tensor) -> Tensor:
    """Return a result that lies in memory as `x` does; compilers choose layouts themselves."""
    return to_channels_last(result) if is_eager() and is_channels_last(x) else result


def put_channels_last(x: Tensor) -> Tensor:
    """Return `x` with its channels last in memory, for a layer to differentiate through.

    The derivative lies in memory as `x` does: what comes before is slow with another layout.
    """
    return x if is_channels_last(x) else _PutChannelsLast.apply(x)


class _PutChannelsLast(torch.autograd.Function):
    """A copy with the channels last; its derivative has them first."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return to_channels_last(x).view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].contiguous()


def map_images(function: Callable[..., Tensor], size: int, *tensors: Tensor) -> Tensor:
    """Apply `function` to pieces of the batch; the result lies in memory as the first tensor does.

    Args:
        function: of one tensor for each of `tensors`, images independent of each other.
        size: images in a piece.
        tensors: (batch, channels, height, width) each.

    Returns:
        The results, one after the other: (batch, channels', height', width').
    """
    layout = torch.channels_last if is_channels_last(tensors[0]) else torch.contiguous_format
    if len(tensors[0]) <= size:
        return function(*tensors).contiguous(memory_format=layout)
    whole: Tensor | None = None
    start = 0
    for parts in zip(*(tensor.split(size) for tensor in tensors), strict=True):
        result = function(*parts)
        if whole is None:
            shape = (len(tensors[0]), *result.shape[1:])
            whole = torch.empty(
                shape, dtype=result.dtype, device=result.device, memory_format=layout
            )
        whole[start : start + len(result)] = result
        start += len(result)
    assert whole is not None
    return whole


def differentiable_gradient(
    function: Callable[..., Tensor], inputs: tuple[Tensor, ...], gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Return the derivatives of `function` along `gradient`, themselves differentiable.

    What the backward of a hand-written layer gives when it is to be differentiated again
    (`create_graph`): derivatives of the plain operations. None for inputs without a derivative.
    """
    with torch.enable_grad():
        # Views, so that the derivatives of inputs that depend on each other stay apart.
        views = tuple(x.view_as(x) for x in inputs)
        wanted = [view for view in views if view.requires_grad]
        found = iter(torch.autograd.grad(function(*views), wanted, gradient, create_graph=True))
        return tuple(next(found) if view.requires_grad else None for view in views)
