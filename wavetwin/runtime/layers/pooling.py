"""Pool without a maximum."""

from __future__ import annotations

from torch import Tensor

from wavetwin.runtime.layers.parts import Maps, map_parts
from wavetwin.runtime.layers.traced import Layer


class Subsample(Layer):
    """Every `step`-th row and column, from the first; real, complex or a pair."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Maps) -> Maps:
        """Return (batch, channels, ceil(height / step), ceil(width / step))."""
        return map_parts(self._select, x)

    def _select(self, x: Tensor) -> Tensor:
        return x[..., :: self.step, :: self.step]

    def extra_repr(self) -> str:
        """Return the step."""
        return f"{self.step}"
