"""Add the first pooling's nodes: its kind's recipe, from the first layer to the next convolution."""

from __future__ import annotations

from typing import cast

from wavetwin.compiler.schema import ExperimentSpec, SpecModel
from wavetwin.compiler.schema.declared import section_of
from wavetwin.ir.architecture import Architecture
from wavetwin.ir.builder import GraphBuilder, crop_and_concat
from wavetwin.ir.operations import SliceChannels, WaveletPool
from wavetwin.ir.poolings import POOLINGS, FirstPooling, Pooling
from wavetwin.ir.wavelet_bank import PooledBands


def add_pool(
    builder: GraphBuilder, spec: ExperimentSpec, architecture: Architecture, stem: str
) -> str:
    """Add the first pooling and return its last node's id."""
    pooling = spec.pooling
    free_channels = spec.stem.free_channels or 0
    free = architecture.free_pooling(pooling.free)
    wavelet = free if pooling.wavelet is None else POOLINGS[pooling.wavelet]
    first = _first_pooling(spec, architecture)
    if spec.stem.wavelet is None or wavelet is free:
        return _add_steps(builder, first, free, "pool", stem, "pooling.free")
    total = builder.shape(stem)[0]
    if not free_channels:
        return _add_steps(builder, first, wavelet, "pool.wavelet", stem, "pooling.wavelet")
    free_source = builder.add("pool.split_free", SliceChannels(start=0, stop=free_channels), stem)
    wavelet_source = builder.add(
        "pool.split_wavelet", SliceChannels(start=free_channels, stop=total), stem
    )
    return crop_and_concat(
        builder,
        "pool",
        _add_steps(builder, first, free, "pool.free", free_source, "pooling.free"),
        _add_steps(builder, first, wavelet, "pool.wavelet", wavelet_source, "pooling.wavelet"),
    )


def wavelet_pool(spec: ExperimentSpec) -> WaveletPool | None:
    """Return the wavelet pooling that stands wherever the network has one."""
    settings = spec.pooling.wavelet_pool
    return (
        None
        if settings is None
        else section_of(cast("SpecModel", settings), PooledBands).operation()
    )


def _first_pooling(spec: ExperimentSpec, architecture: Architecture) -> FirstPooling:
    """Return what the backbone and the spec say of the first pooling."""
    return FirstPooling(
        has_norm=(spec.stem.norm or architecture.norm) == "batch",
        window=architecture.pooling_kernel_size,
        padding=architecture.pooling_padding,
        splits_stride=architecture.splits_stride,
        max_kernel=spec.pooling.max_kernel if architecture.takes_smaller_window else None,
        blur_size=spec.pooling.blur_size,
        initial_bias=spec.pooling.initial_bias,
        bands=wavelet_pool(spec),
        free_step=architecture.free_pooling(spec.pooling.free).keeps_every(
            architecture.splits_stride
        ),
    )


def _add_steps(
    builder: GraphBuilder,
    first: FirstPooling,
    kind: Pooling,
    prefix: str,
    current: str,
    field: str,
) -> str:
    """Add the layers of a recipe and return the last one's id."""
    for step in kind.steps_of(first.splits_stride):
        layer = step.layer(first, builder.shape(current)[0])
        if layer is not None:
            name, operation = layer
            fields = ((field,) if step.is_chosen else ()) + step.fields(first)
            current = builder.add(f"{prefix}.{name}", operation, current, fields=fields)
    return current
