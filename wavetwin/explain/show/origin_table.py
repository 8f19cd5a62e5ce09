"""List every field of a resolved spec, its value, and what set it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from wavetwin.explain.diff.declaration import Path, dotted, leaves
from wavetwin.explain.diff.origins import origin_of
from wavetwin.explain.diff.wording import value_text
from wavetwin.explain.text_table import align

if TYPE_CHECKING:
    from wavetwin.compiler.compiled import Compiled

MAX_VALUE = 30
"""Characters of a value, unless `full`."""


def origin_table(compiled: Compiled, *, full: bool = False) -> str:
    """Return a line for each field: its name, its value and its origin.

    An origin is `path:line`, `--set[K]` of the command line, or a default, with the field that it
    follows and where that one is set. Of a value that was made from what a line says, it has both.

    Args:
        compiled: the spec.
        full: write out long values.
    """
    rows = [("field", "value", "set by")]
    rows += [
        (dotted(path), _value(value, full), _origin(compiled, path, value))
        for path, value in leaves(compiled.resolved)
    ]
    return "\n".join(align(rows)) + "\n"


def _origin(compiled: Compiled, path: Path, value: Any) -> str:
    label = origin_of(compiled.loaded, path, value).text()
    return f"{label}, by the file's name" if path == ("name",) and label == "default" else label


def _value(value: Any, full: bool) -> str:
    """Return a value as a spec writes it; of a list that is cut, how long it is."""
    text = value_text(value, full=True)
    if full or len(text) <= MAX_VALUE:
        return text
    if not isinstance(value, list):
        return text[: MAX_VALUE - 4].rsplit(" ", 1)[0] + " ..."
    tail = f", ...] ({len(cast('list[Any]', value))} in all)"
    return text[: MAX_VALUE - len(tail)].rsplit(", ", 1)[0] + tail
