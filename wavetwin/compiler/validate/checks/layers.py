"""Check the layers that a spec lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from wavetwin.compiler.schema import (
    ExperimentSpec,
    SpecModel,
    are_layers,
    faulty_lists,
    items_below,
    laws_of,
    layers_of,
    name_of,
    read_items,
    read_law,
)
from wavetwin.compiler.schema.declared import KindModel
from wavetwin.compiler.validate.checks.kinds import inapplicable
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.layer_kind import LayerKind, LayerOptions, arrange, labels_of
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.layer_names import LAYER_NAME, RESERVED_NAMES
from wavetwin.ir.section import Kind

LAYERS = ("backbone.arch", "backbone.layers", "backbone.layers.*")


@reads(*LAYERS)
def check_layers(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Each item is one layer and what follows it, and the fields of each go together."""
    for path, items in items_below(spec.backbone.layers, "backbone.layers"):
        for position, item in enumerate(items):
            own = f"{path}.{position}"
            layers = layers_of(item)
            if arrange(layers.values()) is None and context.is_whole(own):
                yield _not_one_layer(context, own, layers)
            for key, layer in layers.items():
                if faulty_lists(item, key):
                    continue  # which the layers in it say
                for fault in layer.faults():
                    yield context.conflict(
                        fault.code,
                        fault.headline,
                        [f"{own}.{key}.{name}" for name in fault.fields],
                        help=fault.help,
                        default_values={
                            f"{own}.{key}.{name}": value for name, value in fault.defaults.items()
                        },
                    )


@reads(*LAYERS, "backbone.initial")
def check_laws(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """How weights begin is said by fields of the law that is chosen."""
    law = spec.backbone.initial
    if isinstance(law, KindModel) and context.is_whole("backbone.initial"):
        yield from inapplicable(context, "backbone.initial", cast("Kind", law))
    for path, items in items_below(spec.backbone.layers, "backbone.layers"):
        for position, item in enumerate(items):
            for below, each in laws_of(item):
                own = f"{path}.{position}.{below}"
                if context.is_whole(own):
                    yield from inapplicable(context, own, cast("Kind", each))


def _not_one_layer(context: CheckContext, path: str, layers: Mapping[str, LayerKind]) -> Diagnostic:
    written = " and ".join(layers) or "no layer"
    headline = f"an item of backbone.layers is one layer, this one has {written}"
    if not layers:
        help_text = "a layer without fields is written `- relu: {}`"
    elif any(layer.takes_followers for layer in layers.values()):
        followers = [key for key, kind in known_layers().items() if kind.follows is not None]
        help_text = f"one of each place may follow: {', '.join(followers)}"
    else:
        help_text = "write each layer as an item of its own"
    return context.conflict("not-one-layer", headline, [path], help=help_text)


@reads(*LAYERS)
def check_names(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Names are the layers' own, and names that a module of torch can have."""
    for path, items in items_below(spec.backbone.layers, "backbone.layers"):
        if not are_layers(items):
            continue
        if not all(context.is_whole(f"{path}.{at}.name") for at in range(len(items))):
            continue  # without its name an item is called as another one may be
        labels = labels_of(read_items(items, path))
        yield from _check_list(context, path, items, labels)


def _check_list(
    context: CheckContext, path: str, items: Sequence[SpecModel], labels: Sequence[str]
) -> Iterator[Diagnostic]:
    first: dict[str, int] = {}
    for position, (item, label) in enumerate(zip(items, labels, strict=True)):
        other = first.setdefault(label, position)
        if LAYER_NAME.fullmatch(label) is None:
            yield context.conflict(
                "bad-name",
                f"a layer cannot be called {label!r}",
                [f"{path}.{position}.name"],
                help="a layer's name has letters, digits and '_', the first a letter",
            )
        if label in RESERVED_NAMES and name_of(item) is not None:
            yield context.conflict(
                "layer-name-reserved",
                f"{label!r} is the name of something else in every module of torch, or a word of Python",
                [f"{path}.{position}.name"],
                help=f"write name: {label}_layer",
            )
        if other == position:
            continue
        named = position if name_of(item) is not None else other
        is_count = name_of(items[position]) is None or name_of(items[other]) is None
        headline = (
            f"{label!r} is what the layer without a name is called already"
            if is_count
            else f"two layers are called {label!r}"
        )
        yield context.conflict(
            "layer-name-taken",
            headline,
            [f"{path}.{named}.name", f"{path}.{other if named == position else position}"],
            help="choose another name",
        )


@reads(*LAYERS, "data.dataset", "data.num_classes")
def check_last_layer(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The last layer of `sequential` gives one number for each class."""
    if not ARCHITECTURES[spec.backbone.arch].lists_layers or not spec.backbone.layers:
        return
    position = len(spec.backbone.layers) - 1
    if not context.is_whole(f"backbone.layers.{position}"):
        return
    classes = spec.data.class_count
    layers = arrange(layers_of(spec.backbone.layers[position]).values())
    last = None if layers is None else layers[-1]
    values = None if last is None else last.num_values(LayerOptions(classes or 0))
    if last is None or values is None:
        yield context.conflict(
            "last-layer-not-linear",
            "the last layer has to give the classes",
            [f"backbone.layers.{position}"],
            help="end the layers with `- linear: {}`",
        )
    elif classes is not None and values != classes:
        field = f"backbone.layers.{position}.{last.key}.{last.gives}"
        yield context.conflict(
            "last-layer-not-classes",
            f"the last layer gives {values} values for {classes} classes",
            [field, "data.num_classes", "data.dataset"],
            help="leave out features: the last layer has one for each class",
            default_values={"data.num_classes": classes},
        )


@reads("backbone.arch", "backbone.input", "stem", "pooling")
def check_input(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only listed layers may begin with the image, and then nothing is before them."""
    if spec.backbone.has_stem:
        return
    if not ARCHITECTURES[spec.backbone.arch].lists_layers:
        yield context.conflict(
            "image-needs-sequential",
            f"{spec.backbone.arch} begins with its first layer",
            ["backbone.input", "backbone.arch"],
            help="remove backbone.input, or set backbone.arch to sequential",
        )
        return
    for section in ("stem", "pooling"):
        if context.loaded.has(section):
            yield context.conflict(
                "stem-not-used",
                f"the layers begin with the image, and {section} is used by nothing",
                [section, "backbone.input"],
                help=f"remove {section} (write `{section}: null` where it is inherited), or "
                "backbone.input",
            )


@reads(*LAYERS, "backbone.initial")
def check_law_of_all(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Every layer that does not say how its weights begin can begin as `backbone.initial` says."""
    law = read_law(spec.backbone.initial)
    if law is None:
        return
    for path, items in items_below(spec.backbone.layers, "backbone.layers"):
        for position, item in enumerate(items):
            for key, layer in layers_of(item).items():
                has_own = "initial" not in layer.values() or layer.values()["initial"] is not None
                if has_own or isinstance(law, layer.laws):
                    continue
                own = f"{path}.{position}.{key}"
                yield context.conflict(
                    "field-does-not-apply",
                    f"the weights of {key} do not begin as {law.name} says",
                    [own, "backbone.initial"],
                    help="give it an initial of its own: default, or {gain: 1.5}",
                )


@reads("backbone.arch", "backbone.initial", "backbone.norm")
def check_for_all_layers(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """What is said of all listed layers needs some."""
    if ARCHITECTURES[spec.backbone.arch].lists_layers:
        return
    for field in ("initial", "norm"):
        if getattr(spec.backbone, field) is not None:
            yield context.conflict(
                "layers-need-sequential",
                f"backbone.{field} is of listed layers, and {spec.backbone.arch} has its own",
                [f"backbone.{field}", "backbone.arch"],
                help=f"remove backbone.{field}",
            )


LAYER_RULES: tuple[Rule, ...] = (
    check_layers,
    check_names,
    check_last_layer,
    check_input,
    check_laws,
    check_for_all_layers,
    check_law_of_all,
)
