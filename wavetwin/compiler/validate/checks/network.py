"""Check the backbone and the free channels."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS
from wavetwin.ir.poolings import Pooling

CHANNELS = (
    "backbone.arch",
    "backbone.input",
    "stem.free_channels",
    "stem.wavelet",
    "stem.wavelet.keep",
    "stem.wavelet.keep.*.channels",
    "stem.wavelet.parts",
)


def num_free_channels(spec: ExperimentSpec) -> int:
    """Return the free channels, filled in as `resolve` does."""
    if spec.stem.free_channels is not None:
        return spec.stem.free_channels
    return ARCHITECTURES[spec.backbone.arch].first_layer_width or 0


def free_pooling(spec: ExperimentSpec) -> Pooling:
    """Return the free channels' pooling, filled in as `resolve` does."""
    return ARCHITECTURES[spec.backbone.arch].free_pooling(spec.pooling.free)


def num_wavelet_channels(spec: ExperimentSpec) -> int:
    """Return the first layer's channels that come from packets."""
    wavelet = spec.stem.wavelet
    return 0 if wavelet is None else wavelet.num_channels


def channel_paths(spec: ExperimentSpec) -> list[str]:
    """Return the key paths of the values that make up the stem's width."""
    wavelet = spec.stem.wavelet
    bands = 0 if wavelet is None else len(wavelet.keep)
    return [
        "stem.free_channels",
        *(f"stem.wavelet.keep.{band}.channels" for band in range(bands)),
    ]


@reads(*CHANNELS)
def check_channels(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The stem has the width of the architecture's first layer, and at least one channel."""
    width = ARCHITECTURES[spec.backbone.arch].first_layer_width
    free, wavelet = num_free_channels(spec), num_wavelet_channels(spec)
    paths = channel_paths(spec)
    if width is None:
        if free + wavelet == 0 and spec.backbone.has_stem:
            yield context.conflict(
                "stem-is-empty",
                "the first layer has no channels",
                [*paths, "backbone.arch"],
                help="set stem.free_channels, or add a stem.wavelet",
            )
        return
    if free + wavelet == width:
        return
    yield context.conflict(
        "channels-do-not-add-up",
        f"the stem gives {free + wavelet} channels, {spec.backbone.arch}'s first layer has {width}",
        [*paths, "backbone.arch"],
        help=_repair_channels(spec, width),
        default_values={"stem.free_channels": width},
    )


def _repair_channels(spec: ExperimentSpec, width: int) -> str:
    wavelet = spec.stem.wavelet
    if wavelet is None:
        return f"set stem.free_channels to {width}, or leave it out"
    each = wavelet.num_channels // sum(entry.channels for entry in wavelet.keep)
    free, bands = num_free_channels(spec), [each * entry.channels for entry in wavelet.keep]
    repairs: list[str] = []
    if width >= sum(bands):
        repairs.append(f"set stem.free_channels to {width - sum(bands)}")
    for position in reversed(range(len(bands))):
        channels, odd = divmod(width - free - sum(bands) + bands[position], each)
        if not odd and channels > 0 and channels % wavelet.keep[position].groups == 0:
            repairs.append(f"set stem.wavelet.keep.{position}.channels to {channels}")
            break
    return ", or ".join(repairs) or f"give the bands {width} channels or fewer in all"


@reads("backbone.arch", "stem.free_channels", "stem.wavelet", "stem.initial_weights.channels")
def check_initial_weights(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """There is one initial channel for each free one."""
    initial = spec.stem.initial_weights
    if initial is None:
        return
    free = num_free_channels(spec)
    default = {"stem.free_channels": ARCHITECTURES[spec.backbone.arch].first_layer_width}
    if free == 0:
        yield context.conflict(
            "initial-weights-do-not-fit",
            "initial_weights are for free channels, and there are none",
            ["stem.initial_weights", "stem.free_channels"],
            help="remove stem.initial_weights",
            default_values=default,
        )
    elif initial.channels is not None and len(initial.channels) != free:
        yield context.conflict(
            "initial-weights-do-not-fit",
            f"initial_weights names {len(initial.channels)} channels for {free} free channels",
            ["stem.initial_weights.channels", "stem.free_channels"],
            help="name one channel for each free one, or leave them out for the first ones",
            default_values=default,
        )


@reads("backbone.arch", "stem.norm")
def check_norm(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only `sequential` chooses what its first pooling begins with."""
    if spec.stem.norm is not None and not ARCHITECTURES[spec.backbone.arch].lists_layers:
        yield context.conflict(
            "norm-needs-sequential",
            f"the norm after {spec.backbone.arch}'s first layer is the architecture's",
            ["stem.norm", "backbone.arch"],
            help="remove stem.norm",
        )


@reads("backbone.arch", "backbone.downsampling")
def check_downsampling(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only trunks that the language knows by name can blur."""
    lists_layers = ARCHITECTURES[spec.backbone.arch].lists_layers
    if lists_layers and DOWNSAMPLINGS[spec.backbone.downsampling].needs_trunk:
        yield context.conflict(
            "downsampling-needs-trunk",
            f"a {spec.backbone.arch} trunk has no {spec.backbone.downsampling} downsampling",
            ["backbone.downsampling", "backbone.arch"],
            help="remove backbone.downsampling; the layers say how the resolution is reduced",
        )


@reads("backbone.arch", "backbone.layers")
def check_has_layers(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """`sequential` has layers, nothing else has."""
    lists_layers = ARCHITECTURES[spec.backbone.arch].lists_layers
    if lists_layers and not spec.backbone.layers:
        yield context.conflict(
            "layers-missing",
            f"a {spec.backbone.arch} backbone needs layers",
            ["backbone.layers", "backbone.arch"],
            help="end them with `- flatten: {}` and `- linear: {}`",
        )
    if spec.backbone.layers and not lists_layers:
        yield context.conflict(
            "layers-need-sequential",
            f"{spec.backbone.arch} has its own layers",
            ["backbone.layers", "backbone.arch"],
            help="remove backbone.layers, or set backbone.arch to sequential",
        )


NETWORK_RULES: tuple[Rule, ...] = (
    check_channels,
    check_initial_weights,
    check_norm,
    check_downsampling,
    check_has_layers,
)
