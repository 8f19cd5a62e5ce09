"""Tests run with the layers' shape annotations executed (jaxtyping and beartype)."""

import gc
import os
import tempfile
from pathlib import Path

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
# The native kernel takes seconds to build: once for all processes and sessions, until its source changes.
_KERNELS = Path(__file__).parents[1] / ".pytest_cache" / "kernels"
_KERNELS.mkdir(mode=0o700, parents=True, exist_ok=True)
Path(_CACHE.name, "wavetwin").mkdir()
Path(_CACHE.name, "wavetwin", "kernels").symlink_to(_KERNELS)


def pytest_collection_finish() -> None:
    """Let the garbage collector leave out what all tests stand on: torch alone is a million objects."""
    gc.collect()
    gc.freeze()
