"""Let the layers of a model that can compute by the native kernel do so."""

from __future__ import annotations

from torch import nn

from wavetwin.runtime.bank.native import has_native_kernel

__all__ = ["ByKernel", "use_native_kernel"]


class ByKernel:
    """What layers have in common that the native kernel may compute on a CPU."""

    native: bool = False
    """Whether it does."""


def use_native_kernel(model: nn.Module) -> bool:
    """Let every layer of a model that can compute by the native kernel on a CPU; return whether it is there.

    Where it cannot be built, all stays as it is, and a warning says why.
    """
    if not has_native_kernel():
        return False
    for module in model.modules():
        if isinstance(module, ByKernel):
            module.native = True
    return True
