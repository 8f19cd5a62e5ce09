"""Compare more than two experiments in one table, an ablation at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, cast

from wavetwin.diagnostics.terminal import paint
from wavetwin.explain.diff.costs import Cost, total_cost
from wavetwin.explain.diff.declaration import ABSENT, COUNTED, dotted, leaves
from wavetwin.explain.diff.difference import Experiment
from wavetwin.explain.diff.document import score_document
from wavetwin.explain.diff.scores import ScoreRow, published_scores, score_rows
from wavetwin.explain.diff.wording import value_text
from wavetwin.explain.text_table import align

MAX_CELL = 24
"""Characters of a value in the table."""


@dataclass(frozen=True)
class Several:
    """What differs among experiments: a value of each for every row."""

    experiments: tuple[Experiment, ...]

    @property
    def is_empty(self) -> bool:
        """Whether all are the same experiment."""
        return len({each.compiled.digest for each in self.experiments}) == 1

    @cached_property
    def fields(self) -> dict[str, tuple[Any, ...]]:
        """Each field that is not the same in all, with its values; `ABSENT` where there is none."""
        columns = [
            {
                dotted(path): value
                for key in each.compiled.resolved
                if key in COUNTED
                for path, value in leaves(each.compiled.resolved[key], (key,))
            }
            for each in self.experiments
        ]
        names = dict.fromkeys(name for column in columns for name in column)
        # A list that is empty here has no items where others have some.
        sections = {name[:end] for name in names for end in _dots(name)}
        rows = {
            name: tuple(column.get(name, ABSENT) for column in columns)
            for name in names
            if name not in sections
        }
        return {
            name: values
            for name, values in rows.items()
            if any(value != values[0] for value in values)
        }

    @cached_property
    def costs(self) -> tuple[tuple[Cost, Cost], ...]:
        """Of each experiment's network, as written and after the passes."""
        return tuple(
            (total_cost(each.compiled.graph), total_cost(each.compiled.optimised_graph))
            for each in self.experiments
        )

    @cached_property
    def scores(self) -> tuple[ScoreRow, ...]:
        """Published and measured scores."""
        return score_rows(
            [published_scores(each.compiled) for each in self.experiments],
            [each.measured for each in self.experiments],
        )


def _dots(name: str) -> list[int]:
    return [position for position, letter in enumerate(name) if letter == "."]


@dataclass(frozen=True, slots=True)
class TableSection:
    """Rows of the table under one heading: a name and a cell for each experiment."""

    title: str
    rows: tuple[tuple[str, ...], ...]


def table_sections(several: Several, *, full: bool = False) -> list[TableSection]:
    """Return the table's rows: fields that differ, costs, scores."""
    from wavetwin.explain.diff.text import SCORE_LABELS

    fields = _field_rows(several.fields, full=full)
    written = [cost for cost, _ in several.costs]
    executed = [cost for _, cost in several.costs]
    costs = [
        ("parameters", *(f"{cost.trainable:,}" for cost in written)),
        *(
            [("frozen", *(f"{c.frozen:,}" for c in written))]
            if any(c.frozen for c in written)
            else []
        ),
        ("MACs", *(f"{cost.macs:,}" for cost in written)),
        ("MACs after the passes", *(f"{cost.macs:,}" for cost in executed)),
        ("activations, MiB", *(f"{cost.activation_bytes / 2**20:.1f}" for cost in written)),
        ("after the passes, MiB", *(f"{cost.activation_bytes / 2**20:.1f}" for cost in executed)),
    ]
    scores = [
        (
            f"{SCORE_LABELS.get(row.name, row.name)} ({row.origin})",
            *("" if value is None else f"{value.value:z.4f}" for value in row.values),
        )
        for row in several.scores
    ]
    sections = (("declaration", fields), ("model", costs), ("scores", scores))
    return [TableSection(title, tuple(rows)) for title, rows in sections if rows]


def _field_rows(fields: Mapping[str, tuple[Any, ...]], *, full: bool) -> list[tuple[str, ...]]:
    """Return a row a field; in short, fields of a section that only some have, alike, are one."""
    together: dict[tuple[str, tuple[bool, ...]], list[str]] = {}
    for name, values in fields.items():
        present = tuple(value is not ABSENT for value in values)
        held = [value for value in values if value is not ABSENT]
        if not (full or all(present)) and all(value == held[0] for value in held):
            section = ".".join(name.split(".")[:2])
            together.setdefault((section, present), []).append(name)
    folded = {
        names[0]: (f"{section} ({len(names)} fields)", present, names)
        for (section, present), names in together.items()
        if len(names) > 2
    }
    hidden = {name for _, _, names in folded.values() for name in names}
    rows: list[tuple[str, ...]] = []
    for name, values in fields.items():
        if name in folded:
            head, present, _ = folded[name]
            shown = "alike" if sum(present) > 1 else "present"
            rows.append((head, *(shown if has else "-" for has in present)))
        elif name not in hidden:
            rows.append((name, *(_cell(value, full=full) for value in values)))
    return rows


def several_text(several: Several, *, full: bool = False, colour: bool = False) -> str:
    """Return the table for a terminal: a row for each field that differs, costs and scores."""
    header = ("", *(each.label for each in several.experiments))
    sections = table_sections(several, full=full)
    lines = align(
        [header, *(row for section in sections for row in section.rows)],
        right=range(1, len(header)),
    )
    blocks = [lines[0]]
    if several.is_empty:
        blocks.append("declaration: no difference")
    position = 1
    for section in sections:
        title = paint(section.title, "1") if colour else section.title
        stop = position + len(section.rows)
        blocks.append("\n".join([title, *lines[position:stop]]))
        position = stop
    return "\n\n".join(blocks) + "\n"


def several_document(several: Several) -> dict[str, Any]:
    """Return the table as JSON values: a list of one value an experiment, null for none."""
    return {
        "fields": {
            name: [None if value is ABSENT else value for value in values]
            for name, values in several.fields.items()
        },
        "costs": [
            {"written": asdict(written), "executed": asdict(executed)}
            for written, executed in several.costs
        ],
        "scores": [score_document(row) for row in several.scores],
    }


def _cell(value: Any, *, full: bool) -> str:
    text = "-" if value is ABSENT else value_text(value, full=True)
    if full or len(text) <= MAX_CELL:
        return text
    ending = f"...] ({len(cast('list[Any]', value))})" if isinstance(value, list) else "..."
    return text[: MAX_CELL - len(ending)] + ending
