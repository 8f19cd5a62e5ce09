"""Ask what code of a project has and gives: remembered, or tried by a process that imports torch.

What was found is kept in the user's cache folder under all that it follows from: the contents of the
files, the arguments, what was asked, and the versions of Python, torch, NumPy and wavetwin. A damaged entry
is made again; one that cannot be written costs time alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from wavetwin.files.child_python import code_command
from wavetwin.files.home import cache_folder
from wavetwin.files.json_form import FormError, check_form
from wavetwin.files.json_text import parse_json
from wavetwin.ir.own_code import OwnCode, OwnCodeError, Sources
from wavetwin.provenance.package import imported_package, installed_versions

__all__ = ["Trials", "answers_folder"]

_VERSION = 1
"""Of the trials: another one finds other things."""
_SERVER = "wavetwin.runtime.process.own_code_server"
SECONDS = 60.0
"""That a trial may take."""
_IMPORT_SECONDS = 240.0
"""That torch's import may take, of a file system that is slow."""


def answers_folder() -> Path | None:
    """Return where answers are kept; None for a user without a home, whose code is tried each time."""
    folder = cache_folder()
    return None if folder is None else folder / "own-code"


@dataclass
class Trials:
    """What is asked of the code of one project."""

    sources: Sources
    project: Path
    seconds: float = SECONDS

    def ask(self, trial: str, code: OwnCode, form: Any, **about: Any) -> dict[str, Any]:
        """Return the answer of a trial of `runtime.process.own_code_trials`.

        Args:
            trial: its name.
            code: what is tried, of a resolved spec.
            form: the annotation of an answer.
            about: what else the trial takes, as JSON values.

        Raises:
            OwnCodeError: the code is at fault.
        """
        question = {
            "trial": trial,
            "file": code.file,
            "name": code.name,
            "arguments": code.keywords,
            "about": about,
        }
        key = {"version": _VERSION, **question, "files": dict(code.files or {}), **_versions()}
        text = json.dumps(key, sort_keys=True, allow_nan=False)
        folder = answers_folder()
        entry = None if folder is None else folder / f"{sha256(text.encode()).hexdigest()}.json"
        known = None if entry is None else _read(entry, text, form)
        if known is not None:
            return known
        found = _server().ask(
            {
                **question,
                "files": {name: _base64(each) for name, each in self.sources.of(code).items()},
                "project": str(self.project),
                "seconds": self.seconds,
            }
        )
        check_form(found, form)
        if entry is not None:
            _write(entry, {"key": text, "found": found})
        return found


@cache
def _versions() -> dict[str, Any]:
    """Return what answers depend on beside the code; most specs ask nothing, and need none of it."""
    package, installed = imported_package(), installed_versions()
    return {
        "wavetwin": package.version,
        "python": list(sys.version_info[:2]),
        **{name: installed[name] for name in ("torch", "numpy")},
    }


def _read(entry: Path, key: str, form: Any) -> dict[str, Any] | None:
    """Return a kept answer; None where there is none, or it is damaged."""
    try:
        document = parse_json(entry.read_bytes())
        check_form(document, dict[str, Any])
        check_form(document.get("found"), form)
    except (OSError, ValueError, FormError):
        return None
    return cast("dict[str, Any]", document["found"]) if document.get("key") == key else None


def _write(entry: Path, document: dict[str, Any]) -> None:
    from wavetwin.files.atomic import write_file

    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(entry, json.dumps(document))


def _base64(content: bytes) -> str:
    from base64 import b64encode

    return b64encode(content).decode("ascii")


class _Server:
    """The process that tries code; it ends with ours, or when it is closed."""

    def __init__(self) -> None:
        import subprocess

        self._process = subprocess.Popen(
            code_command(f"from {_SERVER} import serve; serve()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._received = b""
        _raise_fault(self._line(_IMPORT_SECONDS))

    @property
    def is_there(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return what a trial found.

        Raises:
            OwnCodeError: the code is at fault.
        """
        assert self._process.stdin is not None
        text = json.dumps(question).encode() + b"\n"
        while text:
            text = text[self._process.stdin.write(text) or 0 :]
        answer = self._line(question["seconds"] + 10.0)
        _raise_fault(answer)
        return answer["found"]

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _line(self, seconds: float) -> dict[str, Any]:
        """Return its next answer."""
        import select
        import time

        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            ready = select.select([self._process.stdout], [], [], max(0.0, left))[0]
            part = self._process.stdout.read(1 << 16) if ready else b""
            if not part:
                self.close()
                what = "ended" if ready else f"has not answered within {seconds:g} seconds"
                raise OwnCodeError(
                    "own-code-failed", f"the process that tries code of the project {what}"
                )
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return parse_json(line)


_servers: list[_Server] = []


def _server() -> _Server:
    """Return the process of this one, started when it is first asked."""
    if _servers and not _servers[0].is_there:
        _servers.pop().close()
    if not _servers:
        import atexit

        _servers.append(_Server())
        atexit.register(_close)
    return _servers[0]


def _close() -> None:
    while _servers:
        _servers.pop().close()


def _raise_fault(answer: Mapping[str, Any]) -> None:
    fault = answer.get("fault")
    if fault is not None:
        raise OwnCodeError(
            fault["code"],
            fault["headline"],
            notes=tuple(fault["notes"]),
            help=fault["help"] or None,
            key=fault["key"],
        )
