"""Plan the training that the runtime follows, from the resolved spec."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from wavetwin.compiler.resolve.spec import ResolvedSpec
from wavetwin.compiler.schema import DataSpec, ExperimentSpec, read_transforms
from wavetwin.ir.dataset import Dataset, luminance_statistics
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.datasets.imagenet import IMAGENET_MEAN, IMAGENET_STD
from wavetwin.ir.evaluations import EVALUATIONS
from wavetwin.ir.plan import (
    DataPlan,
    InitialWeightsPlan,
    RegularisationPlan,
    TrainingPlan,
    stream_seed,
)
from wavetwin.ir.section import read_section
from wavetwin.ir.starting_weights import StartingWeights
from wavetwin.ir.training import Training

STREAMS = ("init", "order", "augmentation", "dropout")
"""Names of the random streams."""


def make_plan(resolved: ResolvedSpec) -> TrainingPlan:
    """Return the plan of a resolved spec."""
    spec, document = resolved.spec, resolved.document
    training = read_section(Training, document["training"])
    data = _plan_data(spec.data, document["data"])
    initial = document.get("stem", {}).get("initial_weights")
    weights = document.get("weights")
    return TrainingPlan(
        **{each.name: getattr(training, each.name) for each in fields(training)},
        name=resolved.name,
        data=data,
        iterations_per_epoch=None
        if data.training_images is None
        else -(-data.training_images // training.batch_size),
        regularisation=_plan_regularisation(spec),
        streams={name: stream_seed(training.seed, name) for name in STREAMS},
        initial_weights=None if initial is None else read_section(InitialWeightsPlan, initial),
        # The document has no field that is None.
        weights=None if weights is None else read_section(StartingWeights, weights, fills=True),
        evaluation=tuple(EVALUATIONS.read(entry, fills=True) for entry in document["evaluation"]),
        digest=resolved.digest,
        training_digest=resolved.training_digest,
        model_digest=resolved.model_digest,
    )


def _plan_data(data: DataSpec, document: dict[str, Any]) -> DataPlan:
    metadata = DATASETS[data.dataset]
    assert data.num_classes
    assert data.normalise
    assert data.validation is not None
    mean, std = _statistics(data.normalise, metadata, data.num_channels)
    lock = None if data.lock is None else data.locked
    training_images = metadata.training_images if lock is None else sum(lock.train) or None
    if training_images is not None and metadata.train_per_class is None:
        training_images -= data.validation * (data.num_classes if metadata.per_class else 1)
    assert data.image_size
    own = ("channels", "image_size", "lock")
    values = {name: each for name, each in document.items() if name not in own}
    listed = data.augmentation
    assert listed
    if not isinstance(listed, str):
        values["augmentation"] = read_transforms(listed)
    return DataPlan(
        **values,
        image_size=data.image_size,
        lock=lock,
        channels=data.num_channels,
        mean=mean,
        std=std,
        validation_per_class=metadata.per_class,
        training_images=training_images,
    )


def _statistics(
    normalise: str, metadata: Dataset, channels: int
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    if normalise == "none":
        return (0.0,) * channels, (1.0,) * channels
    if normalise == "dataset":
        return metadata.mean, metadata.std
    if channels == 1:
        return luminance_statistics(IMAGENET_MEAN, IMAGENET_STD)
    return IMAGENET_MEAN, IMAGENET_STD


def _plan_regularisation(spec: ExperimentSpec) -> RegularisationPlan | None:
    wavelet = spec.stem.wavelet
    if wavelet is None or not isinstance(wavelet.regularisation, tuple):
        return None
    return RegularisationPlan("stem.wavelet.mixing", wavelet.regularisation)
