"""Recognise a weights file by its bytes: safetensors, torch's, or something else that is named."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Literal

from wavetwin.diagnostics.listing import list_some
from wavetwin.files.json_text import parse_json
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.foreign_files import START_BYTES, recognise

__all__ = ["weights_kind"]

_SUFFIXES = (".ckpt", ".bin", ".safetensors", ".pt", ".pth", ".tar")
_MAX_HEADER_BYTES = 100_000_000
"""Of a safetensors file, as its library has it."""
_AGAIN = "fetch or copy it again, and compare its size with that of the original"
_CONVERT = "read it with the library that wrote it, and save the tensors with safetensors"


def weights_kind(data: bytes, file: Path) -> Literal["safetensors", "torch"]:
    """Return the kind of a weights file.

    Args:
        data: its bytes.
        file: what errors name.

    Raises:
        RunError: it is cut off, or no weights file; says what it is where that can be seen.
    """
    header_bytes = int.from_bytes(data[:8], "little")
    if len(data) > 8 and data[8:9] == b"{" and header_bytes <= _MAX_HEADER_BYTES:
        _check_whole(data, header_bytes, file)
        return "safetensors"
    if data.startswith(b"PK\x03\x04"):
        _check_zip(data, file)
        return "torch"
    # A pickle of protocol 2 or more, as torch wrote before version 1.6.
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "torch"
    raise _named(data, file)


def _check_whole(data: bytes, header_bytes: int, file: Path) -> None:
    """Refuse a safetensors file that ends before its last tensor."""
    try:
        header = parse_json(data[8 : 8 + header_bytes])
        stops = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
        needed = 8 + header_bytes + max(stops, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        needed = 8 + header_bytes
    if len(data) < needed:
        raise RunError(
            "weights-damaged",
            f"is cut off: it has {len(data):,} of {needed:,} bytes of a safetensors file",
            _AGAIN,
            subject=file,
        )


def _check_zip(data: bytes, file: Path) -> None:
    """Refuse an archive that is cut off or not one of `torch.save`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
            inside = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise RunError(
            "weights-damaged",
            "is cut off or damaged: the list at the end of its archive is not there",
            _AGAIN,
            subject=file,
        ) from None
    if "constants.pkl" in names and "data.pkl" in names:
        raise RunError(
            "not-a-weights-file",
            "is a TorchScript archive, which holds a program beside its weights",
            "torch.save(torch.jit.load(FILE).state_dict(), NEW) writes its weights alone, if you "
            "trust who made it",
            subject=file,
        )
    if "data.pkl" not in names:
        shown = list_some(inside)
        if inside and all(name.endswith(".npy") for name in inside):
            raise RunError(
                "not-a-weights-file",
                "is arrays of NumPy (.npz), not a weights file",
                _CONVERT,
                subject=file,
            )
        raise RunError(
            "not-a-weights-file",
            f"is a zip archive that torch.save did not write; it has {shown or 'no files'}",
            "unpack it, and name the weights file in it",
            subject=file,
        )


def _named(data: bytes, file: Path) -> RunError:
    """Return the error that says what a file is, as far as its bytes show."""
    other = _other_weights(data)
    if other is not None:
        return RunError(
            "not-a-weights-file", f"is {other}, which is not read", _CONVERT, subject=file
        )
    foreign = recognise(data[:START_BYTES])
    if file.suffix not in _SUFFIXES:
        what = "" if foreign is None else f"; it is {foreign.description}"
        return RunError(
            "not-a-weights-file",
            f"is no weights file: .safetensors, .pt, .pth, .tar are read, and .ckpt, .bin{what}",
            None if foreign is None else foreign.remedy,
            subject=file,
        )
    if foreign is not None:
        remedy = foreign.remedy
        if remedy is None and foreign.kind in ("tar", "gzip", "bzip2", "xz", "zstd", "7z", "rar"):
            remedy = "unpack it, and name the weights file in it"
        return RunError(
            "not-a-weights-file",
            f"is no weights file: it is {foreign.description}",
            remedy,
            subject=file,
        )
    return RunError(
        "weights-damaged",
        "cannot be read: it is damaged, or holds more than tensors and plain values",
        _AGAIN,
        subject=file,
    )


def _other_weights(data: bytes) -> str | None:
    """Return the kind of weights file of another library."""
    start = data[:START_BYTES]
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "an HDF5 file, as Keras writes weights"
    if start.startswith(b"GGUF"):
        return "a GGUF file"
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    # An ONNX model is a message whose first field, its version, is a small number, and the second
    # the name of the program that made it.
    if start[:1] == b"\x08" and start[1:2] < b"\x20" and start[2:3] in (b"\x12", b":"):
        return "an ONNX model"
    if b"saved_model" in start or b"tensorflow" in start[:64]:
        return "a TensorFlow model"
    # The index of a TensorFlow checkpoint is a table that ends with this number.
    if data.endswith(b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"):
        return "the index of a TensorFlow checkpoint"
    return None
