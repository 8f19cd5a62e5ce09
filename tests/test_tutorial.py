"""docs/tutorial.md: its files and commands, in their order, in an empty folder; what it quotes is printed."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?:^`(?P<file>[\w/]+\.\w+)`[^\n]*:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
KINDS = {"sh", "text", "yaml", "python", "console"}
"""Commands, what they print, files, and commands that ask for a network, which are not run."""


@dataclass
class Shell:
    """A shell that a reader types into: its folder and its exported variables stay."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    printed: str = ""
    """By the last commands."""
    transcript: str = ""
    """All commands, each with what it printed."""

    def run(self, commands: str) -> None:
        """Run commands and stop at the first that fails."""
        state = self.folder.parent / "state"
        script = f"{commands}\n{{ pwd; echo \"$WAVETWIN_DATA\"; }} > '{state}'\n"
        done = subprocess.run(
            ["bash", "-ec", script],
            cwd=self.folder,
            env=self.variables,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3000,
        )
        self.printed = done.stdout
        self.transcript += f"$ {commands}{done.stdout}"
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        folder, data = state.read_text(encoding="utf-8").splitlines()
        state.unlink()
        self.folder = Path(folder)
        if data:
            self.variables["WAVETWIN_DATA"] = data


def blocks() -> Iterator[tuple[str, str | None, str]]:
    """Yield kind, file and text of each fenced block."""
    for match in BLOCK.finditer(PAGE):
        yield match["kind"], match["file"], match["text"]


def masked(line: str) -> str:
    """Return a line without what changes from machine to machine: numbers, digests, spaces."""
    line = re.sub(r"\b[0-9a-f]{8,}\b", "H", line)
    return " ".join(re.sub(r"[+-]?[0-9][0-9.,:]*(?<![.,:])", "N", line).split())


def missing_lines(quoted: str, printed: str) -> list[str]:
    """Return the quoted lines that are not printed in this order; dots stand for anything."""
    lines = iter([masked(line) for line in re.split(r"[\n\r]", printed)])
    missing: list[str] = []
    for line in quoted.splitlines():
        if line.strip() == "...":
            continue
        pattern = re.escape(masked(line)).replace(r"\.\.\.", ".*")
        if not any(re.fullmatch(pattern, each) for each in lines):
            missing.append(line)
    return missing


def environment(home: Path) -> dict[str, str]:
    """Return what a new user's shell has: no configuration, no cache, a name for git, no network."""
    programs = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    identity = {
        f"GIT_{role}_{what}": "a@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    own = {"HOME": str(home), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, **identity, **nowhere, **own, "PATH": os.pathsep.join(programs)}


ALLOWING = """\
wavetwin() { case $1 in run) command wavetwin run --allow-dirty "${@:2}";; *) command wavetwin "$@";; esac; }
"""
"""For a checkout of wavetwin that somebody works in: a build refuses changes that are not committed."""


def is_dirty() -> bool:
    """Return whether the checkout that is tested has changes; a new user's wavetwin has none."""
    command = ["git", "status", "--porcelain", "--", "wavetwin", "templates", "constraints.txt"]
    return bool(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


def test_every_block_is_run_written_or_compared():
    found = list(blocks())
    assert PAGE.count("\n```") == 2 * len(found)
    assert {kind for kind, _, _ in found} == KINDS
    for kind, file, text in found:
        assert (file is not None) == (kind in ("yaml", "python")), text
    kinds = [kind for kind, _, _ in found]
    for number, kind in enumerate(kinds):
        assert kind != "text" or kinds[number - 1] == "sh"


def test_a_line_that_is_not_printed_is_missed():
    printed = "epoch 1: loss 2.50, error 0.8\nrun: /tmp/x/runs/a/0123abcd-s0\n"
    assert not missing_lines("epoch 1: loss 1.25, error 0.5\n...\nrun: .../00ff00ff-s0\n", printed)
    assert missing_lines("epoch 1: loss\n", printed) == ["epoch 1: loss"]
    assert missing_lines("run: ...\nepoch 1: loss 2.50, error 0.8\n", printed) == [
        "epoch 1: loss 2.50, error 0.8"
    ]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the page; return the project's folder."""
    above = tmp_path_factory.mktemp("tutorial")
    home, folder = above / "home", above / "empty"
    home.mkdir()
    folder.mkdir()
    shell = Shell(folder, environment(home))
    if is_dirty():
        (home / "allowing").write_text(ALLOWING, encoding="utf-8")
        shell.variables["BASH_ENV"] = str(home / "allowing")
    for kind, file, text in blocks():
        if kind == "sh":
            shell.run(text)
        elif kind == "text":
            assert not missing_lines(text, shell.printed), shell.printed
        elif file is not None:
            frozen = [each.name for each in (shell.folder / "runs/frozen").glob("*-s0")]
            assert "RUN_ID" not in text or len(frozen) == 1
            target = shell.folder / file
            target.parent.mkdir(exist_ok=True)
            target.write_text(text.replace("RUN_ID", "".join(frozen)), encoding="utf-8")
    (above / "transcript.txt").write_text(shell.transcript, encoding="utf-8")
    return shell.folder


def document(file: Path) -> Mapping[str, object]:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.slow  # trains five networks
@pytest.mark.timeout(7200)
def test_both_networks_have_two_seeds_and_start_from_the_frozen_run(study: Path):
    (frozen,) = (study / "runs/frozen").iterdir()
    for name in ("released", "cmod"):
        runs = sorted((study / "runs" / name).iterdir(), key=lambda run: run.name[-3:])
        assert [run.name[-3:] for run in runs] == ["-s0", "-s1"]
        for run in runs:
            manifest = document(run / "manifest.json")
            assert (manifest["status"], manifest["dirty"]) == ("finished", is_dirty())
            start = document(run / "starting_weights.json")
            assert start["file"] == f"runs/frozen/{frozen.name}/checkpoints/best.safetensors"
            assert start["fresh"] == ["stem.wavelet.colour.weight"] * (name == "cmod")
            assert ("projected" in start) == (name == "cmod")
    # What is frozen is what the file had.
    from safetensors.torch import load_file

    before = document(frozen / "starting_weights.json")
    assert before["fresh"] == ["trunk.avgpool.power", "trunk.fc.weight", "trunk.fc.bias"]
    after = load_file(frozen / "checkpoints/last/model.safetensors")
    assert float(after["trunk.avgpool.power"]) != 2.0


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_scores_tables_and_figures_are_there(study: Path):
    for run in (study / "runs").glob("*/*-s*"):
        records = document(run / "scores.json")["scores"]
        assert isinstance(records, list)
        best = {each["checkpoint"] for each in records}
        assert best == ({"last", "best"} if run.match("cmod/*-s0") else {"last"})
        assert {each["entry"]["mode"] for each in records} == {"one_crop", "shifts"}
        (predictions, *_) = (run / "predictions").glob("one_crop-*.csv")
        with predictions.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert len(rows) == 48
        assert {row["label"] for row in rows} == {
            "brick", "cat", "coffee", "grass", "gravel", "temple",
        }  # fmt: skip
    tables = {each.name for each in (study / "tables").iterdir()}
    assert tables >= {"classes.csv", "calibration.csv", "paired-classes.csv"}
    assert "toprule" in (study / "tables.tex").read_text(encoding="utf-8")
    figures = [each.name for each in (study / "figures").iterdir()]
    names = {name.partition(".")[0] for name in figures}
    assert names >= {"training-loss", "validation-top-1-error", "kernels"}
    assert sorted(figures) == sorted(
        f"{each}.{end}" for each in names for end in ("csv", "pdf", "svg")
    )
    page = (study / "report.html").read_text(encoding="utf-8")
    for heading in ("Classes and calibration", "First layer", "What differs"):
        assert heading in page
