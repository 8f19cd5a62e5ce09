"""Check, build and compare several specs, each file read and git asked once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse.compose import SourceCache, load_spec
from wavetwin.compiler.parse.project import checked_project, expand_specs, find_project, is_fragment
from wavetwin.compiler.render.build import BuildOptions, Built, build_compiled
from wavetwin.compiler.validate.spec import validate_fragment
from wavetwin.diagnostics import CompileError, Diagnostic

if TYPE_CHECKING:
    from wavetwin.compiler.render.write import BuildCheck


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found."""

    diagnostics: tuple[Diagnostic, ...]
    num_specs: int


class _Session:
    """The caches of one command: each project's files, looked up once."""

    def __init__(self, project: Path | None) -> None:
        self._project = project
        self._projects: dict[Path, Path] = {}
        self._caches: dict[Path, SourceCache] = {}

    def project(self, spec: Path) -> Path:
        """Return the project that a spec belongs to."""
        if self._project is not None:
            return checked_project(self._project, spec)
        folder = spec.absolute().parent
        if folder not in self._projects:
            self._projects[folder] = find_project(spec)
        return self._projects[folder]

    def cache(self, project: Path) -> SourceCache:
        """Return the project's cache of parsed files."""
        return self._caches.setdefault(project, SourceCache(project))

    def compile(self, spec: Path, overrides: Sequence[str], optimise: bool = True) -> Compiled:
        """Compile one spec with the command's caches."""
        project = self.project(spec)
        return compile_spec(spec, overrides, project, self.cache(project), optimise)


def check_specs(
    paths: Sequence[Path], overrides: Sequence[str] = (), project: Path | None = None
) -> Checked:
    """Check specs, and fragments that are named; return every fault, a shared file's only once.

    Raises:
        CompileError: a path means nothing.
    """
    session = _Session(project)
    specs = expand_specs(paths)
    found: dict[Diagnostic, None] = {}
    compiled: list[Compiled] = []
    for spec in specs:
        root = session.project(spec)
        if is_fragment(spec, root):
            cache = session.cache(root)
            loaded = load_spec(spec, root, overrides, cache)
            found |= dict.fromkeys(validate_fragment(loaded, cache))
            continue
        try:
            result = session.compile(spec, overrides)
        except CompileError as error:
            found |= dict.fromkeys(error.diagnostics)
        else:
            found |= dict.fromkeys(result.warnings)
            compiled.append(result)
    found |= dict.fromkeys(_duplicate_names(compiled))
    return Checked(tuple(found), len(specs))


def compile_specs(
    paths: Sequence[Path],
    overrides: Sequence[str] = (),
    project: Path | None = None,
    out: Path | None = None,
    optimise: bool = True,
) -> list[Compiled]:
    """Compile every spec that the paths mean; `out` is where all of them would be built.

    Raises:
        CompileError: with the faults of all specs together; also `fragment` and `duplicate-name`.
    """
    session = _Session(project)
    found: dict[Diagnostic, None] = {}
    compiled: list[Compiled] = []
    for spec in expand_specs(paths):
        root = session.project(spec)
        if is_fragment(spec, root):
            found[_fragment(session.cache(root).display(spec))] = None
            continue
        try:
            compiled.append(session.compile(spec, overrides, optimise))
        except CompileError as error:
            found |= dict.fromkeys(error.diagnostics)
    found |= dict.fromkeys(_duplicate_names(compiled, out))
    if any(diagnostic.severity == "error" for diagnostic in found):
        raise CompileError(tuple(found))
    return compiled


def build_specs(paths: Sequence[Path], options: BuildOptions) -> list[Built]:
    """Compile, render and write every spec that the paths mean; nothing is written if one fails.

    A folder whose inputs, commit and files are as its manifest says is not rendered again, unless
    `force`.

    Raises:
        CompileError: faults of the specs, dirty inputs, or files edited by hand.
    """
    return build_compiled(_compile(paths, options), options)


def check_builds(paths: Sequence[Path], options: BuildOptions) -> list[BuildCheck]:
    """Compare what was built with what the specs say now; writes nothing.

    Raises:
        CompileError: faults of the specs.
    """
    from wavetwin.compiler.render.write import build_folder, check_build

    return [
        check_build(result, build_folder(result, options.out), standalone=options.standalone)
        for result in _compile(paths, options)
    ]


def _compile(paths: Sequence[Path], options: BuildOptions) -> list[Compiled]:
    return compile_specs(paths, options.overrides, options.project, options.out, options.optimise)


def _fragment(shown: str) -> Diagnostic:
    return Diagnostic(
        "fragment",
        "this file is a part of specs, not a spec",
        subject=shown,
        help="build a spec that extends it, or move it out of base/ and drop a leading _",
    )


def _duplicate_names(compiled: Sequence[Compiled], out: Path | None = None) -> Iterator[Diagnostic]:
    """Yield specs whose folders would be one, on file systems that ignore case, too."""
    seen: dict[tuple[Path, str], Compiled] = {}
    for result in compiled:
        first = seen.setdefault((out or result.project, result.name.lower()), result)
        if first is not result:
            names = f"both named {result.name}"
            if first.name != result.name:
                names = f"named {result.name} and {first.name}, which differ in case alone"
            yield Diagnostic(
                "duplicate-name",
                f"{result.spec_path} and {first.spec_path} are {names}",
                subject=result.spec_path,
                help="give one of them another `name`, or build them by separate commands"
                if first.name == result.name
                else "give one of them another `name`",
            )
