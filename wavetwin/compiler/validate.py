"""Validate: every fault of a spec at once, at the place of the value at fault.

Each file of a chain is held against the schema on its own, with fields allowed to be missing; then
the merge is checked for what is missing and for rules that join several fields (decisions.md 19).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from wavetwin.compiler.checks import RULES, Facts
from wavetwin.compiler.clash import clash
from wavetwin.compiler.compose import Layer, LayerReport, LoadedSpec, SourceCache
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.structure import check_structure, prune, to_plain
from wavetwin.diagnostics import Diagnostic

__all__ = ["clash", "validate", "validate_fragment"]

_HARMLESS = frozenset(
    {
        "directive",
        "duplicate-key",
        "number-too-long",
        "second-document",
        "tag",
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
    ordered = _in_file_order(loaded, diagnostics)
    is_valid = all(each.severity != "error" for each in ordered)
    return (spec if is_valid else None), ordered


def validate_fragment(
    loaded: LoadedSpec, cache: SourceCache | None = None
) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a part of specs, where fields may be missing."""
    found = _found_in(_check_layers(loaded, cache))
    return _in_file_order(loaded, [*loaded.diagnostics, *found])


def _found_in(layers: Iterable[LayerReport]) -> Iterator[Diagnostic]:
    for layer in layers:
        yield from layer.diagnostics


def _check_layers(loaded: LoadedSpec, cache: SourceCache | None) -> list[LayerReport]:
    known = {} if cache is None else cache.reports
    reports: list[LayerReport] = []
    for layer in loaded.layers:
        report = known.get(layer.name)
        if report is None or layer.is_override:
            report = _check_layer(layer)
            known[layer.name] = report
        reports.append(report)
    return reports


def _check_layer(layer: Layer) -> LayerReport:
    parsed = layer.parsed
    if parsed.tree is None:
        return LayerReport((), names_parents=True)
    structure = check_structure(parsed.tree, lambda place: parsed.source.line_text(place.line))
    refused = {_position(each) for each in parsed.diagnostics}
    last_line = parsed.source.num_lines if parsed.reliable_lines is None else parsed.reliable_lines
    return LayerReport(
        tuple(
            fault.diagnostic
            for fault in structure.faults
            if not fault.is_missing
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
    facts = Facts(loaded, frozenset())
    whole = spec
    if whole is None:
        plain = to_plain(loaded.tree)
        unreliable = prune(plain, structure.faults)
        whole = ExperimentSpec.model_validate(plain)
        facts = Facts(loaded, frozenset(unreliable))
    for rule in RULES:
        if facts.are_reliable(rule.reads):
            diagnostics += rule.check(whole, facts)
    return spec, diagnostics


def _position(diagnostic: Diagnostic) -> tuple[str, int, int]:
    place = diagnostic.place
    return ("", 0, 0) if place is None else (place.path, place.line, place.column)


def _in_file_order(loaded: LoadedSpec, diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return each diagnostic once: by file, parents first and overrides last, then by place."""
    ranks: Mapping[str, int] = {layer.name: rank for rank, layer in enumerate(loaded.layers)}

    def key(diagnostic: Diagnostic) -> tuple[int, int, int]:
        path, line, column = _position(diagnostic)
        return ranks.get(path, -1), line, column

    return tuple(sorted(dict.fromkeys(diagnostics), key=key))
