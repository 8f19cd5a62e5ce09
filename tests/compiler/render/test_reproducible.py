"""The same inputs give the same bytes, whoever builds them, and wherever."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.shipped import KINDS, ROOT

WHO = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00+00:00",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00+00:00",
}


def copy_checkout(folder: Path) -> None:
    """A repository with one commit of what the package and its specs are now."""
    folder.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("wavetwin", "templates", "specs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "constraints.txt", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    git = ["git", "-c", "core.autocrlf=false", "-C", str(folder)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True, env=os.environ | WHO)


def build(folder: Path, current: Path, **environment: str) -> dict[str, str]:
    """Build specs with the copy's own wavetwin; SHA-256 by path of what was written."""
    specs = [str(folder / path.relative_to(ROOT)) for path in KINDS]
    code = "import sys; from wavetwin.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run(
        [sys.executable, "-c", code, "build", *specs],
        cwd=current,
        env=os.environ | {"PYTHONPATH": str(folder)} | environment,
        check=True,
        capture_output=True,
    )
    built = folder / "generated"
    return {
        path.relative_to(built).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(built.rglob("*"))
        if path.is_file()
    }


def test_two_clones_build_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "a longer path" / "two"
    copy_checkout(first)
    copy_checkout(second)
    one = build(first, first, PYTHONHASHSEED="1", LC_ALL="C", TZ="UTC")
    two = build(second, tmp_path, PYTHONHASHSEED="2", LC_ALL="C.UTF-8", TZ="Asia/Tokyo")
    assert len({path.split("/")[0] for path in one}) == len(KINDS)
    assert one == two


@pytest.mark.parametrize("change", ["# a comment\n", "\n\n"])
def test_a_comment_changes_no_digest(tmp_path: Path, change: str) -> None:
    import wavetwin

    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    (tmp_path / ".wavetwin.toml").touch()
    path = tmp_path / "specs/alexnet/AwyI_mod.yaml"
    before = wavetwin.compile(path)
    for file in (path, tmp_path / "specs/base/alexnet_twin.yaml"):
        file.write_text(change + file.read_text(encoding="utf-8"), encoding="utf-8")
    after = wavetwin.compile(path)
    assert (after.digest, after.training_digest, after.model_digest) == (
        before.digest,
        before.training_digest,
        before.model_digest,
    )
    assert after.resolved == before.resolved
