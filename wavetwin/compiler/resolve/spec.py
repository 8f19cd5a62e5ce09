"""Fill in every value that the spec leaves to its architecture and data set.

Later stages never meet a missing value, and two specs that spell the same thing differently become
equal: rules are expanded to packet lists, short forms to mappings. The digests are over the result.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

from wavetwin.compiler.resolve.own_code import is_own_code
from wavetwin.compiler.schema import (
    BackboneSpec,
    ColorMixingSpec,
    DataSpec,
    ExperimentSpec,
    KeepSpec,
    PoolingSpec,
    SpecModel,
    StemSpec,
    WaveletPoolSpec,
    WaveletSpec,
    law_model,
    with_laws,
)
from wavetwin.compiler.schema.declared import KindModel, given, kind_of
from wavetwin.compiler.validate.keep import expand_keep
from wavetwin.ir.architecture import Architecture
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.frozen import frozen
from wavetwin.ir.own_code import argument_text
from wavetwin.ir.poolings import POOLINGS
from wavetwin.ir.section import Kind
from wavetwin.ir.sides import image_size
from wavetwin.ir.starting_weights import StartingWeights


@frozen
class ResolvedSpec:
    """A spec with every value filled in."""

    name: str
    spec: ExperimentSpec
    document: dict[str, Any]
    """The same as plain values in schema order: itself a spec, written to spec.lock.yaml."""
    model_digest: str
    training_digest: str
    digest: str


def resolve(
    spec: ExperimentSpec, default_name: str, weights_sha256: str | None = None
) -> ResolvedSpec:
    """Fill in a valid spec.

    Args:
        spec: as it was read.
        default_name: its file's stem.
        weights_sha256: of the file that `weights` names, where there is one.
    """
    architecture = ARCHITECTURES[spec.backbone.arch]
    name = spec.name or default_name
    data = _resolve_data(spec.data)
    filled = spec.model_copy(
        update={
            "extends": (),
            "name": name,
            "backbone": _resolve_backbone(spec.backbone),
            "stem": _resolve_stem(spec, architecture),
            "pooling": _resolve_pooling(spec, architecture),
            "data": data,
            "training": _fill_kinds(spec.training),
            "weights": _resolve_weights(spec.weights, weights_sha256),
            "evaluation": tuple(_fill_kinds(entry) for entry in spec.evaluation),
        }
    )
    document = filled.model_dump(mode="json", exclude_none=True)
    for section in ("extends", *_UNUSED_WITH_IMAGE * (not spec.backbone.has_stem)):
        del document[section]
    if not spec.backbone.replace:
        del document["backbone"]["replace"]
    model, training, complete = _digests(filled)
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


DIGESTED: dict[str, str] = {
    "backbone": "model",
    "stem": "model",
    "pooling": "model",
    "data.dataset": "model",
    "data.channels": "model",
    "data.image_size": "model",
    "data.num_classes": "model",
    "data": "training",
    "training": "training",
    "weights": "training",
    "evaluation": "evaluation",
}
"""The innermost digest that a section, or a field of it, changes; what is not here changes none."""


def _digests(spec: ExperimentSpec) -> tuple[str, str, str]:
    data = spec.data
    first = {"stem": _counted(spec.stem), "pooling": _counted(spec.pooling)}
    model = {
        "backbone": _counted(spec.backbone),
        **(first if spec.backbone.has_stem else {}),
        "input_shape": [data.num_channels, *data.sides],
        "num_classes": data.num_classes,
    }
    training = {"model": model, "data": _counted(data), "training": _counted(spec.training)}
    if spec.weights is not None:
        training["weights"] = _counted(spec.weights)
    complete = {"training": training, "evaluation": _counted(spec.evaluation)}
    return digest_of(model), digest_of(training), digest_of(complete)


def _counted(value: object) -> Any:
    """Return plain values without what is absent, and without later fields at their default."""
    if isinstance(value, SpecModel):
        later, locations = value.later_defaults(), value.locations()
        if is_own_code(value):
            # As a text: numbers are passed on as they are written, 2 or 2.0.
            arguments = argument_text(getattr(value, "arguments", None) or {})
            value = value.model_copy(update={"arguments": arguments})
        return {
            name: _counted(each)
            for name, each in value
            if each is not None
            and not (name in later and each == later[name])
            and name not in locations
        }
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {name: _counted(each) for name, each in members.items()}
    if isinstance(value, tuple):
        return [_counted(each) for each in cast("tuple[object, ...]", value)]
    return value


def _fill_kinds(section: object) -> Any:
    """Return a section of a spec with the defaults of the kinds that are chosen in it."""
    assert isinstance(section, SpecModel)
    inner = {name: _fill_kinds(each) for name, each in section if isinstance(each, SpecModel)}
    if isinstance(section, KindModel):
        kind = cast("Kind", section)
        inner |= kind_of(kind)(**given(kind)).values()
    return section.model_copy(update=inner)


_UNUSED_WITH_IMAGE = ("stem", "pooling")
"""Sections that nothing reads where the layers begin with the image."""


def _resolve_backbone(backbone: BackboneSpec) -> BackboneSpec:
    layers = tuple(map(with_laws, backbone.layers))
    replaced = {name: with_laws(each) for name, each in backbone.replace.items()}
    return backbone.model_copy(
        update={
            "initial": law_model(backbone.initial),
            "layers": layers,
            "replace": dict(sorted(replaced.items())),
        }
    )


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
            else _resolve_wavelet(stem.wavelet, architecture, spec.data.num_channels),
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
    pooling = spec.pooling.model_copy(
        update={"free": free, "wavelet_pool": _resolve_wavelet_pool(spec, architecture)}
    )
    if spec.stem.wavelet is None or pooling.wavelet is not None:
        return pooling
    return pooling.model_copy(update={"wavelet": free})


def _resolve_wavelet_pool(
    spec: ExperimentSpec, architecture: Architecture
) -> WaveletPoolSpec | None:
    wavelet = spec.pooling.wavelet
    users = (
        architecture.free_pooling(spec.pooling.free),
        None if wavelet is None else POOLINGS[wavelet],
        DOWNSAMPLINGS[spec.backbone.downsampling],
    )
    if not any(each.takes_bands for each in users if each is not None):
        return None
    return spec.pooling.wavelet_pool or WaveletPoolSpec()


def _resolve_weights(weights: StartingWeights | None, sha256: str | None) -> StartingWeights | None:
    if weights is None:
        return None
    which = weights.which or (None if weights.run is None else "best")
    model = cast("SpecModel", weights)
    return cast(
        "StartingWeights",
        model.model_copy(update={"which": which, "sha256": sha256 or weights.sha256}),
    )


def _resolve_data(data: DataSpec) -> DataSpec:
    metadata, channels = DATASETS[data.dataset], data.num_channels
    return data.model_copy(
        update={
            # Absent where they are the data set's own: specs of before the field have it so.
            "channels": None if channels == metadata.channels else channels,
            "num_classes": data.class_count,
            "image_size": image_size(*data.sides),
            "augmentation": data.augmentation or metadata.augmentation,
            "normalise": data.normalise or ("imagenet" if channels == 3 else "dataset"),
            "validation": data.num_held_out,
        }
    )
