"""Describe the backbone whose layers the spec lists itself."""

from __future__ import annotations

from wavetwin.ir.architecture import Architecture, TrunkOptions
from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.layer_kind import add_items

__all__ = ["ARCHITECTURES"]


class Sequential(Architecture):
    """The layers of `backbone.layers`, one after another."""

    family = "sequential networks"

    def add_trunk(self, builder: GraphBuilder, options: TrunkOptions, source: str) -> None:
        """Add the listed layers, by their names or numbered by their kind."""
        add_items(builder, "trunk", options.layers, source, options.for_layers)


ARCHITECTURES = (
    Sequential(
        name="sequential",
        first_layer_width=None,
        kernel_size=3,
        stride=1,
        padding=1,
        norm="batch",
        colour_initial=(1.0, 1.0, 1.0),
        pooling_padding=1,
        takes_smaller_window=True,
        lists_layers=True,
    ),
)
