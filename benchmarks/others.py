"""Libraries that no longer import by themselves, where whoever measures has installed them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any


def pytorch_wavelets() -> Any:
    """Return the package, offered what it asks setuptools for and setuptools has dropped; or None."""
    package = importlib.util.find_spec("pytorch_wavelets")
    if package is None:
        return None
    if "pkg_resources" not in sys.modules and importlib.util.find_spec("pkg_resources") is None:
        assert package.origin is not None
        root = Path(package.origin).parent

        def resource_stream(name: str, file: str) -> Any:
            return (root.joinpath(*name.split(".")[1:]) / file).open("rb")

        module = types.ModuleType("pkg_resources")
        vars(module)["resource_stream"] = resource_stream
        sys.modules["pkg_resources"] = module
    return importlib.import_module("pytorch_wavelets")


def kymatio() -> Any:
    """Return its front end for torch, offered a name that SciPy has dropped; or None.

    The name is of its three-dimensional transform alone.
    """
    if importlib.util.find_spec("kymatio") is None:
        return None
    special = importlib.import_module("scipy.special")
    if not hasattr(special, "sph_harm"):
        vars(special)["sph_harm"] = None
    return importlib.import_module("kymatio.torch")
