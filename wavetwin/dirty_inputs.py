"""Dirty inputs: what is said of inputs that no commit holds, and what makes them clean."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from wavetwin.diagnostics import Diagnostic
from wavetwin.git_conversion import Conversion
from wavetwin.git_state import Difference

__all__ = ["dirty_inputs", "not_a_repository"]

_LISTED_FILES = 8


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
        notes=tuple(f"{each.state}: {each.path}{_cause(each)}" for each in differences),
        help=f"{', '.join(steps)}, or build with --allow-dirty, which stores the difference as a patch",
    )


def _cause(difference: Difference) -> str:
    if difference.conversion is None:
        return ""
    return f" (by git itself, which calls it clean: {', '.join(difference.conversion.causes)})"


def _conversion_help(conversions: Mapping[str, Conversion]) -> str:
    """Return how to switch conversions off, so that files are the commit's bytes again."""
    steps = [_switch_off(conversions)]
    restored = [path for path, each in conversions.items() if not each.is_filter]
    filtered = [path for path, each in conversions.items() if each.is_filter]
    if filtered:
        steps.append(f"git add --renormalize -- {_listed(filtered)}")
    steps.append("commit")
    if restored:
        listed = _listed(restored)
        steps.append(f"write them anew: rm -- {listed} && git checkout -- {listed}")
    return f"at the repository's root {', '.join(steps)}"


def _switch_off(conversions: Mapping[str, Conversion]) -> str:
    """Return which lines go to which files of attributes; the last line about a file counts."""
    lines: dict[str, list[str]] = {}
    for path, conversion in conversions.items():
        file = conversion.attributes_file
        is_own = PurePosixPath(file).name == ".gitattributes"
        pattern = PurePosixPath(path).name if is_own else f"/{path}"
        lines.setdefault(file, []).append(pattern)
    written: list[str] = []
    for file, patterns in lines.items():
        if len(patterns) > _LISTED_FILES:
            patterns = sorted({f"*{PurePosixPath(each).suffix}" for each in patterns})
        written += [
            f"add `{_pattern(each)} -text -ident -filter -working-tree-encoding` to {file}"
            for each in patterns
        ]
    return ", ".join(written)


def _pattern(name: str) -> str:
    """Return a name as a pattern of gitattributes that fits nothing else."""
    if name == "*" or name.startswith("*."):
        return name
    escaped = re.sub(r"([\\*?\[]|^[#!])", r"\\\1", name)
    if not re.search(r'[\s"]', escaped):
        return escaped
    quoted = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{quoted}"'


def _listed(paths: Sequence[str]) -> str:
    if len(paths) > _LISTED_FILES:
        return "THEM"  # their patterns, and the notes above, say which
    return " ".join(map(shlex.quote, paths))
