"""Say what a kind of change does to shift stability, parameters and cost, in sentences.

Every rule reads the two graphs and plans (`network_info` has the questions), never a name, says only
what is true of this pair, and puts its numbers into the sentences. A change has an effect's
sentences in either direction. "Stable" has several measures: a sentence says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.schema import WaveletSpec
from wavetwin.explain.diff.declaration import DeclarationChanges
from wavetwin.explain.diff.network_info import (
    has_complex_packets,
    nodes_below,
    takes_modulus,
)
from wavetwin.explain.diff.wording import change


@dataclass(frozen=True, slots=True)
class Effect:
    """What one kind of change does."""

    kind: str
    """A short label: `RMax -> CMod`."""
    text: str
    """What it does to shift stability, or that it does nothing to it: a sentence."""
    numbers: str
    """Parameters and cost of this pair, counted on its graphs: a sentence."""
    source: str
    """Where the statement is from; empty: it follows from the graphs."""
    fields: tuple[str, ...]
    """Key paths that it explains, each with all below it."""


@dataclass(frozen=True)
class Pair:
    """Two experiments and the fields that differ."""

    before: Compiled
    after: Compiled
    changes: DeclarationChanges

    def differs(self, *fields: str) -> bool:
        """Return whether any of the fields, or a field below one, differs."""
        return any(
            name == field or name.startswith(f"{field}.")
            for name in self._names
            for field in fields
        )

    @property
    def sides(self) -> tuple[Compiled, Compiled]:
        """Both experiments."""
        return self.before, self.after

    def about_modulus(self, clause: str) -> str:
        """Return a clause on the modulus, saying where none is taken; empty of real packets alone."""
        taken = [takes_modulus(each) for each in self.sides]
        if all(taken):
            return clause
        if any(taken):
            return f"{clause} (a modulus is taken in the {'second' if taken[1] else 'first'} alone)"
        if not any(map(has_complex_packets, self.sides)):
            return ""
        return f"{clause}, if the modulus is taken; here it is not"

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(change.name for change in self.changes.fields)

    @property
    def wavelets(self) -> tuple[WaveletSpec | None, WaveletSpec | None]:
        """The wavelet channels' part of both specs."""
        return self.before.spec.stem.wavelet, self.after.spec.stem.wavelet

    @property
    def twins(self) -> tuple[WaveletSpec, WaveletSpec] | None:
        """The wavelet channels' part of both specs; None where one of them is no twin."""
        before, after = self.wavelets
        return None if before is None or after is None else (before, after)


Rule = Callable[[Pair], Iterator[Effect]]


def where_both_have_stems(rule: Rule) -> Rule:
    """Return a rule that compares first layers, and has nothing to say where one side lacks it."""

    def effects(pair: Pair) -> Iterator[Effect]:
        if all(each.graph.has_stem for each in pair.sides):
            yield from rule(pair)

    return effects


def macs_below(compiled: Compiled, *prefixes: str, executed: bool = False) -> int:
    """Return the MACs of these layers, as written or after the passes."""
    graph = compiled.optimised_graph if executed else compiled.graph
    return sum(node.macs for node in nodes_below(graph, *prefixes))


def parameters_below(compiled: Compiled, *prefixes: str) -> int:
    """Return the parameters of these layers."""
    return sum(node.parameters.total for node in nodes_below(compiled.graph, *prefixes))


def memory_below(compiled: Compiled, *prefixes: str) -> int:
    """Return the bytes of these layers' outputs, per image in float32, as written."""
    return sum(node.activation_bytes for node in nodes_below(compiled.graph, *prefixes))


def macs_of(pair: Pair, prefix: str, *, executed: bool = False) -> tuple[int, int]:
    """Return the MACs of these layers in both."""
    return (
        macs_below(pair.before, prefix, executed=executed),
        macs_below(pair.after, prefix, executed=executed),
    )


def cost_text(pair: Pair, prefix: str) -> str:
    """Return the MACs of layers as written and, where they differ, after the passes."""
    written = macs_of(pair, prefix)
    executed = macs_of(pair, prefix, executed=True)
    text = f"{change(*written)} MACs"
    if executed == written:
        return text
    return f"{text} as written, {change(*executed)} after the passes"


def parameters_text(pair: Pair, prefix: str) -> str:
    """Return the parameters of these layers in both."""
    return change(parameters_below(pair.before, prefix), parameters_below(pair.after, prefix))


def written_cost_text(pair: Pair, prefix: str) -> str:
    """Return the MACs of layers as written alone: a bank of all wavelet layers has no such part."""
    return f"{change(*macs_of(pair, prefix))} MACs"
