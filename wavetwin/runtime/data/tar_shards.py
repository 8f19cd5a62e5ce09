"""Read images of one's own from plain tar files, by an index of where each image lies.

`train-*.tar`, `val-*.tar` and `test-*.tar` hold `<class>/<image>`. `wavetwin data prepare` writes
`index.npz` beside them; an image is then one read at its place, in any order.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from wavetwin.diagnostics.listing import list_some
from wavetwin.files.atomic import write_file
from wavetwin.ir.data_lock import SPLITS
from wavetwin.ir.plan import DataPlan
from wavetwin.runtime.data.class_order import check_same_classes, in_natural_order
from wavetwin.runtime.data.detected import FileList, Found
from wavetwin.runtime.data.image_walk import IMAGE_SUFFIXES
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.own_images import OwnImages, arrange
from wavetwin.runtime.data.root import ROOT_REMEDY, own_folder
from wavetwin.runtime.process.errors import RunError, write_code

__all__ = ["INDEX", "TarList", "list_shards", "read_shards", "write_index"]

INDEX = "index.npz"
_PREPARE = "`wavetwin data prepare SPEC` writes it"
_ARRAYS = ("shards", "shard_bytes", "shard", "offset", "size", "name")


@dataclass(frozen=True)
class TarList(FileList):
    """Images in tar files; a name is the tar file's and the image's within it."""

    shards: tuple[str, ...]
    """Names of the tar files in the folder."""
    shard: np.ndarray
    """int64 (images): which of them has the image."""
    offsets: np.ndarray
    """int64 (images): where the image begins in it, in bytes."""

    def without_images(self) -> TarList:
        """Return none of the images, of the same classes."""
        return replace(
            self, names=self.names[:0], sizes=self.sizes[:0], labels=self.labels[:0],
            shard=self.shard[:0], offsets=self.offsets[:0],
        )  # fmt: skip

    def content(self, index: int) -> bytes:
        """Return one image file's bytes.

        Raises:
            RunError: the disk does not give them.
        """
        file = self.folder / self.shards[int(self.shard[index])]
        size = int(self.sizes[index])
        try:
            with file.open("rb") as stream:
                stream.seek(int(self.offsets[index]))
                found = stream.read(size)
        except OSError as error:
            raise RunError(
                "file-unreadable",
                f"cannot be read: {error.strerror}",
                "was it moved while the run was going?",
                subject=file,
            ) from error
        if len(found) != size:
            raise RunError("data-set-damaged", "is cut off", "copy it again", subject=file)
        return found


def read_shards(data: DataPlan, root: Path | None, official: Official) -> Found:
    """Return the images of the plan's folder, as `arrange` divides them.

    Raises:
        RunError: a tar file or the index is missing or of other images, or the classes differ.
    """
    return arrange(list_shards(data, root), data, official)


def list_shards(data: DataPlan, root: Path | None) -> OwnImages:
    """Return the images of each split by the index; any number of classes will do.

    Args:
        data: says the folder.
        root: the data root.

    Raises:
        RunError: the index is missing or of other tar files, or the classes differ among the splits.
    """
    folder = own_folder(data, root)
    index = _read_index(folder)
    names = [os.fsdecode(each) for each in index["shards"].tolist()]
    classes = [os.fsdecode(each.partition(b"/")[0]) for each in index["name"].tolist()]
    sets: dict[str, FileList] = {}
    for split in SPLITS:
        own = [number for number, name in enumerate(names) if _split_of(name) == split]
        chosen = np.isin(index["shard"], own).nonzero()[0]
        if len(chosen) == 0:
            continue
        labels = [classes[each] for each in chosen]
        class_names = in_natural_order(set(labels), folder)
        numbers = {name: number for number, name in enumerate(class_names)}
        paths = [
            os.fsencode(f"{names[index['shard'][each]]}/") + bytes(index["name"][each])
            for each in chosen
        ]
        sets[split] = TarList(
            folder,
            tuple(class_names),
            np.array(paths, dtype=np.bytes_),
            index["size"][chosen],
            np.array([numbers[label] for label in labels], dtype=np.int64),
            tuple(names),
            index["shard"][chosen],
            index["offset"][chosen],
        )
    first = next(iter(sets))
    most = max(len(each.class_names) for each in sets.values())
    for split, images in sets.items():
        check_same_classes(
            folder / f"{first}-*.tar", sets[first].class_names, folder / f"{split}-*.tar",
            images.class_names, data.num_classes or most,
        )  # fmt: skip
    shards = f"{folder}/train-*.tar"
    return OwnImages(folder, sets[first].class_names, sets, (f"there is no {shards}", shards))


def write_index(data: DataPlan, root: Path | None) -> str:
    """Write the index of a folder's tar files, and return what was done.

    Raises:
        RunError: there are none, one is packed or damaged, a name leads out of its class or comes
            twice, or the index cannot be written.
    """
    folder = own_folder(data, root)
    shards = _shard_files(folder)
    if not shards:
        raise RunError(
            "data-set-missing",
            "has no train-*.tar, val-*.tar or test-*.tar",
            f"pack the images so, <class>/* in each, or {ROOT_REMEDY}",
            subject=folder,
        )
    rows: list[tuple[int, int, int, bytes]] = []
    seen: dict[tuple[str, str], Path] = {}
    for number, shard in enumerate(shards):
        for name, offset, size in _members(shard):
            earlier = seen.setdefault((_split_of(shard.name), name), shard)
            if earlier != shard:
                raise RunError(
                    "bad-entry",
                    f"has {name}, which {earlier.name} has, too",
                    "an image counts once in a split: pack it in one of them",
                    subject=shard,
                )
            rows.append((number, offset, size, os.fsencode(name)))
    if not rows:
        raise RunError(
            "no-images",
            "has no images in its tar files",
            f"images end in {', '.join(IMAGE_SUFFIXES)}",
            subject=folder,
        )
    buffer = io.BytesIO()
    shard_numbers, offsets, sizes, names = zip(*rows, strict=True)
    np.savez(
        buffer,
        shards=np.array([os.fsencode(each.name) for each in shards], dtype=np.bytes_),
        shard_bytes=np.array([each.stat().st_size for each in shards], dtype=np.int64),
        shard=np.array(shard_numbers, dtype=np.int64),
        offset=np.array(offsets, dtype=np.int64),
        size=np.array(sizes, dtype=np.int64),
        name=np.array(names, dtype=np.bytes_),
    )
    try:
        write_file(folder / INDEX, buffer.getvalue())
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror}", subject=folder / INDEX
        ) from error
    return f"{folder / INDEX}: written, {len(rows)} images in {len(shards)} tar files"


def _split_of(name: str) -> str:
    return name.partition("-")[0]


def _shard_files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.glob("*-*.tar") if _split_of(file.name) in SPLITS and file.is_file()
    )


def _members(shard: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, offset and size of each image of a tar file, in its order."""
    names: set[str] = set()
    try:
        # Only what is not packed can be read at any place.
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                is_hidden = any(part.startswith(".") and part != ".." for part in path.parts)
                if not member.isreg() or is_hidden or path.suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                if path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
                    raise RunError(
                        "bad-entry",
                        f"has {member.name}, which is in no class",
                        "pack images as <class>/<image>",
                        subject=shard,
                    )
                if str(path) in names or member.issparse():
                    what = "twice" if str(path) in names else "as a sparse file"
                    raise RunError(
                        "bad-entry", f"has {path} {what}", "pack the images anew", subject=shard
                    )
                names.add(str(path))
                yield str(path), member.offset_data, member.size
    except (OSError, tarfile.TarError, EOFError) as error:
        raise RunError(
            "data-set-damaged",
            f"cannot be read as a plain tar file: {error}",
            "unpack what is packed (gunzip), or fetch it again",
            subject=shard,
        ) from error


def _read_index(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an index.

    Raises:
        RunError: there is none, it is damaged, or the tar files are others than it is of.
    """
    file = folder / INDEX
    if not file.is_file():
        raise RunError(
            "data-set-incomplete",
            "is not there: the index of the tar files",
            _PREPARE,
            subject=file,
        )
    try:
        with np.load(file, allow_pickle=False) as stored:
            index = {name: stored[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise RunError(
            "data-set-damaged", f"cannot be read: {error}", _PREPARE, subject=file
        ) from error
    sizes = dict(zip(map(bytes, index["shards"]), index["shard_bytes"].tolist(), strict=True))
    there = {os.fsencode(each.name): each.stat().st_size for each in _shard_files(folder)}
    changed = _names(
        each for each in sizes.keys() | there.keys() if sizes.get(each) != there.get(each)
    )
    if changed or len(index["name"]) == 0:
        raise RunError(
            "data-set-damaged",
            f"is of other tar files than those that are there: {list_some(changed)}",
            f"bring them back as they were, or prepare again: {_PREPARE}",
            subject=file,
        )
    return index


def _names(names: Iterator[bytes]) -> Sequence[str]:
    return sorted(os.fsdecode(name) for name in names)
