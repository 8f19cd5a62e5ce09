"""Read the items of `backbone.layers`, with the language's defaults."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.schema import ExperimentSpec, layers_of
from wavetwin.ir.layer_kind import LayerItem


def listed_layers(spec: ExperimentSpec) -> Iterator[LayerItem]:
    """Yield the layers that a resolved spec lists."""
    for item in spec.backbone.layers:
        (layer,) = layers_of(item).values()
        yield LayerItem(layer)
