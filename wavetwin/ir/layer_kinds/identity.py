"""Define the layer `identity`."""

from __future__ import annotations

from collections.abc import Sequence

from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import LayerKind, LayerOptions

__all__ = ["LAYER_KINDS", "IdentityLayer"]


@frozen(kw_only=True)
class IdentityLayer(LayerKind):
    """Nothing, in the place of a layer of a named trunk that is left out; it has no fields."""

    key = "identity"

    def add(
        self,
        builder: GraphBuilder,
        node_id: str,
        current: str,
        options: LayerOptions,
        fields: Sequence[str],
    ) -> str:
        """Add no node."""
        return current


LAYER_KINDS = (IdentityLayer,)
