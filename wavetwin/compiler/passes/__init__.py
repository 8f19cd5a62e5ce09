"""Rewrite the module graph by named passes that keep what the network computes.

A pass is a function from graph to graph, which returns the same object where it has nothing to do;
`PASSES` is their order. After each, the graph's invariants are checked: a pass that breaks one is
our bug, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wavetwin.compiler.passes.cancel_interleaving import cancel_interleaving
from wavetwin.compiler.passes.drop_identities import drop_identities
from wavetwin.compiler.passes.fuse_max_and_blur import fuse_max_and_blur
from wavetwin.compiler.passes.invariants import check_invariants
from wavetwin.compiler.passes.merge_packet_bank import merge_packet_bank
from wavetwin.compiler.passes.pool_apart import pool_apart
from wavetwin.compiler.passes.pool_by_kernel import pool_by_kernel
from wavetwin.compiler.passes.push_subsampling import push_subsampling
from wavetwin.compiler.passes.take_real_part_early import take_real_part_early
from wavetwin.ir.graph import ModuleGraph, PassRecord
from wavetwin.ir.kernels import Kernels

Pass = Callable[[ModuleGraph], ModuleGraph]

PASSES: tuple[tuple[str, Pass], ...] = (
    ("drop identities", drop_identities),
    ("take the real part early", take_real_part_early),
    ("pool the branches apart", pool_apart),
    ("cancel interleaving", cancel_interleaving),
    ("merge the packet bank", merge_packet_bank),
    ("push subsampling into the packet bank", push_subsampling),
    ("fuse max and blur", fuse_max_and_blur),
)
"""Every pass with its name, in the order in which they run."""

KERNEL_PASSES: tuple[tuple[str, Pass], ...] = (("pool by the kernel", pool_by_kernel),)
"""Those that run after them where the native kernel computes."""


def passes_for(kernels: Kernels) -> tuple[tuple[str, Pass], ...]:
    """Return the passes for what computes the first layer, in the order in which they run."""
    return (*PASSES, *KERNEL_PASSES) if kernels.is_native else PASSES


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
            check_invariants(rewritten, graph, current)
        records.append(
            PassRecord(
                name,
                macs_before=current.macs,
                macs_after=rewritten.macs,
                nodes_before=len(current.nodes),
                nodes_after=len(rewritten.nodes),
                bytes_before=current.activation_bytes,
                bytes_after=rewritten.activation_bytes,
            )
        )
        current = rewritten
    return current, tuple(records)
