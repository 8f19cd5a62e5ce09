"""Reader of `folder`: `train/<class>/*` and `test/<class>/*` or `val/<class>/*` images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wavetwin.compiler.plan import DataPlan
from wavetwin.runtime.data.found import FileList, Found, shown
from wavetwin.runtime.data.listing import class_folders, list_classes
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.root import ROOT_REMEDY, need_root
from wavetwin.runtime.errors import RunError

__all__ = ["list_folder", "read_folder"]


def list_folder(folder: Path, known: Sequence[str] | None = None) -> FileList:
    """Return the images of a folder of class folders.

    Args:
        folder: what holds the class folders.
        known: classes whose places are the numbers that the folders get; None: sorted order.

    Raises:
        RunError: there are no classes, unknown ones, one without images, or a folder cannot be
            read.
    """
    try:
        names = class_folders(folder)
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {error.strerror}", ROOT_REMEDY) from error
    if not names:
        raise RunError(
            f"{folder} has no classes of images", "each class is a folder of image files"
        )
    if known is None:
        return list_classes(folder, names)
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise RunError(
            f"{folder} has classes that the data set does not have: {shown(unknown)}",
            "give it the data set's class folders alone",
        )
    return list_classes(folder, names, numbers={name: n for n, name in enumerate(known)})


def read_folder(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the images below the data root.

    `test` is the test set; without it `val` is. Where both are there and the plan sets no training
    images aside, `val` is the validation set.

    Raises:
        RunError: a folder is missing, or the classes differ from the plan's or among the sets.
    """
    root = need_root(data.dataset, root)
    if not (root / "train").is_dir() or not any((root / n).is_dir() for n in ("test", "val")):
        raise RunError(
            f"{root} needs train/<class>/* and test/<class>/* or val/<class>/*",
            ROOT_REMEDY,
        )
    names = [name for name in ("train", "test", "val") if (root / name).is_dir()]
    sets = {name: list_folder(root / name) for name in names}
    train = sets["train"]
    if len(train.class_names) != data.num_classes:
        raise RunError(
            f"{root / 'train'} has {len(train.class_names)} classes, the spec says "
            f"{data.num_classes}",
            "set data.num_classes, or point --data-root at another folder",
        )
    for name in names[1:]:
        different = sorted(set(sets[name].class_names) ^ set(train.class_names))
        if different:
            raise RunError(
                f"{root / name} and {root / 'train'} have different classes: "
                + ", ".join(different[:8]),
                "every set needs a folder for every class",
            )
    validation = sets.get("val") if "test" in sets and data.validation == 0 else None
    test = sets["test"] if "test" in sets else sets["val"]
    return Found(train, test, validation)
