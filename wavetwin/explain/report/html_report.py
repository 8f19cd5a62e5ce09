"""Write the HTML report: one file with everything that is known of the runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from wavetwin.explain.html import fill, remark, render_page
from wavetwin.explain.report.against_published import (
    published_remarks,
    published_sections,
    seed_tables,
)
from wavetwin.explain.report.baseline import Baseline
from wavetwin.explain.report.classes_part import classes_part
from wavetwin.explain.report.cost import cost_part
from wavetwin.explain.report.curves import curves_part
from wavetwin.explain.report.first_layer_part import DrawPackets, first_layers_part
from wavetwin.explain.report.overview import marks_of, other_definitions, overview, own_metrics
from wavetwin.explain.report.page import Part, Section, headed_sections, section_html
from wavetwin.explain.report.reproduce import reproduce_part, run_anchor
from wavetwin.explain.report.runs import Run
from wavetwin.explain.report.shift_curves import shifts_part

__all__ = ["CompilerParts", "html_report"]

_COMPARED = ("spec.lock.yaml", "graph.json", "plan.json")
"""The files of a run that a difference is read from."""
_OF_A_SEED = ("seed", "streams", "digest", "training_digest")
"""What plans of one experiment differ in."""


@dataclass(frozen=True)
class CompilerParts:
    """What the compiler knows how to show; the runtime, which may not import it, is handed it."""

    difference: Callable[[Path, Path], Markup]
    """Return what differs between two run folders as HTML."""
    draw_packets: DrawPackets


def html_report(
    runs: Sequence[Run],
    sections: Sequence[Section],
    baseline: Baseline | None,
    *,
    published: bool,
    compiler: CompilerParts | None,
) -> str:
    """Return the page.

    Args:
        runs: those that are shown.
        sections: means over seeds and paired differences, where they were asked for.
        baseline: of the mean flip rates.
        published: whether the seeds' tables are wanted, too. A run's published model is always
            shown beside it.
        compiler: differences and packets; None: neither is shown.

    Raises:
        RunError: a file of a run is damaged.
    """
    draw_packets = None if compiler is None else compiler.draw_packets
    parts = [
        _overview_part(runs, sections, baseline),
        curves_part(runs),
        _published_part(runs, published=published),
        classes_part(runs),
        shifts_part(runs),
        first_layers_part(runs, draw_packets),
        cost_part(runs),
        None if compiler is None else _differences_part(runs, compiler),
        reproduce_part(runs),
    ]
    shown = [part for part in parts if part is not None]
    return render_page(_title(runs), "report", parts=shown)


def _title(runs: Sequence[Run]) -> str:
    names = list(dict.fromkeys(run.name for run in runs))
    if len(names) > 3:
        return f"{len(runs)} runs of {len(names)} experiments"
    return "Runs of " + ", ".join(names)


def _overview_part(
    runs: Sequence[Run], sections: Sequence[Section], baseline: Baseline | None
) -> Part:
    own = overview(runs, baseline)
    rows = [
        [fill("report_parts", "link", run_anchor(number), row[0]), *row[1:]]
        for number, row in enumerate(own.rows)
    ]
    title = "Scores with 95 % intervals over images"
    scores = Section(title, own.header, rows, own_metrics(runs))
    marked = [(run.label, marks_of(run)) for run in runs]
    warnings = [f"{label}: {'; '.join(marks)}" for label, marks in marked if marks]
    warnings += other_definitions(runs)
    table = section_html(scores, turned=True)
    body = fill("report_parts", "overview", table, warnings, headed_sections(sections))
    return Part("overview", "Overview", body)


def _published_part(runs: Sequence[Run], *, published: bool) -> Part | None:
    """Return the runs beside their published models; None where none has any."""
    sections = published_sections(runs) + (seed_tables(runs) if published else [])
    if not sections:
        return None
    remarks = published_remarks(runs)
    body = fill("report_parts", "published", remarks, headed_sections(sections))
    return Part("published", "Against the published figures", body)


def _differences_part(runs: Sequence[Run], compiler: CompilerParts) -> Part | None:
    """Return what every other experiment differs in from the first run's; None for one run."""
    trained = [run for run in runs if run.plan is not None]
    if len(trained) < 2:
        return None
    first, *others = trained
    comparisons: list[tuple[str, Markup]] = []
    seen = {_but_for_the_seed(first): first}
    for run in others:
        like = seen.setdefault(_but_for_the_seed(run), run)
        if like is not run:
            seed = "" if like.seed == run.seed else f", but for the seed, {run.seed}"
            label = f"{run.label}: the same experiment as {like.label}{seed}"
            comparisons.append(("", remark(label)))
            continue
        missing = [
            f"{each.label} has no {name}"
            for each in (first, run)
            for name in _COMPARED
            if not (each.folder / name).is_file()
        ]
        if missing:
            body = remark(f"The difference cannot be computed: {', '.join(missing)}")
        else:
            body = compiler.difference(first.folder, run.folder)
        comparisons.append((f"From {first.label} to {run.label}", body))
    return Part("differences", "What differs", fill("report_parts", "differences", comparisons))


def _but_for_the_seed(run: Run) -> str:
    """Return a key of the experiment, the same for all its seeds."""
    plan = {} if run.plan is None else run.plan.to_json()
    own = {name: value for name, value in plan.items() if name not in _OF_A_SEED}
    return json.dumps(own, sort_keys=True)
