"""The first pooling's nodes: norm, activation and pooling up to the next convolution."""

from __future__ import annotations

from collections.abc import Sequence

from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.ir.architecture import Architecture
from wavetwin.ir.builder import (
    NORM_EPS,
    NORM_MOMENTUM,
    GraphBuilder,
    add_batch_norm,
    crop_and_concat,
)
from wavetwin.ir.operations import (
    AdaptiveBlur,
    Bias,
    BlurPool,
    Deinterleave,
    EnergyNorm,
    MaxPool,
    Modulus,
    Relu,
    SliceChannels,
    Subsample,
)

_CHANNELS_PER_GROUP = 8
"""Of an adaptive blur (numerics.md section 3)."""


def add_pool(builder: GraphBuilder, spec: ExperimentSpec, metadata: Architecture, stem: str) -> str:
    """Add the first pooling and return its last node's id."""
    pooling = spec.pooling
    free_channels = spec.stem.free_channels or 0
    together = spec.stem.wavelet is None or pooling.wavelet == pooling.free
    if together:
        return _add_real_pool(builder, spec, metadata, "pool", stem, pooling.free, "pooling.free")
    assert pooling.wavelet is not None
    wavelet = stem
    total = builder.shape(stem)[0]
    if free_channels:
        free = builder.add("pool.split_free", SliceChannels(start=0, stop=free_channels), stem)
        wavelet = builder.add(
            "pool.split_wavelet", SliceChannels(start=free_channels, stop=total), stem
        )
        free = _add_real_pool(
            builder, spec, metadata, "pool.free", free, pooling.free, "pooling.free"
        )
    else:
        free = None
    if pooling.wavelet in ("modulus", "modulus_blur"):
        wavelet = _add_modulus_pool(builder, spec, metadata, wavelet)
    else:
        wavelet = _add_real_pool(
            builder, spec, metadata, "pool.wavelet", wavelet, pooling.wavelet, "pooling.wavelet"
        )
    if free is None:
        return wavelet
    return crop_and_concat(builder, "pool", free, wavelet)


def _add_real_pool(
    builder: GraphBuilder,
    spec: ExperimentSpec,
    metadata: Architecture,
    prefix: str,
    current: str,
    kind: str,
    field: str,
) -> str:
    """Norm, ReLU and maximum, blurred or not (numerics.md section 3)."""
    norm = spec.stem.norm or metadata.norm
    fields = (field,)
    if norm == "batch":
        current = add_batch_norm(builder, f"{prefix}.norm", current)
    current = builder.add(f"{prefix}.relu", Relu(), current)
    size, padding = metadata.pooling_kernel_size, metadata.pooling_padding
    if metadata.splits_stride:
        if kind == "max":
            return builder.add(f"{prefix}.max", _maximum(size, 2, padding), current, fields=fields)
        current = add_blur(builder, spec, f"{prefix}.blur1", current, kind, fields)
        current = builder.add(f"{prefix}.max", _maximum(size, 1, padding), current, fields=fields)
        return add_blur(builder, spec, f"{prefix}.blur2", current, kind, fields)
    if kind == "max":
        return builder.add(f"{prefix}.max", _maximum(size, 2, padding), current, fields=fields)
    if metadata.takes_smaller_window and spec.pooling.max_kernel < size:
        size, padding = spec.pooling.max_kernel, 0
    current = builder.add(
        f"{prefix}.max",
        _maximum(size, 1, padding),
        current,
        fields=(*fields, "pooling.max_kernel"),
    )
    return add_blur(builder, spec, f"{prefix}.blur", current, kind, fields)


def _maximum(kernel_size: int, stride: int, padding: int) -> MaxPool:
    return MaxPool(kernel_size=kernel_size, stride=stride, padding=padding)


def _add_modulus_pool(
    builder: GraphBuilder, spec: ExperimentSpec, metadata: Architecture, current: str
) -> str:
    """Keep the samples that the free channels' pooling keeps, modulus, norm or bias, ReLU."""
    blurs = spec.pooling.wavelet == "modulus_blur"
    step = 4 if metadata.splits_stride and spec.pooling.free != "max" else 2
    fields = ("pooling.wavelet",)
    current = builder.add("pool.wavelet.complex", Deinterleave(), current, fields=fields)
    current = builder.add(
        "pool.wavelet.subsample",
        Subsample(step=step // 2 if blurs else step),
        current,
        fields=fields,
    )
    current = builder.add("pool.wavelet.modulus", Modulus(), current, fields=fields)
    channels = builder.shape(current)[0]
    if (spec.stem.norm or metadata.norm) == "batch":
        norm = EnergyNorm(channels=channels, eps=NORM_EPS, momentum=NORM_MOMENTUM, frozen=False)
        current = builder.add("pool.wavelet.norm", norm, current)
    else:
        bias = Bias(channels=channels, initial=spec.pooling.initial_bias, frozen=False)
        current = builder.add("pool.wavelet.bias", bias, current, fields=("pooling.initial_bias",))
    current = builder.add("pool.wavelet.relu", Relu(), current)
    if blurs:
        current = add_blur(builder, spec, "pool.wavelet.blur", current, "max_blur", fields)
    return current


def add_blur(
    builder: GraphBuilder,
    spec: ExperimentSpec,
    node_id: str,
    current: str,
    kind: str,
    fields: Sequence[str],
) -> str:
    """Blur by two, binomial or adaptive; adaptive ones take a group per eight channels."""
    size = spec.pooling.blur_size
    fields = (*fields, "pooling.blur_size")
    if kind == "max_blur":
        return builder.add(node_id, BlurPool(size=size, stride=2), current, fields=fields)
    groups = builder.shape(current)[0] // _CHANNELS_PER_GROUP
    blur = AdaptiveBlur(size=size, stride=2, groups=groups, normalise="joint")
    return builder.add(node_id, blur, current, fields=fields)
