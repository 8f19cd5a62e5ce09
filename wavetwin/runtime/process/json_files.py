"""Read and replace the JSON documents of a run: whole, with a clear error."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from wavetwin.files.atomic import sync, write_file
from wavetwin.files.json_form import FormError, check_form
from wavetwin.files.json_text import parse_json
from wavetwin.runtime.process.errors import RunError

__all__ = ["now", "read_json", "write_json"]


def read_json(file: Path, form: Any = dict[str, Any], remedy: str | None = None) -> dict[str, Any]:
    """Return a document.

    Args:
        file: the document's.
        form: the annotation that it is held against.
        remedy: what to do where it is damaged.

    Raises:
        RunError: it is damaged, or of another form.
    """
    try:
        document = parse_json(file.read_text(encoding="utf-8"))
        check_form(document, form)
    except FormError as error:
        raise RunError("file-damaged", f"is damaged: {error}", remedy, subject=file) from error
    except ValueError as error:
        raise RunError("file-damaged", f"cannot be read: {error}", remedy, subject=file) from error
    return document


def write_json(file: Path, document: dict[str, Any]) -> None:
    """Replace a document; a kill leaves the old or the new one whole.

    Raises:
        RunError: a number in it is not finite, which JSON cannot write.
    """
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise RunError(
            "not-finite",
            "is not written: a number for it is infinite or not a number",
            subject=file,
        ) from error
    write_file(file, f"{text}\n", sync)


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
