"""The folder of a study: tables, pictures, a page, and study.json, which says how it was made.

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

from wavetwin.explain.html import Html, as_html, figure, info, render_page, table
from wavetwin.explain.pictures.svg import svg_file
from wavetwin.explain.study.result import Picture, Result
from wavetwin.explain.study.rows import Table
from wavetwin.files.atomic import staged
from wavetwin.provenance.package import imported_package, installed_versions, sha256_of
from wavetwin.runtime.process.errors import RunError
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
        raise RunError(f"{position} is a file", "name another folder with --out")
    if not os.access(position, os.W_OK | os.X_OK):
        raise RunError(f"{position} may not be written to", "name another folder with --out")
    if not folder.exists():
        return
    if not any(folder.iterdir()):
        return
    if not _is_study(folder):
        raise RunError(
            f"{folder} is not empty, and no study's folder", "name a new folder with --out"
        )
    if not force:
        raise RunError(
            f"{folder} holds a study already", "name another folder with --out, or add --force"
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
            f"{folder} cannot be written: {error.strerror or error}",
            "make room, or name another folder with --out",
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
    figures = "\n".join(figure(_shown(each), each.caption) for each in result.pictures)
    parts = [f"<p>{as_html(note)}</p>" for note in result.notes]
    parts += ["<h2>Figures</h2>", *(_table(each) for each in result.summaries)]
    if figures:
        parts += ["<h2>Pictures</h2>", f'<div class="pictures">{figures}</div>']
    parts += ["<h2>How it was made</h2>", _record(document)]
    if result.images:
        header = ("image", "file", "SHA-256", "window: top, left, side")
        rows = [
            (
                str(image["name"]),
                str(image["file"]),
                Html(f"<code>{image['sha256']}</code>"),
                "" if image["window"] is None else ", ".join(map(str, image["window"])),
            )
            for image in result.images
        ]
        parts.append(table("The images", header, rows, kind="words"))
    parts.append(f'<p class="quiet">Files beside this page: {as_html(", ".join(files))}</p>')
    return render_page(result.title, "\n".join(parts))


def _shown(picture: Picture) -> str:
    if isinstance(picture.content, str):
        return picture.content
    data = base64.b64encode(picture.content).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{as_html(picture.caption)}">'


def _table(content: Table) -> str:
    header, *rows = content.label()
    return table(content.caption, header, rows)


def _record(document: Mapping[str, Any]) -> str:
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
