"""Show what differs between weights: names, shapes, types, and values."""

from __future__ import annotations

from collections.abc import Sequence

from wavetwin.diagnostics.listing import SHOWN, plural
from wavetwin.diagnostics.terminal import paint, printable
from wavetwin.explain.diff.tensors import TensorChanges, TensorInfo
from wavetwin.explain.text_table import align


def tensors_text(changes: TensorChanges, *, full: bool = False, colour: bool = False) -> str:
    """Return the tensors that are in one file alone or of another shape or type."""
    if changes.is_empty:
        return _title(f"tensors: all {len(changes.same):,} by name, shape and type", colour) + "\n"
    lines = [_title(f"tensors: {len(changes.same):,} the same", colour)]
    lines += _listed("+", changes.added, full)
    lines += _listed("-", changes.removed, full)
    lines += _listed(
        "~",
        [f"{name}  {_shown(ours)} -> {_shown(theirs)}" for name, ours, theirs in changes.changed],
        full,
    )
    if not changes.same:
        lines.append(
            "    no name fits: `wavetwin import weights` renames those of other implementations"
        )
    return "\n".join(lines) + "\n"


def values_text(
    differences: Sequence[tuple[str, float | None, float | None]],
    *,
    full: bool = False,
    colour: bool = False,
) -> str:
    """Return name, largest and relative difference of tensors, unknown and large ones first."""
    if not differences:
        return _title("values: all equal", colour) + "\n"
    ordered = sorted(differences, key=lambda each: (each[1] is not None, -(each[2] or 0.0)))
    shown = ordered if full else ordered[:SHOWN]
    rows = [("tensor", "largest difference", "relative norm")]
    rows += [
        (name, _number(largest, "not finite"), _number(relative, "-"))
        for name, largest, relative in shown
    ]
    head = f"values: {plural(len(differences), 'tensor')} {'differs' if len(ordered) == 1 else 'differ'}"
    lines = [_title(head, colour), *(f"    {line}" for line in align(rows, right=(1, 2)))]
    if len(shown) < len(ordered):
        lines.append(f"    and {len(ordered) - len(shown):,} more (--full)")
    return "\n".join(lines) + "\n"


def _number(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.3g}"


def _listed(sign: str, texts: Sequence[str], full: bool) -> list[str]:
    shown = texts if full else texts[:SHOWN]
    lines = [f"  {sign} {printable(each)}" for each in shown]
    if len(shown) < len(texts):
        lines.append(f"  {sign} and {len(texts) - len(shown):,} more (--full)")
    return lines


def _shown(info: TensorInfo) -> str:
    shape = list(info.shape)
    return f"{shape}" if info.dtype is None else f"{info.dtype} {shape}"


def _title(text: str, colour: bool) -> str:
    return paint(text, "1") if colour else printable(text)
