"""Check the layers that a spec lists."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.schema import ExperimentSpec, layers_of
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.layer_kind import LayerOptions


@reads("backbone.arch", "backbone.layers", "backbone.layers.*")
def check_layers(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Each item is one layer, and the fields of each go together."""
    for position, item in enumerate(spec.backbone.layers):
        path = f"backbone.layers.{position}"
        layers = layers_of(item)
        if len(layers) != 1:
            written = "no layer" if not layers else " and ".join(layers)
            yield context.conflict(
                "not-one-layer",
                f"an item of backbone.layers is one layer, this one has {written}",
                [path],
                help="a layer without fields is written `- relu: {}`"
                if not layers
                else "write each layer as an item of its own",
            )
        for key, layer in layers.items():
            for fault in layer.faults():
                yield context.conflict(
                    fault.code,
                    fault.headline,
                    [f"{path}.{key}.{name}" for name in fault.fields],
                    help=fault.help,
                    default_values={
                        f"{path}.{key}.{name}": value for name, value in fault.defaults.items()
                    },
                )


@reads("backbone.arch", "backbone.layers", "backbone.layers.*", "data.dataset", "data.num_classes")
def check_last_layer(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The last layer of `sequential` gives one number for each class."""
    if not ARCHITECTURES[spec.backbone.arch].lists_layers or not spec.backbone.layers:
        return
    position = len(spec.backbone.layers) - 1
    classes = spec.data.num_classes or DATASETS[spec.data.dataset].num_classes
    options = LayerOptions(classes or 0)
    *_, layer = layers_of(spec.backbone.layers[position]).values() or [None]
    values = None if layer is None else layer.num_values(options)
    if layer is None or values is None:
        yield context.conflict(
            "last-layer-not-linear",
            "the last layer has to give the classes",
            [f"backbone.layers.{position}"],
            help="end the layers with `- linear: {}`",
        )
    elif classes is not None and values != classes:
        yield context.conflict(
            "last-layer-not-classes",
            f"the last layer gives {values} values for {classes} classes",
            [
                f"backbone.layers.{position}.{layer.key}.{layer.gives}",
                "data.num_classes",
                "data.dataset",
            ],
            help="leave out features: the last layer has one for each class",
            default_values={"data.num_classes": classes},
        )


LAYER_RULES: tuple[Rule, ...] = (check_layers, check_last_layer)
