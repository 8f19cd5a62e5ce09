"""Check what takes the places of layers of a trunk that the language knows by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from wavetwin.compiler.parse.suggest import nearest
from wavetwin.compiler.schema import ExperimentSpec, SpecModel, given_fields, laws_of, name_of
from wavetwin.compiler.schema.declared import section_of
from wavetwin.compiler.validate.checks.kinds import inapplicable
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS
from wavetwin.ir.operations import Operation
from wavetwin.ir.replaced_layers import NotReplacedError, kind_of_operation, replaced_item
from wavetwin.ir.section import Kind
from wavetwin.ir.wavelet_bank import PooledBands


@reads(
    "backbone.arch",
    "backbone.downsampling",
    "backbone.replace",
    "backbone.replace.*",
    "pooling.blur_size",
    "pooling.wavelet_pool",
)
def check_replacements(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Each names a layer of the trunk that can be replaced, and is a layer itself."""
    architecture = ARCHITECTURES[spec.backbone.arch]
    if architecture.lists_layers or not spec.backbone.replace:
        return
    settings = spec.pooling.wavelet_pool
    bands = PooledBands() if settings is None else section_of(_model(settings), PooledBands)
    downsampling = DOWNSAMPLINGS[spec.backbone.downsampling]
    reduction = downsampling.reduction(spec.pooling.blur_size, bands.operation())
    operations = architecture.trunk_operations(reduction)
    for name, said in spec.backbone.replace.items():
        yield from _check(context, spec.backbone.arch, operations, name, said)


def _model(settings: object) -> SpecModel:
    assert isinstance(settings, SpecModel)
    return settings


def _check(
    context: CheckContext,
    arch: str,
    operations: Mapping[str, Operation],
    name: str,
    said: SpecModel,
) -> Iterator[Diagnostic]:
    path = f"backbone.replace.{name}"
    paths = [path, "backbone.arch"]
    replaceable = [key for key, each in operations.items() if kind_of_operation(each) is not None]
    if name not in operations:
        meant = nearest(name, replaceable)
        yield context.conflict(
            "unknown-layer",
            f"{arch} has no layer {name!r} after its first pooling",
            paths,
            help=f"did you mean '{meant}'?"
            if meant
            else "`wavetwin show` lists the layers; the first one and its pooling are stem and pooling",
        )
        return
    if name_of(said) is not None:
        yield context.conflict(
            "field-does-not-apply",
            f"{arch}'s layers keep their names",
            [f"{path}.name", "backbone.arch"],
            help="remove name",
        )
    for below, law in laws_of(said):
        if context.is_whole(f"{path}.{below}"):
            yield from inapplicable(context, f"{path}.{below}", cast("Kind", law))
    try:
        item = replaced_item(operations[name], given_fields(said), path)
    except NotReplacedError as error:
        help_text = None
        if error.code == "layer-not-replaceable":
            help_text = (
                "convolutions, norms, ReLUs, dropouts and poolings are replaceable, for example "
                f"{replaceable[0]}"
            )
        own = f"{path}.{error.field}" if error.field else path
        yield context.conflict(
            error.code, f"{name}: {error}", [own, "backbone.arch"], help=help_text
        )
        return
    for layer in (item.layer, *item.followers):
        for fault in layer.faults():
            yield context.conflict(
                fault.code,
                fault.headline,
                [f"{path}.{layer.key}.{field}" for field in fault.fields],
                help=fault.help,
            )


REPLACEMENT_RULES: tuple[Rule, ...] = (check_replacements,)
