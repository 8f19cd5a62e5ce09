"""Read images of one's own: `train/<class>/*`, and `test/<class>/*` or `val/<class>/*`."""

from __future__ import annotations

from pathlib import Path

from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.class_order import check_same_classes
from wavetwin.runtime.data.detected import FileList, Found
from wavetwin.runtime.data.image_walk import is_folder, subfolders
from wavetwin.runtime.data.listing import list_classes, no_training_images
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.root import ROOT_REMEDY, need_root
from wavetwin.runtime.process.errors import RunError

__all__ = ["list_folder", "read_folder"]


def list_folder(folder: Path) -> FileList:
    """Return the images of a folder of class folders, whose numbers are their natural order.

    Raises:
        RunError: there are no classes, one without images, a folder cannot be read, or a link leads
            to images that are read already.
    """
    names = subfolders(folder)
    if not names:
        raise RunError(
            "no-images",
            "has no classes of images",
            "each class is a folder of image files",
            subject=folder,
        )
    return list_classes(folder, names)


def read_folder(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the images below the data root.

    `test` is the test set; without it `val` is. Where both are there and the plan sets no training
    images aside, `val` is the validation set. Without `train` the test set can still be evaluated.

    Raises:
        RunError: a folder is missing, or the classes differ from the plan's or among the sets.
    """
    root = need_root(data.dataset, root)
    names = [name for name in ("train", "test", "val") if is_folder(root / name)]
    if not names or names == ["train"]:
        raise RunError(
            "data-set-missing",
            "needs train/<class>/* and test/<class>/* or val/<class>/*",
            ROOT_REMEDY,
            subject=root,
        )
    sets = {name: list_folder(root / name) for name in names}
    first = sets[names[0]]
    for name in names[1:]:
        check_same_classes(
            first.folder,
            first.class_names,
            root / name,
            sets[name].class_names,
            data.num_classes,
        )
    found = len(first.class_names)
    if found != data.num_classes:
        raise RunError(
            "data-do-not-fit",
            f"has {found} classes, the spec says {data.num_classes}",
            f"write `data: {{num_classes: {found}}}` in the spec, or point --data-root at another "
            "folder",
            subject=first.folder,
        )
    test = sets["test"] if "test" in sets else sets["val"]
    if "train" not in sets:
        return no_training_images(root / "train", test)
    validation = sets.get("val") if "test" in sets and data.validation == 0 else None
    return Found(first, test, validation)
