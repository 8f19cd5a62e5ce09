"""The first pooling's nodes: norm, activation and pooling up to the next convolution."""

from __future__ import annotations

from wavetwin.compiler.graph.builder import (
    NORM_EPS,
    NORM_MOMENTUM,
    GraphBuilder,
    add_batch_norm,
    add_blur,
    crop_and_concat,
)
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.ir.backbones import BackboneMetadata
from wavetwin.ir.operations import (
    Bias,
    Deinterleave,
    EnergyNorm,
    MaxPool,
    Modulus,
    Relu,
    SliceChannels,
    Subsample,
)


def add_pool(
    builder: GraphBuilder, spec: ExperimentSpec, metadata: BackboneMetadata, stem: str
) -> str:
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
    metadata: BackboneMetadata,
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
    if metadata.family == "alexnet":
        if kind == "max":
            return builder.add(f"{prefix}.max", _maximum(3, 2, 0), current, fields=fields)
        current = add_blur(builder, spec, f"{prefix}.blur1", current, kind, fields)
        current = builder.add(f"{prefix}.max", _maximum(3, 1, 0), current, fields=fields)
        return add_blur(builder, spec, f"{prefix}.blur2", current, kind, fields)
    if kind == "max":
        return builder.add(f"{prefix}.max", _maximum(3, 2, 1), current, fields=fields)
    kernel = spec.pooling.max_kernel
    current = builder.add(
        f"{prefix}.max",
        _maximum(kernel, 1, 1 if kernel == 3 else 0),
        current,
        fields=(*fields, "pooling.max_kernel"),
    )
    return add_blur(builder, spec, f"{prefix}.blur", current, kind, fields)


def _maximum(kernel_size: int, stride: int, padding: int) -> MaxPool:
    return MaxPool(kernel_size=kernel_size, stride=stride, padding=padding)


def _add_modulus_pool(
    builder: GraphBuilder, spec: ExperimentSpec, metadata: BackboneMetadata, current: str
) -> str:
    """Keep the samples that the free channels' pooling keeps, modulus, norm or bias, ReLU."""
    blurs = spec.pooling.wavelet == "modulus_blur"
    # AlexNet's blurring pooling subsamples twice.
    step = 4 if metadata.family == "alexnet" and spec.pooling.free != "max" else 2
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
