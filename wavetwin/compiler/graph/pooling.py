"""Add the first pooling's nodes: its kind's recipe, from the first layer to the next convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from wavetwin.compiler.schema import ExperimentSpec, SpecModel
from wavetwin.compiler.schema.declared import section_of
from wavetwin.ir.architecture import Architecture
from wavetwin.ir.builder import GraphBuilder, crop_and_concat
from wavetwin.ir.layer_kind import Measure
from wavetwin.ir.operations import Operation, Shape, SliceChannels, WaveletPool
from wavetwin.ir.own_code import OwnCode, OwnCodeError
from wavetwin.ir.poolings import POOLINGS, FirstPooling, Pooling
from wavetwin.ir.wavelet_bank import PooledBands


def add_pool(
    builder: GraphBuilder,
    spec: ExperimentSpec,
    architecture: Architecture,
    stem: str,
    measure: Measure | None = None,
) -> str:
    """Add the first pooling and return its last node's id; `measure` makes operations of own modules.

    Raises:
        OwnCodeError: a module of the project is at fault.
    """
    pooling = spec.pooling
    free_channels = spec.stem.free_channels or 0
    free = architecture.free_pooling(pooling.free)
    wavelet = free if pooling.wavelet is None else POOLINGS[pooling.wavelet]
    first = _first_pooling(spec, architecture, measure)
    if spec.stem.wavelet is None or wavelet is free:
        return _add_steps(builder, first, free, "pool", stem, "pooling.free")
    total = builder.shape(stem)[0]
    if not free_channels:
        return _add_steps(builder, first, wavelet, "pool.wavelet", stem, "pooling.wavelet")
    own = [kind for kind in (free, wavelet) if kind.takes_module]
    free_source = builder.add("pool.split_free", SliceChannels(start=0, stop=free_channels), stem)
    wavelet_source = builder.add(
        "pool.split_wavelet", SliceChannels(start=free_channels, stop=total), stem
    )
    pooled = (
        _add_steps(builder, first, free, "pool.free", free_source, "pooling.free"),
        _add_steps(builder, first, wavelet, "pool.wavelet", wavelet_source, "pooling.wavelet"),
    )
    if own:
        _check_sizes(builder.shape(stem), *map(builder.shape, pooled))
    return crop_and_concat(builder, "pool", *pooled)


def _check_sizes(before: Shape, free: Shape, wavelet: Shape) -> None:
    """Refuse maps that cannot be joined: those of an own pooling that does not halve them.

    Raises:
        OwnCodeError: heights or widths differ by more than margins make them.
    """
    differ = any(abs(a - b) > _MARGIN for a, b in zip(free[1:], wavelet[1:], strict=True))
    if differ:
        error = OwnCodeError(
            "own-code-does-not-fit",
            f"free and wavelet channels are pooled apart and joined again, and of maps of {before[1:]} "
            f"they have {free[1:]} and {wavelet[1:]}",
            help="beside another pooling a module gives maps of half the height and width",
        )
        error.field = "pooling.module"
        raise error


_MARGIN = 2
"""Samples by which poolings of one step differ in what they give, by their margins."""


def wavelet_pool(spec: ExperimentSpec) -> WaveletPool | None:
    """Return the wavelet pooling that stands wherever the network has one."""
    settings = spec.pooling.wavelet_pool
    return (
        None
        if settings is None
        else section_of(cast("SpecModel", settings), PooledBands).operation()
    )


def _module(spec: ExperimentSpec, measure: Measure | None) -> Callable[[Shape], Operation] | None:
    """Return what makes the project's own pooling, where the spec names one."""
    settings = spec.pooling.module
    if settings is None or measure is None:
        return None
    code = section_of(cast("SpecModel", settings), OwnCode)

    def make(shape: Shape) -> Operation:
        try:
            operation = measure(code, shape)
            if len(operation.output(shape)) != len(shape):
                raise OwnCodeError(
                    "own-code-does-not-fit",
                    f"{code.name} gives {operation.output(shape)}, and a pooling gives maps",
                )
        except OwnCodeError as error:
            error.field = "pooling.module"
            raise
        return operation

    return make


def _first_pooling(
    spec: ExperimentSpec, architecture: Architecture, measure: Measure | None
) -> FirstPooling:
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
        module=_module(spec, measure),
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
        layer = step.layer(first, builder.shape(current))
        if layer is not None:
            name, operation = layer
            fields = ((field,) if step.is_chosen else ()) + step.fields(first)
            current = builder.add(f"{prefix}.{name}", operation, current, fields=fields)
    return current
