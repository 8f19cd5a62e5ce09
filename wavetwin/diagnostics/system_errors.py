"""Report what the system refuses a command: its output, its folder, a path; none is our fault."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, TextIO

from wavetwin.diagnostics.terminal import complain

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from wavetwin.diagnostics import Diagnostic

__all__ = [
    "broken_output",
    "discard",
    "guard_output",
    "is_refusal",
    "missing_folder",
    "open_streams",
    "refused",
]

_HELP = {
    errno.EACCES: "ask for the permission, or name something that you may read",
    errno.EPERM: "ask for the permission, or name something that you may read",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ELOOP: "a link leads back to itself: name what it should lead to",
    errno.ENOSPC: "make room and try again",
    errno.EDQUOT: "make room and try again",
    errno.EROFS: "name a folder that can be written to",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs, and try again",
    errno.EFBIG: "name a file system that takes larger files",
    errno.EIO: "the disk or the connection to it fails: look at the system's log",
    errno.ENOLCK: "keep runs on a file system that has locks: --runs DIR",
    errno.ESTALE: "the file was replaced on its server: try again",
}
"""What the system may say of a path or of no path at all, and what can be done."""
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
"""Our own files: asked at every start, before pathlib is imported."""


_failures: dict[int, OSError] = {}
"""By a stream's number: what became of a write to it."""


class _Noted(io.FileIO):
    """A standard stream that notes why it takes no more: buffers forget what they could not write."""

    def write(self, data: ReadableBuffer, /) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            _failures[self.fileno()] = error
            raise


def open_streams() -> None:
    """Give a process standard streams of which `broken_output` knows whether they took everything.

    A stream that was closed when the process started is opened: the first file that is opened
    would take its number, and what is written to the stream would end in it.
    """
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        while (number := os.open(os.devnull, os.O_RDWR)) < 3:
            if number == 1:
                # So that writing to it fails, as to what is closed.
                os.close(number)
                os.open(os.devnull, os.O_RDONLY)
        os.close(number)
        sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _noted(sys.stdout, 1)
    sys.stderr = _noted(sys.stderr, 2)


def _noted(stream: TextIO | None, number: int) -> TextIO:
    """Return a stream that notes its failures; one that a test has put there is left alone."""
    encoding, is_line_buffered, is_unbuffered = "utf-8", number == 2, False
    if stream is not None:
        buffer = getattr(stream, "buffer", None)
        raw = getattr(buffer, "raw", buffer)
        if not isinstance(stream, io.TextIOWrapper) or type(raw) is not io.FileIO:
            return stream
        if raw.fileno() != number:
            return stream
        stream.flush()
        encoding, is_line_buffered = stream.encoding, stream.line_buffering
        # As PYTHONUNBUFFERED wants it; a buffer of a byte still writes all of what is longer.
        is_unbuffered = raw is buffer
    size = 1 if is_unbuffered else io.DEFAULT_BUFFER_SIZE
    return io.TextIOWrapper(
        io.BufferedWriter(_Noted(number, "w", closefd=False), size),
        encoding,
        "backslashreplace",
        line_buffering=is_line_buffered,
        write_through=is_unbuffered,
    )


def guard_output(run: Callable[[], int], reader_gone: int = 0) -> int:
    """Return what `run` returns, or the exit code of a standard stream that took no more.

    Args:
        run: what writes; an exit code of its own that is not 0 is kept.
        reader_gone: the exit code where standard output is a pipe that nobody reads any more
            (`| head`), which is nobody's fault.
    """
    try:
        code = run()
        # Here, and not when the interpreter ends, where nobody could report it.
        sys.stdout.flush()
    except (OSError, SystemExit) as ended:
        broken = broken_output()
        if broken is None:
            raise
        stream, error = broken
        is_output = stream is sys.stdout
        discard(stream)
        if isinstance(ended, SystemExit) and ended.code:
            raise
        if error.errno == errno.EPIPE:
            return reader_gone
        if is_output and broken_output() is None:
            complain(
                f"error: output-not-taken: standard output cannot be written: {error.strerror}\n"
            )
        return 2
    return code


def broken_output() -> tuple[IO[str], OSError] | None:
    """Return the standard stream that does not take what was written, and why; None if all do."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError as error:
            return stream, error
        if number in _failures:
            return stream, _failures[number]
    return None


def discard(stream: IO[str]) -> None:
    """Drop what a broken stream holds and will get, so that nothing fails of it again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
    _failures.pop(stream.fileno(), None)


def missing_folder() -> Diagnostic | None:
    """Return the fault that the current folder was removed; None if it is there."""
    from wavetwin.diagnostics import Diagnostic

    try:
        os.getcwd()  # noqa: PTH109 - asked at every start, before pathlib is imported
    except OSError as error:
        return Diagnostic(
            "no-current-folder",
            f"the current folder cannot be found: {error.strerror}",
            help="it was removed or replaced: change to another folder, or to this one again",
        )
    return None


def is_refusal(error: OSError) -> bool:
    """Return whether an error is the system's answer to what the user asked for.

    It is of a path outside of this package: one that the user named, or that lies in what they named,
    or that is written for them. Without a path it is a limit of the system. Our own files that are
    missing, and calls that the system knows no sense of, are faults of ours.
    """
    if error.errno is None:
        return False
    if error.filename is None or isinstance(error.filename, int):
        return error.errno in _HELP
    path = os.path.abspath(os.fsdecode(error.filename))  # noqa: PTH100
    return not path.startswith(_PACKAGE + os.sep)


def refused(error: OSError) -> Diagnostic:
    """Return the fault that the system does not do what a command asked of it."""
    from wavetwin.diagnostics import Diagnostic

    path = error.filename
    return Diagnostic(
        "system-refuses",
        f"the system says: {error.strerror or error}",
        subject=None
        if path is None
        else os.fsdecode(path)
        if isinstance(path, bytes)
        else str(path),
        help=_HELP.get(error.errno or 0),
    )
