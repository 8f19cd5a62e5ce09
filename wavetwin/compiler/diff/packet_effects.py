"""Effects of changes of the wavelet channels: transform, packets, mixing, colour, penalty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wavetwin.compiler.diff.effects import (
    PACKET_PAPER,
    SHIFT_PAPER,
    TWIN_PAPER,
    Effect,
    Pair,
    Rule,
    macs_below,
    parameters_below,
)
from wavetwin.compiler.diff.wording import change, plural
from wavetwin.compiler.packets import num_packets, packet_facts
from wavetwin.compiler.schema import ColorMixingSpec, WaveletSpec
from wavetwin.compiler.wavelets import equivalent_length

PACKETS = "stem.wavelet.packets"
MIXING = "stem.wavelet.mixing"
COLOUR = "stem.wavelet.colour"


def _twin(pair: Pair) -> Iterator[Effect]:
    before, after = pair.wavelets
    if (before is None) == (after is None):
        return
    wavelet, twin = (after, pair.after) if after is not None else (before, pair.before)
    assert wavelet is not None
    channels = sum(entry.channels for entry in wavelet.keep)
    width = channels + (twin.spec.stem.free_channels or 0)
    yield Effect(
        "CNN -> twin" if after is not None else "twin -> CNN",
        "With max pooling a twin is about as stable under shifts as the CNN that it stands for; its "
        "fixed, oriented, band-limited filters are what the modulus can make stable.",
        f"{channels} of the twin's {width} first channels mix {plural(len(_kept(wavelet)), 'packet')} "
        f"({_transform(wavelet)}); the first layer has {_trained(pair, 'stem')} parameters and takes "
        f"{_cost(pair, 'stem')}.",
        TWIN_PAPER,
        ("stem.wavelet", "stem.free_channels", "pooling.wavelet"),
    )


def _transform_kind(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or not pair.differs("stem.wavelet.transform", "stem.wavelet.filters"):
        return
    before, after = twins
    is_other = before.transform != after.transform
    yield Effect(
        f"{before.transform} -> {after.transform}" if is_other else "filters",
        "A dual-tree packet is complex and has one direction, so that its modulus hardly moves under "
        "shifts; a separable real one mixes both diagonals and has no modulus."
        if is_other
        else "How stable a packet's modulus is depends on how much of its energy its filters keep in "
        "its own cell of the frequency plane.",
        f"{before.filters} -> {after.filters}, equivalent filters of {_lengths(*twins)} taps; the "
        f"packets take {_cost(pair, PACKETS)}.",
        PACKET_PAPER if is_other else SHIFT_PAPER,
        ("stem.wavelet.transform", "stem.wavelet.filters"),
    )


def _trainable_filters(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or twins[0].trainable_filters == twins[1].trainable_filters:
        return
    yield Effect(
        "trained filters" if twins[1].trainable_filters else "fixed filters",
        "Trained taps need not stay a Hilbert pair, on which the stability of the modulus rests.",
        f"The transform's taps, shared by all stages, are {_trained(pair, PACKETS)} parameters.",
        PACKET_PAPER,
        ("stem.wavelet.trainable_filters",),
    )


def _levels(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or twins[0].levels == twins[1].levels:
        return
    numbers = [num_packets(each.transform, each.levels) for each in twins]
    yield Effect(
        f"J = {twins[0].levels} -> {twins[1].levels}",
        "Packets of more levels are narrower in frequency, so that their modulus is more stable under "
        "shifts, and wider in the image.",
        f"{numbers[0]} -> {numbers[1]} packets, cells of side pi/{2 ** twins[0].levels} -> "
        f"pi/{2 ** twins[1].levels}, filters of {_lengths(*twins)} taps; the packets take "
        f"{_cost(pair, PACKETS)}.",
        SHIFT_PAPER,
        ("stem.wavelet.levels", "stem.wavelet.keep"),
    )


def _packets(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or not _same_plane(*twins):
        return
    first, second = twins
    kept = set(_kept(first)), set(_kept(second))
    fields = ("stem.wavelet.keep", "stem.wavelet.exclude")
    if kept[0] != kept[1]:
        words = [
            f"{what} {_described(second, numbers)}"
            for what, numbers in (
                ("leaves out", sorted(kept[0] - kept[1])),
                ("takes in", sorted(kept[1] - kept[0])),
            )
            if numbers
        ]
        yield Effect(
            "packets",
            "Low-pass packets are where maximum and modulus differ most, and packets of the highest "
            "frequency reach across the border of the frequency plane: leaving them out leaves those "
            "whose modulus is stable.",
            f"{len(kept[0])} -> {len(kept[1])} of {num_packets(first.transform, first.levels)} are "
            f"mixed; the second {' and '.join(words)}. The wavelet channels take "
            f"{_cost(pair, 'stem.wavelet')}.",
            SHIFT_PAPER,
            fields,
        )
    elif [entry.packets for entry in first.keep] != [entry.packets for entry in second.keep]:
        yield Effect(
            "packet order",
            "The same packets in another order or other bands: others share a mixing group, and the "
            "stability of each stays.",
            f"{plural(len(kept[0]), 'packet')}; weights of the two do not correspond.",
            "",
            fields,
        )


def _mixing(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or _sizes(twins[0]) == _sizes(twins[1]):
        return
    bands = [", ".join(f"{i} to {o} in {g}" for i, o, g in _sizes(each)) for each in twins]
    yield Effect(
        "bands",
        "The fewer packets an output can mix, the narrower its frequencies stay, and the more stable "
        "its modulus.",
        f"Packets to channels in groups: [{bands[0]}] -> [{bands[1]}]; the mixing has "
        f"{_trained(pair, MIXING)} parameters and takes {change(*_macs(pair, MIXING))} MACs as "
        "written.",
        TWIN_PAPER,
        ("stem.wavelet.keep",),
    )


def _colour(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or not pair.differs("stem.wavelet.color_mixing"):
        return
    before, after = _mixing_of(twins[0]), _mixing_of(twins[1])
    places = [None if each is None else each.position for each in (before, after)]
    fields = ("stem.wavelet.color_mixing",)
    if places[0] != places[1]:
        yield Effect(
            f"colour mixing {places[0] or 'none'} -> {places[1] or 'none'}",
            "Mixed before, one learnt luminance image goes through the packets; mixed after, every "
            "colour does and each output weighs the three; the stability is the packets' either way.",
            f"{_trained(pair, COLOUR)} colour weights; the wavelet channels take "
            f"{_cost(pair, 'stem.wavelet')}.",
            TWIN_PAPER,
            fields,
        )
    elif before is not None and after is not None:
        yield Effect(
            "colour weights",
            "Which luminance the packets see, not how stable they are.",
            f"{_start(before)} -> {_start(after)}; this changes no number of parameters and no cost.",
            "",
            fields,
        )


def _penalty(pair: Pair) -> Iterator[Effect]:
    twins = pair.twins
    if twins is None or not pair.differs("stem.wavelet.regularisation"):
        return
    rows = sum(entry.channels for entry in twins[1].keep)
    yield Effect(
        "lambda",
        "The penalty lambda (|w|_1 / |w|_inf - 1) on each row w of the mixing draws an output towards "
        "a single packet, whose narrow band keeps a modulus stable under shifts.",
        f"Lambda by band {_lambdas(twins[0])} -> {_lambdas(twins[1])} on {plural(rows, 'row')}; "
        "the penalty adds no parameters and no cost of the network.",
        TWIN_PAPER,
        ("stem.wavelet.regularisation",),
    )


def _macs(pair: Pair, prefix: str, *, executed: bool = False) -> tuple[int, int]:
    return (
        macs_below(pair.before, prefix, executed=executed),
        macs_below(pair.after, prefix, executed=executed),
    )


def _cost(pair: Pair, prefix: str) -> str:
    """Return the MACs of layers as written and, where they differ, after the passes."""
    written = _macs(pair, prefix)
    executed = _macs(pair, prefix, executed=True)
    text = f"{change(*written)} MACs"
    # A bank made of all wavelet layers stands at stem.wavelet, not below the parts' ids.
    if prefix == PACKETS or executed == written:
        return text
    return f"{text} as written, {change(*executed)} after the passes"


def _trained(pair: Pair, prefix: str) -> str:
    return change(parameters_below(pair.before, prefix), parameters_below(pair.after, prefix))


def _lengths(first: WaveletSpec, second: WaveletSpec) -> str:
    lengths = [
        equivalent_length(each.transform, each.levels, each.filters) for each in (first, second)
    ]
    return f"{lengths[0]} -> {lengths[1]}"


def _kept(wavelet: WaveletSpec) -> list[int]:
    return [number for entry in wavelet.keep for number in entry.packets or ()]


def _sizes(wavelet: WaveletSpec) -> list[tuple[int, int, int]]:
    return [(len(entry.packets or ()), entry.channels, entry.groups) for entry in wavelet.keep]


def _same_plane(first: WaveletSpec, second: WaveletSpec) -> bool:
    """Whether packet numbers mean the same in both."""
    return (first.transform, first.levels) == (second.transform, second.levels)


def _described(wavelet: WaveletSpec, numbers: Sequence[int]) -> str:
    """Return how many packets of which kind these are: `16 (2 low-pass, 14 of the edges)`."""
    top = 2**wavelet.levels - 1
    kinds: dict[str, int] = {}
    for number in numbers:
        facts = packet_facts(wavelet.transform, wavelet.levels, number)
        if facts.is_lowpass:
            kind = "low-pass"
        elif top in (facts.vertical_cell, facts.horizontal_cell):
            kind = "of the highest frequency"
        else:
            kind = "between"
        kinds[kind] = kinds.get(kind, 0) + 1
    return f"{len(numbers)} ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})"


def _transform(wavelet: WaveletSpec) -> str:
    kind = "dual-tree complex" if wavelet.transform == "dtcwpt" else "separable real"
    return f"{kind}, J = {wavelet.levels}, {wavelet.filters}"


def _mixing_of(wavelet: WaveletSpec) -> ColorMixingSpec | None:
    mixing = wavelet.color_mixing
    assert not isinstance(mixing, str), "resolve spells colour mixing out"
    return mixing


def _start(mixing: ColorMixingSpec) -> str:
    initial = "random values" if mixing.initial is None else str(list(mixing.initial))
    return f"{'trained' if mixing.trainable else 'fixed'} from {initial}"


def _lambdas(wavelet: WaveletSpec) -> str:
    lambdas = wavelet.regularisation
    return str(list(lambdas)) if isinstance(lambdas, tuple) else "none"


PACKET_RULES: tuple[Rule, ...] = (
    _twin,
    _transform_kind,
    _trainable_filters,
    _levels,
    _packets,
    _mixing,
    _colour,
    _penalty,
)
