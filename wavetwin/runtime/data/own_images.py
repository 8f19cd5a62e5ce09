"""Say which images of a user's own train, validate and test, and hold them against the spec's lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wavetwin.ir.data_lock import DataLock
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.data_lock import compare_with_lock, make_lock
from wavetwin.runtime.data.detected import FileList, Found, FoundArrays
from wavetwin.runtime.data.listing import no_training_images
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.process.errors import RunError

__all__ = ["OwnImages", "arrange"]


@dataclass(frozen=True)
class OwnImages:
    """What the disk has."""

    location: Path
    """The folder or file of all of them."""
    class_names: tuple[str, ...]
    sets: Mapping[str, FileList | FoundArrays]
    """By split: `train`, `val` and `test`, those that are there."""
    no_training: tuple[str, str]
    """What is missing where none of them train, and what to add, as `no_training_images` takes it."""
    list_file: Path | None = None
    """What divides them, where a list does."""

    @property
    def lock(self) -> DataLock:
        """What a lock of these images says."""
        return make_lock(self.class_names, self.sets, self.list_file)

    def test_set(self) -> FileList | FoundArrays:
        """Return `test`, or without it `val`.

        Raises:
            RunError: there is neither.
        """
        test = self.sets.get("test", self.sets.get("val"))
        if test is None:
            raise RunError(
                "data-set-incomplete",
                "has neither test nor val, so that there is no test set",
                "give some images one of these splits",
                subject=self.list_file or self.location,
            )
        return test


def arrange(own: OwnImages, data: DataPlan, official: Official) -> Found:
    """Return the images by what they are for.

    `test` is the test set; without it `val` is. Where both are there and the plan holds no training
    images out, `val` is the validation set. Without `train` the test set can still be evaluated.

    Raises:
        RunError: there is no test set, the classes are not the plan's, or what is there is not what the
            plan's lock says.
    """
    sets = own.sets
    if data.lock is not None:
        compare_with_lock(data.lock, own.lock, official, own.location)
    found = len(own.class_names)
    if found != data.num_classes:
        first = next(iter(sets.values()))
        raise RunError(
            "data-do-not-fit",
            f"has {found} classes, the spec says {data.num_classes}",
            f"write `data: {{num_classes: {found}}}` in the spec, or name another folder",
            subject=first.folder if isinstance(first, FileList) else own.location,
        )
    test = own.test_set()
    if "train" not in sets:
        return no_training_images(test, *own.no_training)
    validation = sets.get("val") if "test" in sets and data.validation == 0 else None
    return Found(sets["train"], test, validation)
