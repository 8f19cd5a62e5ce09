"""Record which files a build comes from, and whether a commit holds them.

Standard library and plain `git` calls (`wavetwin.provenance.git_state`): a started script checks itself with
this module before it imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.diagnostics.listing import list_some
from wavetwin.provenance.dirty_inputs import dirty_inputs, not_a_repository
from wavetwin.provenance.git_state import Difference, GitState, Repository
from wavetwin.provenance.package import (
    Package,
    importable_names,
    imported_package,
    installed_versions,
    is_package_file,
    read_manifest,
    sha256_of,
)
from wavetwin.provenance.package_changes import package_changes
from wavetwin.provenance.starter_changes import changed_starters
from wavetwin.provenance.starters import starter_name

Role = Literal["spec", "wavetwin"]
Kind = Literal["git", "wheel", "folder"]

STANDALONE = "standalone"
"""Role and kind of the source that is a copy of the package inside the built folder."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where one group of inputs comes from."""

    role: Role
    kind: Kind
    commit: str | None
    dirty: bool
    version: str | None = None
    package_digest: str | None = None
    patch: str | None = None
    """Name of the patch in the built folder that leads from the commit to the inputs."""
    outside: tuple[str, ...] = ()
    """Inputs outside the source's repository: no patch can hold them."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields that the source has, as the manifest lists them."""
        fields = {
            "role": self.role,
            "kind": self.kind,
            "commit": self.commit,
            "version": self.version,
            "package_digest": self.package_digest,
            "dirty": self.dirty,
            "patch": self.patch,
            "outside": list(self.outside) or None,
        }
        return {key: value for key, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Provenance:
    """All that a build records about its inputs."""

    sources: tuple[Source, ...]
    inputs: Mapping[Role, Mapping[str, str]]
    """SHA-256 of each input by role and path; of wavetwin those that its digest does not cover."""
    versions: Mapping[str, str | None]
    """Of the packages that decide numbers; None where one is not installed."""
    uses_git: bool = True
    patches: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Contents of the patch files, by name."""

    def source(self, role: Role) -> Source:
        """Return the source of this role."""
        return next(source for source in self.sources if source.role == role)

    @property
    def commit(self) -> str | None:
        """The commit that the specs are from, in full; None without git."""
        return self.source("spec").commit

    @property
    def dirty(self) -> bool:
        """Whether any input is not as its commit (or its wheel) has it."""
        return any(source.dirty for source in self.sources)


@dataclass(frozen=True, slots=True)
class RunProvenance:
    """What a started script knows about itself."""

    manifest: dict[str, Any]
    manifest_sha256: str
    drift: tuple[str, ...]
    """What differs from the build, `code: path`, where the user let it run all the same."""


def look_ahead(git: GitState, spec_files: Iterable[Path], package: Package | None = None) -> None:
    """Ask git about the specs of a whole command and the package at once.

    Optional: `collect_provenance` asks for what is not known yet, spec by spec.
    """
    package = package or imported_package()
    paths = list(spec_files)
    if not package.is_wheel:
        paths += [package.root, package.templates, _constraints(package)]
    git.look(paths)


def collect_provenance(
    spec_files: Sequence[Path],
    project: Path,
    git: GitState,
    *,
    allow_dirty: bool = False,
    no_git: bool = False,
    package: Package | None = None,
) -> Provenance:
    """Compare the inputs of one build with the commits that should hold them.

    Args:
        spec_files: the chain of spec files that were read.
        project: the project root; inputs are named relative to it.
        git: shared by the builds of a command.
        allow_dirty: record differences as patches instead of refusing them.
        no_git: ask git nothing, and say so in what is built.
        package: the wavetwin that compiles; default: the imported one.

    Raises:
        CompileError: `dirty-inputs`, `not-a-repository` or `git-failed`.
    """
    package = package or imported_package()
    specs = _hash_specs(spec_files, project)
    wavetwin: dict[str, str] = {}
    versions = git.once("versions", installed_versions)
    if no_git:
        dirty = bool(package.changed_since_install)
        kind: Kind = "wheel" if package.is_wheel else "folder"
        sources = (
            Source("spec", "folder", None, dirty=False),
            Source("wavetwin", kind, None, dirty, package.version, package.digest),
        )
        inputs: dict[Role, Mapping[str, str]] = {"spec": specs, "wavetwin": wavetwin}
        return Provenance(sources, inputs, versions, uses_git=False)

    # Starter specs belong to the package: its commit or its wheel answers for them.
    starters = {
        name: file for file in spec_files if (name := starter_name(file, project)) is not None
    }
    own_files = [file for file in spec_files if file not in starters.values()]
    look_ahead(git, own_files or [project], package)
    found = git.repository(own_files[-1] if own_files else project)
    if found is None:
        raise CompileError([not_a_repository(_name(spec_files[-1], project))])
    spec_differences = _spec_differences(found, git, own_files, project)
    home = None if package.is_wheel else git.repository(package.root)
    package_differences = [
        *git.once(("package", package.root), lambda: _package_differences(package, home)),
        *changed_starters(starters, package, home),
    ]
    if home is not None and _constraints(package).is_file():
        wavetwin["constraints.txt"] = sha256_of(_constraints(package).read_bytes())
    differences = [*spec_differences, *package_differences]
    if differences and not allow_dirty:
        subject = _name(spec_files[-1], project)
        raise CompileError([dirty_inputs(differences, found.commit, subject)])

    patches: dict[str, bytes] = {}
    names: dict[Role, str] = {}
    in_spec, in_package = _patchable(spec_differences), _patchable(package_differences)
    if home is not None and home.root == found.root:
        if in_spec or in_package:
            patches["inputs.patch"] = git.patch(found, [*in_spec, *in_package])
            names = {"spec": "inputs.patch", "wavetwin": "inputs.patch"}
    else:
        if in_spec:
            patches["inputs.patch"] = git.patch(found, in_spec)
            names["spec"] = "inputs.patch"
        if in_package and home is not None:
            patches["wavetwin.patch"] = git.patch(home, in_package)
            names["wavetwin"] = "wavetwin.patch"
    sources = (
        Source(
            role="spec",
            kind="git",
            commit=found.commit,
            dirty=bool(spec_differences),
            patch=names.get("spec") if in_spec else None,
            outside=tuple(d.path for d in spec_differences if d.state == "outside"),
        ),
        Source(
            role="wavetwin",
            kind="wheel" if package.is_wheel else "folder" if home is None else "git",
            commit=None if home is None else home.commit,
            dirty=bool(package_differences),
            version=package.version,
            package_digest=package.digest,
            patch=names.get("wavetwin") if in_package else None,
        ),
    )
    return Provenance(sources, {"spec": specs, "wavetwin": wavetwin}, versions, patches=patches)


def recorded_provenance(
    manifest: Mapping[str, Any],
    folder: Path,
    spec_files: Sequence[Path],
    project: Path,
    package: Package | None = None,
) -> Provenance:
    """Return the inputs as they are now, with commit and tree state as a manifest has them.

    With it `build --check` renders what a build of today would give at the recorded commit.
    """
    package = package or imported_package()
    sources = tuple(
        Source(
            role=entry["role"],
            kind=entry["kind"],
            commit=entry.get("commit"),
            dirty=entry["dirty"],
            version=package.version if entry["role"] == "wavetwin" else None,
            package_digest=package.digest if entry["role"] == "wavetwin" else None,
            patch=entry.get("patch"),
            outside=tuple(entry.get("outside", ())),
        )
        for entry in manifest["sources"]
        if entry["role"] != STANDALONE
    )
    wavetwin: dict[str, str] = {}
    if "constraints.txt" in manifest["inputs"]["wavetwin"] and _constraints(package).is_file():
        wavetwin["constraints.txt"] = sha256_of(_constraints(package).read_bytes())
    patches = sorted({source.patch for source in sources if source.patch is not None})
    return Provenance(
        sources=sources,
        inputs={"spec": _hash_specs(spec_files, project), "wavetwin": wavetwin},
        versions={key: value for key, value in manifest["versions"].items() if key != "wavetwin"},
        uses_git=manifest["git"],
        patches={
            name: (folder / name).read_bytes() for name in patches if (folder / name).is_file()
        },
    )


def check_before_run(
    script: Path, allow_drift: bool, package: Package | None = None
) -> RunProvenance:
    """Check that a built script and the wavetwin that it imports are what the build recorded.

    Where they are not, and `allow_drift` says so, what differs is returned, to mark the run with.
    Call it before torch is imported.

    Raises:
        CompileError: `script-modified` or `source-changed`, naming the files.
    """
    folder = script.absolute().parent
    try:
        content, manifest = read_manifest(folder)
        files: dict[str, str] = manifest["files"]
        inputs: dict[str, str] = manifest["inputs"]["wavetwin"]
        built = package_source(manifest)
        if not isinstance(built["package_digest"], str):
            raise TypeError(built["package_digest"])
        is_standalone = built["kind"] == STANDALONE
    except (OSError, ValueError, LookupError, TypeError):
        headline = "its manifest.json is missing or damaged"
        _stop("script-modified", script, headline, (), "build again; nothing was run")
    package = package or imported_package()
    modified = [
        name
        for name, digest in sorted(files.items())
        # The copied package is compared as what is imported, below.
        if not (is_standalone and is_package_file(name))
        and (not (folder / name).is_file() or sha256_of((folder / name).read_bytes()) != digest)
    ]
    known = {name.split("/")[0] for name in files}
    added = [name for name in importable_names(folder) if name.rstrip("/") not in known]
    modified += [f"{name} (was not built)" for name in added]
    changed = package_changes(package, built, folder, files if is_standalone else inputs)
    if changed and not allow_drift:
        _stop(
            "source-changed",
            script,
            f"the wavetwin that is imported is not the one this was built with ({_label(built)})",
            changed,
            f"{_remedy(built, script.parent, package)}, or build again; nothing was run",
        )
    if modified and not allow_drift:
        _stop(
            "script-modified",
            script,
            "files of its folder are not as they were built",
            modified,
            f"{'move it elsewhere' if len(added) == len(modified) else 'wavetwin build --force'}, "
            "or --allow-drift to run and mark the run; nothing was run",
        )
    drift = [f"script-modified: {name}" for name in modified]
    drift += [f"source-changed: {name}" for name in changed]
    return RunProvenance(manifest, sha256_of(content), tuple(drift))


def package_source(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source that says what wavetwin a built folder runs with.

    Of a standalone folder it is the copy inside it, else the package that it was built with.

    Raises:
        LookupError, TypeError: the manifest is damaged.
    """
    by_role: dict[str, dict[str, Any]] = {entry["role"]: entry for entry in manifest["sources"]}
    return by_role.get(STANDALONE) or by_role["wavetwin"]


def _constraints(package: Package) -> Path:
    return package.root.parent / "constraints.txt"


def _name(file: Path, project: Path) -> str:
    """Return how an input is called: relative to the project, whatever the current folder.

    A starter spec of wavetwin's has its own name, `wavetwin:resnet34/RwyI.yaml`.
    """
    starter = starter_name(file, project)
    if starter is not None:
        return starter
    resolved, root = file.resolve(), project.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else file.name


def _hash_specs(spec_files: Sequence[Path], project: Path) -> dict[str, str]:
    digests = {_name(file, project): sha256_of(file.read_bytes()) for file in spec_files}
    return {name: digests[name] for name in sorted(digests)}


def _spec_differences(
    repository: Repository, git: GitState, spec_files: Sequence[Path], project: Path
) -> list[Difference]:
    outside = [file for file in spec_files if git.repository(file) is not repository]
    differences = repository.differences(file for file in spec_files if file not in outside)
    return differences + [Difference(_name(file, project), "outside") for file in outside]


def _package_differences(package: Package, home: Repository | None) -> list[Difference]:
    if package.is_wheel:
        return [Difference(name, "modified") for name in package.changed_since_install]
    if home is None:
        return [Difference("wavetwin", "outside")]
    constraints = _constraints(package)
    files = [*package.files.values(), *([constraints] if constraints.is_file() else [])]
    return home.differences(files, {package.root: ".py", package.templates: ""})


def _patchable(differences: Sequence[Difference]) -> list[Difference]:
    return [difference for difference in differences if difference.state != "outside"]


def _stop(code: str, script: Path, headline: str, files: Sequence[str], remedy: str) -> NoReturn:
    notes = (f"files: {list_some(files)}",) if files else ()
    fault = Diagnostic(code, headline, notes=notes, help=remedy, subject=script.as_posix())
    raise CompileError([fault])


def _label(source: Mapping[str, Any]) -> str:
    commit, version = source.get("commit"), source.get("version")
    label = commit[:7] if commit else f"version {version}"
    return f"{label}, with changes" if source["dirty"] else label


def _remedy(source: Mapping[str, Any], folder: Path, package: Package) -> str:
    commit, version, patch = source.get("commit"), source.get("version"), source.get("patch")
    if source["kind"] == STANDALONE and not package.is_standalone:
        return f"set PYTHONPATH={folder.as_posix()}, where its own wavetwin lies"
    if source["kind"] == STANDALONE:
        return "put the copied files back"
    if commit:
        short = commit[:7]
        then_apply = f", git apply {(folder / patch).as_posix()} in it" if patch else ""
        return f"git worktree add ../at-{short} {short}{then_apply}"
    if source["kind"] == "wheel":
        return f"pip install wavetwin=={version}"
    return "bring back the wavetwin that it was built with"
