"""Plan: from the resolved spec to the training plan that the runtime follows."""

from __future__ import annotations

from wavetwin.compiler.resolve.spec import ResolvedSpec
from wavetwin.compiler.schema import DataSpec, ExperimentSpec
from wavetwin.ir.datasets import (
    DATASETS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    VALIDATION_BESIDE,
    DatasetMetadata,
    luminance_statistics,
)
from wavetwin.ir.plan import (
    DataPlan,
    EvaluationPlan,
    InitialWeightsPlan,
    OptimizerPlan,
    RegularisationPlan,
    SchedulePlan,
    TrainingPlan,
    stream_seed,
)

STREAMS = ("init", "order", "augmentation", "dropout")
"""Names of the random streams (decisions.md 25)."""


def make_plan(resolved: ResolvedSpec) -> TrainingPlan:
    """Return the plan of a resolved spec."""
    spec = resolved.spec
    training = spec.training
    data = _plan_data(spec.data)
    optimizer, schedule = training.optimizer, training.schedule
    initial = spec.stem.initial_weights
    return TrainingPlan(
        name=resolved.name,
        data=data,
        epochs=training.epochs,
        batch_size=training.batch_size,
        accumulate=training.accumulate,
        iterations_per_epoch=None
        if data.training_images is None
        else -(-data.training_images // training.batch_size),
        optimizer=OptimizerPlan(
            optimizer.name,
            optimizer.lr,
            optimizer.momentum,
            optimizer.nesterov,
            optimizer.betas,
            optimizer.weight_decay,
        ),
        schedule=SchedulePlan(
            schedule.name,
            schedule.step_epochs,
            schedule.milestones,
            schedule.gamma,
            schedule.patience,
            schedule.warmup_epochs,
        ),
        regularisation=_plan_regularisation(spec),
        record_gradients=training.record_gradients,
        precision=training.precision,
        memory_format=training.memory_format,
        seed=training.seed,
        streams={name: stream_seed(training.seed, name) for name in STREAMS},
        threads=training.threads,
        checkpoint_every=training.checkpoint_every,
        initial_weights=None
        if initial is None
        else InitialWeightsPlan(initial.checkpoint, initial.channels),
        evaluation=tuple(
            EvaluationPlan(
                mode=entry.mode,
                split=entry.split,
                direction=entry.direction,
                max_shift=entry.max_shift,
                pixel_divide=entry.pixel_divide,
                metric=entry.metric,
                max_step=entry.max_step,
                root=entry.root,
                normalise=bool(entry.normalise),
                resize=entry.resize or "float",
            )
            for entry in spec.evaluation
        ),
        digest=resolved.digest,
        training_digest=resolved.training_digest,
        model_digest=resolved.model_digest,
    )


def _plan_data(data: DataSpec) -> DataPlan:
    metadata = DATASETS[data.dataset]
    assert data.num_classes
    assert data.image_size
    assert data.augmentation
    assert data.normalise
    mean, std = _statistics(data.normalise, metadata)
    validation = data.validation or 0
    training_images = metadata.training_images
    if training_images is not None:
        set_aside = validation * data.num_classes if metadata.per_class else validation
        training_images -= 0 if data.dataset in VALIDATION_BESIDE else set_aside
    return DataPlan(
        dataset=data.dataset,
        channels=metadata.channels,
        num_classes=data.num_classes,
        image_size=data.image_size,
        augmentation=data.augmentation,
        normalise=data.normalise,
        mean=mean,
        std=std,
        validation=validation,
        validation_per_class=metadata.per_class,
        training_images=training_images,
    )


def _statistics(
    normalise: str, metadata: DatasetMetadata
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    if normalise == "none":
        return (0.0,) * metadata.channels, (1.0,) * metadata.channels
    if normalise == "dataset":
        return metadata.mean, metadata.std
    if metadata.channels == 1:
        return luminance_statistics(IMAGENET_MEAN, IMAGENET_STD)
    return IMAGENET_MEAN, IMAGENET_STD


def _plan_regularisation(spec: ExperimentSpec) -> RegularisationPlan | None:
    wavelet = spec.stem.wavelet
    if wavelet is None or not isinstance(wavelet.regularisation, tuple):
        return None
    return RegularisationPlan("stem.wavelet.mixing", wavelet.regularisation)
