"""Whether hand-written derivatives apply, or torch must see the operations themselves."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

__all__ = ["is_eager"]


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
