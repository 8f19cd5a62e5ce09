"""Keep the code that jinja2 compiles templates to: half of what rendering one experiment cost.

It lies in the user's cache folder under all that it follows from: the template, the settings, and the
versions of Python and jinja2. A damaged file is made again; one that cannot be written costs time alone.
The code is run, so it is kept and taken where the folder is the user's alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from wavetwin.files.home import cache_folder
from wavetwin.provenance.package import installed_versions, sha256_of

__all__ = ["TemplateCache", "templates_folder"]


def templates_folder() -> Path | None:
    """Return where the code of templates is kept; None for a user without a home."""
    folder = cache_folder()
    return None if folder is None else folder / "templates"


class TemplateCache(BytecodeCache):
    """Code of templates, in a file of its own each, with the SHA-256 of the rest on its first line."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        versions = installed_versions(["jinja2"])
        self._versions = f"{sys.implementation.cache_tag} {versions} {sorted(settings.items())}"

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take the code of a template, where it is kept."""
        with suppress(OSError):
            if not self._is_private():
                return
            sha256, _, code = self._file(bucket).read_bytes().partition(b"\n")
            if sha256 == sha256_of(code).encode():
                bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template."""
        from wavetwin.files.atomic import write_file

        code = bucket.bytecode_to_string()
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._is_private():
                write_file(self._file(bucket), f"{sha256_of(code)}\n".encode() + code)

    def _is_private(self) -> bool:
        status = self._folder.stat()
        return status.st_uid == os.geteuid() and not status.st_mode & 0o077

    def _file(self, bucket: Bucket) -> Path:
        key = f"{self._versions} {bucket.key} {bucket.checksum}"
        return self._folder / f"{sha256_of(key.encode())}.code"
