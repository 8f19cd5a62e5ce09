"""Tests run with the layers' shape annotations executed (jaxtyping and beartype)."""

import gc
import os
import tempfile

from jaxtyping import install_import_hook

# Loggers have tests of their own; elsewhere nobody reads TensorBoard's files.
os.environ["WAVETWIN_LOGGERS"] = ""

install_import_hook(
    ["wavetwin.runtime.layers", "wavetwin.runtime.bank", "wavetwin.runtime.wavelets"],
    "beartype.beartype",
)

# What trials find is kept in the user's cache folder: tests have one of their own.
_CACHE = tempfile.TemporaryDirectory(prefix="wavetwin-cache-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name


def pytest_collection_finish() -> None:
    """Let the garbage collector leave out what all tests stand on: torch alone is a million objects."""
    gc.collect()
    gc.freeze()
