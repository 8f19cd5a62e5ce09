"""Find every fault of a spec at once, each at the location of the value at fault.

Each file of a chain is held against the schema on its own, with fields allowed to be missing; then
the merge is checked for what is missing and for rules that join several fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from wavetwin.compiler.parse.compose import Layer, LayerReport, LoadedSpec, SourceCache, find_node
from wavetwin.compiler.parse.nodes import SpecNode, to_plain
from wavetwin.compiler.parse.source import report
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.advice import accepts
from wavetwin.compiler.validate.checks import RULES, CheckContext
from wavetwin.compiler.validate.conflict import conflict, value_text
from wavetwin.compiler.validate.faults import Path, path_text
from wavetwin.compiler.validate.structure import check_structure, find_left_empty, prune
from wavetwin.diagnostics import Diagnostic, Origin

__all__ = ["conflict", "validate", "validate_form", "validate_fragment"]

_HARMLESS = frozenset(
    {
        "directive",
        "duplicate-key",
        "number-too-long",
        "second-document",
        "tag",
        "unknown-layer",
        "unprintable-character",
    }
)
"""Faults of the text that leave the tree complete; after any other the merge is not judged."""


def validate(
    loaded: LoadedSpec, cache: SourceCache | None = None
) -> tuple[ExperimentSpec | None, tuple[Diagnostic, ...]]:
    """Return the spec, or None where something is wrong, and all that was found, in file order.

    `cache` keeps what is found in files that specs share.
    """
    structures = _check_layers(loaded, cache)
    diagnostics = [*loaded.diagnostics, *_found_in(structures)]
    spec: ExperimentSpec | None = None
    is_complete = all(each.code in _HARMLESS for each in loaded.diagnostics)
    if is_complete and all(each.names_parents for each in structures):
        spec, found = _check_merge(loaded)
        diagnostics += found
    diagnostics += _left_empty(loaded, diagnostics)
    ordered = _in_file_order(loaded, diagnostics)
    is_valid = all(each.severity != "error" for each in ordered)
    return (spec if is_valid else None), ordered


def validate_form(loaded: LoadedSpec) -> tuple[ExperimentSpec | None, tuple[Diagnostic, ...]]:
    """Return the spec whose values are of the right forms, whatever does not go together; else why not."""
    found = [*loaded.diagnostics, *_found_in(_check_layers(loaded, None))]
    structure = check_structure(loaded.tree, loaded.line_text)
    found += [
        each.diagnostic for each in structure.faults if each.is_missing and not each.is_silent
    ]
    ordered = _in_file_order(loaded, found)
    is_valid = all(each.severity != "error" for each in ordered)
    return (structure.spec if is_valid else None), ordered


def validate_fragment(
    loaded: LoadedSpec, cache: SourceCache | None = None
) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a part of specs, where fields may be missing."""
    found = [*loaded.diagnostics, *_found_in(_check_layers(loaded, cache))]
    return _in_file_order(loaded, [*found, *_left_empty(loaded, found)])


def _found_in(layers: Iterable[LayerReport]) -> Iterator[Diagnostic]:
    for layer in layers:
        yield from layer.diagnostics


def _check_layers(loaded: LoadedSpec, cache: SourceCache | None) -> list[LayerReport]:
    known = {} if cache is None else cache.reports
    reports: list[LayerReport] = []
    for layer in loaded.layers:
        found = known.get(layer.name)
        if found is None or layer.is_override:
            found = _check_layer(layer)
            known[layer.name] = found
        reports.append(found)
    return reports


def _check_layer(layer: Layer) -> LayerReport:
    parsed = layer.parsed
    if parsed.tree is None:
        return LayerReport((), names_parents=True)
    structure = check_structure(
        parsed.tree, lambda location: parsed.source.line_text(location.line)
    )
    refused = {_position(each) for each in parsed.diagnostics}
    last_line = parsed.source.num_lines if parsed.reliable_lines is None else parsed.reliable_lines
    return LayerReport(
        tuple(
            fault.diagnostic
            for fault in structure.faults
            if not (fault.is_missing or fault.is_silent)
            and _position(fault.diagnostic) not in refused
            and _position(fault.diagnostic)[1] <= last_line
        ),
        names_parents=not any(
            "extends" in (path or ())[:1]
            for fault in structure.faults
            for path in (fault.path, fault.meant)
        ),
    )


def _check_merge(loaded: LoadedSpec) -> tuple[ExperimentSpec | None, list[Diagnostic]]:
    structure = check_structure(loaded.tree, loaded.line_text)
    diagnostics = [
        fault.diagnostic for fault in structure.faults if fault.is_missing and not fault.is_silent
    ]
    spec = structure.spec
    context = CheckContext(loaded, frozenset())
    whole = spec
    if whole is None:
        plain = to_plain(loaded.tree)
        unreliable = prune(plain, structure.faults)
        whole = ExperimentSpec.model_validate(plain)
        context = CheckContext(loaded, frozenset(unreliable))
    for rule in RULES:
        if context.are_reliable(rule.reads):
            diagnostics += rule.check(whole, context)
    return spec, diagnostics


def _left_empty(loaded: LoadedSpec, found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Report fields without a value; where something else is wrong with them, that is reported.

    A word without a ':' is no field. A field left empty is a null, which removes: often its value
    was forgotten, or commented out.
    """
    refused = {_position(each) for each in found}
    reports: list[Diagnostic] = []
    for rank, layer in enumerate(loaded.layers):
        if layer.tree is None:
            continue
        last_line = layer.parsed.reliable_lines
        for path, node in find_left_empty(layer.tree):
            location = node.key_location or node.location
            positions = {(at.path, at.line, at.column) for at in (location, node.location)}
            if positions & refused or (last_line is not None and location.line > last_line):
                continue
            shown = path_text(path)
            source = layer.parsed.source
            if node.left_out == "colon":
                reports.append(
                    report(
                        source,
                        "value-missing",
                        f"{shown} has no value",
                        location,
                        help=_value_help(path),
                    )
                )
                continue
            removed = _inherited(loaded, rank, path)
            if removed is None:
                headline = f"{shown} is left empty, and there is nothing inherited to remove"
                help_text = "write a value, or remove the line"
                origins = ()
            else:
                headline = f"{shown} is left empty, which removes what is inherited"
                help_text = f"write a value, or {path[-1]}: null to remove it"
                origins = (Origin(f"{shown} {value_text(removed)}", removed.location),)
            warning = report(
                source, "left-empty", headline, location, origins=origins, help=help_text
            )
            reports.append(replace(warning, severity="warning"))
    return reports


def _value_help(path: Path) -> str | None:
    """Return how a word is made a field, where one value is as good as meant."""
    return f"write {path[-1]}: true" if accepts(path, True) else f"write {path[-1]}: and a value"


def _inherited(loaded: LoadedSpec, rank: int, path: Path) -> SpecNode | None:
    """Return what a field has in the last layer before its own that sets it."""
    if path[0] == "extends" or any(isinstance(part, int) for part in path):
        return None  # parents are not inherited, and a list is replaced as a whole
    for layer in reversed(loaded.layers[:rank]):
        node = find_node(layer.tree, path)
        if node is not None:
            return node if node.value is not None else None
    return None


def _position(diagnostic: Diagnostic) -> tuple[str, int, int]:
    location = diagnostic.location
    return ("", 0, 0) if location is None else (location.path, location.line, location.column)


def _in_file_order(loaded: LoadedSpec, diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return each diagnostic once: by file, parents first and overrides last, then by location."""
    ranks: Mapping[str, int] = {layer.name: rank for rank, layer in enumerate(loaded.layers)}

    def key(diagnostic: Diagnostic) -> tuple[int, int, int]:
        path, line, column = _position(diagnostic)
        return ranks.get(path, -1), line, column

    return tuple(sorted(dict.fromkeys(diagnostics), key=key))
