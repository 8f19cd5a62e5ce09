"""docs/tutorial.md: its files and commands, in their order, in an empty folder; what it quotes is printed."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.documented import is_dirty, missing_lines, shell_of_a_new_user
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?:^`(?P<file>[\w/]+\.\w+)`[^\n]*:\n\n)?^```(?P<kind>\w+)[^\n]*\n(?P<text>.*?)^```$",
    re.M | re.S,
)
KINDS = {"sh", "text", "yaml", "python", "console"}
"""Commands, what they print, files, and commands that ask for a network, which are not run."""


def blocks() -> Iterator[tuple[str, str | None, str]]:
    """Yield kind, file and text of each fenced block."""
    for match in BLOCK.finditer(PAGE):
        yield match["kind"], match["file"], match["text"]


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
    folder = tmp_path_factory.mktemp("tutorial") / "empty"
    shell = shell_of_a_new_user(folder)
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
    folder.with_name("transcript.txt").write_text(shell.transcript, encoding="utf-8")
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
