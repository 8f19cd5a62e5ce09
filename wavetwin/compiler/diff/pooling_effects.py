"""Effects of changes of pooling: max, modulus, blur and adaptive blur, first layer and trunk."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.diff.effects import (
    ADAPTIVE_PAPER,
    BLUR_PAPER,
    SHIFT_PAPER,
    TWIN_PAPER,
    Effect,
    Pair,
    Rule,
    macs_below,
    memory_below,
    nodes_below,
)
from wavetwin.compiler.diff.wording import change, mebibytes, plural

_BLURS = ("blur_pool", "adaptive_blur")
_NAMES = {
    "max": "RMax", "max_blur": "RMax with blur", "max_adaptive_blur": "RMax with adaptive blur",
    "modulus": "CMod", "modulus_blur": "CMod with blur",
}  # fmt: skip
_OVER_MAX = (
    "RMax, the maximum of the real part, does so except near frequencies where its window sees one "
    "phase or two opposite ones{}"
)
_OVER_BLUR = (
    "it takes the place of the maximum and of the blur, which removes part of the same aliasing: in "
    "the published pairs CMod has the lower KL divergence at one pixel, and flip rates that are higher "
    "or lower"
)
_SHIFT_SHARES = {2: ("18 %", "5 %"), 3: ("19 %", "2 %")}
"""What a shift of one pixel changes of a packet's maps, share of their energy, median over all
packets: max pooling, modulus; by levels J, at a first stride of 2^(J - 1). Measured on natural crops
with qshift_b, by the protocol of `wavetwin study stability`."""


def _modulus(pair: Pair) -> Iterator[Effect]:
    kinds = pair.before.spec.pooling.wavelet, pair.after.spec.pooling.wavelet
    takes_modulus = _is_modulus(kinds[1])
    if takes_modulus == _is_modulus(kinds[0]):
        return
    twin, other = (pair.after, pair.before) if takes_modulus else (pair.before, pair.after)
    wavelet = twin.spec.stem.wavelet
    assert wavelet is not None, "validate refuses a modulus without wavelet channels"
    channels = sum(entry.channels for entry in wavelet.keep)
    step = _step(twin)
    numbers = (
        f"{channels} wavelet channels keep every {_ordinal(step)} position ({step} x "
        f"{twin.spec.stem.stride} pixels)"
    )
    # What else a CNN and a twin differ in is told by the effect that says so.
    if pair.twins is not None:
        executed = (
            macs_below(pair.before, "stem", executed=True),
            macs_below(pair.after, "stem", executed=True),
        )
        trained = _pooling_parameters(pair.before), _pooling_parameters(pair.after)
        numbers += (
            f"; {change(*trained)} numbers are trained with their pooling, and the first layer takes "
            f"{change(*executed)} MACs after the passes"
        )
    replaced = other.spec.pooling.wavelet or other.spec.pooling.free
    statement, source = (
        (_OVER_BLUR, TWIN_PAPER)
        if "blur" in replaced
        else (_OVER_MAX.format(_measured(other)), SHIFT_PAPER)
    )
    yield Effect(
        " -> ".join(map(_pooling_name, (pair.before, pair.after))),
        f"CMod follows the envelope of a band and hardly changes under small shifts; {statement}.",
        f"{numbers}.",
        source,
        ("pooling.wavelet",),
    )


def _modulus_blur(pair: Pair) -> Iterator[Effect]:
    kinds = pair.before.spec.pooling.wavelet, pair.after.spec.pooling.wavelet
    if kinds[0] == kinds[1] or not (_is_modulus(kinds[0]) and _is_modulus(kinds[1])):
        return
    memory = memory_below(pair.before, "pool"), memory_below(pair.after, "pool")
    yield Effect(
        f"{kinds[0]} -> {kinds[1]}",
        "A modulus taken at half the step and blurred loses the little that still aliases in it.",
        f"No parameters; the first pooling holds {mebibytes(*memory)} as written.",
        SHIFT_PAPER,
        ("pooling.wavelet",),
    )


def _first_pooling(pair: Pair) -> Iterator[Effect]:
    before, after = pair.before.spec.pooling, pair.after.spec.pooling
    kinds = before.wavelet, after.wavelet
    is_twin = pair.twins is not None
    if is_twin and kinds == (before.free, after.free):
        fields = ("pooling.free", "pooling.wavelet")
        yield from _blurring(pair, before.free, after.free, "first pooling", "pool", *fields)
        return
    where = "first pooling, free channels" if is_twin else "first pooling"
    yield from _blurring(pair, before.free, after.free, where, "pool", "pooling.free")
    if is_twin and not any(map(_is_modulus, kinds)):
        assert before.wavelet is not None
        assert after.wavelet is not None
        where = "first pooling, wavelet channels"
        yield from _blurring(pair, before.wavelet, after.wavelet, where, "pool", "pooling.wavelet")


def _trunk(pair: Pair) -> Iterator[Effect]:
    kinds = pair.before.spec.backbone.downsampling, pair.after.spec.backbone.downsampling
    yield from _blurring(pair, *kinds, "trunk", "trunk", "backbone.downsampling")


def _blurring(
    pair: Pair, before: str, after: str, where: str, section: str, *fields: str
) -> Iterator[Effect]:
    """Yield what changing between plain, blurred and adaptively blurred subsampling does."""
    if before == after:
        return
    is_adaptive = "adaptive" in before or "adaptive" in after
    size = (pair.after if "blur" in after else pair.before).spec.pooling.blur_size
    blurs = _count_blurs(pair.before, section), _count_blurs(pair.after, section)
    macs = macs_below(pair.before, section), macs_below(pair.after, section)
    memory = memory_below(pair.before, section), memory_below(pair.after, section)
    weights = _blur_parameters(pair.before, section), _blur_parameters(pair.after, section)
    yield Effect(
        f"{before} -> {after} ({where})",
        f"An adaptive blur predicts a {size} x {size} low-pass for every pixel and group of channels, "
        "so that what aliases goes and edges stay; the softmax is over all groups together, and a "
        "constant map comes out divided by their number."
        if is_adaptive
        else f"A binomial low-pass of size {size} before every second position is dropped removes "
        "what would alias: shifts change the output less, and fine detail goes, too.",
        f"The {'trunk' if section == 'trunk' else 'first pooling'} has {blurs[0]} -> "
        f"{plural(blurs[1], 'blur')} with {change(*weights)} parameters, takes {change(*macs)} MACs "
        f"and holds {mebibytes(*memory)} as written.",
        ADAPTIVE_PAPER if is_adaptive else BLUR_PAPER,
        fields,
    )


def _blur_size(pair: Pair) -> Iterator[Effect]:
    sizes = pair.before.spec.pooling.blur_size, pair.after.spec.pooling.blur_size
    if sizes[0] == sizes[1]:
        return
    sections = ("pool", "trunk")
    number = sum(_count_blurs(pair.after, section) for section in sections)
    weights = [
        sum(_blur_parameters(compiled, section) for section in sections)
        for compiled in (pair.before, pair.after)
    ]
    yield Effect(
        f"blur size {sizes[0]} -> {sizes[1]}",
        "A longer blur removes more of what aliases, and of the detail.",
        f"{plural(number, 'blur')} in the second, with {change(weights[0], weights[1])} parameters.",
        BLUR_PAPER,
        ("pooling.blur_size",),
    )


def _max_kernel(pair: Pair) -> Iterator[Effect]:
    kernels = pair.before.spec.pooling.max_kernel, pair.after.spec.pooling.max_kernel
    if kernels[0] == kernels[1]:
        return
    counts = [
        sum(node.elementwise for node in nodes_below(compiled.graph, "pool"))
        for compiled in (pair.before, pair.after)
    ]
    yield Effect(
        f"window of the maximum {kernels[0]} -> {kernels[1]}",
        "A wider window sees more phases of an oscillating map, and its maximum is more stable.",
        f"No parameters; {change(counts[0], counts[1])} elementwise operations in the first pooling.",
        SHIFT_PAPER,
        ("pooling.max_kernel",),
    )


def _is_modulus(kind: str | None) -> bool:
    return kind in ("modulus", "modulus_blur")


def _pooling_name(compiled: Compiled) -> str:
    """Return what pools the wavelet channels, or all channels of a CNN, in the papers' words."""
    kind = compiled.spec.pooling.wavelet
    return compiled.spec.pooling.free if kind is None else _NAMES[kind]


def _measured(rmax: Compiled) -> str:
    """Return what was measured, where a twin pools by RMax at the stride that it was measured at."""
    stem = rmax.spec.stem
    if stem.wavelet is None or stem.stride != 2 ** (stem.wavelet.levels - 1):
        return ""
    shares = _SHIFT_SHARES.get(stem.wavelet.levels)
    if shares is None:
        return ""
    return (
        f" (at J = {stem.wavelet.levels}, one pixel changes RMax maps by {shares[0]} of their energy "
        f"and CMod maps by {shares[1]}, measured medians of all packets of qshift_b)"
    )


def _step(twin: Compiled) -> int:
    """Return the positions of the stem from one kept modulus to the next."""
    step = twin.graph.node("pool.wavelet.subsample").attributes["step"]
    assert isinstance(step, int)
    return step


def _ordinal(number: int) -> str:
    return {1: "single", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def _pooling_parameters(compiled: Compiled) -> int:
    """Return the numbers trained as norm or bias between mixing and trunk, of wavelet channels."""
    wavelet = compiled.spec.stem.wavelet
    if wavelet is None:
        return 0
    channels = sum(entry.channels for entry in wavelet.keep)
    own = sum(node.parameters.total for node in nodes_below(compiled.graph, "pool.wavelet"))
    shared_norm = 2 * channels * bool(nodes_below(compiled.graph, "pool.norm"))
    has_bias = compiled.graph.node("stem.wavelet.mixing").attributes["bias"]
    return own + shared_norm + channels * bool(has_bias)


def _count_blurs(compiled: Compiled, section: str) -> int:
    return sum(node.op in _BLURS for node in nodes_below(compiled.graph, section))


def _blur_parameters(compiled: Compiled, section: str) -> int:
    nodes = nodes_below(compiled.graph, section)
    return sum(node.parameters.total for node in nodes if node.op == "adaptive_blur")


POOLING_RULES: tuple[Rule, ...] = (
    _modulus,
    _modulus_blur,
    _first_pooling,
    _trunk,
    _blur_size,
    _max_kernel,
)
