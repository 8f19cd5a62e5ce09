"""Explain changes of poolings' numbers: the blurs' size, the maximum's window, the bias' beginning."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.diagnostics.listing import plural
from wavetwin.explain.diff.effects import (
    Effect,
    Pair,
    Rule,
    where_both_have_stems,
)
from wavetwin.explain.diff.network_info import (
    blur_parameters,
    count_layers,
    max_windows,
    nodes_below,
)
from wavetwin.explain.diff.wording import change
from wavetwin.ir.operations import Bias, Blur
from wavetwin.ir.papers import BLUR_PAPER, SHIFT_PAPER, TWIN_PAPER


def _blur_size(pair: Pair) -> Iterator[Effect]:
    if not pair.differs("pooling.blur_size"):
        return
    sections = ("pool", "trunk")
    counts = [count_layers(each, Blur, below=sections) for each in pair.sides]
    if any(counts) and not all(counts):
        return  # one of them does not blur: explained by what makes the other do so
    sizes = pair.before.spec.pooling.blur_size, pair.after.spec.pooling.blur_size
    weights = [
        sum(blur_parameters(compiled, section) for section in sections) for compiled in pair.sides
    ]
    yield Effect(
        f"blur size {sizes[0]} -> {sizes[1]}",
        "A longer blur removes more of what aliases, and of the detail."
        if all(counts)
        else "Nothing blurs here: the size changes nothing.",
        f"{counts[0]} -> {plural(counts[1], 'blur')} with {change(weights[0], weights[1])} parameters.",
        BLUR_PAPER if all(counts) else "",
        ("pooling.blur_size",),
    )


def _max_kernel(pair: Pair) -> Iterator[Effect]:
    if not pair.differs("pooling.max_kernel"):
        return
    windows = max_windows(pair.before), max_windows(pair.after)
    sizes = pair.before.spec.pooling.max_kernel, pair.after.spec.pooling.max_kernel
    counts = [
        sum(node.elementwise for node in nodes_below(compiled.graph, "pool"))
        for compiled in pair.sides
    ]
    is_read = windows[0] != windows[1]
    yield Effect(
        f"window of the maximum {sizes[0]} -> {sizes[1]}",
        "A wider window sees more phases of an oscillating map, and a shift changes less of its "
        "maximum."
        if is_read
        else "No maximum of the first pooling has this window: it changes nothing here.",
        f"No parameters; {change(counts[0], counts[1])} elementwise operations in the first pooling.",
        SHIFT_PAPER if is_read else "",
        ("pooling.max_kernel",),
    )


def _initial_bias(pair: Pair) -> Iterator[Effect]:
    # Where only one of the two has this bias, the effect of its modulus says so.
    before, after = (compiled.graph.find(Bias) for compiled in pair.sides)
    if before is None or after is None:
        return
    laws = before.operation.initial, after.operation.initial
    if laws[0] == laws[1]:
        return
    channels = after.operation.channels
    yield Effect(
        f"initial bias after the modulus {laws[0]} -> {laws[1]}",
        "A modulus is never negative, so that the ReLU behind it cuts off only where the bias is below "
        "0: drawn between -1 and 1, as in the published models, half of the channels begin with such a "
        "threshold; with zeros none does.",
        f"{channels} numbers begin {'at 0' if laws[1] == 'zeros' else 'between -1 and 1'}; everything "
        "else is drawn as before.",
        TWIN_PAPER,
        ("pooling.initial_bias",),
    )


POOLING_NUMBER_RULES: tuple[Rule, ...] = tuple(
    map(where_both_have_stems, (_blur_size, _max_kernel, _initial_bias))
)
