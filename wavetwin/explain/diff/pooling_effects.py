"""Explain changes of pooling, in the first layer and in the trunk, from the poolings' rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wavetwin.compiler.compiled import Compiled
from wavetwin.diagnostics.listing import plural
from wavetwin.explain.diff.effects import (
    Effect,
    Pair,
    Rule,
    macs_of,
    memory_below,
    parameters_below,
    where_both_have_stems,
)
from wavetwin.explain.diff.network_info import (
    blur_parameters,
    blur_sizes,
    count_layers,
    has_complex_packets,
    has_free_channels,
    nodes_below,
    takes_modulus,
)
from wavetwin.explain.diff.wording import change, mebibytes
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS, Blurring, strongest
from wavetwin.ir.operations import AdaptiveBlur, Blur, MaxPool, PacketMixing, WaveletPool
from wavetwin.ir.papers import SHIFT_PAPER, TWIN_PAPER
from wavetwin.ir.poolings import POOLINGS, Pooling

_OVER_MAX = (
    "RMax, the maximum of the real part, does so except near frequencies where its window sees one "
    "phase or two opposite ones{}"
)
_SETTINGS = ("pooling.blur_size", "pooling.wavelet_pool", "pooling.module")
_WINDOW = 3
"""Side of the window that the papers treat."""
_OVER_SMALL_MAX = (
    "RMax, the maximum of the real part, does so less in a window of {size} x {size} than in the "
    "papers' 3 x 3, since it sees fewer phases"
)
_OVER_FREE_MAX = (
    "the maximum of a convolution that is trained freely does so only as far as its weights become "
    "narrow in frequency"
)
_OVER_BLUR = (
    "it takes the place of the maximum and of the blur, which removes part of the same aliasing: in "
    "the published pairs CMod has the lower KL divergence at one pixel, and flip rates that are higher "
    "or lower"
)
_OVER_REAL_MAX = (
    "the maximum of real packets has both diagonals in one map and no envelope to follow"
)
_BESIDE_BLUR = "it takes the place of the maximum, and the blur stays"
_SHIFT_SHARES = {2: ("18 %", "5 %"), 3: ("19 %", "2 %")}
"""What a shift of one pixel changes of a packet's maps, share of their energy, median over all
packets: max pooling, modulus; by levels J, at a first stride of 2^(J - 1). Measured on natural crops
with qshift_b, by the protocol of `wavetwin study stability`."""


def _modulus(pair: Pair) -> Iterator[Effect]:
    taken = [takes_modulus(each) for each in pair.sides]
    if taken[0] == taken[1]:
        return
    twin, other = (pair.after, pair.before) if taken[1] else (pair.before, pair.after)
    wavelet = twin.spec.stem.wavelet
    assert wavelet is not None, "validate refuses a modulus without wavelet channels"
    channels = wavelet.num_channels
    step = _step(twin)
    numbers = (
        f"{channels} wavelet channels keep every {_ordinal(step)} position ({step} x "
        f"{twin.spec.stem.stride} pixels)"
    )
    # What else a CNN and a twin differ in is the subject of another effect.
    if pair.twins is not None:
        executed = macs_of(pair, "stem", executed=True)
        trained = _pooling_parameters(pair.before), _pooling_parameters(pair.after)
        numbers += (
            f"; {change(*trained)} numbers are trained with their pooling, and the first layer takes "
            f"{change(*executed)} MACs after the passes"
        )
    replaced, source = _over_what(twin, other)
    yield Effect(
        " -> ".join(map(_pooling_name, pair.sides)),
        "CMod follows the envelope of a band, and a shift of a pixel changes little of its maps' "
        f"energy; {replaced}.",
        f"{numbers}.{_beside_modulus(pair)}",
        source,
        ("pooling.wavelet", "pooling.blur_size"),
    )


def _over_what(twin: Compiled, other: Compiled) -> tuple[str, str]:
    """Return what CMod replaces, of a pair of which one takes a modulus, and the source of that."""
    replaced = _wavelet_pooling(other)
    if replaced.blurring is not None:
        stays = _wavelet_pooling(twin).blurring is not None
        return (_BESIDE_BLUR, SHIFT_PAPER) if stays else (_OVER_BLUR, TWIN_PAPER)
    if not replaced.is_plain_max:
        return replaced.statement, SHIFT_PAPER
    if not has_complex_packets(other):
        return _OVER_FREE_MAX if other.spec.stem.wavelet is None else _OVER_REAL_MAX, SHIFT_PAPER
    maximum = other.graph.find(MaxPool, "pool")
    if maximum is not None and maximum.operation.kernel_size < _WINDOW:
        return _OVER_SMALL_MAX.format(size=maximum.operation.kernel_size), SHIFT_PAPER
    return _OVER_MAX.format(_measured(twin, other)), SHIFT_PAPER


def _between_moduli(pair: Pair) -> Iterator[Effect]:
    kinds = _wavelet_pooling(pair.before), _wavelet_pooling(pair.after)
    if kinds[0] is kinds[1] or not all(kind.takes_complex for kind in kinds):
        return
    memory = memory_below(pair.before, "pool"), memory_below(pair.after, "pool")
    trained = _pooling_parameters(pair.before), _pooling_parameters(pair.after)
    text, source = _what_they_do(kinds)
    yield Effect(
        f"{kinds[0].name} -> {kinds[1].name}",
        text,
        f"{'No' if trained[0] == trained[1] else change(*trained)} parameters; the first pooling holds "
        f"{mebibytes(*memory)} as written.{_beside_modulus(pair)}",
        source,
        ("pooling.wavelet", "pooling.blur_size"),
    )


def _beside_modulus(pair: Pair) -> str:
    """Return the sizes of the blurs that stand beside the modulus; empty where none does."""
    sizes = _sizes(pair.sides, "pool.wavelet")
    return f" The wavelet channels' blur is of size {sizes}." if sizes else ""


def _first_pooling(pair: Pair) -> Iterator[Effect]:
    before, after = (_free_pooling(each) for each in pair.sides)
    wavelets = _wavelet_pooling(pair.before), _wavelet_pooling(pair.after)
    is_twin = pair.twins is not None
    if is_twin and wavelets == (before, after):
        fields = ("pooling.free", "pooling.wavelet")
        yield from _change_of_pooling(pair, (before, after), "first pooling", fields)
        return
    if before is not after and not any(map(has_free_channels, pair.sides)):
        yield _pools_nothing(pair, before, after)
    else:
        where = "first pooling, free channels" if is_twin else "first pooling"
        # Of a CNN and a twin the free channels' pooling is that of the CNN's channels.
        before_pools, after_pools = (not is_twin or has_free_channels(each) for each in pair.sides)
        yield from _change_of_pooling(
            pair, (before, after), where, ("pooling.free",), (before_pools, after_pools)
        )
    if is_twin and not any(kind.takes_complex for kind in wavelets):
        where = "first pooling, wavelet channels"
        yield from _change_of_pooling(pair, wavelets, where, ("pooling.wavelet",))


def _own_pooling(pair: Pair) -> Iterator[Effect]:
    """Tell what another module does where both sides pool by one of their own."""
    kinds = [{_free_pooling(each), _wavelet_pooling(each)} for each in pair.sides]
    if kinds[0] != kinds[1] or not pair.differs("pooling.module"):
        return
    (own,) = [each for each in kinds[0] if each.takes_module]
    counts = [parameters_below(each, "pool") for each in pair.sides]
    yield Effect(
        "own pooling",
        _as_sentence(own.statement),
        f"The first pooling has {change(*counts)} parameters and takes "
        f"{change(*macs_of(pair, 'pool'))} MACs.",
        "",
        ("pooling.module",),
    )


def _pools_nothing(pair: Pair, before: Pooling, after: Pooling) -> Effect:
    """Return what another pooling of free channels does where there are none."""
    text = "What pools the free channels pools nothing: there are none"
    if steps := _modulus_steps(pair):
        text += f", but the modulus keeps the positions that it would: every {steps} one"
    macs, memory = macs_of(pair, "pool"), _memory(pair, "pool")
    return Effect(
        f"{before.name} -> {after.name} (no free channels)",
        f"{text}.",
        f"The first pooling takes {change(*macs)} MACs and holds {mebibytes(*memory)} as written.",
        "",
        ("pooling.free",),
    )


def _modulus_steps(pair: Pair) -> str:
    """Return `2nd -> 4th`: the positions that the modulus keeps; empty where they stay."""
    if not all(map(takes_modulus, pair.sides)):
        return ""
    before, after = _step(pair.before), _step(pair.after)
    return "" if before == after else f"{_ordinal(before)} -> {_ordinal(after)}"


def _change_of_pooling(
    pair: Pair,
    kinds: tuple[Pooling, Pooling],
    where: str,
    fields: tuple[str, ...],
    pools: tuple[bool, bool] = (True, True),
) -> Iterator[Effect]:
    """Yield what another pooling of real channels does; `pools`: which sides have such channels."""
    before, after = kinds
    if before is after:
        return
    acting = [kind for kind, is_there in zip(kinds, pools, strict=True) if is_there]
    sides = [side for side, is_there in zip(pair.sides, pools, strict=True) if is_there]
    blurring = strongest(*(kind.blurring for kind in acting))
    sentences = [] if blurring is None else [_what_blurs_do(sides, blurring, "pool")]
    sources = [] if blurring is None else [blurring.source]
    if not all(pools):
        missing = "second" if pools[0] else "first"
        idle = kinds[int(pools[0])].name
        sentences.insert(0, f"The {missing} has no free channels: {idle} pools nothing there.")
    if any(kind.statement for kind in acting):
        text, source = _what_they_do(acting)
        sentences.append(text)
        sources.append(source)
    steps = _modulus_steps(pair)
    numbers = f" The modulus of the wavelet channels keeps every {steps} position." if steps else ""
    yield Effect(
        f"{before.name} -> {after.name} ({where})",
        " ".join(sentences),
        f"{_cost_of_pooling(pair, 'pool')}{numbers}",
        ", ".join(filter(None, sources)),
        (*fields, *_SETTINGS),
    )


def _trunk(pair: Pair) -> Iterator[Effect]:
    before, after = (DOWNSAMPLINGS[each.spec.backbone.downsampling] for each in pair.sides)
    if before is after:
        return
    blurring = strongest(before.blurring, after.blurring)
    sentences = [] if blurring is None else [_what_blurs_do(pair.sides, blurring, "trunk")]
    sentences += [
        _as_sentence(each.own_statement) for each in (before, after) if each.own_statement
    ]
    yield Effect(
        f"{before.name} -> {after.name} (trunk)",
        " ".join(sentences),
        _cost_of_pooling(pair, "trunk"),
        "" if blurring is None else blurring.source,
        ("backbone.downsampling", *_SETTINGS),
    )


def _cost_of_pooling(pair: Pair, section: str) -> str:
    blurs = [count_layers(each, Blur, below=(section,)) for each in pair.sides]
    weights = blur_parameters(pair.before, section), blur_parameters(pair.after, section)
    macs, memory = macs_of(pair, section), _memory(pair, section)
    has = (
        f"has {blurs[0]} -> {plural(blurs[1], 'blur')} with {change(*weights)} parameters, "
        if any(blurs)
        else ""
    )
    banks = [pair_of.graph.all_of(WaveletPool, section) for pair_of in pair.sides]
    if any(banks):
        trained = [sum(found.node.parameters.total for found in some) for some in banks]
        has += (
            f"has {len(banks[0])} -> {plural(len(banks[1]), 'wavelet pooling')} with "
            f"{change(trained[0], trained[1])} parameters, "
        )
    return (
        f"The {'trunk' if section == 'trunk' else 'first pooling'} {has}takes {change(*macs)} MACs and "
        f"holds {mebibytes(*memory)} as written."
    )


def _what_they_do(kinds: Sequence[Pooling]) -> tuple[str, str]:
    """Return what the rows say of kinds, as sentences, and the sources of that."""
    explained = [kind for kind in kinds if kind.statement]
    text = " ".join(_as_sentence(kind.statement) for kind in explained)
    return text, ", ".join(dict.fromkeys(kind.source for kind in explained if kind.source))


def _as_sentence(statement: str) -> str:
    return f"{statement[0].upper()}{statement[1:]}."


def _what_blurs_do(sides: Sequence[Compiled], blurring: Blurring, section: str) -> str:
    statement = blurring.statement.format(size=_sizes(sides, section))
    divides = not blurring.keeps_constants and any(
        isinstance(node.operation, AdaptiveBlur) and node.operation.constant_gain != 1
        for each in sides
        for node in nodes_below(each.graph, section)
    )
    if divides:
        statement += (
            "; the softmax is over all groups together, and a constant map comes out divided by their "
            "number"
        )
    return f"{statement}."


def _sizes(sides: Sequence[Compiled], section: str) -> str:
    """Return the sizes of the blurs of a section: `3`, or `3 -> 5` of two that differ."""
    sizes = [", ".join(map(str, blur_sizes(each, section))) for each in sides]
    return " -> ".join(dict.fromkeys(size for size in sizes if size))


def _memory(pair: Pair, section: str) -> tuple[int, int]:
    return memory_below(pair.before, section), memory_below(pair.after, section)


def _wavelet_pooling(compiled: Compiled) -> Pooling:
    """Return what pools the wavelet channels, or all channels of a CNN."""
    wavelet = compiled.spec.pooling.wavelet
    return _free_pooling(compiled) if wavelet is None else POOLINGS[wavelet]


def _free_pooling(compiled: Compiled) -> Pooling:
    spec = compiled.spec
    return ARCHITECTURES[spec.backbone.arch].free_pooling(spec.pooling.free)


def _pooling_name(compiled: Compiled) -> str:
    """Return what pools the wavelet channels as the papers call it, or as a spec does."""
    kind = _wavelet_pooling(compiled)
    return kind.paper_name if has_complex_packets(compiled) else kind.name


def _measured(twin: Compiled, rmax: Compiled) -> str:
    """Return what was measured, where both pool alike otherwise and at a stride that was measured."""
    stems = twin.spec.stem, rmax.spec.stem
    settings = {
        (each.wavelet.transform, each.wavelet.levels, each.stride)
        for each in stems
        if each.wavelet is not None
    }
    if len(settings) != 1:
        return ""
    ((_, levels, stride),) = settings
    shares = _SHIFT_SHARES.get(levels)
    if shares is None or stride != 2 ** (levels - 1):
        return ""
    return (
        f" (at J = {levels}, one pixel changes RMax maps by {shares[0]} of their energy and CMod maps "
        f"by {shares[1]}, measured medians of all packets of qshift_b)"
    )


def _step(twin: Compiled) -> int:
    """Return the positions of the stem from one value of the modulus' pooling to the next."""
    step = 1
    for node in nodes_below(twin.graph, "pool.wavelet"):
        step *= node.operation.subsampling
    return step


def _ordinal(number: int) -> str:
    return {1: "single", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def _pooling_parameters(compiled: Compiled) -> int:
    """Return the numbers trained as norm or bias between mixing and trunk, of wavelet channels."""
    wavelet = compiled.spec.stem.wavelet
    if wavelet is None or compiled.plan.epochs == 0:
        return 0
    channels = wavelet.num_channels
    own = sum(node.parameters.trainable for node in nodes_below(compiled.graph, "pool.wavelet"))
    shared_norm = 2 * channels * bool(nodes_below(compiled.graph, "pool.norm"))
    (mixing,) = compiled.graph.all_of(PacketMixing)
    has_bias = mixing.operation.bias and mixing.node.parameters.trainable > 0
    return own + shared_norm + channels * bool(has_bias)


POOLING_RULES: tuple[Rule, ...] = (
    _modulus,
    _between_moduli,
    *map(where_both_have_stems, (_first_pooling, _own_pooling)),
    _trunk,
)
