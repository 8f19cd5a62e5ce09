"""Load a built model.py, after its folder was compared with its build."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.runtime.process.own_code import install_copies

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load_build_model"]

_CLASS = "Model"
"""Of model.py: the whole network."""


def load_build_model(file: Path) -> Callable[..., nn.Module]:
    """Run a built model.py and return its `build_model`.

    Its text is run, by its path: neither byte code beside it nor another `model` can take its place. So
    are the copies of the project's own code that it imports. Its class gets the methods of
    `wavetwin.runtime.network.features`, as the network of the graph has them.
    """
    install_copies(file.parent)
    spec = importlib.util.spec_from_file_location("model", file)
    assert spec is not None, file
    module = importlib.util.module_from_spec(spec)
    # Classes are looked up by their module's name, for example when they are pickled.
    sys.modules["model"] = module
    exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), module.__dict__)
    _add_methods(module.__dict__.get(_CLASS))
    return module.build_model


def _add_methods(kind: object) -> None:
    """Give the network's class its methods; one that was edited by hand may have others, or be none."""
    from torch import nn

    from wavetwin.runtime.network.features import FeatureMethods

    if isinstance(kind, type) and kind.__bases__ == (nn.Module,):
        kind.__bases__ = (FeatureMethods,)
