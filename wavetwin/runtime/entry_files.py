"""The files of entries that have images of their own: corrupted images and perturbation videos.

They are listed the same for an evaluation and for the question whether an earlier one still holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from wavetwin.compiler.plan import EvaluationPlan
from wavetwin.runtime.baselines import SEVERITIES
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.data.folder import list_folder
from wavetwin.runtime.data.found import FileList
from wavetwin.runtime.data.root import ROOT_REMEDY, find_data_root
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.videos import Video, list_videos, videos_digest

__all__ = [
    "combined_fingerprint",
    "corruption_sets",
    "entry_fingerprint",
    "list_corrupted",
    "perturbation_videos",
]


def entry_fingerprint(
    entry: EvaluationPlan, data: ExperimentData, data_root: Path | None
) -> str | None:
    """Return the SHA-256 over names and sizes that evaluating the entry now would record.

    None for an entry of the data set's own images; no image is read.

    Raises:
        RunError: files are missing, or their classes are not the model's.
    """
    match entry.mode:
        case "corruptions":
            sets = corruption_sets(entry, data_root)
            return combined_fingerprint(
                {name: list_corrupted(folder, data).fingerprint for name, folder in sets.items()}
            )
        case "perturbations":
            found = perturbation_videos(entry, data, data_root)
            return combined_fingerprint({name: videos_digest(each) for name, each in found.items()})
        case _:
            return None


def combined_fingerprint(sets: Mapping[str, str]) -> str:
    """Return one SHA-256 over the names of an entry's sets and the fingerprint of each."""
    lines = (f"{name}\0{fingerprint}\n" for name, fingerprint in sets.items())
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def corruption_sets(entry: EvaluationPlan, data_root: Path | None) -> dict[str, Path]:
    """Return the folders `<corruption>/<severity>` that are there, in order.

    Raises:
        RunError: there are none.
    """
    folder = _entry_folder(entry, data_root)
    sets = {
        f"{corruption.name}/{severity.name}": severity
        for corruption in _subfolders(folder)
        for severity in _subfolders(corruption)
        if severity.name in SEVERITIES
    }
    if not sets:
        raise RunError(
            f"{folder} has no corruptions: <corruption>/<severity>/<class>/* is looked for",
            "extract ImageNet-C's archives into it, or name another root in the spec",
        )
    return sets


def list_corrupted(folder: Path, data: ExperimentData) -> FileList:
    """Return the images of one corruption at one severity.

    Raises:
        RunError: their classes are not the model's, or one has no images.
    """
    files = list_folder(folder, data.train.source.class_names)
    _check_classes(folder, files.class_names, data)
    return files


def perturbation_videos(
    entry: EvaluationPlan, data: ExperimentData, data_root: Path | None
) -> dict[str, list[Video]]:
    """Return the videos of each perturbation that is there, in order.

    Raises:
        RunError: there are no perturbations, or their classes are not the model's.
    """
    folder = _entry_folder(entry, data_root)
    found: dict[str, list[Video]] = {}
    for each in _subfolders(folder):
        names = [path.name for path in _subfolders(each)]
        _check_classes(each, names, data)
        found[each.name] = list_videos(each, data.train.source.class_names or names)
    if not found:
        raise RunError(
            f"{folder} has no perturbations: <perturbation>/<class>/*.mp4 is looked for",
            "extract ImageNet-P's archives into it, or name another root in the spec",
        )
    return found


def _entry_folder(entry: EvaluationPlan, data_root: Path | None) -> Path:
    """Return the folder of an entry's own images.

    Raises:
        RunError: no data root is known, or the folder is not there.
    """
    root, name = find_data_root(data_root), entry.root
    assert name is not None
    if root is None:
        raise RunError(f"no data root is known, and '{name}' is read from disk", ROOT_REMEDY)
    if not (root / name).is_dir():
        raise RunError(f"{root / name} is not there", ROOT_REMEDY)
    return root / name


def _subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, hidden ones left out, by name."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _check_classes(folder: Path, names: Sequence[str], data: ExperimentData) -> None:
    """Compare a folder's classes with those that the model knows.

    Raises:
        RunError: their number or, where the data set names its classes, their names differ.
    """
    number, known = data.plan.data.num_classes, data.train.source.class_names
    if known is not None and set(names) != set(known):
        different = sorted({*names} ^ {*known})
        raise RunError(
            f"{folder} has other classes than the data set: {', '.join(different[:8])}",
            "there is a folder for each class, with the data set's names",
        )
    if len(names) != number:
        raise RunError(
            f"{folder} has {len(names)} classes, the model has {number}",
            "there is a folder for each class, in the order of the classes",
        )
