"""Image files of every kind: read with the right values, or refused and named for what they are."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.plans import make_plan
from wavetwin.runtime.data.cifar import read_cifar
from wavetwin.runtime.data.decode import BadImageError, decode_image
from wavetwin.runtime.data.idx import read_idx_images
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.process.errors import RunError

RAMP = np.arange(256).reshape(16, 16)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123456\n"
PAGE = b"<!DOCTYPE html><html>sign in</html>"


@pytest.mark.parametrize("kind", ["i4", "f4", "i2"])
def test_values_of_no_known_range_are_refused(tmp_path: Path, kind: str):
    """32-bit and signed numbers, and fractions: nothing says which value is white."""
    file = tmp_path / "a.tiff"
    image = Image.fromarray(RAMP.astype("i4" if kind == "i2" else kind))
    image.save(file)
    if kind == "i2":
        # Pillow writes no signed 16 bits: the same file, with another sample format and size.
        header = b"II*\0\x08\0\0\0"
        tags = [(256, 3, 16), (257, 3, 16), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 200)]
        tags += [(277, 3, 1), (278, 3, 16), (279, 4, 512), (339, 3, 2)]
        table = len(tags).to_bytes(2, "little")
        for tag, size, value in tags:
            table += tag.to_bytes(2, "little") + size.to_bytes(2, "little")
            table += (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        start = (header + table + bytes(4)).ljust(200, b"\0")
        file.write_bytes(start + RAMP.astype("<i2").tobytes())
    with pytest.raises(BadImageError, match=r"(?s)of no known range.*store it with 8 or 16 bits"):
        decode_image(file, 1)
    # The remedy.
    Image.fromarray(RAMP.astype(np.uint8)).save(file)
    assert decode_image(file, 1).max() == 255


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_keep_the_upper_ones(tmp_path: Path, suffix: str, channels: int):
    file = tmp_path / f"a.{suffix}"
    Image.fromarray((RAMP * 257).astype(np.uint16)).save(file)
    assert np.array_equal(decode_image(file, channels), np.stack([RAMP] * channels))


def test_big_endian_16_bits(tmp_path: Path):
    file = tmp_path / "a.tiff"
    Image.frombytes("I;16B", (16, 16), (RAMP * 257).astype(">u2").tobytes()).save(file)
    assert np.array_equal(decode_image(file, 1)[0], RAMP)


def test_transparency_is_dropped(tmp_path: Path):
    grey = RAMP.astype(np.uint8)
    faint = Image.fromarray(np.full((16, 16), 7, np.uint8))
    with_alpha = Image.merge("LA", (Image.fromarray(grey), faint))
    with_alpha.save(tmp_path / "la.png")
    assert np.array_equal(decode_image(tmp_path / "la.png", 1)[0], grey)
    palette = Image.fromarray(grey).convert("P")
    palette.save(tmp_path / "p.png", transparency=bytes(range(256)))
    assert np.array_equal(decode_image(tmp_path / "p.png", 3), np.stack([grey] * 3))
    Image.fromarray(RAMP > 99).save(tmp_path / "1.png")
    assert np.array_equal(decode_image(tmp_path / "1.png", 1)[0], (RAMP > 99) * 255)
    cmyk = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    cmyk.save(tmp_path / "cmyk.tiff")
    assert decode_image(tmp_path / "cmyk.tiff", 3)[:, 0, 0].tolist() == [255, 0, 0]


def test_of_several_frames_the_first_is_read(tmp_path: Path):
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    for name in ("a.tiff", "b.gif", "c.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert abs(int(decode_image(tmp_path / name, 1)[0, 0, 0]) - 10) <= 1


def test_orientation_tags_are_ignored(tmp_path: Path):
    image = Image.new("L", (4, 2))
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / "a.png", exif=exif)
    assert decode_image(tmp_path / "a.png", 1).shape == (1, 2, 4)


@pytest.mark.parametrize(
    ("content", "reason", "remedy"),
    [
        (POINTER, "it is a pointer of Git LFS to a file of 123,456 bytes", "git lfs pull"),
        (PAGE, "it is a page of HTML", "fetch the file itself"),
        (b"", "it is empty", "was the disk full?"),
        (bytes(900), "it is nothing but zeros", "broken off"),
        (b"PK\x03\x04rest of an archive", "it is a zip archive", "fetch the file again"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "it is a HEIC image", "fetch the file again"),
        (b"\x80\x81\x82", "of no known kind", "fetch the file again"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, reason: str, remedy: str):
    file = tmp_path / "a.jpg"
    file.write_bytes(content)
    with pytest.raises(BadImageError) as error:
        decode_image(file, 3)
    assert error.value.headline.startswith(f"{file} cannot be read as an image: {reason}")
    assert remedy in str(error.value)
    assert "--on-bad-image skip" in str(error.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
def test_truncated_images_are_refused(tmp_path: Path, suffix: str):
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(BadImageError):
        decode_image(file, 3)


@pytest.mark.parametrize(
    ("content", "label"), [(POINTER, "Git LFS"), (PAGE, "HTML"), (b"", "empty")]
)
def test_archives_of_data_sets_are_named_for_what_they_are(
    tmp_path: Path, content: bytes, label: str
):
    lenient = Official(allow_other=True, checks_sums=False)
    plan = make_plan(dataset="cifar10", channels=3)
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(content)
    with pytest.raises(RunError, match=rf"python\.tar\.gz cannot be read: it is .*{label}"):
        read_cifar(plan.data, tmp_path, lenient)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        (folder / name).write_bytes(content)
    with pytest.raises(RunError, match=rf"data_batch_1 is no batch file: it is .*{label}"):
        read_cifar(plan.data, tmp_path, lenient)
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for name, packed in (("train-images-idx3-ubyte", False), ("train-images-idx3-ubyte.gz", True)):
        (raw / name).write_bytes(content)
        with pytest.raises(RunError, match=label):
            read_idx_images(make_plan(dataset="mnist").data, tmp_path, lenient)
        (raw / name).unlink()
        if packed:
            (raw / name).write_bytes(gzip.compress(content))
            with pytest.raises(RunError, match=label):
                read_idx_images(make_plan(dataset="mnist").data, tmp_path, lenient)


def test_few_bytes_that_unpack_to_very_many_are_refused(tmp_path: Path):
    """A PNG of 200 bytes that says that it has 900 million pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(90_001)))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""))
    with pytest.raises(BadImageError, match=r"exceeds limit of .* pixels"):
        decode_image(tmp_path / "a.png", 3)
