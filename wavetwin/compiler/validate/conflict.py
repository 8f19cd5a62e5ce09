"""Report values that do not go together, and where each of them was set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from wavetwin.compiler.parse.compose import LoadedSpec, find_node
from wavetwin.compiler.parse.tree import SpecNode
from wavetwin.compiler.validate.fields import default_at
from wavetwin.diagnostics import Diagnostic, Location, Origin, Severity

MAX_LABEL_LENGTH = 60


def conflict(
    loaded: LoadedSpec,
    code: str,
    headline: str,
    paths: Sequence[str],
    *,
    help: str | None = None,
    notes: tuple[str, ...] = (),
    default_values: Mapping[str, object] | None = None,
    severity: Severity = "error",
) -> Diagnostic:
    """Return a diagnostic about the values at some key paths, such as `stem.wavelet.keep.1.channels`.

    Its location is that of the value set last: by layer (parents, file, overrides), then by line. All
    of them are its origins. A null counts as set: it may be what removed the other side. A path that
    nothing sets stands for its default, from `default_values` or the schema.
    """
    set_values: list[tuple[tuple[int, int, int], Location]] = []
    origins: list[Origin] = []
    ranks = {layer.name: rank for rank, layer in enumerate(loaded.layers)}
    replacements = [other for path in paths if (other := loaded.replacement_of(path))]
    for path in dict.fromkeys((*paths, *replacements)):
        node = loaded.node(path)
        if node is not None:
            location = node.location
            key = (ranks.get(location.path, -1), location.line, location.column)
            set_values.append((key, location))
            origins.append(Origin(f"{path} {value_text(node)}", location))
            continue
        value = (default_values or {}).get(path)
        if value is None:
            value = default_at(_parts(path))
        origins.append(Origin(f"{path} {'absent' if value is None else _plain_text(value)}", None))
    location = max(set_values)[1] if set_values else _nearest_location(loaded, paths)
    shown = tuple(origins) if len(origins) > 1 else ()
    return Diagnostic(
        code,
        headline,
        location,
        severity,
        origins=shown,
        notes=notes,
        help=help,
        source_line=loaded.line_text(location),
        fields=tuple(paths),
    )


def value_text(node: SpecNode) -> str:
    """Return a value as YAML writes it on one line; of what is long, how much there is."""
    text = _flow_text(node)
    if len(text) <= MAX_LABEL_LENGTH:
        return text
    if isinstance(node.value, dict | list):
        kind = "items" if isinstance(node.value, list) else "fields"
        return f"({len(node.value)} {kind})" if len(node.value) > 1 else f"(1 {kind[:-1]})"
    return text[: MAX_LABEL_LENGTH - 3] + "..."


def _flow_text(node: SpecNode) -> str:
    value = node.value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow_text, value)) + "]"
    return _plain_text(value)


def _plain_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_plain_text, cast("tuple[Any, ...]", value))) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parts(path: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in path.split("."))


def _nearest_location(loaded: LoadedSpec, paths: Sequence[str]) -> Location:
    """Return the location of the innermost section that is set and would hold the first path."""
    parts = paths[0].split(".")
    for length in range(len(parts) - 1, 0, -1):
        node = find_node(loaded.tree, parts[:length])
        if node is not None and node.value is not None:
            return node.key_location or node.location
    return Location(loaded.display_path, 1, 1)
