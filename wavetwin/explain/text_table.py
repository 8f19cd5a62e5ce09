"""Align tables as plain text, and write the document that `wavetwin show --json` prints."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavetwin.diagnostics.terminal import printable
from wavetwin.ir.node import node_to_json

if TYPE_CHECKING:
    from wavetwin.compiler.compiled import Compiled


def show_document(compiled: Compiled) -> dict[str, Any]:
    """Return what `wavetwin show --json` prints."""
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


def align(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """Return rows as lines with columns of one width; the columns in `right` end together.

    A cell is one line, whatever it holds: what is not printable is shown as escapes.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
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
