"""Show a difference in a terminal, plain or in colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from wavetwin.diagnostics.listing import plural
from wavetwin.diagnostics.terminal import paint, printable
from wavetwin.explain.diff.costs import Cost
from wavetwin.explain.diff.difference import Difference
from wavetwin.explain.diff.field_rows import FieldRow, declaration_rows
from wavetwin.explain.diff.layer_rows import SIGNS, layer_rows
from wavetwin.explain.diff.layers import ModelChanges
from wavetwin.explain.diff.own_code import own_code_title
from wavetwin.explain.diff.scores import ScoreRow
from wavetwin.explain.diff.training import PlanChanges
from wavetwin.explain.diff.wording import change, mebibytes, signed, value_text
from wavetwin.explain.text_table import align

WIDTH = 100
SAME_TRAINING = "a run of one is a run of the other: only the evaluation differs"
_COLOURS = {"+": "32", "-": "31", "~": "33"}
SCORE_LABELS = {
    "top1_error": "top-1 error",
    "top5_error": "top-5 error",
    "ten_crops_top1_error": "top-1 error, ten crops",
    "ten_crops_top5_error": "top-5 error, ten crops",
    "mean_flip_rate": "mean flip rate under shifts",
    "kl_divergence.horizontal.1px": "KL divergence, one pixel right",
}
"""Labels of published figures; measured ones keep their dotted names."""


def difference_text(difference: Difference, *, full: bool = False, colour: bool = False) -> str:
    """Return a difference in levels: declaration, model, mathematics, training, scores.

    Short: layers are folded, long values cut, levels without a difference are one line. `full`
    shows every field, layer and label.
    """
    before, after = difference.before, difference.after
    blocks = [_heading(f"{before.label} -> {after.label}", colour)]
    if difference.is_empty:
        lines = [f"no difference: both have the digest {after.compiled.digest[:12]}"]
        blocks[0] += "\n" + "\n".join(lines)
        if difference.labels and full:
            blocks.append(_labels(difference, colour))
        blocks += _score_block(difference, colour)
        return "\n\n".join(blocks) + "\n"
    blocks.append(_declaration(difference, full=full, colour=colour))
    blocks += _own_code(difference, colour)
    blocks.append(_model(difference, full=full, colour=colour))
    blocks += _mathematics(difference, colour)
    blocks.append(_training(difference, colour))
    blocks += _score_block(difference, colour)
    if full and difference.labels:
        blocks.append(_labels(difference, colour))
    return "\n\n".join(blocks) + "\n"


def _heading(text: str, colour: bool) -> str:
    return paint(text, "1") if colour else printable(text)


def _signed_lines(
    signs: Sequence[str], rows: Sequence[Sequence[str]], colour: bool, right: Sequence[int] = ()
) -> list[str]:
    """Return rows as aligned lines, each behind its sign."""
    lines: list[str] = []
    for sign, line in zip(signs, align(rows, right=right), strict=True):
        text = f"  {sign} {line}"
        is_painted = colour and sign in _COLOURS
        lines.append(paint(text, _COLOURS[sign]) if is_painted else text)
    return lines


def _declaration(difference: Difference, *, full: bool, colour: bool) -> str:
    rows = declaration_rows(difference.fields, full=full)
    head = f"declaration: {declaration_title(rows)}"
    signs = [SIGNS[row.kind] for row in rows]
    cells = [
        (row.name, row.value, " -> ".join(f"[{each}]" for each in row.origins)) for row in rows
    ]
    return "\n".join([_heading(head, colour), *_signed_lines(signs, cells, colour)])


def _own_code(difference: Difference, colour: bool) -> list[str]:
    """Return the files of own code that differ, each with its difference."""
    if not difference.own_code:
        return []
    lines = [_heading(f"own code: {own_code_title(difference.own_code)}", colour)]
    for each in difference.own_code:
        text = f"  {SIGNS[each.kind]} {each.path}"
        lines.append(paint(text, _COLOURS[SIGNS[each.kind]]) if colour else printable(text))
        for line in each.lines:
            code = _COLOURS.get(line[:1])
            shown = f"      {line}"
            lines.append(paint(shown, code) if colour and code else printable(shown))
        if each.left_out:
            lines.append(f"      ... and {plural(each.left_out, 'more line')}")
    return ["\n".join(lines)]


def _model(difference: Difference, *, full: bool, colour: bool) -> str:
    model = difference.model
    if not model.differing:
        return _heading("model: the same layers, parameters and cost", colour)
    head = f"model: {model_title(model)}"
    rows = layer_rows(model, full=full)
    header = ("layer", "operation", "output", "parameters", "MACs", "memory, bytes")
    cells = [header]
    cells += [(row.name, row.what, row.shape, *_costs(row.cost)) for row in rows]
    cells.append(("total", "", "", *_costs(model.after - model.before)))
    signs = [" ", *(SIGNS[row.kind] for row in rows), " "]
    lines = _signed_lines(signs, cells, colour, right=(3, 4, 5))
    totals = [f"    {line}" for line in align(total_rows(difference))]
    return "\n".join([_heading(head, colour), *lines, *totals])


def declaration_title(rows: Sequence[FieldRow]) -> str:
    """Return how many fields the rows show, and how many rows where items are folded."""
    number = sum(row.fields for row in rows)
    text = f"{plural(number, 'field')} {'differs' if number == 1 else 'differ'}"
    return text if number == len(rows) else f"{text}, in {plural(len(rows), 'row')}"


def model_title(model: ModelChanges) -> str:
    """Return how many layers of each kind the rows show, and how many are the same."""
    counts = [
        f"{model.count(kind):,} {kind}"
        for kind in ("added", "removed", "changed", "resized", "renamed")
        if model.count(kind)
    ]
    return f"layers {', '.join(counts)}; {model.count('same')} the same"


def plan_notes(plan: PlanChanges) -> list[str]:
    """Return what to know of the fields of training that differ."""
    return [*([SAME_TRAINING] if plan.same_training else []), *plan.notes]


def _costs(cost: Cost) -> tuple[str, str, str]:
    return signed(cost.parameters), signed(cost.macs), signed(cost.activation_bytes)


def total_rows(difference: Difference) -> list[tuple[str, str]]:
    """Return what both networks take in all, as names and texts."""
    before, after = difference.model.before, difference.model.after
    executed = difference.model.executed_before, difference.model.executed_after
    trained = change(before.trainable, after.trainable)
    if before.frozen or after.frozen:
        trained += f" trained, {change(before.frozen, after.frozen)} frozen"
    return [
        ("parameters", trained),
        ("MACs an image", f"{change(before.macs, after.macs)} as written"),
        ("after the passes", change(executed[0].macs, executed[1].macs)),
        ("activations", f"{mebibytes(before.activation_bytes, after.activation_bytes)} as written"),
        (
            "after the passes",
            mebibytes(executed[0].activation_bytes, executed[1].activation_bytes),
        ),
    ]


def _mathematics(difference: Difference, colour: bool) -> list[str]:
    if not difference.effects:
        return []
    lines = [_heading("mathematics", colour)]
    shown: set[str] = set()
    for effect in difference.effects:
        source = f" [{effect.source}]" if effect.source else ""
        statement = "" if effect.text in shown else f"{effect.text}{source} "
        shown.add(effect.text)
        lines += textwrap.wrap(
            printable(f"{effect.kind}: {statement}{effect.numbers}"),
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return ["\n".join(lines)]


def _training(difference: Difference, colour: bool) -> str:
    plan = difference.plan
    if not plan.rows and not plan.notes:
        return _heading("training: the same plan", colour)
    lines = [_heading("training", colour)]
    rows = [(row.label, f"{row.before} -> {row.after}") for row in plan.rows]
    lines += [f"  ~ {line}" for line in align(rows)] if rows else []
    lines += [f"    {printable(note)}" for note in plan_notes(plan)]
    return "\n".join(lines)


def shown_scores(difference: Difference) -> list[ScoreRow]:
    """Return the measured scores, and the published ones that both sides have for themselves.

    Figures that one spec took over from the other say nothing about what differs.
    """
    rows = [row for row in difference.scores if row.origin == "measured"]
    blocks = [
        each.compiled.resolved.get("published") for each in (difference.before, difference.after)
    ]
    if blocks[0] == blocks[1]:
        return rows
    published = [row for row in difference.scores if row.origin == "published"]
    return [*(row for row in published if row.difference is not None), *rows]


def _score_block(difference: Difference, colour: bool) -> list[str]:
    rows = shown_scores(difference)
    if not rows:
        return []
    header = ("score", "", difference.before.label, difference.after.label, "difference")
    cells = [header, *(score_cells(row) for row in rows)]
    lines = [f"  {line}" for line in align(cells, right=(2, 3, 4))]
    return ["\n".join([_heading("scores", colour), *lines])]


def score_cells(row: ScoreRow) -> tuple[str, ...]:
    """Return a score's name, origin, values with their intervals, and difference, as texts."""
    values: list[str] = []
    for value in row.values:
        if value is None:
            values.append("")
            continue
        ends = "" if value.low is None else f" [{value.low:z.4f}, {value.high:z.4f}]"
        values.append(f"{value.value:z.4f}{ends}")
    difference = row.difference
    return (
        SCORE_LABELS.get(row.name, row.name),
        row.origin,
        *values,
        "" if difference is None else f"{difference:+z.4f}",
    )


def _labels(difference: Difference, colour: bool) -> str:
    rows = [
        (each.name, f"{value_text(each.before, full=True)} -> {value_text(each.after, full=True)}")
        for each in difference.labels
    ]
    head = _heading("labels (which do not count)", colour)
    return "\n".join([head, *(f"    {line}" for line in align(rows))])
