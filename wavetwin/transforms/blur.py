"""Blur before subsampling, on maps of any size and with any border."""

from __future__ import annotations

from torch import Tensor

from wavetwin.runtime.bank.eager import is_eager
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.blur import BlurPool, blur_padded, reflect_margins
from wavetwin.runtime.wavelets.extension import check_mode, extend


class BlurPool2d(BlurPool):
    """`wavetwin.runtime.BlurPool` with any boundary mode, on maps smaller than the filter, too.

    `(batch, channels, height, width)` to
    `(batch, channels, ceil(height / stride), ceil(width / stride))`.

    Source: Zhang 2019, arXiv:1904.11486; written from the binomial filter's definition.

    Args:
        size: taps of the filter in each direction, 2 to 7.
        stride: step of the output.
        mode: a name of `wavetwin.ir.wavelets.BOUNDARY_MODES`; `constant` repeats the border.

    Raises:
        ValueError: an argument is out of range, or a map of one sample is to be reflected.
    """

    def __init__(self, size: int = 3, stride: int = 2, mode: str = "reflect") -> None:
        super().__init__(size, stride)
        check_mode(mode)
        self.mode = mode

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Return the blurred maps at the kept positions, computed there only."""
        before, after = reflect_margins(self.size)
        if self.mode == "reflect" and is_eager() and min(x.shape[2:]) > after:
            return super().forward(x)
        padded = extend(extend(x, 2, before, after, self.mode), 3, before, after, self.mode)
        return blur_padded(padded, self.taps, self.stride)

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        return f"{super().extra_repr()}, mode={self.mode!r}"
