"""Define the layer `norm`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import FieldFault, LayerKind, LayerOptions
from wavetwin.ir.operations import BatchNorm, GroupNorm, Operation, Shape
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS", "NormLayer"]

_GROUPS = 32
"""As proposed: Wu and He 2018, arXiv:1803.08494."""


@frozen(kw_only=True)
class NormLayer(LayerKind):
    """Normalisation."""

    key = "norm"
    follows = 1

    kind: Literal["batch", "group"] = "batch"
    """Over a batch's images and positions, or over an image's positions and a group of channels."""
    groups: int | None = declare(None, ge=1, le=65536)
    """Groups of channels of `group`; default: 32."""

    @classmethod
    def of(cls, operation: Operation) -> Self | None:
        """Return the layer that a batch norm of a named trunk is."""
        return cls(kind="batch") if operation.is_batch_norm else None

    def operation(self, shape: Shape, options: LayerOptions) -> Operation:
        """Return the norm of as many channels as there are."""
        if self.kind == "batch":
            return BatchNorm.of(shape[0])
        return GroupNorm(channels=shape[0], groups=self.groups or _GROUPS)

    def faults(self) -> Iterator[FieldFault]:
        """Yield groups of what has none."""
        if self.kind == "batch" and self.groups is not None:
            yield FieldFault(
                "field-does-not-apply",
                "batch normalisation has no groups",
                ("groups", "kind"),
                help="remove groups, or write kind: group",
            )


LAYER_KINDS = (NormLayer,)
