"""Tables for people: a model's layers with shapes, parameters and cost, as plain text."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavetwin.compiler.graph import Node, node_to_json

if TYPE_CHECKING:
    from wavetwin.compiler.commands import Built
    from wavetwin.compiler.compiled import Compiled


def show_document(compiled: Compiled) -> dict[str, Any]:
    """Return what `wavetwin show --json` prints (decisions.md 15)."""
    graph = compiled.graph
    counts = graph.parameters
    return {
        "name": compiled.name,
        "spec": compiled.spec_path,
        "digest": compiled.digest,
        "model_digest": compiled.model_digest,
        "training_digest": compiled.training_digest,
        "input_shape": list(graph.input.output_shape),
        "output_shape": list(graph.output.output_shape),
        "parameters": {
            "trainable": counts.trainable,
            "frozen": counts.frozen,
            "buffers": counts.buffers,
        },
        "macs": graph.macs,
        "executed_macs": compiled.optimised_graph.macs,
        "elementwise": graph.elementwise,
        "activation_bytes": graph.activation_bytes,
        "iterations_per_epoch": compiled.plan.iterations_per_epoch,
        "nodes": [node_to_json(node) for node in graph],
        "passes": graph.to_json()["passes"],
    }


def layer_table(compiled: Compiled) -> str:
    """Return the layers of a model, one a line, with totals."""
    graph = compiled.graph
    rows = [("layer", "operation", "output", "parameters", "MACs")]
    rows += [_row(node) for node in graph]
    counts = graph.parameters
    rows.append(("total", "", "", f"{counts.total:,}", f"{graph.macs:,}"))
    lines = [f"{compiled.name}  ({compiled.spec_path})"]
    if compiled.spec.summary:
        lines.append(compiled.spec.summary)
    lines += ["", *align(rows, right=(3, 4)), ""]
    trained = f"parameters  {counts.trainable:,} trainable"
    if counts.frozen:
        trained += f", {counts.frozen:,} frozen"
    lines += [
        f"{trained}; {counts.buffers:,} numbers in buffers",
        f"cost        {graph.macs:,} MACs an image as written, "
        f"{compiled.optimised_graph.macs:,} after the passes",
        f"memory      {graph.activation_bytes / 2**20:.1f} MiB of activations an image in float32",
        f"training    {_training(compiled)}",
        f"digest      {compiled.digest}",
    ]
    return "\n".join(lines) + "\n"


def pass_table(compiled: Compiled) -> str:
    """Return what each pass changed."""
    heads = ("MACs before", "MACs after", "MiB before", "MiB after", "nodes before", "nodes after")
    rows = [("pass", *heads)]
    rows += [
        (
            record.name,
            f"{record.macs_before:,}",
            f"{record.macs_after:,}",
            f"{record.bytes_before / 2**20:.2f}",
            f"{record.bytes_after / 2**20:.2f}",
            str(record.nodes_before),
            str(record.nodes_after),
        )
        for record in compiled.graph.passes
    ]
    return "\n".join(align(rows, right=range(1, 7))) + "\n"


def build_summary(built: Sequence[Built], current: Path) -> str:
    """Return what `wavetwin build` prints: the layers of one spec, or one line for each of several."""
    if len(built) == 1:
        result = built[0]
        folder = shown(result.folder, current)
        lines = [layer_table(result.compiled)]
        verb = "unchanged " if result.unchanged else "built     "
        lines.append(f"{verb}  {folder}/: {', '.join(_file_names(result.files))}")
        lines.append(f"manifest    SHA-256 {result.manifest_sha256}")
        lines.append(f"next        python {quoted(f'{folder}/train.py')}")
        return "\n".join(lines) + "\n"
    rows = [("experiment", "parameters", "MACs", "folder", "manifest")]
    rows += [
        (
            result.compiled.name,
            f"{result.compiled.graph.parameters.trainable:,}",
            f"{result.compiled.graph.macs:,}",
            shown(result.folder, current),
            result.manifest_sha256[:12],
        )
        for result in built
    ]
    kept = sum(result.unchanged for result in built)
    summary = f"{len(built) - kept} experiments built" + (f", {kept} unchanged" if kept else "")
    return "\n".join([*align(rows, right=(1, 2)), "", summary]) + "\n"


def _file_names(files: Sequence[str]) -> list[str]:
    """Return names for a reader: of a standalone copy of the package its folder alone."""
    copied = sum("/" in name for name in files)
    names = [name for name in files if "/" not in name]
    return [*names, f"wavetwin/ ({copied} modules)"] if copied else names


def align(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """Return rows as lines with columns of one width; the columns in `right` end together."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines: list[str] = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def shown(path: Path, current: Path) -> str:
    """Return a path as a command run in `current` takes it."""
    return path.relative_to(current).as_posix() if path.is_relative_to(current) else str(path)


def quoted(text: str) -> str:
    """Return text as one word of a shell command."""
    import shlex

    return shlex.quote(text)


def _row(node: Node) -> tuple[str, str, str, str, str]:
    shape = " x ".join(map(str, node.output_shape))
    if node.is_complex:
        shape += " complex"
    counts = node.parameters
    parameters = f"{counts.total:,}" if counts.total else ""
    if counts.frozen:
        parameters += " frozen"
    return (node.id, node.op, shape, parameters, f"{node.macs:,}" if node.macs else "")


def _training(compiled: Compiled) -> str:
    plan = compiled.plan
    steps = plan.iterations_per_epoch
    text = f"{plan.epochs} epochs of {plan.data.dataset}, batches of {plan.batch_size}"
    if steps is None:
        return text
    return f"{text}, {steps:,} steps an epoch, {steps * plan.epochs:,} in all"
