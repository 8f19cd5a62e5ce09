"""Show a compiled experiment, a run and a difference in a notebook, by `templates/pages/cards.html.j2`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from wavetwin.explain.diff.difference import Difference
from wavetwin.explain.diff.fragment import difference_html
from wavetwin.explain.html import fill, info, table
from wavetwin.explain.runs.scores import Score

if TYPE_CHECKING:
    from wavetwin.compiler.compiled import Compiled
    from wavetwin.notebook.loaded_run import Run

__all__ = ["compiled_card", "difference_card", "run_card"]

_LEVEL = 4
"""Of headings within a cell's output."""


def compiled_card(compiled: Compiled) -> str:
    """Return what an experiment is: its cost, its training, and its layers, folded."""
    graph, plan = compiled.graph, compiled.plan
    data = plan.data
    pairs = [
        ("spec", compiled.spec_path),
        ("overrides", ", ".join(compiled.overrides)),
        (
            "images",
            f"{_shape(graph.input.output_shape)}, {data.dataset}, {data.num_classes} classes",
        ),
        (
            "parameters",
            f"{graph.parameters.trainable:,} trainable, {graph.parameters.frozen:,} frozen",
        ),
        ("MACs an image", f"{graph.macs:,}, after the passes {compiled.optimised_graph.macs:,}"),
        (
            "training",
            f"{plan.epochs} epochs, batches of {plan.batch_size}, {plan.optimizer.describe()}, "
            f"lr {plan.optimizer.lr:g}, {plan.schedule.describe(plan.epochs)}, seed {plan.seed}",
        ),
        ("evaluation", "; ".join(entry.describe() for entry in plan.evaluation)),
        ("digest", compiled.digest),
    ]
    rows = [
        [
            node.id,
            node.op,
            _shape(node.output_shape),
            f"{node.parameters.trainable:,}",
            f"{node.macs:,}",
        ]
        for node in graph
    ]
    layers = table("Layers", ["layer", "operation", "output", "parameters", "MACs"], rows)
    warnings = [f"{each.code}: {each.headline}" for each in compiled.warnings]
    shown = info([pair for pair in pairs if pair[1]])
    return fill("cards", "card", compiled.name, shown, warnings, [("Layers", layers)], [])


def run_card(run: Run) -> str:
    """Return what a run is: its state, its marks, and its scores."""
    manifest = run.documents.manifest
    pairs = [
        ("run", run.path.name),
        ("weights", f"{run.which}, after {run.epochs} of {run.num_epochs} epochs"),
        ("status", manifest["status"]),
        ("commit", manifest["commit"] or "none"),
        ("training digest", manifest["training_digest"]),
    ]
    rows = list(_score_rows(run.scores.values()))
    scores = table("Scores", ["score", "value [95 %]"], rows) if rows else None
    sections = [] if scores is None else [scores]
    return fill("cards", "card", run.name, info(pairs), run.notes, [], sections)


def difference_card(difference: Difference) -> str:
    """Return a difference as `wavetwin diff --html` has it."""
    labels = difference.before.label, difference.after.label
    return fill("cards", "difference", *labels, difference_html(difference, level=_LEVEL))


def _score_rows(scores: Iterable[Score]) -> Iterator[list[str]]:
    for score in scores:
        ends = "" if score.low is None else f" [{score.low:z.4f}, {score.high:z.4f}]"
        value = f"{score.value:g}" if score.value.is_integer() else f"{score.value:z.4f}"
        yield [score.name, value + ends]


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
