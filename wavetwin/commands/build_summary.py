"""Summarise what `wavetwin build` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.commands.ignore_offer import ignore_offer
from wavetwin.explain.show.tree_table import model_table
from wavetwin.explain.text_table import align, quoted, shown
from wavetwin.provenance.package import is_package_file

if TYPE_CHECKING:
    from wavetwin.commands.specs import Built


def build_summary(built: Sequence[Built], current: Path, uses_git: bool = False) -> str:
    """Return what `wavetwin build` prints: the layers of one spec, or one line for each of several.

    Where git is used, what its users may want to ignore ends it.
    """
    offer = ignore_offer(built, current) if uses_git else ""
    if len(built) == 1:
        result = built[0]
        folder = shown(result.folder, current)
        lines = [model_table(result.compiled)]
        verb = "unchanged" if result.unchanged else "built"
        lines.append(f"{verb:12}{folder}/: {', '.join(_file_names(result.files))}")
        if result.kept:
            lines.append(f"kept        {', '.join(result.kept)}: edited by hand")
        lines.append(f"manifest    SHA-256 {result.manifest_sha256}")
        lines.append(f"next        python {quoted(f'{folder}/train.py')}")
        return "\n".join(lines) + "\n" + offer
    rows = [("experiment", "parameters", "MACs", "folder", "manifest")]
    rows += [
        (
            result.compiled.name,
            f"{result.compiled.graph.parameters.trainable:,}",
            f"{result.compiled.graph.macs:,}",
            shown(result.folder, current),
            result.manifest_sha256[:12],
        )
        for result in built
    ]
    kept = sum(result.unchanged for result in built)
    summary = f"{len(built) - kept} experiments built" + (f", {kept} unchanged" if kept else "")
    for result in built:
        if result.kept:
            names = ", ".join(result.kept)
            summary += f"\n{shown(result.folder, current)}: kept {names}: edited by hand"
    return "\n".join([*align(rows, right=(1, 2)), "", summary]) + "\n" + offer


def _file_names(files: Sequence[str]) -> list[str]:
    """Return names for a reader: of a standalone copy of the package its folder alone."""
    copied = sum(map(is_package_file, files))
    names = [name for name in files if not is_package_file(name)]
    return [*names, f"wavetwin/ ({copied} modules)"] if copied else names
