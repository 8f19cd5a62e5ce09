"""The passes: named rewritings of the module graph that keep what the network computes.

A pass is a function from graph to graph, which returns the same object where it has nothing to do;
`PASSES` is their order. After each, the graph's invariants are checked: a pass that breaks one is
our bug, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wavetwin.compiler.graph import ModuleGraph, PassRecord
from wavetwin.compiler.passes.drop_identities import drop_identities
from wavetwin.compiler.passes.invariants import check_invariants
from wavetwin.compiler.passes.take_real_part_early import take_real_part_early

Pass = Callable[[ModuleGraph], ModuleGraph]

PASSES: tuple[tuple[str, Pass], ...] = (
    ("drop identities", drop_identities),
    ("take the real part early", take_real_part_early),
)
"""Every pass with its name, in the order in which they run."""


def run_passes(
    graph: ModuleGraph, passes: Sequence[tuple[str, Pass]] = PASSES
) -> tuple[ModuleGraph, tuple[PassRecord, ...]]:
    """Return the graph after all passes, and what each of them changed.

    Raises:
        InvariantError: a pass broke the graph.
    """
    current = graph
    records: list[PassRecord] = []
    for name, rewrite in passes:
        rewritten = rewrite(current)
        if rewritten is not current:
            check_invariants(rewritten, graph)
        records.append(
            PassRecord(name, current.macs, rewritten.macs, len(current.nodes), len(rewritten.nodes))
        )
        current = rewritten
    return current, tuple(records)
