"""Check the first pooling, and what blurs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema import ExperimentSpec, SpecModel
from wavetwin.compiler.schema.declared import section_of
from wavetwin.compiler.validate.checks.network import (
    CHANNELS,
    channel_paths,
    free_pooling,
    num_free_channels,
    num_wavelet_channels,
)
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS
from wavetwin.ir.poolings import FREE_POOLINGS, POOLINGS, Pooling
from wavetwin.ir.wavelet_bank import PooledBands


def _wavelet_pooling(spec: ExperimentSpec) -> Pooling:
    """Return the wavelet channels' pooling, filled in as `resolve` does."""
    wavelet = spec.pooling.wavelet
    return free_pooling(spec) if wavelet is None else POOLINGS[wavelet]


def _free_default(spec: ExperimentSpec) -> dict[str, object]:
    return {"pooling.free": free_pooling(spec).name}


def pooled_sets(spec: ExperimentSpec) -> list[tuple[Pooling, int, list[str]]]:
    """Return the first pooling's kinds, the channels that each pools, and what says so."""
    free, wavelet = num_free_channels(spec), num_wavelet_channels(spec)
    free_kind = free_pooling(spec)
    wavelet_kind = _wavelet_pooling(spec)
    paths = channel_paths(spec)
    if wavelet == 0 or wavelet_kind is free_kind:
        return [(free_kind, free + wavelet, [*paths, "pooling.free"])]
    sets: list[tuple[Pooling, int, list[str]]] = []
    if free:
        sets.append((free_kind, free, ["stem.free_channels", "pooling.free", "pooling.wavelet"]))
    sets.append((wavelet_kind, wavelet, [*paths[1:], "pooling.wavelet", "pooling.free"]))
    return sets


@reads(*CHANNELS, "pooling.free", "pooling.wavelet")
def check_adaptive_blur_channels(
    spec: ExperimentSpec, context: CheckContext
) -> Iterator[Diagnostic]:
    """An adaptive blur has a kernel for each 8 channels."""
    for kind, channels, paths in pooled_sets(spec):
        size = kind.blurring and kind.blurring.channels_per_group
        if size and channels % size:
            yield context.conflict(
                "adaptive-blur-channels",
                f"an adaptive blur pools {channels} channels, which {size} does not divide",
                paths,
                help=f"choose a multiple of {size} channels, or another pooling",
                default_values={
                    "stem.free_channels": ARCHITECTURES[spec.backbone.arch].first_layer_width,
                    **_free_default(spec),
                },
            )


@reads(
    "backbone.arch",
    "backbone.downsampling",
    "pooling.free",
    "pooling.wavelet",
    "pooling.blur_size",
)
def check_adaptive_blur_size(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """An adaptive blur's window has a centre."""
    if spec.pooling.blur_size % 2:
        return
    wavelet = spec.pooling.wavelet
    users = [
        path
        for path, kind in (
            ("pooling.free", free_pooling(spec)),
            ("pooling.wavelet", POOLINGS[wavelet] if wavelet else None),
            ("backbone.downsampling", DOWNSAMPLINGS[spec.backbone.downsampling]),
        )
        if kind is not None and kind.blurring is not None and kind.blurring.has_centre
    ]
    if users:
        yield context.conflict(
            "adaptive-blur-size",
            f"an adaptive blur has an odd size, not {spec.pooling.blur_size}",
            ["pooling.blur_size", *users],
            help="set pooling.blur_size to 3, 5 or 7",
            default_values=_free_default(spec),
        )


@reads("backbone.arch", "pooling.free", "pooling.wavelet", "pooling.max_kernel")
def check_max_kernel(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The smaller window is a variant of the blurring poolings of ResNets."""
    if spec.pooling.max_kernel == 3:
        return
    if not ARCHITECTURES[spec.backbone.arch].takes_smaller_window:
        yield context.conflict(
            "max-kernel-without-blur",
            "max_kernel is for the blurring first pooling of a ResNet, not for "
            f"{spec.backbone.arch}",
            ["pooling.max_kernel", "backbone.arch"],
            help="remove pooling.max_kernel",
        )
    elif not any(kind.has_open_window for kind in (free_pooling(spec), _wavelet_pooling(spec))):
        yield context.conflict(
            "max-kernel-without-blur",
            "max_kernel is for a first pooling that blurs, and none does",
            ["pooling.max_kernel", "pooling.free", "pooling.wavelet"],
            help="remove pooling.max_kernel, or let pooling.free blur",
            default_values=_free_default(spec),
        )


@reads(*CHANNELS, "pooling.free", "pooling.wavelet")
def check_poolings_mix(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Free and wavelet channels that are pooled apart are joined at the same positions."""
    splits = ARCHITECTURES[spec.backbone.arch].splits_stride
    kinds = [kind for kind, _, _ in pooled_sets(spec) if not kind.follows_free_step]
    steps = [kind.keeps_every(splits) for kind in kinds]
    if len(set(steps)) > 1:
        free, wavelet = kinds
        same = [
            name
            for name, each in FREE_POOLINGS.items()
            if each.keeps_every(splits) == free.keeps_every(splits)
        ]
        yield context.conflict(
            "poolings-do-not-mix",
            f"{free.name} keeps one position of {steps[0]} and {wavelet.name} one of {steps[1]}, so "
            f"that their maps cannot be joined in {spec.backbone.arch}",
            ["pooling.free", "pooling.wavelet", "backbone.arch"],
            help=f"set pooling.wavelet to {join_texts(same, 'or')}",
            default_values=_free_default(spec),
        )


@reads("backbone.arch", "pooling.free", "pooling.wavelet", "stem.wavelet")
def check_step_is_halved(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A pooling that takes a part of the free channels' step needs one that can be divided."""
    if spec.pooling.wavelet is None or spec.stem.wavelet is None:
        return
    free, wavelet = free_pooling(spec), POOLINGS[spec.pooling.wavelet]
    step = free.keeps_every(ARCHITECTURES[spec.backbone.arch].splits_stride)
    if step % wavelet.divides_free_step_by:
        other = next(
            name
            for name, each in POOLINGS.items()
            if each.takes_complex and each.divides_free_step_by == 1
        )
        yield context.conflict(
            "step-cannot-be-halved",
            f"{wavelet.name} needs a step of pooling.free that {wavelet.divides_free_step_by} divides, "
            f"and that of {free.name} is {step}",
            ["pooling.wavelet", "pooling.free"],
            help=f"set pooling.wavelet to {other}, or choose another pooling.free",
            default_values=_free_default(spec),
        )


@reads("pooling.wavelet", "stem.wavelet")
def check_wavelet_pooling(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only wavelet channels have a pooling of wavelet channels."""
    if spec.pooling.wavelet is not None and spec.stem.wavelet is None:
        yield context.conflict(
            "wavelet-pooling-without-wavelet",
            f"pooling.wavelet is {spec.pooling.wavelet}, and there are no wavelet channels",
            ["pooling.wavelet", "stem.wavelet"],
            help="set pooling.wavelet to null, or add a stem.wavelet",
        )


@reads("pooling.wavelet", "stem.wavelet", "stem.wavelet.transform")
def check_modulus(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A modulus is of complex numbers."""
    wavelet, pooling = spec.stem.wavelet, spec.pooling.wavelet
    if wavelet is None or wavelet.transform == "dtcwpt" or pooling is None:
        return
    if POOLINGS[pooling].takes_complex:
        yield context.conflict(
            "modulus-needs-dtcwpt",
            f"{pooling} needs complex packets, those of {wavelet.transform} are real",
            ["pooling.wavelet", "stem.wavelet.transform"],
            help="set stem.wavelet.transform to dtcwpt, or choose another pooling",
        )


@reads("backbone.arch", "stem.norm", "stem.wavelet", "pooling.wavelet", "pooling.initial_bias")
def check_initial_bias(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only a modulus that no norm follows has a bias of its own."""
    pooling = spec.pooling
    if pooling.initial_bias == "uniform":
        return
    wavelet = _wavelet_pooling(spec)
    if spec.stem.wavelet is None or not wavelet.may_have_bias:
        yield context.conflict(
            "field-does-not-apply",
            "initial_bias is of the bias after a modulus, and no modulus is taken",
            ["pooling.initial_bias", "pooling.wavelet"],
            help="remove pooling.initial_bias",
        )
    elif (spec.stem.norm or ARCHITECTURES[spec.backbone.arch].norm) == "batch":
        yield context.conflict(
            "field-does-not-apply",
            "initial_bias is of the bias after a modulus, and a norm takes its place here",
            ["pooling.initial_bias", "stem.norm", "backbone.arch"],
            help="remove pooling.initial_bias",
        )


def _wavelet_pool_users(spec: ExperimentSpec) -> list[str]:
    """Return the fields that ask for a wavelet pooling."""
    wavelet = spec.pooling.wavelet
    users = {
        "pooling.free": free_pooling(spec),
        "pooling.wavelet": None if wavelet is None else POOLINGS[wavelet],
        "backbone.downsampling": DOWNSAMPLINGS[spec.backbone.downsampling],
    }
    return [path for path, kind in users.items() if kind is not None and kind.takes_bands]


@reads(
    "backbone.arch",
    "backbone.downsampling",
    "pooling.free",
    "pooling.wavelet",
    "pooling.wavelet_pool",
)
def check_wavelet_pool_is_used(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only a wavelet pooling has a wavelet."""
    if spec.pooling.wavelet_pool is not None and not _wavelet_pool_users(spec):
        yield context.conflict(
            "field-does-not-apply",
            "wavelet_pool describes wavelet poolings, and there are none",
            ["pooling.wavelet_pool", "pooling.free", "pooling.wavelet", "backbone.downsampling"],
            help="remove pooling.wavelet_pool, or set pooling.free or backbone.downsampling to wavelet",
            default_values=_free_default(spec),
        )


@reads(
    "pooling.wavelet_pool",
    "pooling.wavelet_pool.wavelet",
    "pooling.wavelet_pool.learn",
    "pooling.wavelet_pool.bands",
    "pooling.wavelet_pool.mixing",
)
def check_wavelet_pool(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The wavelet exists, and has what is asked of it."""
    settings = spec.pooling.wavelet_pool
    if settings is None:
        return
    for fault in section_of(cast("SpecModel", settings), PooledBands).faults():
        fields = [f"pooling.wavelet_pool.{name}" for name in fault.fields]
        yield context.conflict(fault.code, fault.headline, fields, help=fault.help)


@reads("backbone.arch", "pooling.free", "pooling.wavelet", "pooling.module")
def check_module(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A pooling of the project's own names its class, and only such a one does."""
    wavelet = spec.pooling.wavelet
    users = {
        "pooling.free": free_pooling(spec),
        "pooling.wavelet": None if wavelet is None else POOLINGS[wavelet],
    }
    asking = [path for path, kind in users.items() if kind is not None and kind.takes_module]
    if asking and spec.pooling.module is None:
        yield context.conflict(
            "missing-field",
            "pooling has no 'module', which the pooling module needs",
            asking,
            help="write module: {file: own/pooling.py, name: MyPool}",
        )
    elif spec.pooling.module is not None and not asking:
        yield context.conflict(
            "field-does-not-apply",
            "pooling.module is the class of the pooling `module`, and no channels have that pooling",
            ["pooling.module", *users],
            help="set pooling.free or pooling.wavelet to module, or remove pooling.module",
            default_values=_free_default(spec),
        )


POOLING_RULES: tuple[Rule, ...] = (
    check_adaptive_blur_channels,
    check_adaptive_blur_size,
    check_max_kernel,
    check_poolings_mix,
    check_step_is_halved,
    check_wavelet_pooling,
    check_modulus,
    check_initial_bias,
    check_wavelet_pool_is_used,
    check_wavelet_pool,
    check_module,
)
