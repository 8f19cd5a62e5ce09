"""Walk over folders of images: hidden names left out, no image reached twice.

Links may lead to where images are kept, out of the folder; one that leads back, into another class
or to an image that is read anyway would count images twice, or under two classes, and is refused.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from pathlib import Path

from wavetwin.runtime.data.class_order import in_natural_order
from wavetwin.runtime.process.errors import RunError

__all__ = ["IMAGE_SUFFIXES", "ImageWalk", "is_folder", "subfolders", "visible"]

IMAGE_SUFFIXES = (
    ".bmp",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
"""Files with other names are no images; case does not matter."""

_Identity = tuple[int, int]
"""Device and inode."""


def is_folder(path: Path) -> bool:
    """Return whether there is such a folder.

    Raises:
        RunError: the system does not say, as where a folder above it cannot be entered.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(str(path), error) from error


def visible(folder: Path | str) -> list[os.DirEntry[str]]:
    """Return what a folder holds in the order of the names, hidden names left out.

    Raises:
        RunError: it cannot be read, or holds a link to what is not there.
    """
    try:
        with os.scandir(folder) as entries:
            kept = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise _unreadable(str(folder), error) from error
    for entry in kept:
        if entry.is_symlink():
            _check_link(entry)
    return sorted(kept, key=lambda entry: entry.name)


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, hidden ones left out, in natural order.

    Raises:
        RunError: it cannot be read, holds a link to what is not there, or two names are one number.
    """
    return in_natural_order([entry.name for entry in visible(folder) if entry.is_dir()], folder)


class ImageWalk:
    """Walks below one folder, part by part, and remembers where it was."""

    def __init__(self, root: Path) -> None:
        """Begin at the folder that holds the parts: the class folders of a set.

        Raises:
            RunError: it cannot be read.
        """
        self._root = root
        try:
            real = root.resolve(strict=True)
            self._above = {_identity(str(each)): str(each) for each in (real, *real.parents)}
        except OSError as error:
            raise _unreadable(str(root), error) from error
        self._walked: dict[_Identity, tuple[str, str | None]] = {}
        self._parents: dict[str, _Identity] = {}
        self._links: dict[tuple[_Identity, str], str] = {}

    def images(self, part: str = "") -> list[tuple[str, int]]:
        """Return names below the part and sizes in bytes of its images, sorted folder by folder.

        Args:
            part: a folder in the root; empty: all of the root.

        Raises:
            RunError: a folder or link cannot be read, or leads to what was reached before.
        """
        start = f"{self._root}/{part}" if part else str(self._root)
        found: list[tuple[str, list[tuple[str, int]]]] = []
        # The last link on the way to a folder is what an error is about.
        waiting = [(start, start if part and Path(start).is_symlink() else None)]
        while waiting:
            folder, link = waiting.pop()
            self._enter(folder, link, is_root=not part and folder == start)
            names: list[tuple[str, int]] = []
            for entry in visible(folder):
                if entry.is_dir():
                    waiting.append((entry.path, entry.path if entry.is_symlink() else link))
                elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                    names.append((entry.name, _size(entry)))
                    if entry.is_symlink():
                        self._note_link(entry.path)
            found.append((folder, names))
        found.sort()
        return [
            (f"{folder}/{name}"[len(start) + 1 :], size)
            for folder, names in found
            for name, size in names
        ]

    def finish(self) -> None:
        """Compare the links to files with the folders that were walked, when all parts were.

        Raises:
            RunError: one leads to an image that is read under its own name.
        """
        for (parent, name), link in self._links.items():
            walked = self._walked.get(parent)
            if walked is not None and _is_image_name(name):
                raise _twice(link, f"{walked[0]}/{name}")

    def _enter(self, folder: str, link: str | None, *, is_root: bool) -> None:
        try:
            identity = _identity(folder)
        except OSError as error:
            raise _unreadable(folder, error) from error
        if identity in self._above and not is_root:
            raise RunError(
                "bad-entry",
                f"leads back to {self._above[identity]}, which holds it",
                _without(link or folder),
                subject=link or folder,
            )
        if identity in self._walked:
            earlier, earlier_link = self._walked[identity]
            # Whichever came first: the link is what is too many.
            if link is None and earlier_link is not None:
                raise _twice(earlier_link, folder)
            raise _twice(link or folder, earlier)
        self._walked[identity] = folder, link

    def _note_link(self, link: str) -> None:
        target = os.path.join(os.path.dirname(link), os.readlink(link))  # noqa: PTH115,PTH118,PTH120
        if os.path.islink(target):  # noqa: PTH114
            target = os.path.realpath(target)
        parent, name = os.path.split(target)
        if parent not in self._parents:
            self._parents[parent] = _identity(parent)
        key = (self._parents[parent], name)
        earlier = self._links.setdefault(key, link)
        # Stores that keep equal files once (git-annex, DVC, download caches) name them by content.
        if earlier != link and _is_image_name(name) and "/." not in target:
            raise _twice(link, earlier)


def _identity(path: str) -> _Identity:
    info = os.stat(path)  # noqa: PTH116
    return info.st_dev, info.st_ino


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        info = entry.stat()
    except OSError as error:
        raise _unreadable(entry.path, error) from error
    if not stat.S_ISREG(info.st_mode):
        raise RunError(
            "bad-entry",
            "is no file, though it has an image's name",
            "move it away",
            subject=entry.path,
        )
    return info.st_size


def _check_link(entry: os.DirEntry[str]) -> None:
    try:
        entry.stat()
    except OSError as error:
        target = os.readlink(entry.path)  # noqa: PTH115
        if error.errno == errno.ELOOP:
            reason = "leads to itself"
        elif error.errno in (errno.ENOENT, errno.ENOTDIR):
            reason = f"leads to {target}, which is not there"
        else:
            reason = f"leads to {target}, which cannot be read: {error.strerror}"
        raise RunError(
            "bad-entry",
            f"is a link that {reason}",
            f"bring the target back, or delete the link: rm {shlex.quote(entry.path)}",
            subject=entry.path,
        ) from error


def _twice(path: str, earlier: str) -> RunError:
    return RunError(
        "bad-entry",
        f"leads to {earlier}, which is read under its own name",
        _without(path),
        subject=path,
    )


def _without(path: str) -> str:
    return f"an image counts once, in one class: delete the link, rm {shlex.quote(path)}"


def _unreadable(path: str, error: OSError) -> RunError:
    return RunError(
        "file-unreadable",
        f"cannot be read: {error.strerror}",
        "let the user that runs this read it (chmod -R u+rX), or name another folder"
        if error.errno in (errno.EACCES, errno.EPERM)
        else None,
        subject=path,
    )
