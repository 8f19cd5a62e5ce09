"""Resolve: fill in every value that the spec leaves to its architecture and data set.

Later stages never meet a missing value, and two specs that say the same thing in other words become
equal: rules are expanded to packet lists, short forms to mappings. The digests are over the result
(decisions.md 5, 6).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, cast

from wavetwin.compiler.schema import (
    ColorMixingSpec,
    DataSpec,
    EvaluationSpec,
    ExperimentSpec,
    KeepSpec,
    OptimizerSpec,
    PoolingSpec,
    ScheduleSpec,
    StemSpec,
    WaveletSpec,
)
from wavetwin.compiler.validate.keep import expand_keep
from wavetwin.ir.architecture import Architecture
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.datasets import DATASETS

LATER_TRAINING_FIELDS: dict[str, Any] = {"memory_format": "contiguous"}
"""Fields of `training` that the first digests did not know, with their defaults."""
LATER_POOLING_FIELDS: dict[str, Any] = {"initial_bias": "uniform"}
"""The same of `pooling`."""
LATER_EVALUATION_FIELDS: dict[str, Any] = {"resize": "float"}
"""The same of each entry of `evaluation`."""


@dataclass(frozen=True, slots=True)
class ResolvedSpec:
    """A spec with every value filled in."""

    name: str
    spec: ExperimentSpec
    document: dict[str, Any]
    """The same as plain values in schema order: itself a spec, written to spec.lock.yaml."""
    model_digest: str
    training_digest: str
    digest: str


def resolve(spec: ExperimentSpec, default_name: str) -> ResolvedSpec:
    """Fill in a valid spec; `default_name` is its file's stem."""
    architecture = ARCHITECTURES[spec.backbone.arch]
    name = spec.name or default_name
    data = _resolve_data(spec.data)
    filled = spec.model_copy(
        update={
            "extends": (),
            "name": name,
            "stem": _resolve_stem(spec, architecture),
            "pooling": _resolve_pooling(spec, architecture),
            "data": data,
            "training": spec.training.model_copy(
                update={
                    "optimizer": _resolve_optimizer(spec.training.optimizer),
                    "schedule": _resolve_schedule(spec.training.schedule),
                }
            ),
            "evaluation": tuple(_resolve_evaluation(entry) for entry in spec.evaluation),
        }
    )
    document = filled.model_dump(mode="json", exclude_none=True)
    del document["extends"]
    model, training, complete = _digests(document, data)
    return ResolvedSpec(name, filled, document, model, training, complete)


def canonical_json(value: Any) -> str:
    """Return one text for one value: sorted keys, integral numbers as integers, no NaN."""
    return json.dumps(
        _canonical(value),
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_canonical(item) for item in cast("list[Any]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _digests(document: dict[str, Any], data: DataSpec) -> tuple[str, str, str]:
    channels = DATASETS[data.dataset].channels
    model = {
        "backbone": document["backbone"],
        "stem": document["stem"],
        "pooling": _without_later_defaults(document["pooling"], LATER_POOLING_FIELDS),
        "input_shape": [channels, data.image_size, data.image_size],
        "num_classes": data.num_classes,
    }
    canonical_training = _without_later_defaults(document["training"], LATER_TRAINING_FIELDS)
    training = {"model": model, "data": document["data"], "training": canonical_training}
    entries = [
        _without_later_defaults(entry, LATER_EVALUATION_FIELDS) for entry in document["evaluation"]
    ]
    complete = {"training": training, "evaluation": entries}
    return digest_of(model), digest_of(training), digest_of(complete)


def _without_later_defaults(section: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Leave out fields that version 1 got later, where they have their default (decisions.md 6)."""
    return {key: value for key, value in section.items() if key not in later or value != later[key]}


def _resolve_stem(spec: ExperimentSpec, architecture: Architecture) -> StemSpec:
    stem = spec.stem
    kernel_size = stem.kernel_size or architecture.kernel_size
    free = architecture.free_pooling(spec.pooling.free)
    stride = stem.stride or architecture.first_stride(free)
    padding = stem.padding
    if padding is None:
        padding = (
            architecture.padding
            if kernel_size == architecture.kernel_size
            else (kernel_size - 1) // 2
        )
    free_channels = stem.free_channels
    if free_channels is None:
        free_channels = architecture.first_layer_width or 0
    initial = stem.initial_weights
    if initial is not None and initial.channels is None:
        initial = initial.model_copy(update={"channels": tuple(range(free_channels))})
    return stem.model_copy(
        update={
            "free_channels": free_channels,
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            # Elsewhere the architecture decides, and the field may not be given.
            "norm": (stem.norm or architecture.norm) if architecture.lists_layers else None,
            "initial_weights": initial,
            "wavelet": None
            if stem.wavelet is None
            else _resolve_wavelet(stem.wavelet, architecture, DATASETS[spec.data.dataset].channels),
        }
    )


def _resolve_wavelet(
    wavelet: WaveletSpec, architecture: Architecture, channels: int
) -> WaveletSpec:
    mixing = wavelet.color_mixing
    if channels == 1:
        mixing = None
    else:
        if not isinstance(mixing, ColorMixingSpec):
            mixing = ColorMixingSpec(position=mixing or "before")
        if mixing.position == "before" and mixing.initial is None:
            mixing = mixing.model_copy(update={"initial": architecture.colour_initial})
    regularisation = wavelet.regularisation
    if isinstance(regularisation, float):
        regularisation = (regularisation,) * len(wavelet.keep)
    return wavelet.model_copy(
        update={
            "color_mixing": mixing,
            "keep": tuple(
                KeepSpec(packets=packets, channels=entry.channels, groups=entry.groups)
                for entry, packets in zip(wavelet.keep, expand_keep(wavelet), strict=True)
            ),
            "exclude": (),
            "regularisation": regularisation,
        }
    )


def _resolve_pooling(spec: ExperimentSpec, architecture: Architecture) -> PoolingSpec:
    free = architecture.free_pooling(spec.pooling.free).name
    pooling = spec.pooling.model_copy(update={"free": free})
    if spec.stem.wavelet is None or pooling.wavelet is not None:
        return pooling
    return pooling.model_copy(update={"wavelet": free})


def _resolve_data(data: DataSpec) -> DataSpec:
    metadata = DATASETS[data.dataset]
    return data.model_copy(
        update={
            "num_classes": data.num_classes or metadata.num_classes,
            "image_size": data.image_size or metadata.image_size,
            "augmentation": data.augmentation or metadata.augmentation,
            "normalise": data.normalise or ("imagenet" if metadata.channels == 3 else "dataset"),
            "validation": metadata.validation if data.validation is None else data.validation,
        }
    )


def _resolve_optimizer(optimizer: OptimizerSpec) -> OptimizerSpec:
    if optimizer.name == "sgd":
        return optimizer.model_copy(
            update={
                "momentum": 0.9 if optimizer.momentum is None else optimizer.momentum,
                "nesterov": bool(optimizer.nesterov),
            }
        )
    return optimizer.model_copy(update={"betas": optimizer.betas or (0.9, 0.999)})


def _resolve_schedule(schedule: ScheduleSpec) -> ScheduleSpec:
    update: dict[str, Any] = {}
    if schedule.name in ("step", "milestones", "plateau"):
        update["gamma"] = 0.1 if schedule.gamma is None else schedule.gamma
    if schedule.name == "step":
        update["step_epochs"] = schedule.step_epochs or 30
    if schedule.name == "plateau":
        update["patience"] = 10 if schedule.patience is None else schedule.patience
    return schedule.model_copy(update=update)


def _resolve_evaluation(entry: EvaluationSpec) -> EvaluationSpec:
    update: dict[str, Any] = {
        "normalise": True if entry.normalise is None else entry.normalise,
        "resize": entry.resize or "float",
    }
    if entry.mode in ("one_crop", "ten_crops", "shifts"):
        update["split"] = entry.split or "test"
    if entry.mode == "shifts":
        max_shift = entry.max_shift or 8
        metric = entry.metric or "flip_rate"
        update |= {
            "direction": entry.direction or "horizontal",
            "max_shift": max_shift,
            "pixel_divide": entry.pixel_divide or 1,
            "metric": metric,
        }
        if metric == "flip_rate":
            update["max_step"] = entry.max_step or max_shift
    if entry.mode in ("perturbations", "corruptions"):
        update["root"] = (
            entry.root
            or {
                "perturbations": "imagenet-p",
                "corruptions": "imagenet-c",
            }[entry.mode]
        )
    return entry.model_copy(update=update)
