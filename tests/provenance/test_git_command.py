"""Git is called in one way: repositories of others start no program, and remedies can be followed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.provenance.test_provenance import Checkout, commit_all, git, write
from wavetwin.commands import cli
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.provenance import git_command

SPEC = "wavetwin: 1\nextends: base.yaml\ntraining: {seed: 1}\n"
BASE = """\
wavetwin: 1
backbone: {arch: sequential, layers: [{flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, stride: 2}
data: {dataset: digits}
"""
HOOKS = ("pre-commit", "post-index-change", "reference-transaction", "post-checkout")


def configure(root: Path, settings: dict[str, str]) -> None:
    lines: list[str] = []
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        first, _, second = section.partition(".")
        lines += [f'[{first} "{second}"]' if second else f"[{first}]", f'\t{name} = "{value}"']
    with (root / ".git/config").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


class Traps:
    """A program that leaves a file for each setting that starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = write(folder / "trap", f'#!/bin/sh\ntouch "{folder}/RAN-$1"\nexit 1\n')
        self.program.chmod(0o755)

    def sprung(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("RAN-*"))

    def set_up(self, root: Path) -> None:
        """Name the program in all the ways in which a repository can."""
        hooks = root / ".git/hooks"
        for name in HOOKS:
            write(hooks / name, f'#!/bin/sh\n"{self.program}" hook-{name}\n').chmod(0o755)
        trap = self.program
        more = write(root / ".git/more", f"[core]\n\tfsmonitor = {trap} included\n")
        aliases = ("rev-parse", "ls-tree", "cat-file", "check-ignore", "diff-index")
        configure(
            root,
            {
                "include.path": str(more),
                "core.fsmonitor": f"{trap} fsmonitor",
                "core.hooksPath": str(hooks),
                "core.pager": f"{trap} pager",
                "core.sshCommand": f"{trap} ssh",
                "core.gitProxy": f"{trap} proxy",
                "core.askPass": f"{trap}",
                "core.alternateRefsCommand": f"{trap} alternate",
                "credential.helper": f"!{trap} credential",
                "diff.external": f"{trap} external",
                "diff.odd.command": f"{trap} command",
                "diff.odd.textconv": f"{trap} textconv",
                "filter.odd.clean": f"{trap} clean",
                "filter.odd.smudge": f"{trap} smudge",
                "filter.odd.process": f"{trap} process",
                "filter.odd.required": "true",
                "gpg.program": f"{trap}",
                "pager.rev-parse": f"{trap} pager",
                **{f"alias.{command}": f"!{trap} alias-{command}" for command in aliases},
            },
        )
        write(root / ".git/info/attributes", "* filter=odd diff=odd\n")


@pytest.fixture
def traps(tmp_path: Path) -> Traps:
    return Traps(tmp_path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "a project"
    write(root / "base.yaml", BASE)
    write(root / "a.yaml", SPEC)
    commit_all(root, first=True)
    write(root / "a.yaml", SPEC.replace("1}", "2}"))
    commit_all(root)
    monkeypatch.chdir(root)
    return root


def failing(call: Callable[[], object]) -> Diagnostic:
    with pytest.raises(CompileError) as caught:
        call()
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def diff_at(capsys: pytest.CaptureFixture[str], revision: str = "HEAD~1") -> tuple[int, str]:
    code = cli.main(["diff", "a.yaml", "--at", revision])
    return code, capsys.readouterr().err


def use_git(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Put a `git` before the real one that runs a line of shell first."""
    real = shutil.which("git")
    write(folder / "bin/git", f'#!/bin/sh\n{line}\nexec {real} "$@"\n').chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")


def test_the_traps_are_good_ones(project: Path, traps: Traps) -> None:
    """Plain git does run what the configuration names."""
    traps.set_up(project)
    write(project / "a.yaml", BASE)
    subprocess.run(["git", "status"], check=False, capture_output=True)
    subprocess.run(["git", "diff"], check=False, capture_output=True)
    assert {"RAN-fsmonitor", "RAN-process"} <= set(traps.sprung())


def test_no_program_of_the_repository_is_run(
    project: Path, traps: Traps, capsys: pytest.CaptureFixture[str]
) -> None:
    traps.set_up(project)
    assert diff_at(capsys)[0] == 1
    assert traps.sprung() == []


def test_no_program_is_run_for_provenance_and_its_patch(checkout: Checkout, traps: Traps) -> None:
    traps.set_up(checkout.root)
    assert not checkout.collect().dirty
    write(checkout.spec, "extends: base.yaml\nsummary: other\n")
    ignored = write(checkout.root / "specs/ignored.yaml", "wavetwin: 1\n")
    found = checkout.collect(checkout.base, checkout.spec, ignored, allow_dirty=True)
    assert b"+summary: other" in found.patches["inputs.patch"]
    assert traps.sprung() == []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


@pytest.mark.parametrize("kind", ["ext", "ssh", "git", "file", "vcs"])
def test_a_partial_clone_fetches_nothing(
    kind: str, project: Path, traps: Traps, capsys: pytest.CaptureFixture[str]
) -> None:
    traps.set_up(project)
    url = {
        "ext": f"ext::{traps.program} ext",
        "ssh": "ssh://example.invalid/r",
        "git": "git://example.invalid/r",
        "file": str(traps.folder),
        "vcs": "x",
    }[kind]
    settings = {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": url,
        "remote.origin.uploadpack": f"{traps.program} uploadpack",
        "protocol.allow": "always",
        **({"remote.origin.vcs": "ext"} if kind == "vcs" else {}),
    }
    configure(project, settings)
    oid = git(project, "rev-parse", "HEAD~1:a.yaml")
    (project / ".git/objects" / oid[:2] / oid[2:]).unlink()
    code, message = diff_at(capsys)
    assert code == 2
    assert "error: git-failed" in message
    assert "partial clone" in message
    assert traps.sprung() == []


def test_a_partial_clone_can_be_completed(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    git(project, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "a clone"
    git(tmp_path, "clone", "-q", "--filter=blob:none", project.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    code, message = diff_at(capsys)
    assert code == 2
    remedy = re.search(r"help: (git -C .*) fetches it", message)
    assert remedy is not None
    subprocess.run(shlex.split(remedy[1]), check=True, capture_output=True)
    assert diff_at(capsys)[0] == 1


def test_a_shallow_clone_can_be_completed(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clone = tmp_path / "a clone"
    git(tmp_path, "clone", "-q", "--depth", "1", project.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    code, message = diff_at(capsys)
    assert code == 2
    assert (
        "a.yaml: error: unknown-commit: the repository has no commit 'HEAD~1'; it is shallow"
        in (message)
    )
    remedy = re.search(r"help: (git -C .* fetch --unshallow)", message)
    assert remedy is not None
    subprocess.run(shlex.split(remedy[1]), check=True, capture_output=True)
    assert diff_at(capsys)[0] == 1


@pytest.mark.parametrize("configured", ["home", "variable"])
@pytest.mark.parametrize("command", ["diff", "build"])
def test_the_remedy_for_a_repository_of_somebody_else_works(
    command: str,
    configured: str,
    checkout: Checkout,
    project: Path,
    traps: Traps,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traps.set_up(project)
    monkeypatch.setenv("HOME", str(tmp_path))
    if configured == "variable":
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "own config"))
    # git's own switch for its tests: the owner is then somebody else.
    use_git(tmp_path, monkeypatch, "export GIT_TEST_ASSUME_DIFFERENT_OWNER=1")

    def call() -> object:
        if command == "build":
            return checkout.collect()
        from wavetwin.explain.diff.at_commit import compile_at

        return compile_at(project / "a.yaml", "HEAD~1", (), None)

    found = failing(call)
    assert found.code == "git-failed"
    assert "dubious ownership" in found.headline
    remedy = re.search(r"git config --global --add safe\.directory [^;]+", found.help or "")
    assert remedy is not None
    subprocess.run(shlex.split(remedy[0]), check=True, capture_output=True)
    call()
    assert traps.sprung() == []


def test_a_repository_that_was_given_away_is_refused(
    project: Path, traps: Traps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traps.set_up(project)
    monkeypatch.setenv("HOME", str(tmp_path))
    if os.geteuid() == 0:
        for path in (project, *project.rglob("*")):
            os.chown(path, 65534, 65534)
    else:  # who cannot give files away has git's own switch
        use_git(tmp_path, monkeypatch, "export GIT_TEST_ASSUME_DIFFERENT_OWNER=1")
    assert cli.main(["diff", "a.yaml", "--at", "HEAD"]) == 2
    assert traps.sprung() == []


def test_a_bare_repository_in_place_of_a_broken_one_is_not_taken(
    project: Path, traps: Traps, capsys: pytest.CaptureFixture[str]
) -> None:
    traps.set_up(project)
    for name in ("HEAD", "config", "objects", "refs"):
        source = project / ".git" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, project / name)
    write(project / ".git/HEAD", "nothing\n")
    code, message = diff_at(capsys)
    assert code == 2
    assert "error: git-failed" in message
    assert traps.sprung() == []


def test_a_git_beside_the_spec_is_not_the_one_that_is_called(
    project: Path, traps: Traps, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "git", f'#!/bin/sh\n"{traps.program}" git\n').chmod(0o755)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}{os.environ['PATH']}")
    assert diff_at(capsys)[0] == 1
    assert traps.sprung() == []


def test_variables_of_a_hook_lead_to_no_other_repository(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "COMMON_DIR", "NAMESPACE"):
        monkeypatch.setenv(f"GIT_{name}", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
    assert diff_at(capsys)[0] == 1


def test_without_git_every_command_says_so(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for label in (["diff", "a.yaml", "--at", "HEAD"], ["build", "a.yaml"], ["run", "a.yaml"]):
        assert cli.main(label) == 2
        message = capsys.readouterr().err
        assert "error: git-failed: cannot start git: No such file or directory" in message
        assert "help: install git, or put it on PATH" in message
    assert not (project / "generated").exists()


def test_a_forged_tree_writes_through_no_link(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tree that holds a link `x` and a folder `x`, and a link that leads out of the repository."""
    aim = tmp_path / "aim"
    aim.mkdir()

    def stored(content: str, *label: str) -> str:
        command = ["git", *label, "--stdin"] if label[0] == "hash-object" else ["git", *label]
        result = subprocess.run(command, input=content.encode(), check=True, capture_output=True)
        return result.stdout.decode().strip()

    link = stored(str(aim), "hash-object", "-w")
    up = stored("../aim/x.yaml", "hash-object", "-w")
    spec = stored(BASE, "hash-object", "-w")
    main = stored("extends: [up.yaml, x, x/b.yaml]\n" + BASE, "hash-object", "-w")
    inner = stored(f"100644 blob {spec}\tb.yaml\n", "mktree")
    lines = (
        f"100644 blob {main}\ta.yaml\n120000 blob {up}\tup.yaml\n"
        f"120000 blob {link}\tx\n040000 tree {inner}\tx\n"
    )
    tree = stored(lines, "mktree")
    commit = git(project, "commit-tree", tree, "-m", "forged")
    assert diff_at(capsys, commit)[0] == 2
    assert list(aim.iterdir()) == []
    assert stat.S_ISDIR(aim.stat().st_mode)


@pytest.mark.parametrize("where", ["include.path", "config", "HEAD", "objects/info/alternates"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(
    where: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipe = project / ".git" / ("more" if where == "include.path" else where)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    if where == "include.path":
        configure(project, {"include.path": str(pipe)})
    monkeypatch.setattr(git_command, "LIMIT_SECONDS", 0.3)
    code, message = diff_at(capsys)
    assert code == 2
    assert "error: git-failed" in message or "error: not-a-repository" in message
    assert "internal-error" not in message


def test_objects_of_another_repository_are_read_and_nothing_of_it_is_run(
    project: Path, tmp_path: Path, traps: Traps, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alternates lend objects, which their names are digests of; settings are not lent."""
    other = tmp_path / "other"
    shutil.copytree(project, other)
    traps.set_up(other)
    oid = git(project, "rev-parse", "HEAD~1:a.yaml")
    (project / ".git/objects" / oid[:2] / oid[2:]).unlink()
    assert diff_at(capsys)[0] == 2
    write(project / ".git/objects/info/alternates", f"{other / '.git/objects'}\n")
    assert diff_at(capsys)[0] == 1
    write(project / ".git/objects/info/alternates", f"{tmp_path / 'nowhere'}\n")
    code, message = diff_at(capsys)
    assert (code, "its object" in message or "bad object" in message) == (2, True), message
    assert traps.sprung() == []


def test_no_program_of_a_submodule_is_run(
    checkout: Checkout, tmp_path: Path, traps: Traps, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "part"
    write(part / "file.txt", "one\n")
    commit_all(part, first=True)
    allowed = ("-c", "protocol.file.allow=always")
    git(checkout.root, *allowed, "submodule", "add", "-q", str(part), "part")
    commit_all(checkout.root)
    inside = checkout.root / "part"
    configure_at(checkout.root / ".git/modules/part/config", traps)
    write(checkout.root / ".git/modules/part/info/attributes", "* filter=odd diff=odd\n")
    write(inside / "file.txt", "two\n")
    write(checkout.spec, "extends: base.yaml\nsummary: other\n")
    found = checkout.collect(checkout.base, checkout.spec, allow_dirty=True)
    assert b"+summary: other" in found.patches["inputs.patch"]
    assert traps.sprung() == []
    subprocess.run(["git", "status"], cwd=checkout.root, check=False, capture_output=True)
    assert traps.sprung()


def configure_at(file: Path, traps: Traps) -> None:
    trap = traps.program
    with file.open("a", encoding="utf-8") as config:
        config.write(f'[core]\n\tfsmonitor = "{trap} fsmonitor"\n')
        config.write(f'[filter "odd"]\n\tclean = "{trap} clean"\n\trequired = true\n')
