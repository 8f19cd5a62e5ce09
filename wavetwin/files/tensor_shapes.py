"""Read which tensors a weights file has, and their shapes, without torch and without their values.

A safetensors file begins with them. A file of `torch.save` is a zip whose pickle has them: it is read by a
machine that knows no name at all. Whatever a pickle asks for is an empty object here; nothing is imported
and nothing is run. Older formats of torch have no such part, and are not read.
"""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from wavetwin.files.bounded_pickle import MAX_DEPTH, MOST_NAMES, BoundedUnpickler
from wavetwin.files.json_text import parse_json

__all__ = ["Shape", "read_tensor_shapes"]

Shape = tuple[int, ...]

_LENGTH_BYTES = 8
_LARGEST_HEADER = 2**26
"""In bytes; safetensors' own limit is somewhat larger. Pickles of 1,000 tensors have a tenth of a MB."""
_REBUILDS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter")
_SIZE_ARGUMENT = 2
"""Storage and offset come before a tensor's size."""


def read_tensor_shapes(file: Path) -> dict[str, Shape] | None:
    """Return the shapes of a file's tensors by their names; those below other keys have these before them.

    None where the file is not there, damaged, or of a kind that does not say it without being read whole.
    """
    try:
        with file.open("rb") as content:
            start = content.read(_LENGTH_BYTES)
            if start.startswith(b"PK"):
                return _of_zip(file)
            length = int.from_bytes(start, "little")
            if len(start) < _LENGTH_BYTES or length > _LARGEST_HEADER:
                return None
            header = content.read(length)
            return _of_header(parse_json(header)) if len(header) == length else None
    except Exception:
        # A file of unknown origin can make a reader raise anything. What is wrong with it is reported
        # where all of it is read.
        return None


def _of_header(header: Mapping[str, Any]) -> dict[str, Shape]:
    return {
        name: tuple(int(side) for side in each["shape"])
        for name, each in header.items()
        if name != "__metadata__"
    }


def _of_zip(file: Path) -> dict[str, Shape] | None:
    with zipfile.ZipFile(file) as archive:
        pickles = [each for each in archive.infolist() if each.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > _LARGEST_HEADER:
            return None
        with archive.open(pickles[0]) as content:
            found = dict(_tensors(_ShapeReader(content).load(), (), left := [MOST_NAMES]))
            return found if left[0] > 0 else None


def _tensors(value: object, path: tuple[str, ...], left: list[int]) -> Iterator[tuple[str, Shape]]:
    """Yield a pickle's tensors; few bytes can name one dictionary very often, so entries are counted."""
    if isinstance(value, _Tensor):
        yield ".".join(path), value.shape
    elif isinstance(value, dict) and len(path) <= MAX_DEPTH:
        for name, each in cast("dict[Any, object]", value).items():
            left[0] -= 1
            if left[0] <= 0:
                return
            yield from _tensors(each, (*path, str(name)), left)


class _Nothing(dict[Any, Any]):
    """Stands for an object of any class: takes everything, and does nothing."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        pass

    def append(self, item: object) -> None:
        """Drop an item."""

    def extend(self, items: object) -> None:
        """Drop items."""


class _Tensor:
    """Stands for a tensor: its shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __setstate__(self, state: object) -> None:
        pass


def _tensor(*arguments: Any) -> object:
    """Return what a tensor is rebuilt from: itself for a parameter, its size else."""
    if isinstance(arguments[0], _Tensor):
        return arguments[0]
    return _Tensor(tuple(int(side) for side in arguments[_SIZE_ARGUMENT]))


class _ShapeReader(BoundedUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name; none is looked up."""
        if module == "torch._utils" and name in _REBUILDS:
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return _Nothing

    def persistent_load(self, pid: object) -> None:
        """Return nothing in the place of a storage: its bytes are not read."""
