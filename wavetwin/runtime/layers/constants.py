"""Keep constant buffers exact: `.double()` gives float64 values, not widened float32 ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wavetwin.runtime.layers.traced import Layer


class ConstantBuffers(Layer):
    """Base of layers with constants: buffers that are not in the state dict.

    Each is a copy, in the module's type and on its device, of an exact value kept on the CPU, and is
    filled from it again whenever the module is moved, cast or given memory (`to_empty` after a
    construction on the meta device).
    """

    _exact: dict[str, Tensor]

    def __init__(self) -> None:
        super().__init__()
        self._exact = {}

    def register_constant(self, name: str, value: Tensor) -> None:
        """Add the buffer `name`.

        Args:
            name: attribute name.
            value: on the CPU; floating-point values become the default type, others keep theirs.
        """
        value = value.detach()
        self._exact[name] = value
        dtype = torch.get_default_dtype() if value.is_floating_point() else value.dtype
        copy = value.to(device=torch.get_default_device(), dtype=dtype, copy=True)
        self.register_buffer(name, copy, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ConstantBuffers:
        super()._apply(fn, recurse)
        with torch.no_grad():
            for name, value in self._exact.items():
                self.get_buffer(name).copy_(value)
        return self
