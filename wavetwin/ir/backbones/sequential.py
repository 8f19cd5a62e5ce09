"""Describe the backbone whose layers the spec lists itself."""

from __future__ import annotations

from wavetwin.ir.architecture import Architecture, TrunkOptions
from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.node import ShapeError

__all__ = ["ARCHITECTURES"]


class Sequential(Architecture):
    """The layers of `backbone.layers`, one after another."""

    family = "sequential networks"

    def add_trunk(self, builder: GraphBuilder, options: TrunkOptions, source: str) -> None:
        """Add the listed layers, numbered by their kind."""
        current = source
        counts: dict[str, int] = {}
        for index, item in enumerate(options.layers):
            layer = item.layer
            counts[layer.key] = counts.get(layer.key, 0) + 1
            try:
                current = builder.add(
                    f"trunk.{layer.key}{counts[layer.key]}",
                    layer.operation(builder.shape(current), options.layer_options),
                    current,
                    fields=(f"backbone.layers.{index}",),
                )
            except ShapeError as error:
                error.layer = index
                raise


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
