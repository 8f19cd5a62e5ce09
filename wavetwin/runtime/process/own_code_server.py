"""Answer the compiler's questions about code of a user's project: a program that it starts.

A line of JSON in, a line of JSON out. torch is imported once; each question is answered by a fork, which
is killed where it takes too long, and whose prints, exits and crashes reach nobody else.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import select
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from wavetwin.files.json_text import parse_json
from wavetwin.ir.own_code import FOLDER
from wavetwin.runtime.process.packages import missing_package

__all__ = ["serve"]

_ROOM = 8 << 30
"""Bytes of memory that a trial may take beyond what torch's import took."""


def serve() -> None:
    """Answer questions until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    questions = os.fdopen(os.dup(0), "rb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        # Before the first fork, so that none imports it again.
        import_module("wavetwin.runtime.process.own_code_trials").warm_up()
    except ImportError as error:
        missing = missing_package(error)
        if missing is None:
            fault = _fault("own-code-failed", f"torch cannot be imported: {error}")
        else:
            fault = _fault(missing.code, missing.headline, missing.remedy or "")
        _send(answers, {"fault": fault})
        return
    _send(answers, {"ready": True})
    for line in questions:
        _send(answers, _in_fork(parse_json(line)))


def _in_fork(question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question in a process of its own, within its time."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(question, writing)
    os.close(writing)
    deadline = time.monotonic() + question["seconds"]
    received = bytearray()
    is_whole = False
    while not is_whole and (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([reading], [], [], left)
        part = os.read(reading, 1 << 16) if ready else b""
        received += part
        is_whole = bool(ready) and not part
    os.close(reading)
    if not is_whole:
        _kill(child)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    name = question["name"]
    if not is_whole:
        text = f"{name} has not answered within {question['seconds']:g} seconds"
        return {
            "fault": _fault("own-code-failed", text, help="it hangs, or is too slow to be tried")
        }
    try:
        return parse_json(bytes(received))
    except ValueError:
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        text = f"{name} ends the process that tries it, by {ended}"
        return {"fault": _fault("own-code-failed", text)}


def _kill(child: int) -> None:
    """Kill a fork and what it started."""
    for kill in (os.killpg, os.kill):
        try:
            kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _be_child(question: dict[str, Any], writing: int) -> None:
    """Write the answer and end."""
    code = 1
    try:
        os.setsid()
        _limit_memory()
        answer = json.dumps(_answer(question)).encode()
        while answer:
            answer = answer[os.write(writing, answer) :]
        code = 0
    finally:
        os._exit(code)


def _limit_memory() -> None:
    taken = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = taken + _ROOM if hard == resource.RLIM_INFINITY else min(hard, taken + _ROOM)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    from wavetwin.runtime.process.own_code import install_sources
    from wavetwin.runtime.process.own_code_trials import TRIALS, TrialError

    files = {name: base64.b64decode(text) for name, text in question["files"].items()}
    install_sources(files)
    try:
        found = TRIALS[question["trial"]](
            question["file"], question["name"], question["arguments"], **question["about"]
        )
        stray = _unrecorded(Path(question["project"]).resolve())
    except TrialError as error:
        return {"fault": error.to_json()}
    except MemoryError:
        text = f"{question['name']} takes more than {_ROOM >> 30} GiB of memory"
        return {"fault": _fault("own-code-failed", text)}
    if stray is not None:
        return {
            "fault": _fault(
                "own-code-imports",
                f"{question['file']} leads to {stray} being imported, which no build records",
                help="import files of the project by relative imports, such as `from .blocks import Block`",
            )
        }
    return {"found": found}


def _unrecorded(project: Path) -> str | None:
    """Return a file of the project that was imported in another way than from the recorded contents."""
    # An environment, and wavetwin's own checkout, may lie in a project.
    known = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2]]
    known = [each.resolve() for each in known]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name.partition(".")[0] == FOLDER:
            continue
        if not Path(file).is_absolute():
            continue  # a module that torch makes, of no file
        path = Path(file).resolve()
        if path.is_relative_to(project) and not any(map(path.is_relative_to, known)):
            return path.relative_to(project).as_posix()
    return None


def _fault(code: str, headline: str, help: str = "") -> dict[str, Any]:
    return {"code": code, "headline": headline, "notes": [], "help": help, "key": ""}


def _send(stream: BinaryIO, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer).encode() + b"\n")
    stream.flush()


if __name__ == "__main__":
    serve()
