"""Check for `wavetwin data` whether a spec's data set is there, and say how to get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name

from wavetwin.diagnostics.listing import list_some, some_lines
from wavetwin.diagnostics.terminal import printable
from wavetwin.files.atomic import write_file
from wavetwin.ir.dataset import Dataset
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.evaluations import FilesEvaluation
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data.availability import Availability, look_for
from wavetwin.runtime.data.class_order import number_classes
from wavetwin.runtime.data.data_lock import LOCK_REMEDY
from wavetwin.runtime.data.image_walk import is_folder, subfolders, visible
from wavetwin.runtime.data.npy_images import list_npy_sets
from wavetwin.runtime.data.root import (
    ROOT_REMEDY,
    RootLocation,
    find_data_root,
    root_locations,
)
from wavetwin.runtime.evaluation.baselines import SEVERITIES
from wavetwin.runtime.process.errors import RunError, write_code

__all__ = ["check_data", "prepare_data", "write_sheet"]

Preparer = Callable[[Dataset, Path, Path | None], list[str]]


def check_data(plan: TrainingPlan, data_root: Path | None, *, verify: bool) -> tuple[bool, str]:
    """Return whether all images that a plan needs are there, and the account of it.

    Args:
        plan: the data set, its splits, and the roots of the evaluation suite.
        data_root: from the command line.
        verify: compare checksums and decode every image.

    Raises:
        RunError: the user's configuration file cannot be read.
    """
    locations = root_locations(data_root)
    root = next((location.root for location in locations if location.root is not None), None)
    availability = look_for(plan.data, root, verify=verify)
    batteries = [_look_for_suite(entry, plan, root, availability) for entry in _with_roots(plan)]
    lines = [f"data set: {plan.data.dataset}", "looked in:", *_shown_locations(locations)]
    lines += _shown_availability(plan.data.dataset, availability, verified=verify)
    for entry, (found, missing) in zip(_with_roots(plan), batteries, strict=True):
        lines.append(f"{entry.mode} {entry.root}:")
        lines += [f"  found: {text}" for text in found]
        lines += _listed("missing", missing)
    complete = availability.is_complete and not any(missing for _, missing in batteries)
    lines.append("complete" if complete else "not complete")
    return complete, "\n".join(map(printable, lines)) + "\n"


def write_sheet(plan: TrainingPlan, data_root: Path | None, file: Path) -> str:
    """Write the sheet of a plan's images, whole or not at all, and return what was written.

    Raises:
        RunError: the images are not there, the file's name is no page's, or it cannot be written.
    """
    if file.suffix.lower() not in (".html", ".htm"):
        raise RunError(
            "bad-argument", f"a sheet is a page, not {file.name}", "name a file that ends in .html"
        )
    from wavetwin.explain.image_sheet import IMAGES_OF_A_CLASS, MOST_CLASSES, image_sheet
    from wavetwin.runtime.data.samples import read_samples

    samples = read_samples(plan, find_data_root(data_root), IMAGES_OF_A_CLASS, MOST_CLASSES)
    try:
        write_file(file, image_sheet(plan, samples))
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror}", subject=file
        ) from error
    return f"sheet: {file}\n"


def prepare_data(dataset: str, data_root: Path | None, archives: Path | None) -> str:
    """Lay a data set out below the data root, and return what was done.

    Args:
        dataset: one that names its preparer.
        data_root: from the command line.
        archives: the folder of the official archives, for those that are made of them.

    Raises:
        RunError: no data root is known, or what the data set is made from is missing or wrong.
    """
    root = find_data_root(data_root)
    if root is None:
        raise RunError(
            "data-root-unknown", "no data root is known: there is nowhere to write to", ROOT_REMEDY
        )
    row = DATASETS.get(dataset)
    if row is None or row.preparer is None:
        names = [each.name for each in DATASETS.values() if each.preparer is not None]
        raise RunError(
            "unknown-name",
            f"'{dataset}' is neither a data set that is laid out nor a spec",
            f"name {' or '.join(names)}, or a spec file (.yaml) with images of your own",
        )
    prepare: Preparer = resolve_name(row.preparer)
    return "\n".join(prepare(row, root, archives)) + "\n"


def _shown_locations(locations: Sequence[RootLocation]) -> Iterator[str]:
    decided = False
    for location in locations:
        if location.root is None:
            yield f"  {location.name}: " + ("names none" if location.was_asked else "not asked")
        elif decided:
            yield f"  {location.name}: {location.root}, not used"
        else:
            decided = True
            there = "" if location.root.is_dir() else " (there is no such folder)"
            yield f"  {location.name}: {location.root}, used{there}"


def _shown_availability(
    dataset: str, availability: Availability, *, verified: bool
) -> Iterator[str]:
    for text in availability.found:
        yield f"  found: {text}"
    yield from _listed("missing", availability.missing)
    is_own = DATASETS[dataset].is_own
    yield from _listed("not as locked" if is_own else "not official", availability.differences)
    yield from _listed("damaged", availability.damaged)
    if availability.counts:
        yield "images: " + ", ".join(f"{n} {split}" for split, n in availability.counts.items())
    if availability.pairs:
        yield "classes of all training and test images:"
        yield from (f"  {pair}" for pair in availability.pairs)
    if verified and availability.is_complete:
        yield "every checksum that is known was compared, and every image file decoded"
    if availability.differences and is_own:
        yield f"help: {LOCK_REMEDY}"
    elif availability.missing and availability.remedy is not None:
        yield f"help: {availability.remedy}"
    elif not availability.is_complete:
        yield f"how to get it: {DATASETS[dataset].how_to_get}"


def _listed(label: str, texts: Sequence[str]) -> Iterator[str]:
    yield from (f"  {label}: {line}" for line in some_lines(texts))


def _with_roots(plan: TrainingPlan) -> list[FilesEvaluation]:
    return [entry for entry in plan.evaluation if isinstance(entry, FilesEvaluation)]


def _look_for_suite(
    entry: FilesEvaluation, plan: TrainingPlan, root: Path | None, availability: Availability
) -> tuple[list[str], list[str]]:
    """Return what is there and what is missing of the images of one entry."""
    if root is None:
        return [], [f"no data root is known: {ROOT_REMEDY}"]
    folder = root / entry.root
    if not folder.is_dir():
        return [], [str(folder)]
    wanted: tuple[str, ...] = resolve_name(entry.sets)
    try:
        arrays = list_npy_sets(folder, SEVERITIES, plan.data.num_classes)
    except RunError as error:
        return [], [error.headline]
    there = [name for name in wanted if name in arrays or is_folder(folder / name)]
    missing = [f"{folder / name}" for name in wanted if name not in there]
    found = [f"{folder}: {len(there)} of {len(wanted)} sets"]
    ways: dict[str, str] = {}
    incomplete: list[str] = []
    for name in there:
        if name not in arrays:
            fault, way = _look_for_classes(folder / name, entry.files, plan, availability)
            incomplete += fault
            ways.setdefault(way, name)
    found += [f"{name}: {way}" for way, name in ways.items() if way]
    # What is there in part says more than the names of what is not.
    return found, [*incomplete, *missing]


def _look_for_classes(
    folder: Path, files: str, plan: TrainingPlan, availability: Availability
) -> tuple[list[str], str]:
    """Return what is missing of the class folders of one set, and which of them is which class."""
    number = plan.data.num_classes
    try:
        names = subfolders(folder)
        if len(names) < number:
            return [f"{folder} has {len(names)} of {number} classes"], ""
        numbers = dict.fromkeys(names, 0)
        # Without the data set nothing says which classes it has.
        if availability.counts:
            official = DATASETS[plan.data.dataset].class_names
            numbers = number_classes(folder, names, availability.class_names, number, official)
        empty = [name for name in numbers if not visible(folder / name)]
    except RunError as error:
        return [error.headline], ""
    if empty:
        return [f"{folder} has no {files} of {list_some(empty)}"], ""
    if not availability.counts:
        return [], ""
    pairs = [f"{name} is class {n}" for name, n in sorted(numbers.items(), key=lambda p: p[1])]
    some = pairs if len(pairs) <= 6 else [*pairs[:3], "...", *pairs[-3:]]
    others = len(names) - len(numbers)
    rest = f"; {others} other folders are not read: no class of the model's" if others else ""
    return [], ", ".join(some) + rest
