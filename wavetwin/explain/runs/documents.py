"""Read JSON documents of a run folder, and say what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from wavetwin.files.json_text import parse_json

__all__ = ["UnreadableRunError", "check_text", "read_json"]


class UnreadableRunError(Exception):
    """A folder that is no run, or a damaged one; the message says what of it."""


def read_json(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        UnreadableRunError: it is missing, damaged or something else.
    """
    try:
        document: object = parse_json(file.read_bytes())
    except FileNotFoundError:
        raise UnreadableRunError(f"it has no {file.name}") from None
    except (OSError, ValueError) as error:
        raise UnreadableRunError(f"{file.name} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableRunError(f"{file.name} is not a JSON object")
    return cast("dict[str, Any]", document)


def check_text(text: str) -> None:
    """Refuse a text that no database takes.

    Raises:
        UnreadableRunError: it has half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnreadableRunError(f"the text {text!a} is not Unicode") from None
