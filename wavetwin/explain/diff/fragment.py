"""Fragment: differences as HTML for pages and reports, with the classes of `wavetwin.explain.html`."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

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
from wavetwin.explain.html import Html, figure, table


def difference_html(difference: Difference, *, full: bool = False, level: int = 2) -> str:
    """Return a difference as HTML; `level` is that of its headings."""
    parts = list(_levels(difference, full=full))
    return "\n".join(
        f"<section>\n<h{level}>{html.escape(title)}</h{level}>\n{body}\n</section>"
        for title, body in parts
    )


def several_html(several: Several, *, full: bool = False) -> str:
    """Return the table of several experiments as HTML, a table for each level."""
    header = ["", *(each.label for each in several.experiments)]
    parts = ["<p>declaration: no difference</p>"] if several.is_empty else []
    for section in table_sections(several, full=full):
        rows = [["" if cell == "-" else cell for cell in row] for row in section.rows]
        parts.append(table(section.title, header, rows))
    return "\n".join(parts)


def weights_html(blocks: Sequence[str]) -> str:
    """Return what is said of weights, in lines, as HTML; nothing where nothing is."""
    if not blocks:
        return ""
    lines = html.escape("\n".join(blocks))
    return f"\n<section>\n<h2>Weights</h2>\n<pre>{lines}</pre>\n</section>"


def _levels(difference: Difference, *, full: bool) -> Iterator[tuple[str, str]]:
    if difference.is_empty:
        digest = difference.after.compiled.digest[:12]
        yield "No difference", f"<p>Both have the digest <code>{digest}</code>.</p>"
    else:
        yield "Declaration", _declaration(difference, full=full)
        yield "Model", _model(difference, full=full)
        if difference.effects:
            yield "Mathematics", _mathematics(difference)
        yield "Training", _training(difference)
    rows = [score_cells(row) for row in shown_scores(difference)]
    if rows:
        labels = [difference.before.label, difference.after.label]
        yield "Scores", table("Scores", ["score", "", *labels, "difference"], rows)


def _declaration(difference: Difference, *, full: bool) -> str:
    rows = declaration_rows(difference.fields, full=full)
    return table(
        f"Declaration: {declaration_title(rows)}",
        ["field", "value", "set by"],
        [(row.name, row.value, " -> ".join(row.origins)) for row in rows],
        kind="words",
        row_classes=[row.kind for row in rows],
    )


def _model(difference: Difference, *, full: bool) -> str:
    model = difference.model
    if not model.differing:
        return "<p>The same layers, parameters and cost.</p>"
    rows = layer_rows(model, full=full)
    header = ["layer", "parameters", "MACs", "memory, bytes"]
    cells = [(_layer(row), *_costs(row.cost)) for row in rows]
    cells.append((Html("total"), *_costs(model.after - model.before)))
    info = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"
        for name, value in total_rows(difference)
    )
    layers = table(
        f"Model: {model_title(model)}",
        header,
        cells,
        row_classes=[*(row.kind for row in rows), ""],
    )
    return f'{layers}\n<dl class="facts">{info}</dl>\n{_plane(difference)}'


def _layer(row: LayerRow) -> Html:
    """Return a layer's name with, on a line of their own, its operation and shape."""
    caption = ", ".join(text for text in (row.what, row.shape) if text)
    details = f"<br><small>{html.escape(caption)}</small>" if caption else ""
    return Html(html.escape(row.name) + details)


def _costs(cost: Cost) -> tuple[str, str, str]:
    return signed(cost.parameters), signed(cost.macs), signed(cost.activation_bytes)


def _mathematics(difference: Difference) -> str:
    items: list[str] = []
    for effect in difference.effects:
        source = f" <small>[{html.escape(effect.source)}]</small>" if effect.source else ""
        items.append(
            f"<dt>{html.escape(effect.kind)}</dt><dd>{html.escape(effect.text)}{source} "
            f"{html.escape(effect.numbers)}</dd>"
        )
    return "<dl>\n" + "\n".join(items) + "\n</dl>"


def _training(difference: Difference) -> str:
    plan = difference.plan
    parts: list[str] = []
    if plan.rows:
        rows = [(row.label, row.before, row.after) for row in plan.rows]
        header = ["", difference.before.label, difference.after.label]
        parts.append(table("Training plan", header, rows, kind="words"))
    if not plan.rows and not plan.notes:
        return "<p>The same plan.</p>"
    notes = plan_notes(plan)
    parts += [f'<p class="note">{html.escape(note)}</p>' for note in notes]
    return "\n".join(parts)


def _plane(difference: Difference) -> str:
    """Return the packets of both in the frequency plane, where they differ and share a plane."""
    first = difference.before.compiled.spec.stem.wavelet
    second = difference.after.compiled.spec.stem.wavelet
    if first is None or second is None:
        return ""
    kept = _kept(first), _kept(second)
    if (first.transform, first.levels) != (second.transform, second.levels) or kept[0] == kept[1]:
        return ""
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
    return figure(Html(picture), "Packets of both in the frequency plane.")


def _kept(wavelet: WaveletSpec) -> set[int]:
    return {number for entry in wavelet.keep for number in entry.packets or ()}
