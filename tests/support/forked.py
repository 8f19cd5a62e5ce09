"""Run a function in a copy of this process: what a new Python would do, without importing it all again.

The copy has the modules of this process and nothing of its threads. What depends on how Python starts
or ends (the arguments of `python`, what is imported, what is left when it exits) needs a process of
its own instead.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path


class Copy:
    """A copy of this process that calls a function, and ends."""

    def __init__(
        self, function: Callable[[], object], variables: Mapping[str, str] | None = None
    ) -> None:
        """Start it; `variables` are added to the environment.

        What the function returns is the exit code; an exception is written and ends it with 1.
        """
        self._files = [_nameless_file() for _ in range(2)]
        self._written = ("", "")
        self._code: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_call(function, dict(variables or {}), self._files))

    def wait(self, timeout: float = 120) -> tuple[int, str, str]:
        """Wait for its end; return the exit code, negative for a signal, and what it wrote."""
        deadline = time.monotonic() + timeout
        while self._code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self._close(status)
            elif time.monotonic() > deadline:
                self.end()
                raise TimeoutError(self._written)
            else:
                time.sleep(0.005)
        return self._code, *self._written

    def end(self) -> None:
        """Kill it where it runs."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            self._close(os.waitpid(self.pid, 0)[1])

    def _close(self, status: int) -> None:
        self._code = os.waitstatus_to_exitcode(status)
        output, errors = (
            os.pread(file, os.fstat(file).st_size, 0).decode() for file in self._files
        )
        self._written = output, errors
        for file in self._files:
            os.close(file)


def run_copy(
    function: Callable[[], object], variables: Mapping[str, str] | None = None, timeout: float = 120
) -> tuple[int, str, str]:
    """Call a function in a copy of this process; return its exit code and what it wrote."""
    return Copy(function, variables).wait(timeout)


def run_together(
    count: int, function: Callable[[], object], timeout: float = 120
) -> list[tuple[int, str, str]]:
    """Call a function in processes that join as those that torchrun starts on one machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "GROUP_WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "none",
    }
    copies = [
        Copy(function, variables | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]
    try:
        return [copy.wait(timeout) for copy in copies]
    finally:
        for copy in copies:
            copy.end()


def _nameless_file() -> int:
    number, name = tempfile.mkstemp()
    Path(name).unlink()
    return number


def _call(function: Callable[[], object], variables: dict[str, str], files: list[int]) -> int:
    """Call a function with streams of its own, in the copy; nothing gets out of here."""
    code: object = 1
    try:
        for number, file in zip((1, 2), files, strict=True):
            os.dup2(file, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        os.environ |= variables
        code = function()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    if code is None:
        return 0
    return code if isinstance(code, int) else 1
