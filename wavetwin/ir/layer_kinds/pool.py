"""Define the layer `pool`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import FieldFault, LayerKind, LayerOptions
from wavetwin.ir.operations import AdaptiveAveragePool, AveragePool, MaxPool, Operation, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]

_WINDOW = 2


@frozen(kw_only=True)
class PoolLayer(LayerKind):
    """Pooling."""

    key = "pool"

    kind: Literal["max", "average", "global_average"] = "max"
    """`global_average` averages over the whole map and takes no sizes."""
    kernel_size: int | None = declare(None, ge=1, le=63)
    """Height and width of the window; default: 2."""
    stride: int | None = declare(None, ge=1, le=63)
    """Step in both directions; default: the window's size."""
    padding: int | None = declare(None, ge=0, le=31)
    """Margin on each side, at most half the window; default: 0."""

    @classmethod
    def of(cls, operation: Operation) -> Self | None:
        """Return the layer that a pooling of a named trunk is; no list has a mean of 6 x 6 cells."""
        if isinstance(operation, AdaptiveAveragePool) and operation.output_size == 1:
            return cls(kind="global_average")
        if not isinstance(operation, MaxPool):
            return None
        return cls(
            kind="average" if isinstance(operation, AveragePool) else "max",
            kernel_size=operation.kernel_size,
            stride=operation.stride,
            padding=operation.padding,
        )

    def operation(self, shape: Shape, options: LayerOptions) -> Operation:
        """Return the maximum or the mean in a window, or the mean of everything."""
        if self.kind == "global_average":
            return AdaptiveAveragePool(output_size=1)
        size = self.kernel_size or _WINDOW
        window = AveragePool if self.kind == "average" else MaxPool
        return window(kernel_size=size, stride=self.stride or size, padding=self.padding or 0)

    def faults(self) -> Iterator[FieldFault]:
        """Yield sizes of what has none, and a margin of more than half the window."""
        size = self.kernel_size or _WINDOW
        if self.kind == "global_average":
            for name in ("kernel_size", "stride", "padding"):
                if getattr(self, name) is not None:
                    yield FieldFault(
                        "field-does-not-apply",
                        f"global_average covers the whole map and has no {name}",
                        (name, "kind"),
                        help=f"remove {name}",
                    )
        elif (self.padding or 0) > size // 2:
            yield FieldFault(
                "padding-too-large",
                f"a pooling's padding is at most half its window, not {self.padding} of {size}",
                ("padding", "kernel_size"),
                defaults={"kernel_size": _WINDOW},
            )


LAYER_KINDS = (PoolLayer,)
