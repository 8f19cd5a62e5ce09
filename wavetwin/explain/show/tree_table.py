"""Show a model as an indented table of plain text of at most 100 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.compiler.resolve.own_code import own_code_of
from wavetwin.explain.model_tree import Alike, Branch, folded, model_tree
from wavetwin.explain.show.location_keys import file_keys, short_locations
from wavetwin.explain.text_table import align
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import ParameterCounts

if TYPE_CHECKING:
    from wavetwin.compiler.compiled import Compiled

HEADS = ("layer", "operation", "output", "parameters", "MACs", "from")
Row = tuple[str, str, str, str, str, str]


def model_table(compiled: Compiled, *, full: bool = False) -> str:
    """Return what a spec's model is: its tree, and its size, cost, memory and training in lines."""
    graph, counts = compiled.graph, compiled.graph.parameters
    lines = [f"{compiled.name}  ({compiled.spec_path})"]
    if compiled.spec.summary:
        lines.append(compiled.spec.summary)
    trained = f"parameters  {counts.trainable:,} trainable"
    if counts.frozen:
        trained += f", {counts.frozen:,} frozen"
    lines += [
        "",
        tree_table(graph, full=full),
        f"{trained}; {counts.buffers:,} numbers in buffers",
        f"cost        {graph.macs:,} MACs an image as written, "
        f"{compiled.optimised_graph.macs:,} after the passes",
        f"memory      {graph.activation_bytes / 2**20:.1f} MiB of activations an image in float32",
        f"training    {_training(compiled)}",
        *(f"own code    {path}: {code.describe()}" for path, code in own_code_of(compiled.spec)),
    ]
    if compiled.plan.weights is not None:
        lines.append(f"starts from {compiled.plan.weights.describe()}")
    lines.append(f"digest      {compiled.digest}")
    return "\n".join(lines) + "\n"


def tree_table(graph: ModuleGraph, *, full: bool = False) -> str:
    """Return the layers, nested by their ids, with the spec lines that they come from.

    Args:
        graph: of the model.
        full: write out branches that are alike, too.
    """
    files = file_keys(location for node in graph for location in node.origin)
    rows: list[Row] = [HEADS]
    for member in model_tree(graph).members:
        rows += _rows(member, 0, files, full)
    total = _counts(graph.parameters)
    rows.append(("total", "", "", total, f"{graph.macs:,}", ""))
    lines = align(rows, right=(3, 4))
    notes: list[str] = []
    if any(node.is_complex for node in graph):
        notes.append("*     complex numbers")
    if any(row[1].startswith("each of ") for row in rows):
        notes.append("each  the row and those below it are one of several that are alike; --full")
    notes += [f"{letter.ljust(4)}  {path}" for path, letter in files.items()]
    return "\n".join([*lines, "", *notes]) + "\n"


def _rows(
    member: Branch | Node | Alike, depth: int, files: dict[str, str], full: bool
) -> list[Row]:
    margin = "  " * depth
    if isinstance(member, Node):
        return [
            (
                margin + member.id.rsplit(".", 1)[-1],
                member.op,
                _shape(member),
                _counts(member.parameters),
                f"{member.macs:,}" if member.macs else "",
                short_locations(member.origin, files),
            )
        ]
    name, label, branch = "", "", member
    if isinstance(member, Alike):
        branch = member.first
        name, label = f"{member.names[0]}..{member.names[-1]}", f"each of {len(member.names)}"
    assert isinstance(branch, Branch)
    *_, last = branch.nodes
    rows: list[Row] = [
        (
            margin + (name or branch.name),
            label,
            _shape(last),
            _counts(branch.parameters),
            f"{branch.macs:,}" if branch.macs else "",
            "",
        )
    ]
    for each in branch.members if full else folded(branch.members):
        rows += _rows(each, depth + 1, files, full)
    return rows


def _shape(node: Node) -> str:
    return " x ".join(map(str, node.output_shape)) + (" *" if node.is_complex else "")


def _counts(counts: ParameterCounts) -> str:
    if not counts.total:
        return ""
    return f"{counts.total:,}" + (" frozen" if counts.frozen and not counts.trainable else "")


def _training(compiled: Compiled) -> str:
    plan = compiled.plan
    steps = plan.iterations_per_epoch
    text = f"{plan.epochs} epochs of {plan.data.dataset}, batches of {plan.batch_size}"
    if steps is None:
        return text
    return f"{text}, {steps:,} steps an epoch, {steps * plan.epochs:,} in all"
