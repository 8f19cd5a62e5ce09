"""Define the layer `norm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wavetwin.ir.layer_kind import LayerKind, LayerOptions
from wavetwin.ir.operations import BatchNorm, Shape

__all__ = ["LAYER_KINDS"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NormLayer(LayerKind):
    """Normalisation."""

    key = "norm"
    follows = 1

    kind: Literal["batch"] = "batch"
    """Batch normalisation is the only kind of version 1."""

    def operation(self, shape: Shape, options: LayerOptions) -> BatchNorm:
        """Return the norm of as many channels as there are."""
        return BatchNorm.of(shape[0])


LAYER_KINDS = (NormLayer,)
