"""Write the folder of a study: tables, pictures, a page, and study.json, which says how it was made.

There is no time in it, and no path but those of the command: the same command on the same images with
the same versions writes the same bytes.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wavetwin.explain.html import figure, fill, info, png, render_page, table
from wavetwin.explain.pictures.svg import svg_file
from wavetwin.explain.study.result import Picture, Result
from wavetwin.explain.study.rows import Table
from wavetwin.files.atomic import staged
from wavetwin.provenance.package import imported_package, installed_versions, sha256_of
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.process.json_files import read_json

__all__ = ["check_folder", "study_document", "write_study"]

RECORD, PAGE = "study.json", "study.html"


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder that a study may not write to, before anything is measured.

    Raises:
        RunError: it holds another study and `force` is False, or holds what is no study's, or it
            cannot be made or written to.
    """
    # Asked of the outermost folder that is to be made: nothing is made before there is a result.
    position = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    if not position.is_dir():
        raise RunError(
            "cannot-write", "is a file", "name another folder with --out", subject=position
        )
    if not os.access(position, os.W_OK | os.X_OK):
        raise RunError(
            "cannot-write",
            "may not be written to",
            "name another folder with --out",
            subject=position,
        )
    if not folder.exists():
        return
    if not any(folder.iterdir()):
        return
    if not _is_study(folder):
        raise RunError(
            "output-exists",
            "is not empty, and no study's folder",
            "name a new folder with --out",
            subject=folder,
        )
    if not force:
        raise RunError(
            "output-exists",
            "holds a study already",
            "name another folder with --out, or add --force",
            subject=folder,
        )


def write_study(folder: Path, result: Result, command: Sequence[str], seed: int) -> None:
    """Write the files in place of a study that was there; study.json is the last.

    Raises:
        RunError: the disk refuses.
    """
    files = _files(result, command, seed)
    try:
        old = read_json(folder / RECORD)["files"] if _is_study(folder) else {}
        with staged({folder / name: content for name, content in files.items()}) as put:
            # Nothing of the old study is touched before all of the new one is on the disk.
            for name in files:
                if name != RECORD:
                    put(folder / name)
            for name in old.keys() - files.keys():
                (folder / Path(name).name).unlink(missing_ok=True)
            put(folder / RECORD)
    except OSError as error:
        raise RunError(
            write_code(error),
            f"cannot be written: {error.strerror or error}",
            "make room, or name another folder with --out",
            subject=folder,
        ) from error


def study_document(result: Result, command: Sequence[str], seed: int) -> dict[str, Any]:
    """Return what study.json holds beside the digests of the files."""
    package = imported_package()
    return {
        "wavetwin_study": 1,
        "study": result.study,
        "command": ["wavetwin", *command],
        "seed": seed,
        "protocol": dict(result.protocol),
        "inputs": [dict(each) for each in result.inputs],
        "images": [dict(image) for image in result.images],
        "wavetwin": {"version": package.version, "package_digest": package.digest},
        "versions": _versions(),
    }


def _is_study(folder: Path) -> bool:
    if not (folder / RECORD).is_file():
        return False
    document = read_json(folder / RECORD)
    return document.get("wavetwin_study") == 1 and isinstance(document.get("files"), dict)


def _files(result: Result, command: Sequence[str], seed: int) -> dict[str, bytes]:
    """Return every file of the folder by name, study.json last."""
    document = study_document(result, command, seed)
    files = {
        f"{each.name}.csv": each.csv().encode() for each in (*result.summaries, *result.tables)
    }
    for picture in result.pictures:
        if picture.file_name is not None:
            files[picture.file_name] = _picture_bytes(picture)
    files[PAGE] = _page(result, document, list(files)).encode()
    document["files"] = {name: sha256_of(content) for name, content in files.items()}
    files[RECORD] = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    return files


def _picture_bytes(picture: Picture) -> bytes:
    if isinstance(picture.content, bytes):
        return picture.content
    return svg_file(picture.content).encode()


def _page(result: Result, document: Mapping[str, Any], files: Sequence[str]) -> str:
    """Return the page: notes, short tables, pictures, and how it was made."""
    images = None
    if result.images:
        header = ("image", "file", "SHA-256", "window: top, left, side")
        rows = [
            (
                str(image["name"]),
                str(image["file"]),
                fill("parts", "code", image["sha256"]),
                "" if image["window"] is None else ", ".join(map(str, image["window"])),
            )
            for image in result.images
        ]
        images = table("The images", header, rows, kind="text")
    return render_page(
        result.title,
        "study",
        notes=result.notes,
        tables=[_table(each) for each in result.summaries],
        pictures=[figure(_shown(each), each.caption) for each in result.pictures],
        record=_record(document),
        images=images,
        files=files,
    )


def _shown(picture: Picture) -> Markup:
    if isinstance(picture.content, str):
        return Markup(picture.content)
    return png(base64.b64encode(picture.content).decode(), picture.caption)


def _table(content: Table) -> Markup:
    header, *rows = content.as_text()
    return table(content.caption, header, rows)


def _record(document: Mapping[str, Any]) -> Markup:
    """Return the record as names and values."""
    own = document["wavetwin"]
    pairs = [
        ("command", " ".join(document["command"])),
        ("seed", str(document["seed"])),
        ("wavetwin", f"{own['version']}, package digest {own['package_digest']}"),
        *((name, _plain(value)) for name, value in document["protocol"].items()),
        *(
            (f"input {number}", ", ".join(f"{key} {value}" for key, value in each.items()))
            for number, each in enumerate(document["inputs"], start=1)
        ),
        ("versions", ", ".join(f"{name} {text}" for name, text in document["versions"].items())),
    ]
    return info(pairs)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _versions() -> dict[str, str]:
    """Return the versions that decide numbers."""
    found = {name: text for name, text in installed_versions().items() if text is not None}
    for name in ("pillow", "scipy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            # SciPy is wanted by the study of kernels alone, which says so where it is absent.
            continue
    return {"python": platform.python_version(), **found}
