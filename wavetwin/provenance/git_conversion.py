"""Find files whose bytes differ from the commit's only because git converts them.

Line ends, `$Id$`, encodings and filters make the bytes in the work tree others than the stored ones
while `git status` calls them clean. Committing does not help then: the conversion is to be switched
off. What it would give is computed here; no filter is run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wavetwin.provenance.git_command import run_git

__all__ = ["Conversion", "find_conversions"]

_ATTRIBUTES = ("text", "crlf", "eol", "ident", "filter", "working-tree-encoding")
# What is expanded has no line end and no other dollar sign, as git reads it back.
_IDENT = re.compile(rb"\$Id: [^$\n]*\$")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What git does to one file on its way between work tree and commit."""

    causes: tuple[str, ...]
    """Settings and attributes, as git names them: `core.autocrlf=true`, `ident`."""
    is_filter: bool
    """Whether a program does it: what is stored cannot be computed from the file then."""
    attributes_file: str
    """Where a line switches it off, relative to the work tree's root."""


def find_conversions(
    root: Path, contents: Mapping[str, bytes], is_stored: Callable[[str, bytes], bool]
) -> dict[str, Conversion]:
    """Return the files of which a conversion, and no edit, is the difference.

    Args:
        root: the work tree's root.
        contents: bytes of files that differ from the commit, by path relative to the root.
        is_stored: whether the commit has these bytes at that path.
    """
    if not contents:
        return {}
    config = _config(root)
    info = _info_attributes(root)
    found: dict[str, Conversion] = {}
    for path, attributes in _attributes(root, list(contents)).items():
        causes, converted = _convert(contents[path], attributes, config)
        name = attributes.get("filter", "")
        is_filter = any(f"filter.{name}.{kind}" in config for kind in ("clean", "process"))
        if not is_filter and not (causes and is_stored(path, converted)):
            continue
        own = (PurePosixPath(path).parent / ".gitattributes").as_posix()
        found[path] = Conversion(
            causes=(f"filter={name}",) if is_filter else causes,
            is_filter=is_filter,
            attributes_file=own if info is None else info,
        )
    return found


def _convert(
    content: bytes, attributes: Mapping[str, str], config: Mapping[str, str]
) -> tuple[tuple[str, ...], bytes]:
    """Return what changes a file that is added, as git does it, and what it would store."""
    causes: list[str] = []
    encoding = attributes.get("working-tree-encoding", "")
    if encoding not in ("", "unset", "set"):
        try:
            encoded = content.decode(encoding.removesuffix("-BOM")).removeprefix("\ufeff").encode()
        except (LookupError, UnicodeError):
            encoded = content
        if encoded != content:
            causes.append(f"working-tree-encoding={encoding}")
            content = encoded
    cause = _line_ends(attributes, config)
    if cause is not None and b"\r\n" in content:
        causes.append(cause)
        content = content.replace(b"\r\n", b"\n")
    if attributes.get("ident") == "set" and _IDENT.search(content):
        causes.append("ident")
        content = _IDENT.sub(b"$Id$", content)
    return tuple(causes), content


def _line_ends(attributes: Mapping[str, str], config: Mapping[str, str]) -> str | None:
    """Return what makes git store line feeds alone; None where it stores line ends as they are."""
    text = attributes.get("text", attributes.get("crlf", ""))
    if text == "unset":
        return None
    if "eol" in attributes:
        return f"eol={attributes['eol']}"
    if text:
        return {"set": "text", "input": "crlf=input"}.get(text, f"text={text}")
    setting = config.get("core.autocrlf", "false").lower()
    is_off = setting in ("false", "no", "off", "0")
    return None if is_off else f"core.autocrlf={setting}"


def _attributes(root: Path, paths: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the attributes that are specified, by path."""
    names = b"".join(os.fsencode(path) + b"\0" for path in paths)
    # Reading attributes starts nothing, and those of the system count for the user's git, too.
    environment = {"GIT_ATTR_NOSYSTEM": "0"}
    listing = run_git(root, ["check-attr", "-z", "--stdin", *_ATTRIBUTES], names, environment)
    parts = [os.fsdecode(word) for word in listing.split(b"\0")[:-1]]
    found: dict[str, dict[str, str]] = {path: {} for path in paths}
    for path, attribute, value in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        if value != "unspecified":
            found[path][attribute] = value
    return found


def _config(root: Path) -> dict[str, str]:
    listing = run_git(
        root, ["config", "-z", "--get-regexp", r"^(core\.autocrlf|filter\..*)$"], codes=(0, 1)
    )
    entries = [os.fsdecode(entry).partition("\n") for entry in listing.split(b"\0")[:-1]]
    return {key: value or "true" for key, _, value in entries}


def _info_attributes(root: Path) -> str | None:
    """Return the repository's own file of attributes where it has one: it wins over all others."""
    name = os.fsdecode(run_git(root, ["rev-parse", "--git-path", "info/attributes"])).strip("\n")
    file = root / name
    return name if file.is_file() and file.read_bytes().strip() else None
