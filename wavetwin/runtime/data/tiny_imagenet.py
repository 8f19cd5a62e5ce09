"""Read Tiny ImageNet: the official layout of tiny-imagenet-200.

The official test images have no classes: the official validation images are the test set.
"""

from __future__ import annotations

import os
from pathlib import Path

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.datasets import find_dataset
from wavetwin.ir.datasets.tiny_imagenet import TinyImageNet
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.detected import FileList, Found
from wavetwin.runtime.data.image_walk import is_folder, subfolders
from wavetwin.runtime.data.listing import (
    columns,
    list_classes,
    list_images,
    no_training_folder,
    no_training_images,
    read_lines,
)
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.root import ROOT_REMEDY, need_root
from wavetwin.runtime.process.errors import RunError

__all__ = ["read_tiny_imagenet"]

_UNPACK = "unpack tiny-imagenet-200.zip again"


def read_tiny_imagenet(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the images of `<root>/tiny-imagenet-200`; classes are numbered in sorted order.

    Raises:
        RunError: a folder, class, list or image is missing, or a list cannot be understood.
    """
    dataset = find_dataset(data.dataset, TinyImageNet)
    folder = need_root(data.dataset, root) / dataset.folder
    has_train = is_folder(folder / "train")
    if not has_train and not is_folder(folder / "val"):
        raise RunError(
            "data-set-missing",
            f"'{dataset.name}' is not there: no {folder / 'train'}",
            f"unpack {dataset.folder}.zip in the data root, or {ROOT_REMEDY}",
        )
    class_names = sorted(set(read_lines(folder / "wnids.txt", _UNPACK)))
    if len(class_names) != data.num_classes:
        official.differs(
            f"lists {len(class_names)} classes of {data.num_classes}",
            _UNPACK,
            folder / "wnids.txt",
        )
    if not has_train:
        test = _list_validation(folder / "val", class_names)
        return no_training_images(test, *no_training_folder(folder / "train"))
    unlisted = sorted(set(subfolders(folder / "train")) - set(class_names))
    if unlisted:
        raise RunError(
            "data-do-not-fit",
            f"has {list_some(unlisted)}, which {folder / 'wnids.txt'} does not list",
            f"move what is no class out of {folder / 'train'}, or {_UNPACK}",
            subject=folder / "train",
        )
    train = list_classes(folder / "train", class_names, "images")
    return Found(train, _list_validation(folder / "val", class_names))


def _list_validation(folder: Path, class_names: list[str]) -> FileList:
    annotations = folder / "val_annotations.txt"
    numbers = {name: number for number, name in enumerate(class_names)}
    classes: dict[str, int] = {}
    for line_number, line in enumerate(read_lines(annotations, _UNPACK), start=1):
        name, _, rest = line.partition("\t")
        wnid = rest.split("\t")[0]
        if wnid not in numbers:
            raise RunError(
                "data-set-damaged",
                f"does not give an image and a class of wnids.txt: {line[:80]!r}",
                _UNPACK,
                subject=f"{annotations}:{line_number}",
            )
        classes[name] = numbers[wnid]
    if not is_folder(folder / "images"):
        raise RunError("no-images", "has no images", _UNPACK, subject=folder)
    images = list_images(folder / "images")
    there = {name for name, _ in images}
    missing, unknown = sorted(classes.keys() - there), sorted(there - classes.keys())
    if missing:
        raise RunError(
            "data-set-incomplete",
            f"has no {list_some(missing)}",
            _UNPACK,
            subject=folder / "images",
        )
    if unknown:
        raise RunError(
            "data-set-incomplete",
            f"has no class for {list_some(unknown)}",
            _UNPACK,
            subject=annotations,
        )
    without = sorted(set(class_names) - {class_names[number] for number in classes.values()})
    if without:
        raise RunError(
            "data-set-incomplete",
            f"has no images of {list_some(without)}",
            _UNPACK,
            subject=annotations,
        )
    return FileList(
        folder / "images",
        tuple(class_names),
        *columns(
            [os.fsencode(name) for name, _ in images],
            [size for _, size in images],
            [classes[name] for name, _ in images],
        ),
    )
