"""Define the layer `residual`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kind import FieldFault, LayerItem, LayerKind, LayerOptions, add_items
from wavetwin.ir.operations import Add
from wavetwin.ir.section import declare

__all__ = ["LAYER_KINDS"]


@frozen(kw_only=True)
class ResidualLayer(LayerKind):
    """Sum of two branches of the same input."""

    key = "residual"
    takes_followers = True
    is_container = True

    body: tuple[LayerItem, ...] = declare((), holds_items=True, max_length=1000)
    """Layers of the first branch, one or more."""
    shortcut: tuple[LayerItem, ...] = declare((), holds_items=True, max_length=1000)
    """Layers of the second branch; default: none, the input itself."""

    def add(
        self,
        builder: GraphBuilder,
        node_id: str,
        current: str,
        options: LayerOptions,
        fields: Sequence[str],
    ) -> str:
        """Add both branches and their sum."""
        branches = [
            add_items(builder, f"{node_id}.{branch}", items, current, options)
            for branch, items in (("body", self.body), ("shortcut", self.shortcut))
        ]
        return builder.add(f"{node_id}.add", Add(), *branches, fields=fields)

    def faults(self) -> Iterator[FieldFault]:
        """Yield a body without layers."""
        if not self.body:
            yield FieldFault(
                "residual-is-empty",
                "a residual layer has no body",
                ("body",),
                help="list the layers of its body",
            )


LAYER_KINDS = (ResidualLayer,)
