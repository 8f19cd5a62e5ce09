"""Check the images: how many classes, channels and held-out images there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.data_lock import SPLITS
from wavetwin.ir.dataset import Dataset
from wavetwin.ir.datasets import DATASETS

_OWN = tuple(dict.fromkeys(name for row in DATASETS.values() for name in row.own_fields))
"""Fields of images of one's own."""


def has_validation_images(spec: ExperimentSpec) -> bool:
    """Return whether images validate: held out, filled in as `resolve` does, or those of `val`."""
    data = spec.data
    return data.num_held_out > 0 or (data.lock is not None and data.locked.has_own_validation)


@reads("data.dataset", "data.num_classes", "data.lock", "data.lock.classes")
def check_num_classes(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The number of classes is given where it is unknown, and right where it is known."""
    dataset, given = DATASETS[spec.data.dataset], spec.data.num_classes
    locked = None if spec.data.lock is None else len(spec.data.lock.classes)
    known = dataset.num_classes or locked
    if known is None and given is None:
        yield context.conflict(
            "num-classes-missing",
            f"the number of classes of {dataset.name} is not known",
            ["data.num_classes", "data.dataset"],
            help="add data.num_classes, or extend the lock that `wavetwin data prepare "
            f"{_spec_of_images(context)}` writes",
        )
    elif known is not None and given not in (None, known):
        of_lock = dataset.num_classes is None
        yield context.conflict(
            "num-classes-wrong",
            f"the lock of the images has {known} classes, not {given}"
            if of_lock
            else f"{dataset.name} has {known} classes, not {given}",
            ["data.num_classes", "data.lock.classes" if of_lock else "data.dataset"],
            help="leave num_classes out; `wavetwin data prepare` writes the lock anew"
            if of_lock
            else f"write num_classes: {known}, or leave it out; other classes are a folder of your own: "
            "dataset: folder",
        )


def _spec_of_images(context: CheckContext) -> str:
    """Return the file that names the images, where it is a spec: its children have the same help."""
    node = context.loaded.node("data.dataset")
    path = Path() if node is None else Path(node.location.path)
    is_spec = path.suffix == ".yaml" and not path.name.startswith("_")
    return path.as_posix() if is_spec else context.loaded.display_path


@reads("data.dataset", *(f"data.{name}" for name in _OWN))
def check_own_images(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only of images of one's own a spec says where they lie and how they are read."""
    dataset = DATASETS[spec.data.dataset]
    for name in dataset.needs:
        if getattr(spec.data, name) is None:
            yield needs_field(context.loaded, dataset, name)
    for name in _OWN:
        if name not in dataset.own_fields and getattr(spec.data, name) is not None:
            with_field = [row.name for row in DATASETS.values() if name in row.own_fields]
            reason = f"{name} is a field of {join_texts(with_field, 'and')}, not of {dataset.name}"
            if name == "channels":
                many = "s" * (dataset.channels > 1)
                reason += f", whose images have {dataset.channels} channel{many}"
            yield context.conflict(
                "field-does-not-apply",
                reason,
                [f"data.{name}", "data.dataset"],
                help=f"remove {name}",
            )


def needs_field(loaded: LoadedSpec, dataset: Dataset, name: str) -> Diagnostic:
    """Return that a field is missing without which nobody knows where a user's own images lie."""
    return conflict(
        loaded,
        "missing-field",
        f"dataset: {dataset.name} needs data.{name}",
        [f"data.{name}", "data.dataset"],
        help=f"add data.{name}: {dataset.how_to_get}",
    )


@reads("data.lock", *(f"data.lock.{name}" for name in ("classes", *SPLITS)))
def check_lock(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A lock has each class once, and a number of images of each."""
    if spec.data.lock is None:
        return
    lock = spec.data.locked
    help_text = f"let `wavetwin data prepare {context.loaded.display_path}` write it anew"
    name, number = Counter(lock.classes).most_common(1)[0]
    if number > 1:
        yield context.conflict(
            "data-lock-wrong",
            f"the lock of the images has the class '{name}' {number} times",
            ["data.lock.classes"],
            help=help_text,
        )
    for split, counts in lock.counts.items():
        if counts and len(counts) != len(lock.classes):
            yield context.conflict(
                "data-lock-wrong",
                f"the lock of the images has {len(lock.classes)} classes, and numbers of "
                f"{len(counts)} in {split}",
                [f"data.lock.{split}", "data.lock.classes"],
                help=help_text,
            )
    if not lock.test and not lock.val:
        yield context.conflict(
            "data-lock-wrong",
            "the lock of the images has neither test nor val, so that there is no test set",
            ["data.lock"],
            help=f"add images to test or val, and {help_text}",
        )


@reads("data.dataset", "data.num_classes", "data.validation", "data.lock", "data.lock.train")
def check_validation(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Some images are left to train on."""
    dataset, validation = DATASETS[spec.data.dataset], spec.data.validation
    if validation is None:
        return
    if spec.data.lock is not None:
        smallest = spec.data.locked.smallest_class
        if smallest and validation >= smallest:
            yield context.conflict(
                "no-training-images",
                f"validation sets aside {validation} images of each class, and the smallest class has "
                f"{smallest} training images",
                ["data.validation", "data.lock.train"],
                help="set data.validation to null for "
                f"{spec.data.locked.usual_validation}, or to a smaller number",
            )
        return
    if dataset.training_images is None or dataset.train_per_class is not None:
        return
    classes = (dataset.num_classes or 1) if dataset.per_class else 1
    if validation * classes >= dataset.training_images:
        per_class = f" in each of {classes} classes" if dataset.per_class else ""
        yield context.conflict(
            "no-training-images",
            f"validation sets aside {validation} images{per_class}, and"
            f" {spec.data.dataset} has {dataset.training_images} training images",
            ["data.validation", "data.dataset"],
            help=f"leave out data.validation for {dataset.validation}",
        )


IMAGE_RULES: tuple[Rule, ...] = (
    check_num_classes,
    check_own_images,
    check_lock,
    check_validation,
)
