"""Explain layers of smoothed moduli: how many there are, how they mix, whether they up-sample."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.explain.diff.effects import Effect, Pair, Rule, macs_below, parameters_below
from wavetwin.explain.diff.network_info import count_layers
from wavetwin.explain.diff.wording import change
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.mixings import MIXINGS, Mixing
from wavetwin.ir.operations import Invariant, Scattering
from wavetwin.ir.papers import SCATTERING_PAPER

__all__ = ["SCATTERING_RULES"]

_FIELDS = ("backbone.layers",)


def _layers(pair: Pair) -> Iterator[Effect]:
    invariant = [count_layers(each, Invariant) for each in pair.sides]
    scattering = [count_layers(each, Scattering) for each in pair.sides]
    if invariant[0] == invariant[1] and scattering[0] == scattering[1]:
        return
    parts = [
        f"{before:,} -> {after:,} {name} layers"
        for name, (before, after) in (("scattering", scattering), ("invariant", invariant))
        if before or after
    ]
    weights = parameters_below(pair.before, "trunk"), parameters_below(pair.after, "trunk")
    macs = macs_below(pair.before, "trunk"), macs_below(pair.after, "trunk")
    yield Effect(
        "moduli of wavelets",
        "A scattering layer smooths each map and takes the moduli of its dual-tree wavelets, which a "
        "shift of the image hardly changes, at half the size; an invariant layer mixes them by learned "
        "weights, 7/9 of a 3x3 convolution's where they are 1x1.",
        f"{' and '.join(parts)}; the trunk has {change(*weights)} parameters and takes {change(*macs)} "
        "MACs, of which the wavelets are those of 36 an input pixel and channel with near_sym_a.",
        SCATTERING_PAPER,
        _FIELDS,
    )


def _mixings(pair: Pair) -> Iterator[Effect]:
    before, after = (_invariant_layers(each.graph) for each in pair.sides)
    if len(before) != len(after):
        return
    changed = dict.fromkeys(
        (MIXINGS[first.mixing], MIXINGS[second.mixing])
        for first, second in zip(before, after, strict=True)
        if first.mixing != second.mixing
    )
    weights = parameters_below(pair.before, "trunk"), parameters_below(pair.after, "trunk")
    macs = macs_below(pair.before, "trunk"), macs_below(pair.after, "trunk")
    for first, second in changed:
        yield Effect(
            f"{first.name} -> {second.name}",
            f"{_statement(first)}; {_statement(second)}. Neither changes the moduli, nor what a shift "
            "does to them.",
            f"The trunk has {change(*weights)} parameters and takes {change(*macs)} MACs.",
            SCATTERING_PAPER,
            _FIELDS,
        )


def _invariant_layers(graph: ModuleGraph) -> list[Invariant]:
    return [found.operation for found in graph.all_of(Invariant)]


def _statement(row: Mixing) -> str:
    return f"`{row.name}` {row.statement}"


def _strides(pair: Pair) -> Iterator[Effect]:
    steps = [
        sum(layer.stride == 1 for layer in _invariant_layers(each.graph)) for each in pair.sides
    ]
    if steps[0] == steps[1] or not all(_invariant_layers(each.graph) for each in pair.sides):
        return
    yield Effect(
        "up-sampling",
        "An invariant layer of stride 1 up-samples its maps, which have the detail of half the size: "
        "what follows it computes at four times as many positions",
        f"{steps[0]} -> {steps[1]} of the invariant layers up-sample.",
        "",
        _FIELDS,
    )


SCATTERING_RULES: tuple[Rule, ...] = (_layers, _mixings, _strides)
