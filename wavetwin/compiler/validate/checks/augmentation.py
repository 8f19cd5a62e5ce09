"""Check the transforms of training images that a spec lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wavetwin.compiler.schema import ExperimentSpec, read_transforms, transforms_of
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.augmentations import ListedTransforms
from wavetwin.ir.field_fault import FieldFault
from wavetwin.ir.image_transforms import ImageTransform

LIST = "data.augmentation"


@reads(LIST, f"{LIST}.*")
def check_items(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Each item is one transform, and its fields go together."""
    value = spec.data.augmentation
    if value is None or isinstance(value, str):
        return
    for position, item in enumerate(value):
        own = f"{LIST}.{position}"
        found = transforms_of(item)
        if len(found) != 1 and context.is_whole(own):
            yield _not_one(context, own, found)
        for key, each in found.items():
            if context.is_whole(f"{own}.{key}"):
                for fault in each.faults():
                    yield _report(context, f"{own}.{key}", fault)


def _not_one(context: CheckContext, path: str, found: Mapping[str, ImageTransform]) -> Diagnostic:
    return context.conflict(
        "not-one-transform",
        f"an item of {LIST} is one transform, this one has {' and '.join(found) or 'none'}",
        [path],
        help="write each transform as an item of its own"
        if found
        else "a transform without fields is written `- random_equalize: {}`",
    )


@reads(LIST, f"{LIST}.*", "data.dataset", "data.image_size", "data.image_size.*")
def check_order(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Bytes are changed before normalised values, and images come out of one size."""
    value = spec.data.augmentation
    if value is None or isinstance(value, str) or not context.is_whole(LIST):
        return
    if any(len(transforms_of(item)) != 1 for item in value):
        return
    listed = ListedTransforms(read_transforms(value))
    faults = (*listed.order_faults(), *listed.size_faults(spec.data.sides))
    for position, fault in faults:
        key = listed.transforms[position].transform
        yield _report(context, f"{LIST}.{position}.{key}", fault)


@reads(LIST, f"{LIST}.*", "data.dataset", "data.channels")
def check_colour(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Colours are changed where there are any."""
    value = spec.data.augmentation
    if value is None or isinstance(value, str) or spec.data.num_channels != 1:
        return
    for position, item in enumerate(value):
        for key, each in transforms_of(item).items():
            own = f"{LIST}.{position}.{key}"
            fields = each.colour_fields()
            if not each.needs_colour and not fields:
                continue
            subject = f"{' and '.join(fields)} of {key}" if fields else key
            change = "change" if len(fields) > 1 else "changes"
            yield context.conflict(
                "transform-needs-colour",
                f"{subject} {change} nothing in images of one channel",
                [
                    *([f"{own}.{name}" for name in fields] or [own]),
                    "data.dataset" if spec.data.channels is None else "data.channels",
                ],
                help=f"remove {' and '.join(fields) or key}",
            )


def _report(context: CheckContext, path: str, fault: FieldFault) -> Diagnostic:
    return context.conflict(
        fault.code,
        fault.headline,
        [f"{path}.{name}" for name in fault.fields] or [path],
        help=fault.help,
        default_values={f"{path}.{name}": value for name, value in fault.defaults.items()},
    )


AUGMENTATION_RULES: tuple[Rule, ...] = (check_items, check_order, check_colour)
