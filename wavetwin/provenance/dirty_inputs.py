"""Report inputs that no commit holds, and what makes them clean."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from wavetwin.diagnostics import Diagnostic
from wavetwin.diagnostics.listing import SHOWN, some_lines
from wavetwin.provenance.git_conversion import Conversion
from wavetwin.provenance.git_state import Difference

__all__ = ["dirty_inputs", "not_a_repository"]


def not_a_repository(subject: str) -> Diagnostic:
    """Return the fault that the spec lies in no repository."""
    return Diagnostic(
        code="not-a-repository",
        headline="the spec is in no git repository, so nothing can tie the build to a commit",
        subject=subject,
        help="git init and commit, or build with --no-git, which marks what comes of it",
    )


def dirty_inputs(differences: Sequence[Difference], commit: str, subject: str) -> Diagnostic:
    """Return the fault that a commit does not hold the inputs, with the remedy for each kind."""
    count = len(differences)
    noun, verb = ("input", "is") if count == 1 else ("inputs", "are")
    converted = {d.path: d.conversion for d in differences if d.conversion is not None}
    steps = [_conversion_help(converted)] if converted else []
    if len(converted) < count:
        steps.append("commit the others" if converted else "commit them")
    return Diagnostic(
        code="dirty-inputs",
        headline=f"{count} {noun} {verb} not as commit {commit[:7]} has {'it' if count == 1 else 'them'}",
        subject=subject,
        notes=tuple(some_lines(f"{each.state}: {each.path}{_cause(each)}" for each in differences)),
        help=f"{', '.join(steps)}, or build with --allow-dirty, which stores the difference as a patch",
    )


def _cause(difference: Difference) -> str:
    if difference.conversion is None:
        return ""
    return f" (by git itself, which calls it clean: {', '.join(difference.conversion.causes)})"


def _conversion_help(conversions: Mapping[str, Conversion]) -> str:
    """Return how to switch conversions off, so that files are the commit's bytes again.

    Many files are named by how their names end, folder by folder.
    """
    is_long = len(conversions) > SHOWN
    attributes: dict[str, None] = {}
    filtered: dict[str, None] = {}
    restored: dict[str, None] = {}
    for path, conversion in conversions.items():
        file, name = conversion.attributes_file, PurePosixPath(path)
        is_own = file.endswith(".gitattributes")
        pattern = f"*{name.suffix}" if is_long else _pattern(name.name if is_own else f"/{path}")
        line = f"add `{pattern} -text -ident -filter -working-tree-encoding` to {file}"
        attributes[line] = None
        named = (name.parent / pattern if is_own else PurePosixPath(pattern)) if is_long else name
        (filtered if conversion.is_filter else restored)[shlex.quote(str(named))] = None
    steps = [*attributes]
    if filtered:
        steps.append(f"git add --renormalize -- {' '.join(filtered)}")
    steps.append("commit")
    listed = " ".join(restored)
    if restored and is_long:
        # A file that the index has as it is would not be written.
        steps.append(
            "write them anew, with nothing else uncommitted: "
            f"git rm -q --cached -- {listed} && git reset -q --hard"
        )
    elif restored:
        steps.append(f"write them anew: rm -- {listed} && git checkout -- {listed}")
    return f"at the repository's root {', '.join(steps)}"


def _pattern(name: str) -> str:
    """Return a path as a pattern of gitattributes that fits nothing else."""
    escaped = re.sub(r"([\\*?\[]|^[#!])", r"\\\1", name)
    if not re.search(r'[\s"]', escaped):
        return escaped
    quoted = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{quoted}"'
