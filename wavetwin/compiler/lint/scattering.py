"""Warn of invariant layers that are up-sampled for a pooling to drop the samples again."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.lint.rule import LintContext, lint_rule
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Invariant


@lint_rule(
    "invariant-upsampled-before-pool",
    meaning="Maps are up-sampled, and a pooling drops the samples again.",
    cause="An invariant layer up-samples what a pooling behind it halves again.",
    cure="A stride of 2, and no pooling.",
    number="The 4 samples of a window are interpolated from at most 9 that the layer computed, in a map of a "
    "quarter of the size.",
)
def invariant_upsampled_before_pool(context: LintContext) -> Iterator[Diagnostic]:
    """An invariant layer of stride 1 is followed by a pooling that halves its maps."""
    for node in context.graph:
        if not isinstance(node.operation, Invariant) or node.operation.stride != 1:
            continue
        pool = _pooling_after(context.graph, node)
        if pool is None:
            continue
        yield context.warn(
            "invariant-upsampled-before-pool",
            f"{node.id}: an invariant layer makes maps of half the size and up-samples them, and {pool.id} "
            "halves them again",
            [*context.fields_of(node), *context.fields_of(pool)],
            help="set its stride to 2 and leave out the pooling, as the published networks do"
            + _as_replacement(context, node, pool),
        )


def _as_replacement(context: LintContext, node: Node, pool: Node) -> str:
    """Return what to write in `backbone.replace`, where both layers have names there."""
    names = context.name_in_replace(node), context.name_in_replace(pool)
    if None in names:
        return ""
    return f": replace: {{{names[0]}: {{invariant: {{stride: 2}}}}, {names[1]}: null}}"


def _pooling_after(graph: ModuleGraph, node: Node) -> Node | None:
    """Return what drops samples of a node's maps, at once or behind norm, activation and dropout."""
    users = graph.users[node.id]
    while len(users) == 1:
        user, operation = users[0], users[0].operation
        if operation.subsampling > 1:
            return None if user.parameters.total else user
        if not (operation.is_written_around or operation.regularises or operation.is_identity):
            return None
        users = graph.users[user.id]
    return None
