"""Write files so that a reader, a kill or a full disk meets each of them old or new, never in part.

A file is written beside its location as `.NAME.PID-NUMBER.tmp` and takes its name by a rename. Who
writes holds a lock on the temporary file: one that nobody holds was left by a process that was
killed, and is removed by whoever writes the same name next.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = ["remove_abandoned", "staged", "sync", "write_file"]

_TEMPORARY = re.compile(r"\.(?P<label>.+)\.[0-9]+(-[0-9]+)?\.tmp", re.DOTALL)
_LONGEST = 200
"""Bytes of a name that a temporary file's name repeats; file systems end at 255."""
_FILE_MODE = 0o666


def write_file(
    file: Path, content: bytes | str, sync_path: Callable[[Path], None] | None = None
) -> None:
    """Replace a file as a whole; through a link, the file that it leads to.

    A terminal, a pipe or a device is written to as it is: there is nothing to replace.

    Args:
        file: what is written.
        content: all of it; text as UTF-8.
        sync_path: called with a file and a folder that have to reach the disk; None: as the system
            likes.

    Raises:
        OSError: it cannot be written, and is as it was; the error names the file.
    """
    data = content.encode() if isinstance(content, str) else content
    if file.exists() and not file.is_file() and not file.is_dir():
        with file.open("wb") as stream:
            stream.write(data)
        return
    target = Path(os.path.realpath(file)) if file.is_symlink() else file
    try:
        with staged({target: data}, sync_path) as put:
            put(target)
    except OSError as error:
        raise _naming(error, file) from error


@contextmanager
def staged(
    contents: Mapping[Path, bytes], sync_path: Callable[[Path], None] | None = None
) -> Iterator[Callable[[Path], None]]:
    """Write files beside their locations; yield the function that lets one of them take its name.

    Folders are made. What was not put when the block ends is removed.

    Raises:
        OSError: one cannot be written, and none has taken its name; the error names the file.
    """
    temporary: dict[Path, tuple[Path, int]] = {}

    def put(file: Path) -> None:
        path, descriptor = temporary.pop(file)
        try:
            if sync_path is not None:
                sync_path(path)
            path.replace(file)
            if sync_path is not None:
                sync_path(file.absolute().parent)
        except OSError as error:
            raise _naming(error, file) from error
        finally:
            _discard(path, descriptor)

    try:
        for file, content in contents.items():
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                remove_abandoned(file.parent, [file.name])
                temporary[file] = _create(file)
                _write_all(temporary[file][1], content)
                with contextlib.suppress(FileNotFoundError):
                    os.fchmod(temporary[file][1], stat.S_IMODE(file.stat().st_mode))
            except OSError as error:
                raise _naming(error, file) from error
        yield put
    finally:
        for path, descriptor in temporary.values():
            _discard(path, descriptor)


def remove_abandoned(folder: Path, names: Iterable[str] | None = None) -> None:
    """Remove the temporary files of killed processes from a folder; those in use stay.

    Args:
        folder: what is looked through, without its subfolders.
        names: of the files that they would have become; None: of all.
    """
    labels = None if names is None else {_label(name) for name in names}
    try:
        entries = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".tmp")]
    except OSError:
        return
    for name in entries:
        match = _TEMPORARY.fullmatch(name)
        if match is not None and (labels is None or match["label"] in labels):
            _remove_unlocked(folder / name)


def sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(file: Path) -> tuple[Path, int]:
    """Return a new temporary file of a target, and its descriptor, which holds the lock."""
    for number in itertools.count():
        path = file.with_name(f".{_label(file.name)}.{os.getpid()}-{number}.tmp")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        except FileExistsError:
            continue
        # Until it is locked, another process may take it for abandoned.
        if _lock(descriptor) and _is_same(path, descriptor):
            return path, descriptor
        os.close(descriptor)
    raise AssertionError("numbers do not end")


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _discard(path: Path, descriptor: int) -> None:
    # Removed before the lock is given up: afterwards the name may be another process's.
    if _is_same(path, descriptor):
        path.unlink(missing_ok=True)
    os.close(descriptor)


def _remove_unlocked(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if is_file and _lock(descriptor, without_locks=False) and _is_same(path, descriptor):
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, without_locks: bool = True) -> bool:
    """Lock a file; return whether it was free, `without_locks` where the file system has none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without_locks
    return True


def _is_same(path: Path, descriptor: int) -> bool:
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False


def _label(name: str) -> str:
    data = os.fsencode(name)
    return name if len(data) <= _LONGEST else hashlib.sha256(data).hexdigest()[:32]


def _naming(error: OSError, file: Path) -> OSError:
    """Return the error as one of the file that was to be written, not of the one beside it."""
    return OSError(error.errno, error.strerror or str(error), str(file))
