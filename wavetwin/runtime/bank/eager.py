"""Decide whether hand-written derivatives apply, or torch must see the operations themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["is_eager", "plain_shape", "tracing_paused"]


def is_eager() -> bool:
    """Return whether operations run one by one, with reverse-mode derivatives at most.

    Compilers, exporters and traces take the operations as they come; `torch.func`'s transformations
    and forward-mode derivatives know torch's own only.
    """
    return (
        not torch.compiler.is_compiling()
        and not torch._C._is_tracing()
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


def plain_shape(x: Tensor) -> tuple[Any, ...]:
    """Return the sizes as integers, also inside of `torch.jit.trace`, which holds for these then.

    There `x.shape` has tensors, so that a trace may follow them; what is made for a size cannot.
    """
    if torch.compiler.is_compiling() or not torch._C._is_tracing():
        return tuple(x.shape)
    with tracing_paused():
        return tuple(x.shape)


@contextlib.contextmanager
def tracing_paused() -> Iterator[None]:
    """Keep what is computed inside out of the trace of `torch.jit.trace`."""
    bindings: Any = torch._C
    state = bindings._get_tracing_state()
    if state is None:
        yield
        return
    bindings._set_tracing_state(None)
    try:
        yield
    finally:
        bindings._set_tracing_state(state)
