"""Read the images: readers of the data sets, splits, augmentation and batches.

Importing this package imports no torch; `load_data` and what holds tensors do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wavetwin.runtime.data.experiment import ExperimentData, load_data
    from wavetwin.runtime.data.root import find_data_root
    from wavetwin.runtime.data.sources import (
        Batch,
        FileImages,
        ImageSet,
        ImageSource,
        SourcePair,
        TensorImages,
    )

__all__ = [
    "Batch",
    "ExperimentData",
    "FileImages",
    "ImageSet",
    "ImageSource",
    "SourcePair",
    "TensorImages",
    "find_data_root",
    "load_data",
]

_MODULES = {
    "ExperimentData": "experiment",
    "find_data_root": "root",
    "load_data": "experiment",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'sources')}"), name)
