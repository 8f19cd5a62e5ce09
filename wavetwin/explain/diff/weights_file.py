"""Read the names, shapes and types in a safetensors header, and nothing else of the file.

A header is JSON behind its length in eight bytes; the tensors follow it without a gap
(https://github.com/huggingface/safetensors, format).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.explain.diff.tensors import TensorInfo
from wavetwin.files.json_text import parse_json

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16,
    "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """What a safetensors header says."""

    path: Path
    tensors: Mapping[str, TensorInfo]


class _DamagedError(Exception):
    """What is wrong with a header."""


def read_header(path: Path) -> WeightsFile:
    """Return the tensors of a safetensors file; only its header is read.

    Raises:
        CompileError: `weights-unreadable` or `weights-damaged`.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
                raise _DamagedError("the header is longer than the file")
            tensors = _tensors(file.read(length), size - 8 - length)
    except OSError as error:
        headline = f"cannot be read: {error.strerror or error}"
        help_text = "name a .safetensors file, or a folder that holds model.safetensors"
        raise _error("weights-unreadable", headline, path, help_text) from error
    except _DamagedError as error:
        from wavetwin.runtime.process.foreign_files import recognise_file

        # A download that went wrong is something else altogether, and its remedy another one.
        foreign = recognise_file(path)
        what = str(error) if foreign is None else f"it is {foreign.description}"
        headline = f"this is no whole safetensors file: {what}"
        help_text = "fetch or write it again; a run keeps its last state in checkpoints/last"
        if foreign is not None and foreign.remedy is not None:
            help_text = foreign.remedy
        raise _error("weights-damaged", headline, path, help_text) from error
    return WeightsFile(path, tensors)


def _error(code: str, headline: str, path: Path, help_text: str) -> CompileError:
    return CompileError([Diagnostic(code, headline, subject=str(path), help=help_text)])


def _tensors(header: bytes, data_bytes: int) -> dict[str, TensorInfo]:
    try:
        document: object = parse_json(header)
    except ValueError:
        raise _DamagedError("the header is not JSON") from None
    if not isinstance(document, dict):
        raise _DamagedError("the header is not a JSON object")
    tensors: dict[str, TensorInfo] = {}
    for name, entry in cast("dict[str, Any]", document).items():
        if name != "__metadata__":
            tensors[name] = _tensor(name, entry, data_bytes)
    return tensors


def _tensor(name: str, entry: Any, data_bytes: int) -> TensorInfo:
    if not isinstance(entry, dict):
        raise _DamagedError(f"the entry of {name!r} is not a JSON object")
    fields = cast("dict[str, Any]", entry)
    dtype, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (
        isinstance(dtype, str) and dtype in _BITS and _are_counts(shape) and _are_counts(offsets)
    ):
        raise _DamagedError(f"the entry of {name!r} lacks a known type, a shape or offsets")
    start, stop = (*cast("list[int]", offsets), -1, -1)[:2]
    if not 0 <= start <= stop <= data_bytes:
        raise _DamagedError(f"{name!r} lies outside the file")
    if (stop - start) * 8 != math.prod(cast("list[int]", shape)) * _BITS[dtype]:
        raise _DamagedError(f"{name!r} has another size than its shape says")
    return TensorInfo(tuple(cast("list[int]", shape)), dtype)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, int) and not isinstance(item, bool) and item >= 0
        for item in cast("list[Any]", value)
    )
