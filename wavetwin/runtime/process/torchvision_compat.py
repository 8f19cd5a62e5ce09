"""Import torchvision where its compiled extension does not load.

Nothing of wavetwin needs torchvision. Where its extension does not load (it is built for another
torch, or for CUDA), some releases cannot be imported at all: they register fake kernels for two
operators, `torchvision::nms` and `torchvision::qnms`, whose schemas only the extension defines.
Defining the two schemas, without kernels, is enough for all that is written in Python: transforms,
data sets, models.
"""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType

import torch

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")

_library: torch.library.Library | None = None


def import_torchvision() -> ModuleType:
    """Return torchvision, with the operator schemas that its extension may have left out.

    Nothing is defined unless torchvision cannot be imported otherwise. Calling it again is free.

    Raises:
        ImportError: torchvision is not installed, or cannot be imported for another reason.
    """
    # Torchvision goes first: an extension that loads after its schemas were defined ends the
    # process, and where it lies differs from release to release.
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        remedy = "torchvision is not installed: pip install torchvision"
        raise ImportError(remedy, name="torchvision") from error
    except RuntimeError as error:
        _define_schemas(error)
    try:
        module = importlib.import_module("torchvision")
    except RuntimeError as error:
        # Of two operators the extension has one: some releases of torch register a fake kernel once.
        raise _unusable(error) from error
    # What the first attempt has imported belonged to a package that Python then dropped.
    for name, loaded in list(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if parent == "torchvision" and not hasattr(module, child):
            setattr(module, child, loaded)
    return module


def _define_schemas(error: RuntimeError) -> None:
    """Define the schemas that are missing, where that is what an import failed of."""
    global _library
    missing = _MISSING.search(str(error))
    if missing is None or missing[1] not in _SCHEMAS:
        raise _unusable(error) from error
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            _library = _library or torch.library.Library("torchvision", "FRAGMENT")
            _library.define(schema)


def _unusable(error: RuntimeError) -> ImportError:
    return ImportError(
        f"torchvision cannot be imported with torch {torch.__version__}: {error}; "
        "install the two together: pip install --upgrade torch torchvision",
        name="torchvision",
    )
