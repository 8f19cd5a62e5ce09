"""What a file is by its first bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from wavetwin.runtime.process.foreign_files import START_BYTES, recognise, recognise_file

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 46830571\n"
)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return stream.getvalue()


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (3, 3)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "kind", "description"),
    [
        (b"", "empty", "empty"),
        (POINTER, "git-lfs", "46,830,571 bytes"),
        (POINTER.replace(b"size 46830571\n", b""), "git-lfs", "a pointer of Git LFS"),
        (b"\n <!DOCTYPE html>\n<title>Log in</title>", "html", "a page of HTML"),
        (b"\xef\xbb\xbf<HTML><body>404", "html", "a page of HTML"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "xml", "XML text"),
        (b'{"error": "quota exceeded"}', "text", 'begins with \'{"error": "quota'),
        ("ä".encode() * 2000, "text", "text that begins with 'ää"),
        (b"a" + "\N{GREEK SMALL LETTER ALPHA}".encode() * 2000, "text", "text that begins"),
        (b" \n ", "text", "blank text"),
        (bytes(4096), "zeros", "nothing but zeros"),
        (zipped(), "zip", "a zip archive"),
        (gzip.compress(b"a", mtime=0), "gzip", "a file packed with gzip"),
        (tarred(), "tar", "a tar archive"),
        (picture("PNG"), "png", "a PNG image"),
        (picture("JPEG"), "jpeg", "a JPEG image"),
        (picture("TIFF"), "tiff", "a TIFF image"),
        (picture("WEBP"), "webp", "a WebP image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "heif", "a HEIC image"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video", "a video"),
    ],
)
def test_recognise_names_what_a_file_is(content: bytes, kind: str, description: str):
    found = recognise(content)
    assert found is not None
    assert found.kind == kind
    assert description in found.description


@pytest.mark.parametrize("content", [b"\x80\x02}q\x00.", b"\xff\xfe" * 600, b"\0\0\x08\x03" * 9])
def test_recognise_says_nothing_of_other_bytes(content: bytes):
    assert recognise(content) is None


def test_recognise_file_reads_the_beginning_alone(tmp_path: Path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"a" * START_BYTES + b"\xff" * 100)
    found = recognise_file(file)
    assert found is not None
    assert found.kind == "text"
    assert recognise_file(tmp_path / "missing") is None
