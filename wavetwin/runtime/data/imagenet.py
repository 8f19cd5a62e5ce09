"""Read ImageNet and its subsets.

Class folders train; the official validation images, in class folders or flat, are the test set.
"""

from __future__ import annotations

import os
from pathlib import Path

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.datasets import find_dataset
from wavetwin.ir.datasets.imagenet import ImageNet
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.class_order import check_same_classes
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
from wavetwin.runtime.process.packages import require

__all__ = ["read_devkit", "read_imagenet"]

DEVKIT = "ILSVRC2012_devkit_t12"
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
WNID_LIST = "imagenet_2012_validation_synset_labels.txt"
KAGGLE_LIST = "LOC_val_solution.csv"


def _find_imagenet(dataset: ImageNet, root: Path) -> Path | None:
    """Return the folder that has `train`, else the one that has `val`; None where there is none."""
    return next(
        (
            root / name
            for part in ("train", "val")
            for name in dataset.folders
            if is_folder(root / name / part)
        ),
        None,
    )


def read_imagenet(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return ImageNet, or a subset of its classes or images; classes are numbered in sorted order.

    Raises:
        RunError: a folder, class or list is missing, or a list cannot be understood.
    """
    dataset = find_dataset(data.dataset, ImageNet)
    location = need_root(data.dataset, root)
    folder = _find_imagenet(dataset, location)
    if folder is None or not is_folder(folder / "val"):
        missing = "train" if folder is None else "val"
        looked = ", ".join(str(location / name / missing) for name in dataset.folders)
        raise RunError(
            "data-set-missing",
            f"'{data.dataset}' is not there: none of {looked}",
            "`wavetwin data prepare imagenet --from DIR` unpacks the official archives there; or "
            + ROOT_REMEDY,
        )
    has_train = is_folder(folder / "train")
    every = subfolders(folder / ("train" if has_train else "val"))
    if not every and not has_train:
        raise RunError(
            "data-set-incomplete",
            f"is flat and {folder / 'train'} is not there: nothing names the classes",
            "move the images into class folders, or unpack the training archive",
            subject=folder / "val",
        )
    chosen = _choose_classes(dataset, data, location, folder, every, official)
    if not has_train:
        return no_training_images(_list_test(folder, chosen), *no_training_folder(folder / "train"))
    _compare_sets(dataset, data, folder, every, chosen)
    train = list_classes(folder / "train", chosen)
    return Found(train, _list_test(folder, chosen), None, dataset.train_per_class)


def _compare_sets(
    dataset: ImageNet, data: DataPlan, folder: Path, every: list[str], chosen: list[str]
) -> None:
    """Compare the class folders of training and test images; a subset needs its own ones alone."""
    tested = subfolders(folder / "val")
    if tested and set(chosen) - set(tested):
        most = max(len(every), len(tested))
        planned = most if dataset.chooses_classes else data.num_classes
        check_same_classes(folder / "train", every, folder / "val", tested, planned)


def _choose_classes(
    dataset: ImageNet,
    data: DataPlan,
    root: Path,
    folder: Path,
    every: list[str],
    official: Official,
) -> list[str]:
    """Return the classes of the data set, sorted.

    No list of the subsets' classes is published: they are the first ones, or those of a file of the
    user's.
    """
    if dataset.chooses_classes:
        locations = dict.fromkeys((root / f"{data.dataset}.txt", folder / f"{data.dataset}.txt"))
        file = next((location for location in locations if location.is_file()), None)
        if file is None:
            chosen = every[: data.num_classes]
        else:
            chosen = sorted(set(read_lines(file, "write one class (wnid) a line")))
            if len(chosen) != data.num_classes:
                raise RunError(
                    "data-do-not-fit",
                    f"lists {len(chosen)} different classes, '{data.dataset}' has "
                    f"{data.num_classes}",
                    "write one class (wnid) a line",
                    subject=file,
                )
    else:
        chosen = every
    if len(chosen) != data.num_classes:
        # Where they lie flat, the test images have no folders to compare with.
        tested = set(subfolders(folder / "val"))
        missing, extra = sorted(tested - set(chosen)), sorted(set(chosen) - tested)
        there = folder / ("train" if is_folder(folder / "train") else "val")
        official.differs(
            f"has {len(chosen)} classes of {data.num_classes}"
            + (f"; missing: {list_some(missing)}" if missing else "")
            + (f"; {folder / 'val'} has no {list_some(extra)}" if tested and extra else ""),
            f"move {list_some(extra)} out of {there}"
            if tested and extra and not missing
            else "unpack the training archive again",
            there,
        )
    return chosen


def _list_test(folder: Path, chosen: list[str]) -> FileList:
    test = folder / "val"
    if subfolders(test):
        return list_classes(test, chosen)
    images = [(name, size) for name, size in list_images(test) if "/" not in name]
    if not images:
        raise RunError(
            "data-set-incomplete",
            "has neither class folders nor images",
            "unpack the validation archive again",
            subject=test,
        )
    wnids = _read_truth(folder, [name for name, _ in images])
    numbers = {name: number for number, name in enumerate(chosen)}
    kept = [
        (os.fsencode(name), size, numbers[wnid])
        for (name, size), wnid in zip(images, wnids, strict=True)
        if wnid in numbers
    ]
    without = sorted(set(chosen) - set(wnids))
    if without:
        raise RunError(
            "data-set-incomplete",
            f"has no images of {list_some(without)}",
            "unpack the validation archive again",
            subject=test,
        )
    names, sizes, labels = zip(*kept, strict=True)
    return FileList(test, tuple(chosen), *columns(names, sizes, labels))


def _read_truth(folder: Path, images: list[str]) -> list[str]:
    """Return the class of each flat validation image, from the first list that is there.

    Raises:
        RunError: there is no list, or it does not fit the images.
    """
    remedy = (
        f"put {WNID_LIST} (a class a line, in the order of the images), {KAGGLE_LIST} or the folder "
        f"{DEVKIT} there, or move the images into class folders"
    )
    if (folder / WNID_LIST).is_file():
        file = folder / WNID_LIST
        wnids = read_lines(file, remedy)
    elif (folder / KAGGLE_LIST).is_file():
        return _read_kaggle(folder / KAGGLE_LIST, images, remedy)
    elif (folder / DEVKIT / "data" / GROUND_TRUTH).is_file():
        file = folder / DEVKIT / "data" / GROUND_TRUTH
        wnids = read_devkit(file, remedy)
    else:
        raise RunError(
            "data-set-incomplete",
            "is flat, and nothing says its classes",
            remedy,
            subject=folder / "val",
        )
    if len(wnids) != len(images):
        raise RunError(
            "data-set-incomplete",
            f"has {len(wnids)} classes, {folder / 'val'} has {len(images)} images",
            "unpack the validation archive again",
            subject=file,
        )
    return wnids


def _read_kaggle(file: Path, images: list[str], remedy: str) -> list[str]:
    classes: dict[str, str] = {}
    for line in read_lines(file, remedy):
        name, _, boxes = line.partition(",")
        classes[name] = boxes.split(" ")[0]
    missing = [name for name in images if Path(name).stem not in classes]
    if missing:
        raise RunError(
            "data-set-incomplete",
            f"has no class for {list_some(missing)}",
            "fetch the list again",
            subject=file,
        )
    return [classes[Path(name).stem] for name in images]


def read_devkit(file: Path, remedy: str) -> list[str]:
    """Return the class of each validation image, from a devkit's ground truth and its `meta.mat`.

    Raises:
        RunError: one of the two files is missing or damaged, or SciPy is not installed.
    """
    require("scipy", "reading the devkit's meta.mat")
    from scipy.io import loadmat

    try:
        synsets = loadmat(str(file.parent / "meta.mat"), squeeze_me=True)["synsets"]
        wnids = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in synsets}
        return [wnids[int(line)] for line in read_lines(file, remedy)]
    except (OSError, KeyError, ValueError, IndexError, TypeError) as error:
        raise RunError(
            "data-set-damaged", f"cannot be understood: {error}", remedy, subject=file.parent
        ) from error
