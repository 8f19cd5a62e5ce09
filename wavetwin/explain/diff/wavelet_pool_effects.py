"""Explain changes of wavelet poolings: the wavelet, what is kept of its bands, their gain, the borders."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wavetwin.compiler.compiled import Compiled
from wavetwin.diagnostics.listing import plural
from wavetwin.explain.diff.effects import Effect, Pair, Rule
from wavetwin.explain.diff.wording import change
from wavetwin.ir.blurring import WAVELET_STATEMENT
from wavetwin.ir.node import Node
from wavetwin.ir.operations import WaveletPool
from wavetwin.ir.wavelets import filter_length

_FIELD = "pooling.wavelet_pool"
_LAYERS = "backbone.layers"
Sides = tuple[WaveletPool, WaveletPool]


def _settings(pair: Pair) -> Iterator[Effect]:
    if not pair.differs(_FIELD):
        return
    nodes = _poolings(pair.before), _poolings(pair.after)
    if not all(nodes):
        return  # one of them has none: explained by what gives the other some
    sides = _operation(nodes[0][0]), _operation(nodes[1][0])
    for name, sentence in _differences(sides):
        text = sentence(sides)
        yield _effect(sides, nodes, name, text, f"{_FIELD}.{name}")


def _listed(pair: Pair) -> Iterator[Effect]:
    """Yield what differs between the wavelet poolings that both specs list, in their order."""
    if not pair.differs(_LAYERS):
        return
    nodes = _listed_poolings(pair.before), _listed_poolings(pair.after)
    if len(nodes[0]) != len(nodes[1]):
        yield Effect(
            "wavelet poolings",
            _sentence(WAVELET_STATEMENT),
            f"{len(nodes[0])} -> {plural(len(nodes[1]), 'wavelet pooling')} among the listed layers.",
            "",
            (_LAYERS,),
        )
        return
    told: set[tuple[str, str]] = set()
    for first, second in zip(*nodes, strict=True):
        sides = _operation(first), _operation(second)
        for name, sentence in _differences(sides):
            text = sentence(sides)
            if (name, text) not in told:
                told.add((name, text))
                yield _effect(sides, nodes, name, text, _LAYERS)


def _differences(sides: Sides) -> Iterator[tuple[str, Callable[[Sides], str]]]:
    """Yield the settings that differ, and what says what they do."""
    before, after = sides
    for name, sentence in SENTENCES.items():
        is_other = getattr(before, name) != getattr(after, name)
        if is_other and not (name == "mixing" and before.bands != after.bands):
            yield name, sentence


def _effect(
    sides: Sides, nodes: tuple[list[Node], list[Node]], name: str, text: str, field: str
) -> Effect:
    old, new = (getattr(side, name) for side in sides)
    counts = [sum(node.parameters.total for node in some) for some in nodes]
    costs = [sum(node.macs for node in some) for some in nodes]
    return Effect(
        f"wavelet pooling: {name} {_text(old)} -> {_text(new)}",
        text,
        f"{len(nodes[0])} -> {plural(len(nodes[1]), 'wavelet pooling')} with "
        f"{change(counts[0], counts[1])} parameters, {change(costs[0], costs[1])} MACs.",
        "",
        (field,),
    )


def _wavelet(sides: Sides) -> str:
    lengths = [filter_length("wpt", side.wavelet) for side in sides]
    if lengths[0] == lengths[1]:
        return f"Both low-passes have {lengths[0]} taps, of other weights."
    return (
        f"The low-pass has {lengths[0]} -> {lengths[1]} taps: a longer one can fall off more steeply, "
        "so that less aliases, and every output sees more of the map."
    )


def _levels(sides: Sides) -> str:
    return (
        "A pooling of more levels keeps fewer positions and lower frequencies; details of the levels "
        "before its last are dropped."
    )


def _smoothing(sides: Sides) -> str:
    return "A larger b makes the roots of the details smoother at 0, and smaller."


def _bands(sides: Sides) -> str:
    return (
        "A mix begins as the approximation alone; what it keeps of the detail bands later, and with it "
        "what aliases, is left to training."
        if "mix" in (side.bands for side in sides)
        else "Details that are kept, or their moduli, hold what the approximation has lost; signed ones "
        "oscillate under shifts, moduli less."
    )


def _mixing(sides: Sides) -> str:
    return (
        "A depthwise mix is of each channel's own four bands, a full one of those of all channels."
    )


def _normalise(sides: Sides) -> str:
    gains = [side.constant_gain for side in sides]
    if gains[0] == gains[1]:
        return "A constant map comes out the same; detail bands are scaled otherwise."
    return (
        f"Each pooling multiplies a constant map by {gains[0]:g} -> {gains[1]:g}, up to the next norm; "
        "shift scores that compare outputs with each other do not see it where a norm follows."
    )


def _mode(sides: Sides) -> str:
    return "Only outputs whose filter reaches beyond the border change."


def _size(sides: Sides) -> str:
    return (
        "`full` keeps the outputs at the border that PyWavelets gives for a filter of more than two taps, "
        "`half` cuts them evenly."
    )


def _learn(sides: Sides) -> str:
    learned = next(side for side in sides if side.learn)
    return (
        f"Where it is learned, {plural(learned.num_angles, 'angle')} a pooling "
        f"{'is' if learned.num_angles == 1 else 'are'} trained: the bank stays orthogonal and keeps "
        "constants, what its low-pass lets through is left to training."
    )


SENTENCES: dict[str, Callable[[Sides], str]] = {
    "wavelet": _wavelet,
    "bands": _bands,
    "mixing": _mixing,
    "normalise": _normalise,
    "mode": _mode,
    "size": _size,
    "learn": _learn,
    "levels": _levels,
    "smoothing": _smoothing,
}
"""What each setting of a wavelet pooling does."""


def _poolings(compiled: Compiled) -> list[Node]:
    if compiled.spec.pooling.wavelet_pool is None:
        return []
    return [found.node for found in compiled.graph.all_of(WaveletPool)]


def _listed_poolings(compiled: Compiled) -> list[Node]:
    if compiled.spec.pooling.wavelet_pool is not None:
        return []
    return [found.node for found in compiled.graph.all_of(WaveletPool)]


def _sentence(statement: str) -> str:
    return f"{statement[0].upper()}{statement[1:]}."


def _operation(node: Node) -> WaveletPool:
    assert isinstance(node.operation, WaveletPool)
    return node.operation


def _text(value: object) -> str:
    return "false" if value is None else str(value)


WAVELET_POOL_RULES: tuple[Rule, ...] = (_settings, _listed)
