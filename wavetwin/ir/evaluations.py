"""Define what an entry of the evaluation measures: one class a mode.

Fields are those of a spec's entry. Beside them each says what runs it, what it needs, and what its
scores are called, so that nothing else asks for a mode by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar, Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.own_metric import OwnMetric
from wavetwin.ir.scores import (
    CorruptionErrors,
    Divergences,
    ErrorRates,
    FlipRates,
    OneCropScores,
    PerturbationRates,
    ScoreLabel,
)
from wavetwin.ir.section import NAME_PATTERN, Kind, Kinds, declaration_of, declare

__all__ = [
    "CALIBRATION_BINS",
    "EVALUATIONS",
    "SHIFT_METRICS",
    "Corruptions",
    "CropsEvaluation",
    "Evaluation",
    "FilesEvaluation",
    "OneCrop",
    "Perturbations",
    "ShiftMetric",
    "Shifts",
    "Split",
    "SplitEvaluation",
    "TenCrops",
    "comparison_key",
    "read_entry",
]

Split = Literal["train", "validation", "test"]

CALIBRATION_BINS = 15
"""As Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599."""


@frozen(kw_only=True)
class Evaluation(Kind):
    """One entry of the evaluation: what is measured, and of which images."""

    tag = "mode"
    mode: ClassVar[str]
    function: ClassVar[str]
    """Dotted name of what runs it: from the runtime's `Evaluation` to its `Evaluated`."""
    takes_baseline: ClassVar[bool] = False
    """Whether scores are set against another model's."""
    headline: ClassVar[tuple[ScoreLabel, ...]] = ()
    """The scores that stand for all of an entry, where they have a number each."""

    normalise: bool = declare(True, last=True)
    """Whether images are normalised. False is what the published shift scores used."""
    resize: Literal["float", "pil"] = declare("float", later=True, last=True)
    """How images are resized: in floating point, or as the published scores were computed, by Pillow,
    which rounds to 8 bits after each pass."""

    @property
    def scores_form(self) -> Any:
        """The annotation that its scores in scores.json are held against."""
        raise NotImplementedError(type(self))

    @property
    def images(self) -> str:
        """A short label of which images it takes."""
        raise NotImplementedError(type(self))

    @property
    def details(self) -> tuple[str, ...]:
        """What else an entry asks for, as text."""
        return ()

    def describe(self) -> str:
        """Return the entry as text."""
        treatment = [] if self.normalise else ["not normalised"]
        treatment += ["resized in 8 bits"] if self.rounds_to_8_bits else []
        return ", ".join([self.mode.replace("_", " "), self.images, *self.details, *treatment])

    @property
    def rounds_to_8_bits(self) -> bool:
        """Whether images are resized by Pillow."""
        return self.resize == "pil"

    def differs_by_resizing(self, other: Evaluation) -> bool:
        """Return whether the resizing is all that differs."""
        return self != other and replace(self, resize=other.resize) == other

    def predicts_as(self, other: Evaluation) -> bool:
        """Return whether both give the same predictions, image by image."""
        if type(self) is not type(other):
            return False
        return (
            replace(self, **{name: getattr(other, name) for name in _KEPT & _names(self)}) == other
        )


@frozen(kw_only=True)
class SplitEvaluation(Evaluation):
    """An evaluation of images of the data set."""

    split: Split = "test"
    """Which images."""

    @property
    def is_of_test_images(self) -> bool:
        """Whether scores need not say which images they are of."""
        return self.split == "test"

    @property
    def images(self) -> str:
        """The split's name."""
        return self.split


@frozen(kw_only=True)
class FilesEvaluation(Evaluation):
    """An evaluation of images of its own, below the data root."""

    fingerprint: ClassVar[str]
    """Dotted name of what digests its files: (entry, data, data root) to a SHA-256."""
    sets: ClassVar[str]
    """Dotted name of the names of the sets that a whole evaluation has."""
    files: ClassVar[str]
    """What lies in the class folders of a set: `images`."""

    root: str
    """Folder below the data root."""

    @property
    def images(self) -> str:
        """The folder's name."""
        return self.root


@frozen(kw_only=True)
class CropsEvaluation(SplitEvaluation):
    """Errors on images as they are."""

    crops: ClassVar[str]
    """How often each image is looked at: goes on after the name of an error; empty: once."""
    published_prefix: ClassVar[str]
    """Of the names of its errors among the figures from the literature."""

    calibration_bins: int = declare(
        CALIBRATION_BINS, later=True, keeps_predictions=True, ge=2, le=1000
    )
    """Bins of equal width, by the probability of the top prediction, of the expected calibration
    error."""
    predictions: bool = declare(False, later=True, keeps_predictions=True)
    """Whether the probabilities of all classes are kept, and written as CSV beside the scores: a row
    an image, with the name of its file, its label and its top prediction."""
    metrics: tuple[OwnMetric, ...] = declare(
        (), later=True, keeps_predictions=True, section=OwnMetric, max_length=64
    )
    """Metrics of the project's own, computed from logits and labels of all images."""

    @property
    def scores_form(self) -> Any:
        """Error rates."""
        return ErrorRates

    @property
    def details(self) -> tuple[str, ...]:
        """What is not as usual."""
        bins = f"{self.calibration_bins} calibration bins"
        names = " and ".join(each.name for each in self.metrics)
        return (
            *([] if self.calibration_bins == CALIBRATION_BINS else [bins]),
            *(["predictions as CSV"] if self.predictions else []),
            *([f"own metrics {names}"] if names else []),
        )


@frozen(kw_only=True)
class OneCrop(CropsEvaluation):
    """The middle of each image."""

    mode = "one_crop"
    function = "wavetwin.runtime.evaluation.crops.evaluate_one_crop"
    headline = (ScoreLabel("top1_error", "top-1 error"), ScoreLabel("top5_error", "top-5 error"))
    crops = ""
    published_prefix = ""

    @property
    def scores_form(self) -> Any:
        """Error rates and the loss."""
        return OneCropScores


@frozen(kw_only=True)
class TenCrops(CropsEvaluation):
    """Corners and middle of each image and of its mirror image."""

    mode = "ten_crops"
    function = "wavetwin.runtime.evaluation.crops.evaluate_ten_crops"
    headline = (
        ScoreLabel("top1_error", "top-1 error, ten crops"),
        ScoreLabel("top5_error", "top-5 error, ten crops"),
    )
    crops = ", ten crops"
    published_prefix = "ten_crops_"


@frozen
class ShiftMetric:
    """What is compared where images move."""

    name: str
    text: str
    """What it is, as a sentence."""
    label: str
    across: str
    """What a curve of it goes along."""
    up: str
    """What a curve of it shows."""
    compares_steps: bool
    """Whether frames some steps apart are compared, as a rate; else each with the first one."""
    scores_form: Any


SHIFT_METRICS: dict[str, ShiftMetric] = {
    row.name: row
    for row in (
        ShiftMetric(
            "flip_rate",
            "How often the top prediction changes.",
            "Flip rate",
            "shift between two frames, pixels",
            "share of pairs that flip",
            compares_steps=True,
            scores_form=FlipRates,
        ),
        ShiftMetric(
            "kl_divergence",
            "How far the predicted probabilities move.",
            "KL divergence",
            "shift, pixels",
            "KL(p0 || p shifted), nats",
            compares_steps=False,
            scores_form=Divergences,
        ),
    )
}
"""By the name in a spec."""


@frozen(kw_only=True)
class Shifts(SplitEvaluation):
    """What changes when images move."""

    mode = "shifts"
    function = "wavetwin.runtime.evaluation.shifts.evaluate_shifts"

    direction: Literal["horizontal", "vertical", "diagonal", "both"] = "horizontal"
    """Where the images move."""
    max_shift: int = declare(8, ge=1, le=64)
    """The largest shift in pixels."""
    pixel_divide: int = declare(1, ge=1, le=16)
    """Steps per pixel."""
    metric: Literal["flip_rate", "kl_divergence"] = "flip_rate"
    """What is compared."""
    max_step: int | None = declare(None, ge=1, le=1024)
    """With flip_rate the largest step between compared frames; default: max_shift."""

    def __post_init__(self) -> None:
        if self.max_step is None and self.measure.compares_steps:
            object.__setattr__(self, "max_step", self.max_shift)

    @property
    def measure(self) -> ShiftMetric:
        """The metric's row."""
        return SHIFT_METRICS[self.metric]

    @property
    def scores_form(self) -> Any:
        """That of the metric."""
        return self.measure.scores_form

    @property
    def num_steps(self) -> int:
        """Steps from one end of the shifts to the other."""
        return self.max_shift * self.pixel_divide

    @property
    def details(self) -> tuple[str, ...]:
        """Where images move, what is compared, how far they move."""
        unit = "" if self.pixel_divide == 1 else f" by 1/{self.pixel_divide} px"
        metric = self.metric.replace("_", " ")
        return (self.direction, metric, f"up to {self.max_shift} px{unit}")


@frozen(kw_only=True)
class Corruptions(FilesEvaluation):
    """Errors on corrupted images."""

    mode = "corruptions"
    function = "wavetwin.runtime.evaluation.corruptions.evaluate_corruptions"
    fingerprint = "wavetwin.runtime.evaluation.entry_files.corruptions_fingerprint"
    sets = "wavetwin.runtime.evaluation.baselines.CORRUPTION_SETS"
    files = "images"
    takes_baseline = True
    headline = (
        ScoreLabel("mean_top1_error", "mean top1 error"),
        ScoreLabel("mce", "mCE", "percent"),
        ScoreLabel("mce_against_AI", "mCE against AI", "percent"),
    )

    root: str = declare("imagenet-c", pattern=NAME_PATTERN)
    """Folder below the data root."""

    @property
    def scores_form(self) -> Any:
        """Errors by corruption and severity."""
        return CorruptionErrors


@frozen(kw_only=True)
class Perturbations(FilesEvaluation):
    """Flip rates along videos of perturbed images."""

    mode = "perturbations"
    function = "wavetwin.runtime.evaluation.perturbations.evaluate_perturbations"
    fingerprint = "wavetwin.runtime.evaluation.entry_files.perturbations_fingerprint"
    sets = "wavetwin.runtime.evaluation.baselines.PERTURBATION_SETS"
    files = "videos"
    takes_baseline = True
    headline = (
        ScoreLabel("mean_flip_rate", "mean flip rate"),
        ScoreLabel("mean_top5_distance", "mean top5 distance", "number"),
        ScoreLabel("mfr", "mFR", "percent"),
        ScoreLabel("mt5d", "mT5D", "percent"),
    )

    root: str = declare("imagenet-p", pattern=NAME_PATTERN)
    """Folder below the data root."""

    @property
    def scores_form(self) -> Any:
        """Rates by perturbation."""
        return PerturbationRates


EVALUATIONS = Kinds[Evaluation](OneCrop, TenCrops, Shifts, Perturbations, Corruptions)
"""By the mode in a spec."""

_KEPT = frozenset(
    name
    for name, declarations in EVALUATIONS.all_fields().items()
    if all(declaration_of(each).keeps_predictions for each in declarations)
)
"""Names of the fields that change no prediction."""


def comparison_key(document: Mapping[str, Any]) -> str:
    """Return a text that entries of records share which give the same predictions of one model."""
    kept = {name: value for name, value in document.items() if name not in _KEPT}
    return json.dumps(kept, sort_keys=True)


def read_entry(document: Mapping[str, Any]) -> Evaluation:
    """Return the entry that a record of scores names; what it leaves out has its default.

    Raises:
        ValueError: it is of no known mode, or has fields that its mode has not.
    """
    return EVALUATIONS.read(document, fills=True)


def _names(entry: Evaluation) -> frozenset[str]:
    return frozenset(each.name for each in fields(entry))
