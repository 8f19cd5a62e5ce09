"""Read a pickle's unneeded objects as empty ones: nothing of the file is imported or run.

Training programs save callbacks, settings and whole models beside their weights, as objects of
classes that `torch.load(weights_only=True)` refuses. Each such name is given a class that is
empty, does nothing, and keeps its state, so that the tensors beside it can be read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from wavetwin.runtime.process.errors import RunError

__all__ = ["SkippedObject", "load_skipping", "not_plain"]

_HOSTILE_MODULES = frozenset((
    "__builtin__", "_pickle", "asyncio", "bdb", "builtins", "cProfile", "codeop", "commands",
    "ctypes", "ftplib", "functools", "http", "imp", "importlib", "io", "marshal",
    "multiprocessing", "nt", "operator", "os", "pdb", "pickle", "pip", "posix", "pty",
    "requests", "runpy", "shelve", "shutil", "socket", "subprocess", "sys", "tempfile",
    "threading", "timeit", "types", "urllib", "webbrowser",
))  # fmt: skip
"""Names of these have no business in a checkpoint: such a file was made to run code, and is refused
though nothing of it would be run."""
_HARMLESS = frozenset((
    "builtins.bool", "builtins.bytes", "builtins.complex", "builtins.dict", "builtins.float",
    "builtins.frozenset", "builtins.int", "builtins.list", "builtins.object", "builtins.range",
    "builtins.set", "builtins.slice", "builtins.str", "builtins.tuple", "builtins.type",
    "functools.partial", "io.BytesIO", "io.StringIO", "types.SimpleNamespace",
))  # fmt: skip
_UNKNOWN = re.compile(r"GLOBAL ([\w.<>]+)")
_TOOK_ITEMS = re.compile(r"(SETITEM|append|extend).*but got <class '([^']+)'>", re.DOTALL)
_MAX_NAMES = 500


class SkippedObject:
    """What stands for an object of an unknown class."""

    state: Any = None
    """What the object would have been set to; a module's parameters, for example."""

    def __new__(cls, *_arguments: Any, **_options: Any) -> Any:
        """Return an empty object, whatever it would have been made of."""
        return object.__new__(cls)

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _SkippedMapping(SkippedObject):
    """Stands for an object that takes entries: they go into a plain dict."""

    def __new__(cls, *_arguments: Any, **_options: Any) -> Any:
        """Return a dict."""
        return {}


class _SkippedList(SkippedObject):
    """Stands for an object that takes items: they go into a plain list."""

    def __new__(cls, *_arguments: Any, **_options: Any) -> Any:
        """Return a list."""
        return []


def load_skipping(load: Callable[[], Any], data: bytes, file: Path) -> tuple[Any, tuple[str, ...]]:
    """Return what `load` reads, and the names whose objects were skipped.

    Args:
        load: reads a pickle by `torch.load(weights_only=True)`; called again for each name that it
            stops at.
        data: what it reads.
        file: what errors name.

    Raises:
        RunError: a name of the pickle could run code, or it is damaged.
    """
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data))
    except Exception:
        # Old formats and damaged files: reading them shows it, one name at a time.
        unknown = []
    classes: dict[str, type[SkippedObject]] = {}
    for name in unknown:
        _add(classes, name, SkippedObject, file)
    while True:
        skipped: list[Any] = [(each, name) for name, each in classes.items()]
        try:
            with torch.serialization.safe_globals(skipped):
                return load(), tuple(classes)
        except Exception as error:
            # A file of unknown origin can make torch raise anything; none of it is run. What it
            # stopped at, its message alone says.
            if len(classes) > _MAX_NAMES or not _learn(classes, str(error), file):
                raise not_plain(file, error) from error


def not_plain(file: Path, error: Exception) -> RunError:
    """Return the error of a file that torch did not read, from what torch says."""
    unsafe = _UNKNOWN.search(str(error))
    if unsafe is not None:
        return _runs_code(file, unsafe[1])
    return RunError(
        "weights-damaged",
        "cannot be read: it is damaged, or holds more than tensors and plain values",
        subject=file,
    )


def _runs_code(file: Path, name: str) -> RunError:
    return RunError(
        "pickle-not-plain",
        f"cannot be read: it asks for {name}, which could run code; nothing was run",
        "only tensors and plain values are read from a pickle; if you trust who made the "
        "file, write its state dict alone with torch.save or safetensors",
        subject=file,
    )


def _learn(classes: dict[str, type[SkippedObject]], message: str, file: Path) -> bool:
    """Add the name that a message is about, or what its class has to be; return whether it did."""
    took = _TOOK_ITEMS.search(message)
    if took is not None and took[2] in classes and classes[took[2]].__base__ is SkippedObject:
        base = _SkippedMapping if took[1] == "SETITEM" else _SkippedList
        _add(classes, took[2], base, file)
        return True
    stopped = _UNKNOWN.search(message)
    if stopped is None:
        return False
    name = stopped[1] if "." in stopped[1] else f"builtins.{stopped[1]}"
    is_new = name not in classes
    _add(classes, name, SkippedObject, file)
    return is_new


def _add(
    classes: dict[str, type[SkippedObject]], name: str, base: type[SkippedObject], file: Path
) -> None:
    module, _, own = name.rpartition(".")
    if module.partition(".")[0] in _HOSTILE_MODULES and name not in _HARMLESS:
        raise _runs_code(file, name.removeprefix("builtins."))
    # The class is called as the name, so that torch's messages name it.
    try:
        classes[name] = type(own, (base,), {"__module__": module, "__qualname__": own})
    except ValueError as error:
        raise RunError(
            "weights-damaged", f"cannot be read: it names a class {name!a}", subject=file
        ) from error
