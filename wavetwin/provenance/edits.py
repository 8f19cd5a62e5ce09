"""Find what was edited by hand in a built folder, and keep the edit with a run.

A run of edited scripts is another one than that of the build: it has another name, by the digest of
the edit, and keeps the changed files and their difference from what was built.
"""

from __future__ import annotations

import base64
import difflib
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wavetwin.diagnostics.listing import list_some
from wavetwin.files.child_python import module_command
from wavetwin.files.json_text import parse_json
from wavetwin.provenance.package import digest_of, is_package_file, sha256_of

__all__ = [
    "EDITED",
    "EDIT_DIFFERENCE",
    "Edit",
    "edit_mark",
    "find_edit",
    "find_originals",
    "write_difference",
]

EDITED, EDIT_DIFFERENCE = "edited", "edited.diff"
"""Where a run keeps the changed files, and their difference."""
_NOT_TRAINING = ("evaluate.py", "slurm.sh", "MODEL.md")
"""Files that training does not depend on: they are kept, and are no part of a run's name."""
_DIGITS = 8
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Edit:
    """The files of a built folder that are not as they were built."""

    files: Mapping[str, bytes | None]
    """Contents as they are; None where a file is missing."""
    recorded: Mapping[str, str]
    """SHA-256 of them as they were built."""

    @property
    def digest(self) -> str:
        """Return what sets the edit apart from others, for names; empty where training is as built."""
        digests = {
            name: "missing" if content is None else sha256_of(content)
            for name, content in self.files.items()
            if name not in _NOT_TRAINING
        }
        return digest_of(digests)[:_DIGITS] if digests else ""

    def to_json(self, originals: Mapping[str, bytes]) -> dict[str, Any]:
        """Return what a run's manifest says of it; `originals` are those that could be had."""
        return {
            "digest": self.digest,
            "files": {
                name: {
                    "sha256": None if content is None else sha256_of(content),
                    "built_sha256": self.recorded[name],
                    "has_difference": name in originals,
                }
                for name, content in self.files.items()
            },
        }


def find_edit(folder: Path) -> Edit:
    """Compare a built folder with its manifest; a copied package is compared elsewhere."""
    try:
        files = parse_json((folder / "manifest.json").read_bytes())["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return Edit({}, {})
    found: dict[str, bytes | None] = {}
    for name, digest in sorted(files.items()):
        path = PurePosixPath(name)
        if is_package_file(name) or path.is_absolute() or ".." in path.parts:
            continue
        content = (folder / name).read_bytes() if (folder / name).is_file() else None
        if content is None or sha256_of(content) != digest:
            found[name] = content
    return Edit(found, {name: files[name] for name in found})


def find_originals(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return the files of these names as they were built: those that can be rendered again.

    Without the compiler (a standalone folder, or another version of it) there may be none.
    """
    command = module_command("wavetwin.commands.originals", str(folder))
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
        found: dict[str, str] = parse_json(done.stdout) if done.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return {name: base64.b64decode(found[name]) for name in names if name in found}


def write_difference(edit: Edit, originals: Mapping[str, bytes]) -> str:
    """Return the difference of an edit from what was built, for a reader and for `patch`."""
    blocks: list[str] = []
    for name, content in edit.files.items():
        original = originals.get(name)
        if original is None:
            blocks.append(f"{name}: changed; what was built cannot be rendered again\n")
            continue
        try:
            before, after = original.decode(), (content or b"").decode()
        except UnicodeDecodeError:
            blocks.append(f"Binary files built/{name} and edited/{name} differ\n")
            continue
        lines = difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"built/{name}",
            "/dev/null" if content is None else f"edited/{name}",
        )
        blocks.append(
            "".join(
                line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
                for line in lines
            )
        )
    return "".join(blocks)


def edit_mark(manifest: Mapping[str, Any]) -> str:
    """Return what marks a run of edited scripts, by its manifest; empty for another one."""
    edited = manifest.get("edited")
    if not isinstance(edited, dict) or not isinstance(edited.get("files"), dict):
        return ""
    return f"edited: {list_some(map(str, edited['files']))}"
