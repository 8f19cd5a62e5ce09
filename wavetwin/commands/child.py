"""Start child processes that end with ours: no script goes on training unseen."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

from wavetwin.diagnostics import Diagnostic, from_document
from wavetwin.diagnostics.output import DOCUMENTS
from wavetwin.files.json_text import parse_json
from wavetwin.runtime.process.follow_parent import follow_parent


def run_child(command: Sequence[str]) -> int:
    """Run a command to its end and return its exit code; 128 + n where signal n ended it.

    If this process is killed, the child gets SIGTERM (on Linux), on which the generated scripts save
    their state and stop. An interrupt from the terminal reaches both: the child decides what to do.
    """
    return _end(subprocess.Popen(command, preexec_fn=follow_parent()))[0]


def run_reporting(command: Sequence[str], form: str) -> tuple[int, tuple[Diagnostic, ...]]:
    """Run a generated script as `run_child` does, with its messages in a form.

    Returns:
        The exit code, and of a form that is one document what the script would have it say, so that
        several scripts are one document, too. Other messages are written as they come.
    """
    if form == "text":
        return run_child(command), ()
    if form not in DOCUMENTS:
        return run_child([*command, "--format", form]), ()
    process = subprocess.Popen(
        [*command, "--format", "json"],
        preexec_fn=follow_parent(),
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    code, text = _end(process)
    # A script that ends well, or is called wrongly, writes no document.
    return code, from_document(parse_json(text)) if text else ()


def _end(process: subprocess.Popen[Any]) -> tuple[int, Any]:
    """Wait for a process; return its exit code and what it wrote to a pipe."""
    while True:
        try:
            output, _ = process.communicate()
        except KeyboardInterrupt:
            continue
        code = process.returncode
        return code if code >= 0 else 128 - code, output
