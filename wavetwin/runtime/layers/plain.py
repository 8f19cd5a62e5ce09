"""Check that a layer's modules are as they were made, so that their weights alone say what they do.

Merged layers read the weights of their children and call none of them. That is the same only while
nobody has put something else in a child's place (`setattr`, adapters, parametrisations) or hangs on
its calls (hooks, and with them pruning, `weight_norm` and `spectral_norm`).
"""

from __future__ import annotations

from typing import cast

from torch import nn
from torch.nn.modules import module as torch_module
from torch.utils.module_tracker import ModuleTracker


def is_plain(module: nn.Module | None, *kinds: type[nn.Module]) -> bool:
    """Return whether a module is of one of the very kinds, and nothing hangs on its calls."""
    return (
        module is not None
        and type(module) in kinds
        and not (
            module._forward_pre_hooks
            or module._forward_hooks
            or module._backward_pre_hooks
            or module._backward_hooks
            or "forward" in module.__dict__
        )
    )


def is_plain_conv(
    module: nn.Module | None,
    inputs: int,
    outputs: int,
    kernel_size: int,
    groups: int = 1,
    bias: bool = False,
) -> bool:
    """Return whether a module is a plain convolution of these sizes, with stride 1 and no padding."""
    if not is_plain(module, nn.Conv2d):
        return False
    conv = cast("nn.Conv2d", module)
    return (
        conv.in_channels == inputs
        and conv.out_channels == outputs
        and conv.groups == groups
        and conv.kernel_size == (kernel_size, kernel_size)
        and conv.stride == (1, 1)
        and conv.padding == (0, 0)
        and conv.dilation == (1, 1)
        and (conv.bias is not None) == bias
    )


def is_every_call_watched() -> bool:
    """Return whether hooks are registered that every module's call runs.

    Those of torch's own module tracker do not count: `FlopCounterMode` counts what is computed.
    """
    return bool(
        torch_module._global_forward_pre_hooks
        or torch_module._global_forward_hooks
        or torch_module._global_backward_pre_hooks
        or torch_module._global_backward_hooks
    ) and not all(
        isinstance(getattr(hook, "__self__", None), ModuleTracker)
        for hooks in (
            torch_module._global_forward_pre_hooks,
            torch_module._global_forward_hooks,
            torch_module._global_backward_pre_hooks,
            torch_module._global_backward_hooks,
        )
        for hook in hooks.values()
    )
