"""Explain changes of the wavelet channels' packets: transform, filters, levels, packets kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.schema import WaveletSpec
from wavetwin.diagnostics.listing import plural
from wavetwin.explain.diff.effects import (
    Effect,
    Pair,
    Rule,
    cost_text,
    parameters_text,
    written_cost_text,
)
from wavetwin.explain.diff.network_info import has_complex_packets, is_trained, takes_modulus
from wavetwin.explain.diff.wording import share_text
from wavetwin.explain.packet_use import centre
from wavetwin.ir.packets import num_packets, packet_info
from wavetwin.ir.papers import PACKET_PAPER, SHIFT_PAPER, TWIN_PAPER
from wavetwin.ir.plane_cover import common_share, cover_of
from wavetwin.ir.wavelets import equivalent_length

PACKETS = "stem.wavelet.packets"
LOW_PASS, HIGHEST, BETWEEN = "low-pass", "of the highest frequency", "between"


def _twin(pair: Pair) -> Iterator[Effect]:
    before, after = pair.wavelets
    if (before is None) == (after is None):
        return
    wavelet, twin = (after, pair.after) if after is not None else (before, pair.before)
    assert wavelet is not None
    channels = wavelet.num_channels
    width = channels + (twin.spec.stem.free_channels or 0)
    yield Effect(
        "CNN -> twin" if after is not None else "twin -> CNN",
        _what_a_twin_is(twin, wavelet),
        f"{channels} of the twin's {width} first channels mix {plural(len(_kept(wavelet)), 'packet')} "
        f"({_transform(wavelet)}); the first layer has {parameters_text(pair, 'stem')} parameters and takes "
        f"{cost_text(pair, 'stem')}.",
        TWIN_PAPER,
        ("stem.wavelet", "stem.free_channels", "pooling.wavelet"),
    )


def _what_a_twin_is(twin: Compiled, wavelet: WaveletSpec) -> str:
    """Return what wavelet channels are for, of those that this twin has."""
    filters = "trained" if is_trained(twin, PACKETS) else "fixed"
    start = f"Its wavelet channels mix packets of {filters}, band-limited filters"
    if not has_complex_packets(twin):
        return f"{start}; they are real and have no modulus."
    if takes_modulus(twin):
        return f"{start}, whose modulus follows the envelope of a band."
    return (
        f"{start}, whose modulus, if it were taken, would follow the envelope of a band; here it is "
        "not. Of the published twins that pool as their CNNs do, the mean flip rate is within 8 % of "
        "the CNN's, and the KL divergence at one pixel within 35 %."
    )


def _transform_kind(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or not pair.differs("stem.wavelet.transform", "stem.wavelet.filters"):
        return
    before, after = twins
    is_other = before.transform != after.transform
    yield Effect(
        f"{before.transform} -> {after.transform}" if is_other else "filters",
        "A separable real packet mixes both diagonals and has no modulus; a dual-tree packet is "
        "complex and, but for low-pass ones, has one direction"
        + pair.about_modulus("; a shift changes little of its modulus' energy")
        + "."
        if is_other
        else "The less of a packet's energy its filters leave outside its own cell of the frequency "
        "plane, the less aliases"
        + pair.about_modulus(", and the less of its modulus' energy a shift changes")
        + ".",
        f"{before.filters} -> {after.filters}, equivalent filters of {_lengths(*twins)} taps; the "
        f"packets take {written_cost_text(pair, PACKETS)}.",
        PACKET_PAPER if is_other else SHIFT_PAPER,
        ("stem.wavelet.transform", "stem.wavelet.filters"),
    )


def _trainable_filters(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or twins[0].trainable_filters == twins[1].trainable_filters:
        return
    trained = any(is_trained(each, PACKETS) for each in pair.sides)
    if trained:
        statement = "Trained taps need not stay the filters of cells of the frequency plane" + (
            pair.about_modulus(
                ", nor a Hilbert pair, without which a shift changes more of the modulus' energy"
            )
        )
    else:
        statement = "Nothing trains the taps here, so that they stay the filters that were named"
    yield Effect(
        f"{'trained' if trained else 'trainable'} filters"
        if twins[1].trainable_filters
        else "fixed filters",
        f"{statement}.",
        f"The transform's taps, shared by all stages, are {parameters_text(pair, PACKETS)} parameters.",
        PACKET_PAPER if any(map(has_complex_packets, pair.sides)) else "",
        ("stem.wavelet.trainable_filters",),
    )


def _levels(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or twins[0].levels == twins[1].levels:
        return
    numbers = [num_packets(each.transform, each.levels) for each in twins]
    yield Effect(
        f"J = {twins[0].levels} -> {twins[1].levels}",
        "Packets of more levels are narrower in frequency and wider in the image"
        + pair.about_modulus("; a shift changes less of their modulus' energy")
        + ".",
        f"{numbers[0]} -> {numbers[1]} packets, cells of side pi/{2 ** twins[0].levels} -> "
        f"pi/{2 ** twins[1].levels}, filters of {_lengths(*twins)} taps; the packets take "
        f"{written_cost_text(pair, PACKETS)}.",
        SHIFT_PAPER,
        ("stem.wavelet.levels", "stem.wavelet.keep"),
    )


def _plane(pair: Pair) -> Iterator[Effect]:
    """Tell which frequencies are kept where numbers do not mean the same in both."""
    twins = pair.twins
    if twins is None or _same_plane(*twins):
        return
    covers = [cover_of(each.transform, each.levels, _kept(each)) for each in twins]
    alike = set(_kept(twins[0])) & set(_kept(twins[1]))
    statement = (
        f"{plural(len(alike), 'packet number')} kept in both, and a number names other frequencies "
        "under another transform or other levels"
        if alike
        else "Packets of another transform or other levels cover other cells of the frequency plane"
    )
    yield Effect(
        "frequencies kept",
        f"{statement}.",
        f"{_of_all(twins[0])} -> {_of_all(twins[1])} packets are mixed; they cover "
        f"{share_text(covers[0].share)} -> {share_text(covers[1].share)} of the frequency plane, "
        f"{share_text(common_share(*covers))} in both, and their centres lie {_reach(twins[0])} -> {_reach(twins[1])} radians a pixel from 0.",
        "",
        ("stem.wavelet.keep", "stem.wavelet.levels", "stem.wavelet.transform"),
    )


def _packets(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or not _same_plane(*twins):
        return
    first, second = twins
    kept = set(_kept(first)), set(_kept(second))
    fields = ("stem.wavelet.keep", "stem.wavelet.exclude")
    if kept[0] != kept[1]:
        parts = [
            f"{what} {_described(second, numbers)}"
            for what, numbers in (
                ("leaves out", sorted(kept[0] - kept[1])),
                ("takes in", sorted(kept[1] - kept[0])),
            )
            if numbers
        ]
        yield Effect(
            "packets",
            _what_packets_do(pair, {_kind(second, number) for number in kept[0] ^ kept[1]}),
            f"{len(kept[0])} -> {len(kept[1])} of {num_packets(first.transform, first.levels)} are "
            f"mixed; the second {' and '.join(parts)}. The wavelet channels take "
            f"{cost_text(pair, 'stem.wavelet')}.",
            SHIFT_PAPER if has_complex_packets(pair.after) else "",
            fields,
        )
    elif [entry.packets for entry in first.keep] != [entry.packets for entry in second.keep]:
        same = _groups(first) == _groups(second)
        yield Effect(
            "packet order",
            "The same packets in another order or other bands: "
            f"{'the same ones share' if same else 'others share'} a mixing group, and what a shift "
            "changes of each packet stays.",
            f"{plural(len(kept[0]), 'packet')}; weights of the two do not correspond.",
            "",
            fields,
        )


def _what_packets_do(pair: Pair, kinds: set[str]) -> str:
    """Return why packets of these kinds are left out or taken in."""
    clauses = ["Which packets are mixed decides which frequencies the wavelet channels see"]
    if has_complex_packets(pair.after):
        if LOW_PASS in kinds:
            clauses.append(
                pair.about_modulus(
                    "low-pass packets do not oscillate, so that a maximum does not come near their modulus"
                )
            )
        if HIGHEST in kinds:
            clauses.append(
                "packets of the highest frequency reach across the border of the frequency plane"
                + pair.about_modulus(", so that a shift changes more of their modulus' energy")
            )
    return "; ".join(clauses) + "."


def _lengths(first: WaveletSpec, second: WaveletSpec) -> str:
    lengths = [
        equivalent_length(each.transform, each.levels, each.filters) for each in (first, second)
    ]
    return f"{lengths[0]} -> {lengths[1]}"


def _kept(wavelet: WaveletSpec) -> list[int]:
    return [number for entry in wavelet.keep for number in entry.numbers]


def _same_plane(first: WaveletSpec, second: WaveletSpec) -> bool:
    """Return whether packet numbers mean the same in both."""
    return (first.transform, first.levels) == (second.transform, second.levels)


def _groups(wavelet: WaveletSpec) -> set[frozenset[int]]:
    """Return the packets that each group of the mixing holds."""
    found: set[frozenset[int]] = set()
    for entry in wavelet.keep:
        packets = entry.numbers
        size = len(packets) // entry.groups
        found |= {frozenset(packets[i : i + size]) for i in range(0, len(packets), size)}
    return found


def _of_all(wavelet: WaveletSpec) -> str:
    return f"{len(_kept(wavelet))} of {num_packets(wavelet.transform, wavelet.levels)}"


def _reach(wavelet: WaveletSpec) -> str:
    """Return how far from frequency 0 the kept packets' centres lie, in radians a pixel."""
    centres = [
        math.hypot(*centre(packet_info(wavelet.transform, wavelet.levels, number), wavelet.levels))
        for number in _kept(wavelet)
    ]
    low, high = f"{min(centres):.2f}", f"{max(centres):.2f}"
    return low if low == high else f"{low} to {high}"


def _kind(wavelet: WaveletSpec, number: int) -> str:
    info = packet_info(wavelet.transform, wavelet.levels, number)
    if info.is_lowpass:
        return LOW_PASS
    top = 2**wavelet.levels - 1
    return HIGHEST if top in (info.vertical_cell, info.horizontal_cell) else BETWEEN


def _described(wavelet: WaveletSpec, numbers: Sequence[int]) -> str:
    """Return how many packets of which kind these are: `16 (2 low-pass, 14 of the edges)`."""
    kinds: dict[str, int] = {}
    for number in numbers:
        kind = _kind(wavelet, number)
        kinds[kind] = kinds.get(kind, 0) + 1
    return f"{len(numbers)} ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})"


def _transform(wavelet: WaveletSpec) -> str:
    kind = "dual-tree complex" if wavelet.transform == "dtcwpt" else "separable real"
    return f"{kind}, J = {wavelet.levels}, {wavelet.filters}"


PACKET_RULES: tuple[Rule, ...] = (
    _twin,
    _transform_kind,
    _trainable_filters,
    _levels,
    _plane,
    _packets,
)
