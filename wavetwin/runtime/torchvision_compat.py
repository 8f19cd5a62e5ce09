"""Importing torchvision where its compiled extension does not load.

With a CPU build of torch, torchvision 0.28's extension is not loaded, and importing torchvision then
fails: it registers fake kernels for two operators, `torchvision::nms` and `torchvision::qnms`, whose
schemas only the extension defines. Defining the two schemas first, without kernels, is enough for
everything that is written in Python: transforms, data sets, models.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_library: torch.library.Library | None = None


def import_torchvision() -> ModuleType:
    """Return torchvision, imported after the operator schemas that its extension may have left out.

    Nothing is defined where the extension loads. Calling it again is free.

    Raises:
        ImportError: torchvision is not installed, or fails for another reason.
    """
    if "torchvision" not in sys.modules and not _extension_loads():
        _define_missing_schemas()
    return importlib.import_module("torchvision")


def _extension_loads() -> bool:
    """Load the extension as torchvision does; its operators are registered where this succeeds."""
    specification = importlib.util.find_spec("torchvision")
    if specification is None or not specification.submodule_search_locations:
        raise ImportError("torchvision is not installed: pip install torchvision")
    finder = importlib.machinery.PathFinder.find_spec(
        "_C", list(specification.submodule_search_locations)
    )
    if finder is None or finder.origin is None:
        return False
    try:
        torch.ops.load_library(finder.origin)
    except (ImportError, OSError):
        return False
    return True


def _define_missing_schemas() -> None:
    global _library
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            _library = _library or torch.library.Library("torchvision", "FRAGMENT")
            _library.define(schema)
