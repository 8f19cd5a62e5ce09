"""Decisions 8-12: what ties a build to a commit, in temporary git repositories."""

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from wavetwin.diagnostics import CompileError, render_text
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.package import find_templates, load_package, sha256_of
from wavetwin.provenance.record import (
    check_before_run,
    collect_provenance,
    look_ahead,
    recorded_provenance,
)

BINARY = bytes(range(256)) * 5


def git(folder: Path, *arguments: str) -> str:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    variables |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    result = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=variables, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().strip()


def commit_all(folder: Path, first: bool = False) -> str:
    if first:
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "state")
    return git(folder, "rev-parse", "HEAD")


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class Checkout:
    """A repository of specs and a small package, as a wavetwin checkout has them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = write(root / "specs/base.yaml", "wavetwin: 1\n")
        self.spec = write(root / "specs/a b.yaml", "extends: base.yaml\nsummary: é\n")
        write(root / "wavetwin/__init__.py", '__version__ = "0.1.0"\n')
        write(root / "wavetwin/ir/graph.py", "X = 1\n")
        write(root / "templates/wavetwin-templates.txt", "marker\n")
        write(root / "templates/model.py.j2", "model\n")
        write(root / "constraints.txt", "torch==2.13.0\n")
        write(root / ".gitignore", "ignored*\n__pycache__/\n")
        write(root / "notes.md", "unrelated\n")
        self.commit = commit_all(root, first=True)

    def collect(self, *files: Path, **options: bool):
        return collect_provenance(
            files or (self.base, self.spec),
            self.root,
            GitState(),
            package=load_package(self.root / "wavetwin"),
            **options,
        )

    def refused(self, *files: Path) -> tuple[str, tuple[str, ...]]:
        with pytest.raises(CompileError) as caught:
            self.collect(*files)
        (diagnostic,) = caught.value.diagnostics
        return diagnostic.code, diagnostic.notes


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


def test_clean_inputs_are_tied_to_head(checkout: Checkout) -> None:
    provenance = checkout.collect()
    assert provenance.commit == checkout.commit
    assert not provenance.dirty
    assert not provenance.patches
    assert provenance.inputs["spec"] == {
        "specs/a b.yaml": sha256_of(checkout.spec.read_bytes()),
        "specs/base.yaml": sha256_of(checkout.base.read_bytes()),
    }
    # Of the package there is one digest.
    assert list(provenance.inputs["wavetwin"]) == ["constraints.txt"]
    wavetwin = provenance.source("wavetwin")
    assert (wavetwin.kind, wavetwin.commit, wavetwin.version) == ("git", checkout.commit, "0.1.0")


def test_unrelated_changes_do_not_matter(checkout: Checkout) -> None:
    write(checkout.root / "notes.md", "edited\n")
    write(checkout.root / "specs/other.yaml", "wavetwin: 1\n")
    write(checkout.root / "wavetwin/ignored.txt", "x")
    assert not checkout.collect().dirty


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("specs/base.yaml", "specs/base.yaml"),
        ("wavetwin/ir/graph.py", "wavetwin/ir/graph.py"),
        ("templates/model.py.j2", "templates/model.py.j2"),
        ("constraints.txt", "constraints.txt"),
    ],
)
def test_modified_inputs_are_refused(checkout: Checkout, path: str, shown: str) -> None:
    write(checkout.root / path, "edited\n")
    assert checkout.refused() == ("dirty-inputs", (f"modified: {shown}",))
    git(checkout.root, "add", "-A")
    assert checkout.refused() == ("dirty-inputs", (f"modified: {shown}",))


def test_what_the_index_hides_is_seen(checkout: Checkout) -> None:
    git(checkout.root, "update-index", "--assume-unchanged", "specs/base.yaml")
    write(checkout.base, "wavetwin: 1 # edited\n")
    assert checkout.refused() == ("dirty-inputs", ("modified: specs/base.yaml",))


def test_staged_but_equal_in_the_work_tree_is_clean(checkout: Checkout) -> None:
    content = checkout.base.read_bytes()
    write(checkout.base, "edited\n")
    git(checkout.root, "add", "-A")
    write(checkout.base, content)
    assert not checkout.collect().dirty


def test_untracked_ignored_and_deleted_are_refused(checkout: Checkout) -> None:
    new = write(checkout.root / "specs/new.yaml", "wavetwin: 1\n")
    ignored = write(checkout.root / "specs/ignored.yaml", "wavetwin: 1\n")
    (checkout.root / "wavetwin/ir/graph.py").unlink()
    write(checkout.root / "wavetwin/runtime.py", "X = 2\n")
    code, notes = checkout.refused(checkout.base, new, ignored)
    assert code == "dirty-inputs"
    assert notes == (
        "ignored: specs/ignored.yaml",
        "untracked: specs/new.yaml",
        "deleted: wavetwin/ir/graph.py",
        "untracked: wavetwin/runtime.py",
    )


def test_a_spec_in_a_nested_repository_is_outside(checkout: Checkout) -> None:
    nested = write(checkout.root / "specs/nested/c.yaml", "wavetwin: 1\n")
    commit_all(nested.parent, first=True)
    code, notes = checkout.refused(nested, checkout.spec)
    assert (code, notes) == ("dirty-inputs", ("outside: specs/nested/c.yaml",))
    provenance = checkout.collect(nested, checkout.spec, allow_dirty=True)
    assert provenance.source("spec").outside == ("specs/nested/c.yaml",)


def test_links_are_compared_too(checkout: Checkout) -> None:
    link = checkout.root / "specs/link.yaml"
    link.symlink_to("base.yaml")
    assert checkout.refused(link) == ("dirty-inputs", ("untracked: specs/link.yaml",))
    checkout.commit = commit_all(checkout.root)
    assert not checkout.collect(link).dirty
    link.unlink()
    link.symlink_to("a b.yaml")
    assert checkout.refused(link) == ("dirty-inputs", ("modified: specs/link.yaml",))
    patch = checkout.collect(link, allow_dirty=True).patches["inputs.patch"]
    clone = clone_with_patch(checkout, patch)
    assert (clone / "specs/link.yaml").readlink() == Path("a b.yaml")


def test_no_repository(tmp_path: Path) -> None:
    spec = write(tmp_path / "a.yaml", "wavetwin: 1\n")
    package = Checkout(tmp_path / "checkout")
    with pytest.raises(CompileError) as caught:
        collect_provenance(
            [spec], tmp_path, GitState(), package=load_package(package.root / "wavetwin")
        )
    assert [d.code for d in caught.value.diagnostics] == ["not-a-repository"]
    provenance = collect_provenance(
        [spec],
        tmp_path,
        GitState(),
        no_git=True,
        package=load_package(package.root / "wavetwin"),
    )
    assert provenance.commit is None
    assert not provenance.uses_git
    assert [source.kind for source in provenance.sources] == ["folder", "folder"]


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    spec = write(tmp_path / "project/a.yaml", "wavetwin: 1\n")
    git(spec.parent, "init", "-q")
    package = load_package(Checkout(tmp_path / "checkout").root / "wavetwin")
    with pytest.raises(CompileError, match="not-a-repository: the repository has no commit yet"):
        collect_provenance([spec], spec.parent, GitState(), package=package)


def test_git_that_does_not_start(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout.root))
    with pytest.raises(CompileError, match="git-failed"):
        checkout.collect()
    assert not checkout.collect(no_git=True).dirty


def test_specs_and_wavetwin_in_two_repositories(checkout: Checkout, tmp_path: Path) -> None:
    spec = write(tmp_path / "mine/a.yaml", "wavetwin: 1\n")
    commit = commit_all(spec.parent, first=True)
    package = load_package(checkout.root / "wavetwin")
    provenance = collect_provenance([spec], spec.parent, GitState(), package=package)
    assert [source.commit for source in provenance.sources] == [commit, checkout.commit]

    write(spec, "wavetwin: 1 # edited\n")
    write(checkout.root / "wavetwin/new.py", "")
    package = load_package(checkout.root / "wavetwin")
    provenance = collect_provenance(
        [spec], spec.parent, GitState(), package=package, allow_dirty=True
    )
    assert [source.patch for source in provenance.sources] == ["inputs.patch", "wavetwin.patch"]
    assert b"a.yaml" in provenance.patches["inputs.patch"]
    assert b"wavetwin/new.py" in provenance.patches["wavetwin.patch"]


def clone_with_patch(checkout: Checkout, patch: bytes) -> Path:
    clone = checkout.root.parent / "clone"
    git(checkout.root.parent, "clone", "-q", str(checkout.root), str(clone))
    git(clone, "checkout", "-q", checkout.commit)
    git(clone, "apply", str(write(clone.parent / "inputs.patch", patch)))
    return clone


HOSTILE_CONFIG = """
[core]
    autocrlf = true
    safecrlf = true
    attributesFile = {folder}/attributes
    excludesFile = {folder}/excludes
[diff]
    noprefix = true
    mnemonicPrefix = true
    external = false
    context = 0
    algorithm = histogram
    renames = copies
[color]
    ui = always
[diff "odd"]
    textconv = false
    command = false
[filter "odd"]
    clean = sed s/a/b/
    required = true
[status]
    showUntrackedFiles = no
"""


@pytest.mark.parametrize("position", ["global", "repository", "neither"])
def test_the_patch_leads_from_the_commit_to_the_inputs(
    checkout: Checkout, position: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "attributes", "* diff=odd filter=odd\n")
    write(tmp_path / "excludes", "*.yaml\n")
    config = write(tmp_path / "config", HOSTILE_CONFIG.format(folder=tmp_path))
    if position == "global":
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no index"))
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "no repository"))
        monkeypatch.setenv("HOME", str(tmp_path))
        shutil.copy(config, tmp_path / ".gitconfig")
    elif position == "repository":
        with (checkout.root / ".git/config").open("a", encoding="utf-8") as file:
            file.write(config.read_text(encoding="utf-8"))
        write(checkout.root / ".git/info/attributes", "*.yaml diff=odd -text\n*.py binary\n")
    assert not checkout.collect().dirty

    write(checkout.spec, "extends: base.yaml\r\nsummary: no line end")
    write(checkout.root / "wavetwin/ir/graph.py", "X = 2   \n\n\n")
    (checkout.root / "templates/model.py.j2").unlink()
    write(checkout.root / "templates/binary\té.j2", BINARY)
    ignored = write(checkout.root / "specs/ignored.yaml", "wavetwin: 1\n")
    objects = sorted((checkout.root / ".git").rglob("*"))
    provenance = checkout.collect(checkout.base, ignored, checkout.spec, allow_dirty=True)
    assert provenance.dirty
    assert sorted((checkout.root / ".git").rglob("*")) == objects

    patch = provenance.patches["inputs.patch"]
    clone = clone_with_patch(checkout, patch)
    # The clone is elsewhere and has another state of the index: the inputs must be the same.
    package = load_package(clone / "wavetwin")
    assert package.digest == provenance.source("wavetwin").package_digest
    for name in provenance.inputs["spec"]:
        assert (clone / name).read_bytes() == (checkout.root / name).read_bytes()
    if position != "repository":
        again = checkout.collect(checkout.base, ignored, checkout.spec, allow_dirty=True)
        assert again.patches == provenance.patches


def test_one_look_for_all_specs(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Counting(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: object) -> None:
            pairs = itertools.pairwise(command)
            calls.append(next(w for last, w in pairs if last != "-c" and not w.startswith("-")))
            super().__init__(command, **options)  # type: ignore[arg-type]

    specs = [write(checkout.root / f"specs/{number}.yaml", "wavetwin: 1\n") for number in range(20)]
    commit_all(checkout.root)
    monkeypatch.setattr(subprocess, "Popen", Counting)
    state, package = GitState(), load_package(checkout.root / "wavetwin")
    look_ahead(state, specs, package)
    for spec in specs:
        collect_provenance([spec], checkout.root, state, package=package)
    assert calls == ["rev-parse", "ls-tree"]


def test_templates_of_a_checkout_and_of_a_wheel(checkout: Checkout, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages" / "wavetwin"
    shutil.copytree(checkout.root / "wavetwin", installed)
    with pytest.raises(FileNotFoundError, match="not whole"):
        find_templates(installed)
    shutil.copytree(checkout.root / "templates", installed / "templates")
    assert find_templates(installed) == installed / "templates"
    assert find_templates(checkout.root / "wavetwin") == checkout.root / "templates"
    write(installed / "__pycache__/x.py", "cached")
    assert load_package(installed).digest == load_package(checkout.root / "wavetwin").digest


def build_folder(checkout: Checkout, **options: bool) -> Path:
    """Return a built folder as `check_before_run` reads it; only what it looks at is there."""
    provenance = checkout.collect(**options)
    folder = checkout.root / "generated" / "a"
    script = write(folder / "train.py", "print()\n")
    manifest = {
        "name": "a",
        "files": {"train.py": sha256_of(script.read_bytes())},
        "inputs": provenance.inputs,
        "sources": [source.to_json() for source in provenance.sources],
    }
    write(folder / "manifest.json", json.dumps(manifest))
    for name, content in provenance.patches.items():
        write(folder / name, content)
    return script


def test_an_unchanged_script_runs(checkout: Checkout) -> None:
    script = build_folder(checkout)
    write(checkout.spec, "edited after the build\n")
    write(checkout.root / "constraints.txt", "edited\n")
    commit_all(checkout.root)
    run = check_before_run(script, False, load_package(checkout.root / "wavetwin"))
    assert run.drift == ()
    assert run.manifest_sha256 == sha256_of((script.parent / "manifest.json").read_bytes())


def test_a_changed_source_stops(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    build_folder(checkout)
    write(checkout.root / "wavetwin/ir/graph.py", "X = 2\n")
    package = load_package(checkout.root / "wavetwin")
    monkeypatch.chdir(checkout.root)
    script, short = Path("generated/a/train.py"), checkout.commit[:7]
    with pytest.raises(CompileError) as caught:
        check_before_run(script, False, package)
    assert render_text(caught.value.diagnostics) == (
        "generated/a/train.py: error: source-changed: the wavetwin that is imported is not the one "
        f"this was built with ({short})\n"
        "  files: wavetwin/ir/graph.py\n"
        f"  help: git worktree add ../at-{short} {short}, or build again; nothing was run\n"
    )
    run = check_before_run(script, True, package)
    assert run.drift == ("source-changed: wavetwin/ir/graph.py",)


@pytest.mark.parametrize("kind", ["patched", "without git", "unknown"])
def test_what_changed_is_named_by_a_list_that_is_found_again(kind: str, checkout: Checkout) -> None:
    """Only a list that has the recorded digest names files; a file may be changed, new or gone."""
    package = checkout.root / "wavetwin"
    if kind != "without git":
        write(package / "ir/node.py", "Y = 1\n")
        write(package / "ir/graph.py", "X = 3\n")
    script = build_folder(checkout, allow_dirty=kind == "patched", no_git=kind != "patched")
    write(package / "ir/graph.py", "X = 2\n")
    write(package / "new.py", "")
    (checkout.root / "templates/model.py.j2").unlink()
    drift = check_before_run(script, True, load_package(package)).drift
    if kind == "unknown":
        (one,) = drift
        assert one.startswith("source-changed: wavetwin (its digest is ")
        with pytest.raises(CompileError, match="source-changed"):
            check_before_run(script, False, load_package(package))
    else:
        names = ("ir/graph.py", "new.py", "templates/model.py.j2")
        assert drift == tuple(f"source-changed: wavetwin/{name}" for name in names)


def test_a_changed_script_stops(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    write(build_folder(checkout), "print(1)\n")
    package = load_package(checkout.root / "wavetwin")
    monkeypatch.chdir(checkout.root)
    script = Path("generated/a/train.py")
    with pytest.raises(CompileError) as caught:
        check_before_run(script, False, package)
    assert render_text(caught.value.diagnostics) == (
        "generated/a/train.py: error: script-modified: files of its folder are not as they were "
        "built\n"
        "  files: train.py\n"
        "  help: wavetwin build --force, or --allow-drift to run and mark the run; nothing was run\n"
    )
    assert check_before_run(script, True, package).drift == ("script-modified: train.py",)


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"files": {}}'])
def test_a_damaged_manifest_stops_always(checkout: Checkout, content: bytes | None) -> None:
    script = build_folder(checkout)
    if content is None:
        (script.parent / "manifest.json").unlink()
    else:
        write(script.parent / "manifest.json", content)
    with pytest.raises(CompileError, match=r"script-modified: its manifest\.json is missing"):
        check_before_run(script, True, load_package(checkout.root / "wavetwin"))


def test_recorded_provenance_takes_the_inputs_of_now(checkout: Checkout) -> None:
    provenance = checkout.collect()
    manifest = {
        "git": True,
        "inputs": provenance.inputs,
        "sources": [source.to_json() for source in provenance.sources],
        "versions": provenance.versions,
    }
    write(checkout.base, "wavetwin: 1 # edited\n")
    package = load_package(checkout.root / "wavetwin")
    files = (checkout.base, checkout.spec)
    again = recorded_provenance(manifest, checkout.root, files, checkout.root, package)
    assert again.commit == checkout.commit
    assert again.sources == provenance.sources
    assert again.inputs["wavetwin"] == provenance.inputs["wavetwin"]
    assert again.inputs["spec"] != provenance.inputs["spec"]


def test_provenance_does_not_import_torch() -> None:
    code = "import sys, wavetwin.provenance.record; print({'torch', 'numpy', 'jinja2'} & set(sys.modules))"
    result = subprocess.run(["python", "-c", code], capture_output=True, check=True)
    assert result.stdout.strip() == b"set()"
