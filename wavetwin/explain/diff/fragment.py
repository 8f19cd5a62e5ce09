"""Show differences as HTML, for pages and reports, by the templates `difference*.html.j2`."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from wavetwin.compiler.schema import WaveletSpec
from wavetwin.explain.diff.costs import Cost
from wavetwin.explain.diff.difference import Difference
from wavetwin.explain.diff.field_rows import declaration_rows
from wavetwin.explain.diff.layer_rows import LayerRow, layer_rows
from wavetwin.explain.diff.several import Several, table_sections
from wavetwin.explain.diff.text import (
    declaration_title,
    model_title,
    plan_notes,
    score_cells,
    shown_scores,
    total_rows,
)
from wavetwin.explain.diff.wording import signed
from wavetwin.explain.html import figure, fill, table


def difference_html(difference: Difference, *, full: bool = False, level: int = 2) -> Markup:
    """Return a difference as HTML; `level` is that of its headings."""
    return _fill("levels", list(_levels(difference, full=full)), level)


def several_html(several: Several, *, full: bool = False) -> Markup:
    """Return the table of several experiments as HTML, a table for each level."""
    header = ["", *(each.label for each in several.experiments)]
    tables: list[Markup] = []
    for section in table_sections(several, full=full):
        rows = [["" if cell == "-" else cell for cell in row] for row in section.rows]
        tables.append(table(section.title, header, rows))
    return _fill("several", several.is_empty, tables)


def _levels(difference: Difference, *, full: bool) -> Iterator[tuple[str, Markup]]:
    """Yield the title of each level of a difference, and what it shows."""
    if difference.is_empty:
        yield "No difference", _fill("same", difference.after.compiled.digest[:12])
    else:
        yield "Declaration", _declaration(difference, full=full)
        if difference.own_code:
            yield "Own code", _fill("own_code", difference.own_code)
        yield "Model", _model(difference, full=full)
        if difference.effects:
            yield "Mathematics", _fill("mathematics", difference.effects)
        yield "Training", _training(difference)
    rows = [score_cells(row) for row in shown_scores(difference)]
    if rows:
        labels = [difference.before.label, difference.after.label]
        yield "Scores", table("Scores", ["score", "", *labels, "difference"], rows)


def _declaration(difference: Difference, *, full: bool) -> Markup:
    rows = declaration_rows(difference.fields, full=full)
    return table(
        f"Declaration: {declaration_title(rows)}",
        ["field", "value", "set by"],
        [(row.name, row.value, " -> ".join(row.origins)) for row in rows],
        kind="text",
        row_classes=[row.kind for row in rows],
    )


def _model(difference: Difference, *, full: bool) -> Markup:
    model = difference.model
    if not model.differing:
        return _fill("sentence", "The same layers, parameters and cost.")
    rows = layer_rows(model, full=full)
    header = ["layer", "parameters", "MACs", "memory, bytes"]
    cells: list[tuple[str, ...]] = [(_layer(row), *_costs(row.cost)) for row in rows]
    cells.append(("total", *_costs(model.after - model.before)))
    layers = table(
        f"Model: {model_title(model)}",
        header,
        cells,
        row_classes=[*(row.kind for row in rows), ""],
    )
    return _fill("model", layers, total_rows(difference), _plane(difference))


def _layer(row: LayerRow) -> Markup:
    """Return a layer's name with, on a line of their own, its operation and shape."""
    details = ", ".join(text for text in (row.what, row.shape) if text)
    return _fill("layer", row.name, details)


def _costs(cost: Cost) -> tuple[str, str, str]:
    return signed(cost.parameters), signed(cost.macs), signed(cost.activation_bytes)


def _training(difference: Difference) -> Markup:
    plan = difference.plan
    if not plan.rows and not plan.notes:
        return _fill("sentence", "The same plan.")
    rows = [(row.label, row.before, row.after) for row in plan.rows]
    header = ["", difference.before.label, difference.after.label]
    shown = table("Training plan", header, rows, kind="text") if rows else None
    return _fill("training", shown, plan_notes(plan))


def _plane(difference: Difference) -> Markup | None:
    """Return the packets of both in the frequency plane, where they differ and share a plane."""
    first = difference.before.compiled.spec.stem.wavelet
    second = difference.after.compiled.spec.stem.wavelet
    if first is None or second is None:
        return None
    kept = _kept(first), _kept(second)
    if (first.transform, first.levels) != (second.transform, second.levels) or kept[0] == kept[1]:
        return None
    from wavetwin.explain.pictures.colours import PAPER, category
    from wavetwin.explain.pictures.frequency_plane import Cell, frequency_plane

    labels = difference.before.label, difference.after.label
    kinds = (
        (kept[0] & kept[1], "in both", category(0)),
        (kept[0] - kept[1], f"in {labels[0]} only", category(1)),
        (kept[1] - kept[0], f"in {labels[1]} only", category(2)),
    )
    cells = {
        number: Cell(look.fill, str(number), f"packet {number}, {caption}", look.pattern)
        for numbers, caption, look in kinds
        for number in numbers
    }
    legend = [
        (Cell(look.fill, pattern=look.pattern), f"{caption}: {len(numbers)} packets")
        for numbers, caption, look in kinds
        if numbers
    ]
    picture = frequency_plane(
        second.levels,
        cells,
        title="Packets that are mixed",
        transform=second.transform,
        legend=[*legend, (Cell(PAPER), "in neither")],
    )
    return figure(Markup(picture), "Packets of both in the frequency plane.")


def _fill(macro: str, *values: object) -> Markup:
    return fill("difference_parts", macro, *values)


def _kept(wavelet: WaveletSpec) -> set[int]:
    return {number for entry in wavelet.keep for number in entry.numbers}
