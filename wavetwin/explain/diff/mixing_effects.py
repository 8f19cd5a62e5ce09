"""Explain changes of what mixes the packets: bands and groups, colours, the penalty."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.schema import ColorMixingSpec, WaveletSpec
from wavetwin.diagnostics.listing import plural
from wavetwin.explain.diff.effects import (
    Effect,
    Pair,
    Rule,
    cost_text,
    macs_of,
    parameters_text,
)
from wavetwin.explain.diff.network_info import is_trained
from wavetwin.explain.diff.wording import change
from wavetwin.ir.papers import TWIN_PAPER

MIXING = "stem.wavelet.mixing"
COLOUR = "stem.wavelet.colour"


def _mixing(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or _sizes(twins[0]) == _sizes(twins[1]):
        return
    mixed = [{i // g for i, _, g in _sizes(each)} for each in twins]
    bands = [", ".join(f"{i} to {o} in {g}" for i, o, g in _sizes(each)) for each in twins]
    yield Effect(
        "bands",
        (
            "The fewer packets of one width an output can mix, the narrower its frequencies stay"
            + pair.about_modulus(", and the less of its modulus' energy a shift changes")
            if mixed[0] != mixed[1]
            else "Other numbers of outputs: each mixes as many packets as before"
        )
        + ".",
        f"Packets to channels in groups: [{bands[0]}] -> [{bands[1]}], an output mixing "
        f"{_range(mixed[0])} -> {_range(mixed[1])}; the mixing has "
        f"{parameters_text(pair, MIXING)} parameters and takes {change(*macs_of(pair, MIXING))} MACs as "
        "written.",
        TWIN_PAPER,
        ("stem.wavelet.keep",),
    )


def _colour(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or not pair.differs("stem.wavelet.color_mixing"):
        return
    before, after = _mixing_of(twins[0]), _mixing_of(twins[1])
    fields = ("stem.wavelet.color_mixing",)
    if before is None or after is None:
        return  # images of one channel: explained with the images
    trained = [is_trained(each, COLOUR) for each in pair.sides]
    if before.position != after.position:
        learnt = trained[0 if before.position == "before" else 1]
        weighs = "learns to weigh" if trained[before.position == "before"] else "weighs"
        yield Effect(
            f"colour mixing {before.position} -> {after.position}",
            f"Mixed before, one {'learnt' if learnt else 'fixed'} luminance image goes through the "
            f"packets; mixed after, every colour does and each output {weighs} the three; what a shift "
            "changes is the packets' either way.",
            f"{parameters_text(pair, COLOUR)} colour weights; the wavelet channels take "
            f"{cost_text(pair, 'stem.wavelet')}.",
            TWIN_PAPER,
            fields,
        )
    else:
        what = (
            "luminance the packets see" if after.position == "before" else "colours outputs weigh"
        )
        yield Effect(
            "colour weights",
            f"Which {what}, not what a shift changes of a packet.",
            f"{_start(before, trained[0])} -> {_start(after, trained[1])}; this changes no number of "
            "parameters and no cost.",
            "",
            fields,
        )


def _penalty(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or not pair.differs("stem.wavelet.regularisation"):
        return
    rows = [_penalised_rows(each) for each in pair.sides]
    if any(rows):
        statement = (
            "The penalty lambda (|w|_1 / |w|_inf - 1) on each row w of the mixing draws an output "
            "towards a single packet and its narrow band"
            + pair.about_modulus("; a shift changes less of the modulus' energy of a narrow band")
        )
    else:
        statement = (
            "The penalty lambda (|w|_1 / |w|_inf - 1) draws no row of the mixing anywhere here: lambda "
            "is 0, a row has one packet, or nothing trains it"
        )
    yield Effect(
        "lambda",
        f"{statement}.",
        f"Lambda by band {_lambdas(twins[0])} -> {_lambdas(twins[1])}: {rows[0]} -> "
        f"{plural(rows[1], 'row')} drawn by it; the penalty adds no parameters and no cost of the "
        "network.",
        TWIN_PAPER if any(rows) else "",
        ("stem.wavelet.regularisation",),
    )


def _penalised_rows(compiled: Compiled) -> int:
    """Return how many rows of the mixing a penalty changes: of several packets, and trained."""
    plan, wavelet = compiled.plan, compiled.spec.stem.wavelet
    if wavelet is None or plan.regularisation is None or not is_trained(compiled, MIXING):
        return 0
    return sum(
        entry.channels
        for entry, weight in zip(wavelet.keep, plan.regularisation.lambdas, strict=True)
        if weight > 0 and len(entry.numbers) > entry.groups
    )


def _sizes(wavelet: WaveletSpec) -> list[tuple[int, int, int]]:
    return [(len(entry.numbers), entry.channels, entry.groups) for entry in wavelet.keep]


def _range(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return plural(low, "packet") if low == high else f"{low} to {plural(high, 'packet')}"


def _mixing_of(wavelet: WaveletSpec) -> ColorMixingSpec | None:
    mixing = wavelet.color_mixing
    assert not isinstance(mixing, str), "resolve spells colour mixing out"
    return mixing


def _start(mixing: ColorMixingSpec, trained: bool) -> str:
    initial = "random values" if mixing.initial is None else str(list(mixing.initial))
    return f"trained from {initial}" if trained else f"fixed at {initial}"


def _lambdas(wavelet: WaveletSpec) -> str:
    lambdas = wavelet.regularisation
    return str(list(lambdas)) if isinstance(lambdas, tuple) else "none"


def _parts(pair: Pair) -> Iterator[Effect]:
    if pair.twins is None or not pair.differs("stem.wavelet.parts"):
        return
    counts = [wavelet.num_channels for wavelet in pair.twins]
    yield Effect(
        f"parts {pair.twins[0].parts} -> {pair.twins[1].parts}",
        "Both parts of a complex map are what its modulus is made of; each of them by itself oscillates "
        "under shifts as the real part does.",
        f"{counts[0]} -> {counts[1]} channels come from packets; the mixing has "
        f"{parameters_text(pair, MIXING)} parameters.",
        "",
        ("stem.wavelet.parts",),
    )


MIXING_RULES: tuple[Rule, ...] = (_mixing, _parts, _colour, _penalty)
