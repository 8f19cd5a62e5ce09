"""A build offers what to add to .gitignore; followed, git leaves built folders and runs alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.provenance.test_provenance import commit_all, git, write
from wavetwin.commands import cli

SPEC = """\
wavetwin: 1
backbone: {arch: sequential, layers: [{flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, stride: 2}
data: {dataset: digits}
"""
BOTH = "gitignore   generated/ and runs/ are not ignored by git: printf '%s\\n' /generated/ /runs/ >> .gitignore"

Offer = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a repository of its own, without a .gitignore."""
    root = tmp_path / "a project"
    root.mkdir()
    git(root, "init", "-q")
    write(root / ".wavetwin.toml", "")
    write(root / "a.yaml", SPEC)
    commit_all(root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def offer(capsys: pytest.CaptureFixture[str]) -> Offer:
    """Build, and return the lines that offer something."""

    def build(*label: str) -> str:
        # The checkout of this test may have changes.
        assert cli.main(["build", "--allow-dirty", *(label or ("a.yaml",))]) == 0
        lines = capsys.readouterr().out.splitlines()
        return "\n".join(line for line in lines if line.startswith("gitignore"))

    return build


def follow(line: str, folder: Path) -> None:
    subprocess.run(["sh", "-c", line.partition("by git: ")[2]], cwd=folder, check=True)


def untracked(root: Path) -> list[str]:
    lines = git(root, "status", "--porcelain", "--untracked-files=all").splitlines()
    return sorted(line[3:] for line in lines if line.startswith("??"))


def test_the_remedy_is_followed_and_the_offer_is_gone(project: Path, offer: Offer) -> None:
    said = offer()
    assert said == BOTH
    assert not (project / ".gitignore").exists()
    write(project / "runs/a/b-s0/manifest.json", "{}")
    follow(said, project)
    assert offer() == ""
    assert untracked(project) == [".gitignore"]


def test_a_last_line_without_an_end_stays_a_line(project: Path, offer: Offer) -> None:
    write(project / ".gitignore", "/data/\n*.log")
    follow(offer(), project)
    assert (project / ".gitignore").read_text().splitlines() == [
        "/data/", "*.log", "/generated/", "/runs/",
    ]  # fmt: skip
    assert offer() == ""


def test_a_project_below_the_root_from_another_folder(
    project: Path, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "sub dir/.wavetwin.toml", "")
    write(project / "sub dir/b.yaml", SPEC)
    commit_all(project)
    said = offer("sub dir/b.yaml")
    assert said.endswith("/generated/ /runs/ >> 'sub dir/.gitignore'")
    follow(said, project)
    assert offer("sub dir/b.yaml") == ""
    # The outer project is another one.
    assert offer() == BOTH
    monkeypatch.chdir(project / "sub dir")
    (project / "sub dir/.gitignore").unlink()
    assert offer("b.yaml") == BOTH


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "/generated/\n",
            "gitignore   runs/ is not ignored by git: printf '%s\\n' /runs/ >> .gitignore",
        ),
        (
            "runs\n",
            "gitignore   generated/ is not ignored by git: printf '%s\\n' /generated/ >> .gitignore",
        ),
        ("/generated/*\n!/generated/README.md\nruns/\n", ""),
        ("*\n!*.yaml\n", ""),
        ("/generated/\n/runs/\n!/runs/\n", "/runs/ >> .gitignore"),
    ],
)
def test_what_is_ignored_already(project: Path, offer: Offer, text: str, expected: str) -> None:
    write(project / ".gitignore", text)
    said = offer()
    assert said.endswith(expected)
    assert (said == "") == (expected == "")


def test_ignored_elsewhere_than_in_the_project(project: Path, offer: Offer) -> None:
    write(project / ".git/info/exclude", "generated/\nruns/\n")
    assert offer() == ""


def test_builds_that_are_in_git_are_left_there(project: Path, offer: Offer) -> None:
    write(project / "runs/README.md", "what lies here")
    offer()
    commit_all(project)
    assert offer() == "gitignore   runs/ is not ignored by git: printf '%s\\n' /runs/ >> .gitignore"


def test_runs_that_are_kept_elsewhere(project: Path, offer: Offer, tmp_path: Path) -> None:
    """A pattern with a slash at its end is none for a link."""
    (tmp_path / "scratch").mkdir()
    (project / "runs").symlink_to(tmp_path / "scratch")
    said = offer()
    assert said.endswith("/generated/ /runs >> .gitignore")
    follow(said, project)
    assert offer() == ""
    assert untracked(project) == [".gitignore"]


def test_a_build_that_is_kept_elsewhere(project: Path, offer: Offer, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (project / "generated").mkdir()
    (project / "generated/a").symlink_to(tmp_path / "scratch")
    said = offer()
    assert said == BOTH
    follow(said, project)
    assert offer() == ""


def test_builds_that_are_a_repository_of_their_own(project: Path, offer: Offer) -> None:
    inner = project / "generated"
    inner.mkdir()
    git(inner, "init", "-q")
    write(inner / "README.md", "builds")
    commit_all(inner)
    commit_all(project)  # as a submodule has it
    assert offer() == ""


def test_nothing_is_offered_without_git_or_elsewhere(
    project: Path, offer: Offer, tmp_path: Path
) -> None:
    assert offer("--no-git", "a.yaml") == ""
    assert offer("--out", str(tmp_path / "out"), "a.yaml") == ""
    assert offer("--out", "generated", "a.yaml") == BOTH
    assert offer("--format", "json", "a.yaml") == ""
