"""Build experiments that are compiled: ask git, render, and write their folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from wavetwin.compiler.compiled import Compiled
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.ir.frozen import frozen

__all__ = ["BuildOptions", "Built", "build_compiled"]


@frozen
class BuildOptions:
    """How specs are built."""

    overrides: tuple[str, ...] = ()
    project: Path | None = None
    """The project's root; default: found from each spec."""
    out: Path | None = None
    """Where the built folders lie; default: `generated/` in the project."""
    allow_dirty: bool = False
    no_git: bool = False
    force: bool = False
    standalone: bool = False
    """Copy the part of wavetwin that the scripts need beside them."""
    optimise: bool = True
    """Run the passes; otherwise model.py is the graph as written."""


@frozen
class Built:
    """One experiment and what its build wrote."""

    compiled: Compiled
    folder: Path
    files: tuple[str, ...]
    manifest_sha256: str
    dirty: bool
    unchanged: bool = False
    """The folder was what would be written, and was left alone."""
    kept: tuple[str, ...] = ()
    """Names under which files that were edited by hand are kept."""


def build_compiled(compiled: Sequence[Compiled], options: BuildOptions) -> list[Built]:
    """Render and write experiments that are compiled already; nothing is written if one fails.

    A folder whose inputs, commit and files are as its manifest says is not rendered again, unless
    `force`.

    Raises:
        CompileError: dirty inputs, or files edited by hand.
    """
    from wavetwin.compiler.render.files import manifest_head, render
    from wavetwin.compiler.render.write import (
        build_folder,
        clean_folder,
        find_edits,
        find_unchanged,
        write_build,
    )
    from wavetwin.provenance.git_state import GitState
    from wavetwin.provenance.package import imported_package
    from wavetwin.provenance.record import collect_provenance, look_ahead

    copied = imported_package() if options.standalone else None
    git = GitState()
    if not options.no_git:
        look_ahead(git, dict.fromkeys(file for result in compiled for file in result.files))
    found: dict[Diagnostic, None] = {}
    built: dict[Path, Built] = {}
    rendered: list[tuple[Compiled, Path, dict[str, bytes], bool]] = []
    for result in compiled:
        folder = build_folder(result, options.out)
        found |= dict.fromkeys(_built_in_other_case(result, folder))
        try:
            clean_folder(folder)
            provenance = collect_provenance(
                result.files,
                result.project,
                git,
                allow_dirty=options.allow_dirty,
                no_git=options.no_git,
            )
            kept = None
            if not (options.force or options.standalone):
                kept = find_unchanged(manifest_head(result, provenance), folder)
            if kept is not None:
                built[folder] = Built(
                    result, folder, kept.files, kept.manifest_sha256, dirty=False, unchanged=True
                )
                continue
            files = render(result, provenance, standalone=copied)
            if not options.force:
                found |= dict.fromkeys(find_edits(files, folder))
            rendered.append((result, folder, files, provenance.dirty))
        except CompileError as error:
            found |= dict.fromkeys(error.diagnostics)
    if found:
        raise CompileError(tuple(found))
    for result, folder, files, dirty in rendered:
        written = write_build(files, folder, options.force)
        built[folder] = Built(
            result, folder, tuple(files), written.manifest_sha256, dirty, kept=written.kept
        )
    return [built[build_folder(result, options.out)] for result in compiled]


def _built_in_other_case(result: Compiled, folder: Path) -> Iterator[Diagnostic]:
    """Yield that a folder's name is taken by one that differs in case alone."""
    try:
        names = os.listdir(folder.parent)  # noqa: PTH208 - names only, of many folders
    except OSError:
        return
    for name in sorted(names):
        if name != folder.name and name.lower() == folder.name.lower():
            yield Diagnostic(
                "duplicate-name",
                f"{folder.name} differs in case alone from {name}, which is built already",
                subject=result.spec_path,
                help=f"give the spec another `name`, or remove {folder.parent / name}",
            )
