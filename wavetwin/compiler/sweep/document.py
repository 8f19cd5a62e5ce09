"""Read a sweep's file: its text, its fields, and what is wrong with them, each at its location."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from wavetwin.compiler.parse.compose import SourceCache, find_node
from wavetwin.compiler.parse.nodes import ParsedSource, SpecNode
from wavetwin.compiler.parse.parents import Refusal, find_parent
from wavetwin.compiler.parse.project import checked_project, find_project
from wavetwin.compiler.parse.source import report
from wavetwin.compiler.sweep.language import SWEEPS, SweepSpec
from wavetwin.compiler.validate.faults import Fault, path_text
from wavetwin.compiler.validate.fields import PathPart
from wavetwin.compiler.validate.structure import find_left_empty, hold_against
from wavetwin.diagnostics import CompileError, Diagnostic, Location
from wavetwin.ir.frozen import frozen
from wavetwin.ir.sweeps import SWEEP_SUFFIX
from wavetwin.ir.sweeps.objectives import OBJECTIVES, is_test_score
from wavetwin.provenance.starters import PREFIX

__all__ = ["SweepFile", "read_sweep"]


@frozen
class SweepFile:
    """A sweep as it is written, with its fields."""

    path: Path
    project: Path
    parsed: ParsedSource
    spec: SweepSpec
    base: Path
    """The spec that is varied."""

    @property
    def name(self) -> str:
        """The sweep's label."""
        return self.spec.name or self.path.name.removesuffix(SWEEP_SUFFIX).removesuffix(".yaml")

    @property
    def shown(self) -> str:
        """The file as it is shown."""
        return self.parsed.source.path

    def node(self, *path: PathPart) -> SpecNode | None:
        """Return the value at a key path; None where nothing is written."""
        return find_node(self.parsed.tree, path)

    def fault(
        self,
        code: str,
        headline: str,
        *path: PathPart,
        help: str | None = None,
        at_key: bool = False,
        notes: tuple[str, ...] = (),
    ) -> Diagnostic:
        """Return an error at the value of a key path, or at its key; at what is around it where nothing is."""
        location = Location(self.shown, 1, 1)
        for length in range(len(path), 0, -1):
            node = self.node(*path[:length])
            if node is not None:
                is_whole = length == len(path) and not at_key
                location = node.location if is_whole else node.key_location or node.location
                break
        return report(self.parsed.source, code, headline, location, help=help, notes=notes)


def read_sweep(path: Path, project: Path | None, cache: SourceCache | None = None) -> SweepFile:
    """Read a sweep whose fields are of the right forms, and find its base.

    Args:
        path: of the file.
        project: its root; None: it is found from the file.
        cache: of files that are read.

    Raises:
        CompileError: with every fault of the file's form, or because it is no sweep.
    """
    root = find_project(path) if project is None else checked_project(project, path)
    root = root.absolute()
    cache = SourceCache(root) if cache is None else cache
    parsed = cache.read(path)
    tree, found = parsed.tree, [*map(_of_a_sweep, parsed.diagnostics)]
    if tree is None:
        raise CompileError(found)
    if _is_spec(tree):
        raise CompileError([_spec_in_place_of_sweep(parsed, tree)])

    def line_text(location: Location) -> str | None:
        return parsed.source.line_text(location.line)

    document, faults = hold_against(tree, line_text, SWEEPS)
    last_line = parsed.source.num_lines if parsed.reliable_lines is None else parsed.reliable_lines
    found += [
        _reworded(fault, parsed, tree)
        for fault in faults
        if not fault.is_silent and _line_of(fault) <= last_line
    ]
    found += _left_empty(parsed, tree, faults)
    base = _find_base(path, root, parsed, tree, found)
    if found or base is None:
        raise CompileError(sorted(dict.fromkeys(found), key=_position))
    return SweepFile(path, root, parsed, cast("SweepSpec", document), base)


_FORMS = {
    "empty-document": "there is nothing in this file",
    "not-a-mapping": "a sweep is a mapping of fields",
}


def _of_a_sweep(diagnostic: Diagnostic) -> Diagnostic:
    """Return what the reader of YAML says of a file, as it is said of a sweep."""
    headline = _FORMS.get(diagnostic.code)
    if headline is None:
        return diagnostic
    return replace(
        diagnostic, headline=headline, help=f"a sweep starts with `{SWEEPS.version_field}: 1`"
    )


_OF_SPECS = ("wavetwin", "extends")
"""Fields that a spec has, and no sweep."""


def _is_spec(tree: SpecNode) -> bool:
    return find_node(tree, [SWEEPS.version_field]) is None and any(
        find_node(tree, [name]) is not None for name in _OF_SPECS
    )


def _spec_in_place_of_sweep(parsed: ParsedSource, tree: SpecNode) -> Diagnostic:
    return report(
        parsed.source,
        "not-a-sweep",
        "this is a spec, and a sweep is needed",
        tree.location,
        help=f"write a sweep whose `base` is this file; it starts with `{SWEEPS.version_field}: 1`",
    )


def _reworded(fault: Fault, parsed: ParsedSource, tree: SpecNode) -> Diagnostic:
    """Return a fault's diagnostic; of a score of test images, why it cannot choose."""
    node = find_node(tree, fault.path)
    if fault.path != ("objective",) or node is None or not isinstance(node.value, str):
        return fault.diagnostic
    if not is_test_score(node.value):
        return fault.diagnostic
    return report(
        parsed.source,
        "objective-of-test",
        f"'{node.value}' is a score of test images, which would no longer be a test of what is chosen "
        "by it",
        node.location,
        help=f"choose {' or '.join(OBJECTIVES)}, and evaluate what was chosen on the test images",
    )


def _left_empty(parsed: ParsedSource, tree: SpecNode, faults: Sequence[Fault]) -> list[Diagnostic]:
    """Return fields without a value: nothing is inherited that they could remove."""
    refused = {fault.path for fault in faults}
    return [
        report(
            parsed.source,
            "value-missing",
            f"{path_text(path)} has no value",
            node.key_location or node.location,
            help="write a value, or remove the line",
        )
        for path, node in find_left_empty(tree, SWEEPS)
        if path not in refused
    ]


def _find_base(
    path: Path, project: Path, parsed: ParsedSource, tree: SpecNode, found: list[Diagnostic]
) -> Path | None:
    """Return the base's path, or report why it cannot be used."""
    node = find_node(tree, ["base"])
    if node is None or not isinstance(node.value, str) or not node.value:
        return None  # said already

    def refuse(headline: str, help: str | None) -> None:
        found.append(report(parsed.source, "base-not-usable", headline, node.location, help=help))

    if node.value.startswith(PREFIX):
        refuse(
            f"'{node.value}' is a starter, and the members of a sweep are built in the project",
            f"extend it by a spec of your own: wavetwin new NAME --from {node.value}",
        )
        return None
    candidate = find_parent(path, node.value, project)
    if isinstance(candidate, Refusal):
        refuse(candidate.headline, candidate.help)
        return None
    return candidate


def _line_of(fault: Fault) -> int:
    return 0 if fault.diagnostic.location is None else fault.diagnostic.location.line


def _position(diagnostic: Diagnostic) -> tuple[int, int]:
    at = diagnostic.location
    return (0, 0) if at is None else (at.line, at.column)
