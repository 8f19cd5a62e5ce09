"""Recognise a file by its first bytes, where it is not what its name says; imports no torch.

Downloads go wrong in few ways: Git leaves a pointer where Git LFS was not installed, a server
answers with a page, a disk was full. Each has a remedy of its own.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["START_BYTES", "ForeignFile", "recognise", "recognise_file", "recognise_other"]

START_BYTES = 1024
"""How many bytes of a file `recognise` looks at."""

_LFS_START = b"version https://git-lfs.github.com/spec/"
_LFS_SIZE = re.compile(rb"^size (\d{1,18})\s*$", re.MULTILINE)
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body")
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "zip", "a zip archive"),
    (b"PK\x05\x06", "zip", "a zip archive without files"),
    (b"\x1f\x8b", "gzip", "a file packed with gzip"),
    (b"BZh", "bzip2", "a file packed with bzip2"),
    (b"\xfd7zXZ\x00", "xz", "a file packed with xz"),
    (b"(\xb5/\xfd", "zstd", "a file packed with zstd"),
    (b"7z\xbc\xaf'\x1c", "7z", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "rar", "a RAR archive"),
    (b"%PDF-", "pdf", "a PDF document"),
    (b"\x89HDF\r\n\x1a\n", "hdf5", "an HDF5 file"),
    (b"\x93NUMPY", "npy", "an array of NumPy (.npy)"),
    (b"\x89PNG\r\n\x1a\n", "png", "a PNG image"),
    (b"\xff\xd8\xff", "jpeg", "a JPEG image"),
    (b"GIF87a", "gif", "a GIF image"),
    (b"GIF89a", "gif", "a GIF image"),
    (b"II*\x00", "tiff", "a TIFF image"),
    (b"MM\x00*", "tiff", "a TIFF image"),
    (b"II+\x00", "tiff", "a large TIFF image (BigTIFF)"),
    (b"MM\x00+", "tiff", "a large TIFF image (BigTIFF)"),
    (b"\x00\x00\x01\x00", "ico", "an icon"),
    (b"8BPS", "psd", "a Photoshop document"),
    (b"\x1aE\xdf\xa3", "matroska", "a Matroska or WebM video"),
)
"""First bytes, kind, and what to call it."""
_BRANDS = {
    b"avif": ("avif", "an AVIF image"),
    b"avis": ("avif", "an AVIF image"),
    b"heic": ("heif", "a HEIC image"),
    b"heix": ("heif", "a HEIC image"),
    b"hevc": ("heif", "a HEIC image"),
    b"mif1": ("heif", "a HEIF image"),
    b"msf1": ("heif", "a HEIF image"),
}
"""By the brand of a file in ISO's media container; any other one is a video."""
_TAR_MAGIC_AT = 257


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """What a file is."""

    kind: str
    """`empty`, `git-lfs`, `html`, `zeros`, `text`, `zip`, `gzip`, `tar`, `png`, ..."""
    description: str
    """A phrase that goes on from 'it is': `a page of HTML`, `empty`."""
    remedy: str | None = None
    """What brings the real file; None where the kind alone does not say."""


def recognise(start: bytes) -> ForeignFile | None:
    """Return what a file is that begins with these bytes; None where they say nothing.

    Args:
        start: the first START_BYTES of the file, or all of a shorter one.
    """
    if not start:
        return ForeignFile("empty", "empty", "fetch it again; was the disk full?")
    start = start[:START_BYTES]
    if start.startswith(_LFS_START):
        size = _LFS_SIZE.search(start)
        of = "" if size is None else f" to a file of {int(size[1]):,} bytes"
        return ForeignFile(
            "git-lfs",
            f"a pointer of Git LFS{of}",
            "`git lfs install` and `git lfs pull`, in the repository that it is from, fetch the file",
        )
    for magic, kind, description in _MAGIC:
        if start.startswith(magic):
            return ForeignFile(kind, description)
    if start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return ForeignFile("tar", "a tar archive")
    if start[4:8] == b"ftyp":
        return ForeignFile(*_BRANDS.get(start[8:12], ("video", "a video or sound (MP4)")))
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return ForeignFile("webp", "a WebP image")
    if len(start) >= 16 and not start.strip(b"\0"):
        return ForeignFile(
            "zeros", "nothing but zeros at its beginning", "its download or copy was broken off"
        )
    return _recognise_text(start)


def recognise_file(file: Path) -> ForeignFile | None:
    """Return what a file is; None where its first bytes say nothing or cannot be read."""
    try:
        with file.open("rb") as stream:
            return recognise(stream.read(START_BYTES))
    except OSError:
        return None


def recognise_other(file: Path, *expected: str) -> ForeignFile | None:
    """Return what a file is where that is none of the expected kinds; None where nothing says so."""
    found = recognise_file(file)
    return None if found is None or found.kind in expected else found


def _recognise_text(start: bytes) -> ForeignFile | None:
    """Return a page, a listing or another text; None for what is no text."""
    text = start.removeprefix(b"\xef\xbb\xbf")
    opening = text.lstrip().lower()
    if opening.startswith(_HTML_STARTS):
        return ForeignFile(
            "html",
            "a page of HTML, not the file",
            "the page is about the file, or asks to log in or to confirm: fetch the file itself",
        )
    if opening.startswith((b"<?xml", b"<svg")):
        is_drawing = b"<svg" in opening
        return (
            ForeignFile("svg", "an SVG drawing") if is_drawing else ForeignFile("xml", "XML text")
        )
    try:
        # The bytes may end within a character.
        decoded = codecs.getincrementaldecoder("utf-8")().decode(
            text, final=len(start) < START_BYTES
        )
    except UnicodeDecodeError:
        return None
    if not all(char.isprintable() or char in "\t\n\r\f" for char in decoded):
        return None
    first = " ".join(decoded.split())[:40]
    if not first:
        return ForeignFile("text", "blank text")
    return ForeignFile("text", f"text that begins with {first!r}")
