"""Read a pickle without taking more memory than its bytes say; the base of the two readers of pickles.

What a name of the pickle stands for is for the subclass to say: a pickle may call anything it names.
"""

from __future__ import annotations

import pickle
from typing import Any

__all__ = ["MAX_DEPTH", "MOST_NAMES", "BoundedUnpickler"]

MAX_DEPTH = 4
"""Keys that may lie above a state dict in what a file of weights holds."""
MOST_NAMES = 200_000
"""In its mappings that are looked at: few bytes of a pickle can name one mapping very often."""


_Unpickler: Any = getattr(pickle, "_Unpickler")  # noqa: B009 - its stub has no such name


class BoundedUnpickler(_Unpickler):
    """Python's own unpickler, with bytes read before there is room for them.

    The one in C makes room for the largest number that a pickle gives a value, gigabytes for six bytes;
    Python's own keeps values in a dictionary, and makes room for a `bytearray` of any length alone.
    """

    def _load_bytearray8(self) -> None:
        self.load_binbytes8()
        self.append(bytearray(self.stack.pop()))

    dispatch = {**_Unpickler.dispatch, pickle.BYTEARRAY8[0]: _load_bytearray8}  # noqa: RUF012
