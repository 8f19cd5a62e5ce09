"""Read images of one's own: class folders in `train`, `val` and `test`, or a list that divides them."""

from __future__ import annotations

from pathlib import Path

from wavetwin.ir.data_lock import SPLITS
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.class_order import check_same_classes
from wavetwin.runtime.data.detected import FileList, Found
from wavetwin.runtime.data.image_walk import is_folder, subfolders
from wavetwin.runtime.data.listing import list_classes, no_training_folder
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.own_images import OwnImages, arrange
from wavetwin.runtime.data.root import ROOT_REMEDY, own_folder
from wavetwin.runtime.data.split_list import read_split_list
from wavetwin.runtime.process.errors import RunError

__all__ = ["list_folder", "list_own_folder", "read_folder"]


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
    """Return the images of the plan's folder, as `arrange` divides them.

    Raises:
        RunError: a folder is missing, or the classes differ from the plan's or among the sets.
    """
    known = None if data.lock is None else data.lock.classes
    return arrange(list_own_folder(data, root, known), data, official)


def list_own_folder(
    data: DataPlan, root: Path | None, known: tuple[str, ...] | None = None
) -> OwnImages:
    """Return the images of each split that the disk has; any number of classes will do.

    Args:
        data: says the folder and, where there is one, the list.
        root: the data root.
        known: the classes in the order of their numbers, of a list's labels; None: the disk says.

    Raises:
        RunError: a folder or the list is missing or wrong, or the classes differ among the sets.
    """
    folder = own_folder(data, root)
    if data.split_list is not None:
        file = folder / data.split_list
        sets = read_split_list(file, folder, known)
        no_training = f"{file} names none", "some with the split train"
        return OwnImages(folder, next(iter(sets.values())).class_names, sets, no_training, file)
    names = [name for name in SPLITS if is_folder(folder / name)]
    if not names or names == ["train"]:
        raise RunError(
            "data-set-missing",
            "needs train/<class>/* and test/<class>/* or val/<class>/*",
            f"lay the images out so, or {ROOT_REMEDY}",
            subject=folder,
        )
    sets = {name: list_folder(folder / name) for name in names}
    first = sets[names[0]]
    for name in names[1:]:
        check_same_classes(
            first.folder,
            first.class_names,
            folder / name,
            sets[name].class_names,
            data.num_classes,
        )
    no_training = no_training_folder(folder / "train")
    return OwnImages(folder, first.class_names, sets, no_training)
