"""The training plan: how a model is trained and judged, as a plain document for the runtime.

Standard library only, as `graph`. Everything is spelt out: the runtime has no defaults of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from wavetwin.files.json_form import check_form
from wavetwin.files.json_text import parse_json

PLAN_VERSION = 1


@dataclass(frozen=True, slots=True)
class DataPlan:
    """The images and what happens to them before the network sees them."""

    dataset: str
    channels: int
    num_classes: int
    image_size: int
    augmentation: str
    """`crop_flip`, `pad_crop_flip`, `pad_crop` or `none`."""
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


@dataclass(frozen=True, slots=True)
class OptimizerPlan:
    """The optimiser; fields of the other kind are None."""

    name: str
    """`sgd` or `adamw`."""
    lr: float
    momentum: float | None
    nesterov: bool | None
    betas: tuple[float, float] | None
    weight_decay: float


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """The learning rate over the epochs; fields of other rules are None."""

    name: str
    """`step`, `milestones`, `cosine`, `plateau` or `constant`."""
    step_epochs: int | None
    milestones: tuple[int, ...] | None
    gamma: float | None
    patience: int | None
    warmup_epochs: int

    @property
    def follows_loss(self) -> bool:
        """Whether the rate depends on the loss of the epochs before."""
        return self.patience is not None


@dataclass(frozen=True, slots=True)
class RegularisationPlan:
    """The L1/Linf penalty: `lambdas[b]` weighs band b of the packet mixing at `node`."""

    node: str
    """Id of the mixing node; the weights are `<node>.<band>.weight` in the state dict."""
    lambdas: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class InitialWeightsPlan:
    """Where the free channels start from."""

    checkpoint: str
    channels: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """One entry of the evaluation suite; fields that the mode does not have are None."""

    mode: str
    split: str | None
    direction: str | None
    max_shift: int | None
    pixel_divide: int | None
    metric: str | None
    max_step: int | None
    root: str | None
    normalise: bool
    resize: str = "float"
    """`float`, or `pil`: 8 bits after each pass. A plan of before the field means the first."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """All that a run needs to know beside the module graph."""

    name: str
    data: DataPlan
    epochs: int
    batch_size: int
    accumulate: int
    iterations_per_epoch: int | None
    """ceil(training images / batch size); None where only the disk knows."""
    optimizer: OptimizerPlan
    schedule: SchedulePlan
    regularisation: RegularisationPlan | None
    record_gradients: bool
    precision: str
    """`float32` or `bfloat16`."""
    memory_format: str
    """`contiguous` or `channels_last`."""
    seed: int
    streams: Mapping[str, int]
    """Seeds of the named random streams at epoch 0, rank 0, worker 0 (decisions.md 25)."""
    threads: int
    checkpoint_every: int
    initial_weights: InitialWeightsPlan | None
    evaluation: tuple[EvaluationPlan, ...]
    digest: str
    """SHA-256 of training and evaluation (decisions.md 5)."""
    training_digest: str
    model_digest: str

    def to_json(self) -> dict[str, Any]:
        """Return the document as JSON values; `from_json` reads it back."""
        return {"wavetwin_plan": PLAN_VERSION} | json.loads(json.dumps(asdict(self)))

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> TrainingPlan:
        """Read a document written by `to_json`.

        Raises:
            ValueError: the document is of another kind or version, or damaged.
        """
        if document.get("wavetwin_plan") != PLAN_VERSION:
            raise ValueError(
                f"not a training plan of version {PLAN_VERSION}: "
                f"wavetwin_plan is {document.get('wavetwin_plan')!r}"
            )
        check_form(document, TrainingPlan)
        values: dict[str, Any] = {
            key: _frozen(value) for key, value in document.items() if key != "wavetwin_plan"
        }
        values["data"] = DataPlan(**values["data"])
        values["optimizer"] = OptimizerPlan(**values["optimizer"])
        values["schedule"] = SchedulePlan(**values["schedule"])
        if values["regularisation"] is not None:
            values["regularisation"] = RegularisationPlan(**values["regularisation"])
        if values["initial_weights"] is not None:
            values["initial_weights"] = InitialWeightsPlan(**values["initial_weights"])
        values["evaluation"] = tuple(EvaluationPlan(**entry) for entry in values["evaluation"])
        return TrainingPlan(**values)

    @staticmethod
    def from_text(text: str) -> TrainingPlan:
        """Read a document from JSON text."""
        return TrainingPlan.from_json(parse_json(text))


def stream_seed(seed: int, stream: str, epoch: int = 0, rank: int = 0, worker: int = 0) -> int:
    """Return the 64-bit seed of one named random stream (decisions.md 25).

    It depends on the seed and the names only, so that a twin and its CNN share their common random
    numbers.
    """
    text = json.dumps([seed, stream, epoch, rank, worker], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in cast("dict[str, Any]", value).items()}
    return value
