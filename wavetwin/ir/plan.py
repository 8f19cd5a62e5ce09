"""Define the training plan: how a model is trained and judged, as a plain document.

The resolved spec's sections as they are, and the few values that follow from them. Everything is
spelt out: the runtime has no defaults of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from wavetwin.files.json_form import check_form
from wavetwin.files.json_text import parse_json
from wavetwin.ir.augmentations import find_augmentation
from wavetwin.ir.data_lock import DataLock
from wavetwin.ir.evaluations import EVALUATIONS, Evaluation
from wavetwin.ir.frozen import frozen
from wavetwin.ir.image_transforms import ImageTransform, known_transforms
from wavetwin.ir.section import Section, declare, read_section
from wavetwin.ir.sides import ImageSize, height_and_width
from wavetwin.ir.starting_weights import StartingWeights
from wavetwin.ir.training import Training

PLAN_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""Version 1 had every kind's fields in `optimizer`, `schedule` and `evaluation`, null where they were
another kind's."""


@frozen(kw_only=True)
class DataPlan(Section):
    """The images and what happens to them before the network sees them."""

    dataset: str
    channels: int
    num_classes: int
    image_size: ImageSize
    """What the network sees, in pixels."""
    augmentation: str | tuple[ImageTransform, ...] = declare(kinds=known_transforms)
    """A name of `ir.augmentations`, or a list of transforms."""
    normalise: str
    """Where mean and std come from: `dataset`, `imagenet`, or `none` (then mean 0, std 1)."""
    mean: tuple[float, ...] | None
    """Per channel, of values in [0, 1]; None: measured on the training images when a run starts
    (a `folder` normalised with its own statistics)."""
    std: tuple[float, ...] | None
    validation: int
    """Training images held out; per class where `validation_per_class`."""
    validation_per_class: bool
    training_images: int | None
    """Without the validation images; None where only the disk knows."""
    folder: str | None = declare(None, later=True)
    """Below the data root, of a user's own images; None: the data root."""
    split_list: str | None = declare(None, later=True)
    """Name of the list that divides a user's own images; None: folders do."""
    file: str | None = declare(None, later=True)
    """Name of the file of a user's own arrays."""
    lock: DataLock | None = declare(None, later=True, section=DataLock)
    """What the disk had of a user's own images when the spec was locked."""

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of what the network sees."""
        return height_and_width(self.image_size)

    @property
    def augmentation_text(self) -> str:
        """What is done to training images, as text: a short name, or the transforms of a list."""
        return find_augmentation(self.augmentation).name


@frozen
class RegularisationPlan(Section):
    """The L1/Linf penalty: `lambdas[b]` weighs band b of the packet mixing at `node`."""

    node: str
    """Id of the mixing node; the weights are `<node>.<band>.weight` in the state dict."""
    lambdas: tuple[float, ...]


@frozen
class InitialWeightsPlan(Section):
    """Where the free channels start from."""

    checkpoint: str
    channels: tuple[int, ...] | None


@frozen(kw_only=True)
class TrainingPlan(Training):
    """All that a run needs to know beside the module graph.

    The fields of the spec's `training` are its own, and what follows from spec and data set: nothing
    of a spec is copied field by field, so that a new one is here as soon as it is declared.
    """

    name: str
    data: DataPlan = declare(section=DataPlan)
    iterations_per_epoch: int | None
    """ceil(training images / batch size); None where only the disk knows."""
    regularisation: RegularisationPlan | None = declare(section=RegularisationPlan)
    streams: Mapping[str, int]
    """Seeds of the named random streams at epoch 0, rank 0, worker 0."""
    initial_weights: InitialWeightsPlan | None = declare(section=InitialWeightsPlan)
    weights: StartingWeights | None = declare(None, later=True, section=StartingWeights)
    """What the training starts from; None: random weights."""
    evaluation: tuple[Evaluation, ...] = declare(kinds=EVALUATIONS)
    digest: str
    """SHA-256 of training and evaluation."""
    training_digest: str
    model_digest: str

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose versions decide this training's numbers, beside those that decide all."""
        return find_augmentation(self.data.augmentation).packages

    def to_json(self) -> dict[str, Any]:
        """Return the document as JSON values; `from_json` reads it back."""
        return {"wavetwin_plan": PLAN_VERSION} | Section.to_json(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> TrainingPlan:
        """Read a document written by `to_json`, of this version or the one before.

        Raises:
            ValueError: the document is of another kind or version, or damaged.
        """
        check_form(document, dict[str, Any])
        version = document.get("wavetwin_plan")
        if version not in READABLE_VERSIONS:
            raise ValueError(
                f"not a training plan of version {' or '.join(map(str, READABLE_VERSIONS))}: "
                f"wavetwin_plan is {version!r}"
            )
        return read_section(
            TrainingPlan, {key: each for key, each in document.items() if key != "wavetwin_plan"}
        )

    @staticmethod
    def from_text(text: str) -> TrainingPlan:
        """Read a document from JSON text."""
        return TrainingPlan.from_json(parse_json(text))


def stream_seed(seed: int, stream: str, epoch: int = 0, rank: int = 0, worker: int = 0) -> int:
    """Return the 64-bit seed of one named random stream.

    It depends on the seed and the names only, so that a twin and its CNN share their common random
    numbers.
    """
    text = json.dumps([seed, stream, epoch, rank, worker], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
