"""Check the images: how many classes, channels and held-out images there are."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.datasets import DATASETS


def num_validation_images(spec: ExperimentSpec) -> int:
    """Return the images held out (per class for folders), filled in as `resolve` does."""
    context = DATASETS[spec.data.dataset]
    return context.validation if spec.data.validation is None else spec.data.validation


@reads("data.dataset", "data.num_classes")
def check_num_classes(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The number of classes is given where it is unknown, and right where it is known."""
    known, given = DATASETS[spec.data.dataset].num_classes, spec.data.num_classes
    if known is None and given is None:
        yield context.conflict(
            "num-classes-missing",
            f"the number of classes of {spec.data.dataset} is not known",
            ["data.num_classes", "data.dataset"],
            help="add data.num_classes",
        )
    elif known is not None and given not in (None, known):
        yield context.conflict(
            "num-classes-wrong",
            f"{spec.data.dataset} has {known} classes, not {given}",
            ["data.num_classes", "data.dataset"],
            help=f"write num_classes: {known}, or leave it out; other classes are a folder of your own: "
            "dataset: folder",
        )


@reads("data.dataset", "data.channels")
def check_image_channels(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only of images of one's own may the channels be chosen."""
    dataset, channels = DATASETS[spec.data.dataset], spec.data.channels
    if channels is not None and not dataset.takes_channels:
        own = [row.name for row in DATASETS.values() if row.takes_channels]
        yield context.conflict(
            "field-does-not-apply",
            f"the images of {dataset.name} have {dataset.channels} channel"
            f"{'s' * (dataset.channels > 1)}: channels is a field of {join_texts(own, 'and')}",
            ["data.channels", "data.dataset"],
            help="remove channels",
        )


@reads("data.dataset", "data.num_classes", "data.validation")
def check_validation(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Some images are left to train on."""
    dataset = DATASETS[spec.data.dataset]
    if spec.data.validation is None or dataset.training_images is None:
        return
    if dataset.train_per_class is not None:
        return
    classes = (dataset.num_classes or 1) if dataset.per_class else 1
    if spec.data.validation * classes >= dataset.training_images:
        per_class = f" in each of {classes} classes" if dataset.per_class else ""
        yield context.conflict(
            "no-training-images",
            f"validation sets aside {spec.data.validation} images{per_class}, and"
            f" {spec.data.dataset} has {dataset.training_images} training images",
            ["data.validation", "data.dataset"],
            help=f"leave out data.validation for {dataset.validation}",
        )


IMAGE_RULES: tuple[Rule, ...] = (
    check_num_classes,
    check_image_channels,
    check_validation,
)
