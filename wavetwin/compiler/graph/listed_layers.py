"""Read what a spec says of the trunk: its layers, with the language's defaults."""

from __future__ import annotations

from wavetwin.compiler.graph.pooling import wavelet_pool
from wavetwin.compiler.schema import ExperimentSpec, read_items, read_law
from wavetwin.ir.architecture import TrunkOptions
from wavetwin.ir.blurring import DOWNSAMPLINGS
from wavetwin.ir.layer_kind import Measure
from wavetwin.ir.layer_kinds.norm import NormLayer


def trunk_options(spec: ExperimentSpec, measure: Measure | None = None) -> TrunkOptions:
    """Return what a resolved spec says of its trunk; `measure` makes operations of own modules."""
    backbone = spec.backbone
    return TrunkOptions(
        num_classes=spec.data.num_classes or 0,
        reduction=DOWNSAMPLINGS[backbone.downsampling].reduction(
            spec.pooling.blur_size, wavelet_pool(spec)
        ),
        layers=read_items(backbone.layers, "backbone.layers"),
        initial=read_law(backbone.initial),
        norm=None if backbone.norm is None else NormLayer(kind=backbone.norm),
        measure=measure,
    )
