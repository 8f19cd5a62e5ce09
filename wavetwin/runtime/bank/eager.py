"""Decide whether hand-written derivatives apply, or torch must see the operations themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode

__all__ = [
    "is_dispatch_watched",
    "is_eager",
    "is_plain_tensor",
    "outside_modes",
    "plain_shape",
    "tracing_paused",
]


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


def is_dispatch_watched() -> bool:
    """Return whether a dispatch mode sees every operation: a trace of `make_fx`, a counter, fake tensors."""
    return _get_current_dispatch_mode() is not None


def is_plain_tensor(x: Tensor) -> bool:
    """Return whether `x` holds its values itself: a fake or a distributed tensor is of another kind."""
    return type(x) in (Tensor, torch.nn.Parameter)


@contextlib.contextmanager
def outside_modes() -> Iterator[None]:
    """Compute constants: tensors on the CPU, of use for training.

    Constants of a trace must be tensors, and so must cached ones, whatever the mode, trace or
    transformation of the first call.
    """
    with (
        tracing_paused(),
        _disable_current_modes(),
        torch._C._DisableFuncTorch(),
        torch.device("cpu"),
        torch.inference_mode(False),
        torch.no_grad(),
    ):
        yield


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
