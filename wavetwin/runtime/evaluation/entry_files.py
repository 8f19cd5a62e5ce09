"""Find the files of entries with images of their own: corrupted images, perturbation videos.

They are listed the same for an evaluation and for the question whether an earlier one still holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name

from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.evaluations import Evaluation, FilesEvaluation
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.data.class_order import number_classes
from wavetwin.runtime.data.detected import FileList
from wavetwin.runtime.data.image_walk import is_folder, subfolders
from wavetwin.runtime.data.listing import list_classes
from wavetwin.runtime.data.npy_images import LABELS, NpyImages, list_npy_sets
from wavetwin.runtime.data.root import ROOT_REMEDY, find_data_root
from wavetwin.runtime.evaluation.baselines import SEVERITIES
from wavetwin.runtime.evaluation.videos import Video, list_videos, videos_digest
from wavetwin.runtime.process.errors import RunError

__all__ = [
    "CorruptedSet",
    "class_numbers",
    "combined_fingerprint",
    "corruption_sets",
    "entry_fingerprint",
    "list_corrupted",
    "perturbation_videos",
]

CorruptedSet = Path | NpyImages
"""A folder of class folders, or a part of an array."""


def entry_fingerprint(
    entry: Evaluation, data: ExperimentData, data_root: Path | None
) -> str | None:
    """Return the SHA-256 over names and sizes that evaluating the entry now would record.

    None for an entry of the data set's own images; no image is read.

    Raises:
        RunError: files are missing, or their classes are not the model's.
    """
    if not isinstance(entry, FilesEvaluation):
        return None
    return resolve_name(entry.fingerprint)(entry, data, data_root)


def corruptions_fingerprint(
    entry: FilesEvaluation, data: ExperimentData, data_root: Path | None
) -> str:
    """Return `entry_fingerprint` of corrupted images."""
    sets = corruption_sets(entry, data_root, data.plan.data.num_classes)
    return combined_fingerprint(
        {
            name: (list_corrupted(each, data) if isinstance(each, Path) else each).fingerprint
            for name, each in sets.items()
        }
    )


def perturbations_fingerprint(
    entry: FilesEvaluation, data: ExperimentData, data_root: Path | None
) -> str:
    """Return `entry_fingerprint` of perturbation videos."""
    found = perturbation_videos(entry, data, data_root)
    return combined_fingerprint({name: videos_digest(each) for name, each in found.items()})


def combined_fingerprint(sets: Mapping[str, str]) -> str:
    """Return one SHA-256 over the names of an entry's sets and the fingerprint of each."""
    lines = (f"{name}\0{fingerprint}\n" for name, fingerprint in sets.items())
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def corruption_sets(
    entry: FilesEvaluation, data_root: Path | None, num_classes: int | None = None
) -> dict[str, CorruptedSet]:
    """Return the images of each `<corruption>/<severity>` that is there, in order.

    Raises:
        RunError: there are none, an array is damaged, or one has more classes than `num_classes`.
    """
    folder = _entry_folder(entry, data_root)
    sets: dict[str, CorruptedSet] = {**list_npy_sets(folder, SEVERITIES, num_classes)}
    for corruption in subfolders(folder):
        for severity in subfolders(folder / corruption):
            if severity in SEVERITIES:
                sets[f"{corruption}/{severity}"] = folder / corruption / severity
    if not sets:
        raise RunError(
            "data-set-missing",
            f"has no corruptions: <corruption>/<severity>/<class>/*, or <corruption>.npy "
            f"with {LABELS}, is looked for",
            "extract the archives of ImageNet-C or CIFAR-10-C into it, or name another root in the "
            "spec",
            subject=folder,
        )
    return sets


def list_corrupted(folder: Path, data: ExperimentData) -> FileList:
    """Return the images of one corruption at one severity, class by class.

    Raises:
        RunError: their classes are not the model's, or one has no images.
    """
    names = subfolders(folder)
    numbers = class_numbers(folder, names, data.plan.data, data.class_names)
    return list_classes(folder, sorted(numbers, key=numbers.__getitem__))


def perturbation_videos(
    entry: FilesEvaluation, data: ExperimentData, data_root: Path | None
) -> dict[str, list[Video]]:
    """Return the videos of each perturbation that is there, in order.

    Raises:
        RunError: there are no perturbations, or their classes are not the model's.
    """
    folder = _entry_folder(entry, data_root)
    found: dict[str, list[Video]] = {}
    for name in subfolders(folder):
        names = subfolders(folder / name)
        numbers = class_numbers(folder / name, names, data.plan.data, data.class_names)
        classes = sorted(numbers, key=numbers.__getitem__)
        found[name] = list_videos(folder / name, classes)
    if not found:
        raise RunError(
            "data-set-missing",
            "has no perturbations: <perturbation>/<class>/*.mp4 is looked for",
            "extract ImageNet-P's archives into it, or name another root in the spec",
            subject=folder,
        )
    return found


def class_numbers(
    folder: Path, names: Sequence[str], data: DataPlan, known: Sequence[str] | None
) -> dict[str, int]:
    """Return the class of each folder of an entry's images that belongs to the model's classes.

    Args:
        folder: what the class folders lie in.
        names: theirs.
        data: what the model is for.
        known: the data set's class names, in the order of their numbers.

    Raises:
        RunError: they are not the model's, or nothing says which is which.
    """
    official = DATASETS[data.dataset].class_names
    return number_classes(folder, names, known, data.num_classes, official)


def _entry_folder(entry: FilesEvaluation, data_root: Path | None) -> Path:
    """Return the folder of an entry's own images.

    Raises:
        RunError: no data root is known, or the folder is not there.
    """
    root, name = find_data_root(data_root), entry.root
    if root is None:
        raise RunError(
            "data-root-unknown",
            f"no data root is known, and '{name}' is read from disk",
            ROOT_REMEDY,
        )
    if not is_folder(root / name):
        raise RunError("data-set-missing", "is not there", ROOT_REMEDY, subject=root / name)
    return root / name
