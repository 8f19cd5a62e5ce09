"""Fill the templates of a new project: specs of a CNN and its twins, and what belongs around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wavetwin.compiler.render.files import text_environment
from wavetwin.compiler.validate.json_schema import FILE, shipped_schema
from wavetwin.ir.architecture import Architecture
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.dataset import Dataset
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.poolings import MAX, MODULUS, Pooling
from wavetwin.provenance.package import imported_package

__all__ = ["TWINS", "Choices", "project_files"]

TWINS: dict[str, Pooling] = {each.paper_name.lower(): each for each in (MODULUS, MAX)}
"""The twins of the papers by the pooling of their wavelet channels, the first one by default."""
_SMALL_IMAGE = 64
"""Pixels up to which a small network of listed layers is enough, in place of a named one."""
_SMALL_BACKBONE, _BACKBONE = "sequential", "resnet18"
_FEW_IMAGES = 10_000
_LEAST_SIZE = 32
"""Two levels of packets are 30 pixels wide."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a project is begun with."""

    dataset: Dataset
    backbone: Architecture
    num_classes: int | None
    """Where only the user knows."""
    twins: tuple[str, ...]
    """Names of `TWINS`."""

    @classmethod
    def of(
        cls, dataset: str, backbone: str | None, num_classes: int | None, twins: Sequence[str]
    ) -> Choices:
        """Return choices by their names in the language; a backbone that suits the images if None."""
        row = DATASETS[dataset]
        small = row.image_size <= _SMALL_IMAGE
        name = backbone or (_SMALL_BACKBONE if small else _BACKBONE)
        return cls(row, ARCHITECTURES[name], num_classes, tuple(dict.fromkeys(twins)))


@dataclass(frozen=True, slots=True)
class Recipe:
    """Numbers to begin with; the specs say them, and a user changes them there."""

    image_size: int
    validation: int | None
    """None: the data set's own number."""
    epochs: int
    batch_size: int
    lr: float
    max_shift: int


def _recipe(choices: Choices) -> Recipe:
    dataset = choices.dataset
    small = dataset.image_size <= _SMALL_IMAGE
    # Nobody knows how many images a user's own folder has; most have few.
    few = (dataset.training_images or 0) < _FEW_IMAGES
    return Recipe(
        image_size=max(dataset.image_size, _LEAST_SIZE),
        validation=None if dataset.validation else 5,
        epochs=20 if few and small else 60 if small or few else 90,
        batch_size=64 if few else 128 if small else 256,
        lr=0.01 if choices.backbone.norm == "none" else 0.1,
        max_shift=4 if small else 8,
    )


def project_files(choices: Choices, title: str) -> dict[str, str]:
    """Return the text of every file of a new project by its path, the specs first.

    Args:
        choices: what it is about.
        title: of its README.
    """
    package = imported_package()
    values: Mapping[str, object] = {
        "dataset": choices.dataset,
        "backbone": choices.backbone,
        "num_classes": choices.num_classes,
        "recipe": _recipe(choices),
        "twins": choices.twins,
        "title": title,
        "version": package.version,
        "extras": [
            "run",
            *(["data"] if choices.dataset.package is not None else []),
            "tensorboard",
        ],
    }
    environment = text_environment(Path(package.templates))

    def fill(template: str, **more: object) -> str:
        return environment.get_template(f"project/{template}.j2").render(**values, **more)

    twins = {
        f"specs/{name}.yaml": fill("twin.yaml", name=name, pooling=TWINS[name])
        for name in choices.twins
    }
    return {
        "specs/cnn.yaml": fill("cnn.yaml"),
        **twins,
        ".wavetwin.toml": fill("wavetwin.toml"),
        FILE: shipped_schema(),
        ".gitignore": fill("gitignore"),
        "requirements.txt": fill("requirements.txt"),
        "README.md": fill("README.md"),
    }
