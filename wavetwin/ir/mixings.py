"""List how an invariant layer mixes its bands: a row an option, as the thesis has them."""

from __future__ import annotations

from typing import Literal

from wavetwin.ir.frozen import frozen

__all__ = ["MIXINGS", "Mixing"]

_PUBLISHED_GAIN = 1.5


@frozen
class Mixing:
    """Learned weights, and what fixed kernels they are multiplied with."""

    name: str
    statement: str
    """What it does, a clause that follows the layer's name."""
    kernel_size: int = 3
    """Height and width of the kernels that the maps are convolved with."""
    learned_size: int = 1
    """Height and width of the learned ones."""
    published_size: int = 3
    """Height and width of the kernels that the thesis counts."""
    matrices: int = 1
    """Learned weights from each input to each output."""
    fixed: Literal["none", "drawn", "shared"] = "none"
    """Fixed kernels: none, drawn for each output and input, or one for each of the matrices."""
    gain: float = _PUBLISHED_GAIN
    """Of the initial weights, where a spec says none."""
    published: str = ""
    """The option's letter in the thesis."""

    def weight_shape(self, inputs: int, outputs: int) -> tuple[int, ...]:
        """Return the learned weights' shape."""
        one = (outputs, inputs, self.learned_size, self.learned_size)
        return one if self.matrices == 1 else (self.matrices, *one)

    def kernel_shape(self, inputs: int, outputs: int) -> tuple[int, ...] | None:
        """Return the fixed kernels' shape; None where there are none."""
        size = (self.kernel_size, self.kernel_size)
        shapes = {"drawn": (outputs, inputs, *size), "shared": (self.matrices, *size)}
        return shapes.get(self.fixed)

    def bound(self, inputs: int, outputs: int, gain: float | None) -> float:
        """Return r of the uniform initial law between -r and r."""
        area = self.learned_size**2
        return (self.gain if gain is None else gain) * (6 / ((inputs + outputs) * area)) ** 0.5


MIXINGS: dict[str, Mixing] = {
    row.name: row
    for row in (
        Mixing(
            "pointwise",
            "mixes the bands of each position, without a view of its neighbours",
            kernel_size=1,
            published_size=1,
        ),
        Mixing(
            "shifted_impulse",
            "moves each band by up to a sample, at random and for good, before it is mixed",
            published_size=1,
            fixed="drawn",
            published="a",
        ),
        Mixing(
            "shifted_gaussian",
            "smooths and moves each band by up to a sample, at random and for good, before it is mixed",
            fixed="drawn",
            published="b",
        ),
        Mixing(
            "random",
            "filters each band by random 3x3 kernels that stay, before it is mixed",
            fixed="drawn",
            published="c",
        ),
        Mixing("learned", "mixes the bands by learned 3x3 kernels", learned_size=3, published="d"),
        Mixing(
            "dct",
            "mixes the bands' 3x3 means, horizontal and vertical differences",
            matrices=3,
            fixed="shared",
            gain=1.0,
            published="e",
        ),
    )
}
"""Every option by its name."""
