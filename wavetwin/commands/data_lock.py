"""Write the lock of a spec's own images for `wavetwin data prepare`: a part of specs, to extend."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from wavetwin.commands.modeline import modeline
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.resolve.own_images import SpecImages, read_own_images
from wavetwin.compiler.schema import LANGUAGE_VERSION
from wavetwin.files.atomic import write_file
from wavetwin.ir.data_lock import DataLock
from wavetwin.ir.datasets import DATASETS
from wavetwin.runtime.data.root import find_data_root
from wavetwin.runtime.process.errors import RunError, write_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from wavetwin.ir.plan import DataPlan
    from wavetwin.runtime.data.own_images import OwnImages

    Lister = Callable[[DataPlan, Path | None], OwnImages]

__all__ = ["lock_images"]

_HEADING = "# What `wavetwin data prepare` found of these images. Commit it; specs extend it."


def lock_images(
    spec: Path,
    overrides: Sequence[str] = (),
    project: Path | None = None,
    data_root: Path | None = None,
    out: Path | None = None,
) -> str:
    """Write the lock of a spec's images, and return what was found.

    Args:
        spec: whose images.
        overrides: the `--set` values.
        project: its root; None: found from the spec.
        data_root: from the command line.
        out: the file; default: the one that the spec has its lock from, else one beside the spec.

    Raises:
        CompileError: the spec is at fault.
        RunError: the images are not there or wrong, or the file cannot be written.
    """
    images = read_own_images(spec, overrides, project)
    row, root = DATASETS[images.plan.dataset], find_data_root(data_root)
    written: list[str] = []
    if row.indexer:
        written.append(resolve_name(row.indexer)(images.plan, root))
    lister: Lister = resolve_name(row.lister)
    own = lister(images.plan, root)
    own.test_set()  # Its fault, if there is none, before a lock is written.
    lock = own.lock
    file = out or _lock_file(images, spec)
    content = _lock_text(images, lock, file).encode()
    old = file.read_bytes() if file.is_file() else None
    if old is not None and not old.startswith(_HEADING.encode()):
        raise RunError(
            "output-exists",
            "is there, and is no lock",
            "name another file with --out",
            subject=file,
        )
    if old != content:
        try:
            write_file(file, content)
        except OSError as error:
            raise RunError(
                write_code(error), f"cannot be written: {error.strerror}", subject=file
            ) from error
    account = _account(images, lock, file, spec, is_new=old != content)
    return "\n".join([*written, *account]) + "\n"


def _lock_file(images: SpecImages, spec: Path) -> Path:
    """Return the file that the spec has its lock from, where that is a lock's; else one beside it."""
    if images.lock_file is not None:
        known = images.loaded.project / images.lock_file
        if known.is_file() and known.read_bytes().startswith(_HEADING.encode()):
            return known
    return spec.parent / images.lock_name


def _lock_text(images: SpecImages, lock: DataLock, file: Path) -> str:
    data: dict[str, Any] = {"dataset": images.plan.dataset}
    for name in ("folder", "file", "split_list"):
        value = getattr(images.plan, name)
        data |= {} if value is None else {name: value}
    values = {name: value for name, value in lock.to_json().items() if value not in (None, [])}
    document = {"wavetwin": LANGUAGE_VERSION, "data": {**data, "lock": values}}
    return f"{_HEADING}\n{modeline(file, images.loaded.project)}{dump_spec(document)}"


def _account(
    images: SpecImages, lock: DataLock, file: Path, spec: Path, *, is_new: bool
) -> Iterator[str]:
    yield f"{file}: {'written' if is_new else 'already so'}"
    counts = ", ".join(f"{sum(each)} {split}" for split, each in lock.counts.items() if each)
    yield f"  {len(lock.classes)} classes; images: {counts}"
    if images.validation:
        of = " of each class" if images.plan.validation_per_class else ""
        yield f"  validation: {images.validation}{of} are held out of train, as data.validation says"
    elif lock.has_own_validation:
        yield "  validation: the images of val, unless data.validation holds some out of train"
    elif images.validation is None and lock.usual_validation:
        held_out = lock.usual_validation
        yield f"  validation: {held_out} of each class are held out of train (data.validation)"
    elif lock.train:
        reason = "there are too few images (data.validation)"
        if images.validation is not None:
            reason = "as data.validation says"
        yield f"  validation: none, {reason}"
    loaded = images.loaded
    if file.absolute() not in [each.absolute() for each in loaded.files]:
        name = Path(os.path.relpath(file, spec.parent)).as_posix()
        yield f"  next: add {name} to `extends` of {loaded.display_path}, and commit both"
    elif is_new:
        yield "  next: commit it; builds and runs of before are of the images of before"
