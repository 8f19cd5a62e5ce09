"""Check the wavelet channels of the stem."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from wavetwin.compiler.parse.suggest import suggest
from wavetwin.compiler.schema import (
    ColorMixingSpec,
    ExcludeRule,
    ExperimentSpec,
    WaveletSpec,
)
from wavetwin.compiler.validate.checks.network import free_pooling
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.compiler.validate.keep import exclude_rules
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.packets import dyadic_band, excluded, num_packets
from wavetwin.ir.poolings import POOLINGS
from wavetwin.ir.wavelets import known_filters

_KEEP = "stem.wavelet.keep"
_PACKETS = (
    "stem.wavelet.transform",
    "stem.wavelet.levels",
    "stem.wavelet.exclude",
    _KEEP,
    "stem.wavelet.keep.*.packets",
    "stem.wavelet.keep.*.band",
)


def kept_packets(wavelet: WaveletSpec, position: int) -> tuple[int, ...] | None:
    """Return the packets of an entry of `keep`; None where it does not say them rightly."""
    entry = wavelet.keep[position]
    if (entry.packets is None) == (entry.band is None):
        return None
    if isinstance(entry.packets, str):
        return tuple(range(num_packets(wavelet.transform, wavelet.levels)))
    if entry.packets is not None:
        return entry.packets
    if entry.band is None or entry.band > wavelet.levels:
        return None
    return _band_packets(wavelet.transform, wavelet.levels, entry.band, exclude_rules(wavelet))


@lru_cache(maxsize=256)
def _band_packets(
    transform: str, levels: int, band: int, rules: tuple[ExcludeRule, ...]
) -> tuple[int, ...]:
    """Return what the rules leave of a band: asked by several rules for each of many specs."""
    left_out = _left_out(transform, levels, rules)
    return tuple(
        number for number in dyadic_band(transform, levels, band) if number not in left_out
    )


@lru_cache(maxsize=64)
def _left_out(transform: str, levels: int, rules: tuple[ExcludeRule, ...]) -> frozenset[int]:
    return excluded(transform, levels, rules)


@reads(*_PACKETS[3:])
def check_keep_entries(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """An entry of `keep` says its packets in one way."""
    for position, entry in enumerate(spec.stem.wavelet.keep if spec.stem.wavelet else ()):
        path = f"{_KEEP}.{position}"
        if entry.packets is not None and entry.band is not None:
            yield context.conflict(
                "packets-or-band",
                "an entry of keep has packets or a band, not both",
                [f"{path}.packets", f"{path}.band"],
                help="remove one of the two",
            )
        elif entry.packets is None and entry.band is None:
            yield context.conflict(
                "packets-or-band",
                "an entry of keep needs packets or a band",
                [path],
                help="add band: 1, or packets: [...]",
            )


@reads(*_PACKETS)
def check_bands(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Dyadic bands exist, are named once and hold packets."""
    wavelet = spec.stem.wavelet
    if wavelet is None:
        return
    first: dict[int, int] = {}
    for position, entry in enumerate(wavelet.keep):
        if entry.band is None or entry.packets is not None:
            continue
        path = f"{_KEEP}.{position}.band"
        if entry.band > wavelet.levels:
            yield context.conflict(
                "band-out-of-range",
                f"there is no band {entry.band} with {wavelet.levels} levels",
                [path, "stem.wavelet.levels"],
                help=f"bands are numbered from 1 (the last stage's) to {wavelet.levels}",
            )
        elif entry.band in first:
            yield context.conflict(
                "band-kept-twice",
                f"band {entry.band} is kept twice",
                [f"{_KEEP}.{first[entry.band]}.band", path],
                help="name each band once, or give packets",
            )
        elif not kept_packets(wavelet, position):
            yield context.conflict(
                "band-is-empty",
                f"the rules of exclude leave nothing of band {entry.band}",
                [path, "stem.wavelet.exclude"],
                help="remove the band from keep, or a rule from exclude",
            )
        first.setdefault(entry.band, position)


@reads("stem.wavelet.exclude", *_PACKETS[3:])
def check_exclude(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Rules are for bands: a list of packets says all itself."""
    wavelet = spec.stem.wavelet
    if wavelet is None or not exclude_rules(wavelet):
        return
    paths = [
        f"{_KEEP}.{position}.packets"
        for position, entry in enumerate(wavelet.keep)
        if entry.packets is not None
    ]
    if paths:
        yield context.conflict(
            "exclude-with-packets",
            "exclude is for dyadic bands, and keep gives packets",
            ["stem.wavelet.exclude", *paths],
            help="give each entry of keep a band instead, or set stem.wavelet.exclude to null",
        )


@reads(*_PACKETS)
def check_packets_exist(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Packets exist at these levels; reported once for each entry of `keep`."""
    wavelet = spec.stem.wavelet
    if wavelet is None:
        return
    count = num_packets(wavelet.transform, wavelet.levels)
    for position, entry in enumerate(wavelet.keep):
        if entry.packets is None or isinstance(entry.packets, str):
            continue
        absent = [index for index, number in enumerate(entry.packets) if number >= count]
        if not absent:
            continue
        more = f" (and {len(absent) - 1} more of this entry)" if len(absent) > 1 else ""
        levels = f"{wavelet.levels} level" + ("" if wavelet.levels == 1 else "s")
        yield context.conflict(
            "packet-out-of-range",
            f"there is no packet {entry.packets[absent[0]]}{more}: {wavelet.transform} with {levels}"
            f" has {count}, from 0 to {count - 1}",
            [
                f"{_KEEP}.{position}.packets.{absent[0]}",
                "stem.wavelet.levels",
                "stem.wavelet.transform",
            ],
        )


@reads(*_PACKETS)
def check_packets_once(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Packets are kept once; a band that is kept twice is another rule's."""
    wavelet = spec.stem.wavelet
    first: dict[int, tuple[str, bool]] = {}
    for position, entry in enumerate(wavelet.keep if wavelet is not None else ()):
        assert wavelet is not None
        is_listed = entry.packets is not None
        for index, number in enumerate(kept_packets(wavelet, position) or ()):
            listed = "packets" if isinstance(entry.packets, str) else f"packets.{index}"
            path = f"{_KEEP}.{position}.{listed if is_listed else 'band'}"
            earlier, earlier_is_listed = first.setdefault(number, (path, is_listed))
            if earlier != path and (is_listed or earlier_is_listed):
                yield context.conflict(
                    "packet-kept-twice",
                    f"packet {number} is kept twice",
                    [earlier, path],
                    help="keep each packet once",
                )


@reads(*_PACKETS, "stem.wavelet.keep.*.groups", "stem.wavelet.keep.*.channels")
def check_groups(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A mixing's groups divide what goes in and what comes out."""
    wavelet = spec.stem.wavelet
    if wavelet is None:
        return
    for position, entry in enumerate(wavelet.keep):
        packets = kept_packets(wavelet, position)
        if not packets:
            continue
        path = f"{_KEEP}.{position}"
        uneven = [
            label
            for label, count in (
                (f"{len(packets)} packets", len(packets)),
                (f"{entry.channels} channels", entry.channels),
            )
            if count % entry.groups
        ]
        if uneven:
            choices = [
                group
                for group in range(1, min(len(packets), entry.channels) + 1)
                if len(packets) % group == 0 and entry.channels % group == 0
            ]
            yield context.conflict(
                "groups-do-not-divide",
                f"{entry.groups} groups do not divide {' and '.join(uneven)}",
                [
                    f"{path}.groups",
                    f"{path}.channels",
                    f"{path}.{'band' if entry.packets is None else 'packets'}",
                ],
                help=f"groups that divide both: {', '.join(map(str, choices))}",
            )


@reads("stem.wavelet.regularisation", _KEEP)
def check_regularisation(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """There is one lambda for each band, or one for all."""
    wavelet = spec.stem.wavelet
    if wavelet is None or not isinstance(wavelet.regularisation, tuple):
        return
    num_lambdas, num_bands = len(wavelet.regularisation), len(wavelet.keep)
    if num_lambdas != num_bands:
        yield context.conflict(
            "lambdas-do-not-match",
            f"regularisation has {num_lambdas} values for {num_bands} bands",
            ["stem.wavelet.regularisation", _KEEP],
            help="give one value for each entry of keep, in its order, or one number for all",
        )


@reads("stem.wavelet.filters", "stem.wavelet.transform")
def check_filters(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The filters are ones that the transform takes."""
    wavelet = spec.stem.wavelet
    if wavelet is None:
        return
    known = known_filters(wavelet.transform)
    if wavelet.filters not in known:
        fallback = "name a wavelet of PyWavelets, for example db4"
        yield context.conflict(
            "unknown-filters",
            f"{wavelet.transform} has no filters '{wavelet.filters}'",
            ["stem.wavelet.filters", "stem.wavelet.transform"],
            help=suggest(wavelet.filters, known) or fallback,
        )


@reads("stem.wavelet", "stem.stride", "stem.wavelet.levels", "backbone.arch", "pooling.free")
def check_stride(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A packet transform halves the resolution once a level, and may stop halving earlier."""
    wavelet = spec.stem.wavelet
    if wavelet is None:
        return
    stride = (
        ARCHITECTURES[spec.backbone.arch].first_stride(free_pooling(spec))
        if spec.stem.stride is None
        else spec.stem.stride
    )
    if stride & (stride - 1):
        yield context.conflict(
            "stride-not-power-of-two",
            f"wavelet channels have a stride of 1, 2, 4, 8 or 16, not {stride}",
            ["stem.stride"],
            help="set stem.stride to a power of two, or leave it out",
        )
    elif stride > 2**wavelet.levels:
        levels = stride.bit_length() - 1
        yield context.conflict(
            "stride-too-large",
            f"a transform of {wavelet.levels} level{'s' * (wavelet.levels > 1)} has a stride of at "
            f"most {2**wavelet.levels}, not {stride}",
            ["stem.stride", "stem.wavelet.levels"],
            default_values={"stem.stride": stride},
            help=f"set stem.stride to {2**wavelet.levels} or less"
            + (f", or stem.wavelet.levels to {levels}" if levels <= 4 else ""),
        )


@reads("stem.wavelet", "stem.wavelet.color_mixing", "data.dataset", "data.channels")
def check_color_mixing(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Colours are mixed where there are colours; initial weights are those of one map."""
    wavelet = spec.stem.wavelet
    if wavelet is None or wavelet.color_mixing is None:
        return
    if spec.data.num_channels == 1:
        is_chosen = spec.data.channels is not None
        yield context.conflict(
            "color-mixing-without-color",
            f"the images of {spec.data.dataset} have one channel, there is no colour to mix",
            ["stem.wavelet.color_mixing", "data.channels" if is_chosen else "data.dataset"],
            help="set stem.wavelet.color_mixing to null" + ", or data.channels to 3" * is_chosen,
        )
    mixing = wavelet.color_mixing
    if isinstance(mixing, ColorMixingSpec) and mixing.position == "after" and mixing.initial:
        path = "stem.wavelet.color_mixing"
        yield context.conflict(
            "field-does-not-apply",
            "initial is for a colour mixing before the packets, this one comes after",
            [f"{path}.initial", f"{path}.position"],
            help=f"set {path}.initial to null",
        )


@reads("stem.wavelet", "stem.wavelet.parts", "stem.wavelet.transform", "pooling.wavelet")
def check_parts(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only complex channels have two parts, and a modulus takes both as they are."""
    wavelet, pooling = spec.stem.wavelet, spec.pooling.wavelet
    if wavelet is None or wavelet.parts == "real":
        return
    if wavelet.transform != "dtcwpt":
        yield context.conflict(
            "field-does-not-apply",
            f"parts: separate is of complex packets, those of {wavelet.transform} are real",
            ["stem.wavelet.parts", "stem.wavelet.transform"],
            help="remove stem.wavelet.parts, or set stem.wavelet.transform to dtcwpt",
        )
    elif pooling is not None and POOLINGS[pooling].takes_complex:
        yield context.conflict(
            "field-does-not-apply",
            f"parts: separate makes two real channels of each complex one, and {pooling} takes complex "
            "ones",
            ["stem.wavelet.parts", "pooling.wavelet"],
            help="remove stem.wavelet.parts, or choose a pooling.wavelet of real channels",
        )


WAVELET_RULES: tuple[Rule, ...] = (
    check_keep_entries,
    check_bands,
    check_exclude,
    check_packets_exist,
    check_packets_once,
    check_groups,
    check_regularisation,
    check_filters,
    check_stride,
    check_color_mixing,
    check_parts,
)
