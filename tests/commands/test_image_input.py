"""Commands on a network whose layers begin with the image: no first layer is asked for, or it is said so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import wavetwin
from wavetwin.commands import cli

SPEC = """\
wavetwin: 1
backbone:
  arch: sequential
  input: image
  layers:
    - {name: first, conv: {channels: 4, stride: 2}, norm: {}, relu: {}}
    - flatten: {}
    - {name: scores, linear: {}}
data: {dataset: digits}
"""
SWAP = "extends: listed.yaml\nbackbone: {replace: {first: {invariant: {}}}}\n"
WITH_STEM = """\
wavetwin: 1
backbone: {arch: sequential, layers: [{flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, stride: 4}
data: {dataset: digits}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    for name, text in (("listed", SPEC), ("swap", SWAP), ("stem", WITH_STEM)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "listed.yaml", "--kernels", "kernels.png"),
        ("study", "sparse", "listed.yaml"),
        ("study", "kernels", "listed.yaml", "stem.yaml"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_what_reads_a_first_layer_says_that_there_is_none(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
):
    assert cli.main([*arguments]) == 2
    printed = capsys.readouterr()
    assert "listed: error: no-stem: " in printed.out + printed.err


def test_diff_names_both_locations_and_pairs_by_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    cli.main(["diff", "listed.yaml", "swap.yaml"])
    text = capsys.readouterr().out
    assert "[listed.yaml:6 and swap.yaml:2]" in text
    assert "- trunk.first.conv " in text
    assert "+ trunk.first.invariant " in text
    assert "1 added, 1 removed; 5 the same" in text.replace("\n", " ")


def test_diff_says_that_one_side_has_a_first_layer(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    cli.main(["diff", "listed.yaml", "stem.yaml"])
    text = capsys.readouterr().out
    assert "input of the layers: " in text
    assert "first stride" not in text
    assert "blur size" not in text


def test_diff_tells_how_weights_begin(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "begun.yaml").write_text(
        "extends: listed.yaml\nbackbone: {initial: {gain: 2}}\n", encoding="utf-8"
    )
    cli.main(["diff", "listed.yaml", "begun.yaml"])
    text = " ".join(capsys.readouterr().out.split())
    assert "torch's own law -> xavier_uniform times 2" in text


def test_weights_are_imported_by_the_layers_names(folder: Path, capsys: pytest.CaptureFixture[str]):
    state = wavetwin.build_model(wavetwin.compile(folder / "listed.yaml")).state_dict()
    save_file({name: torch.ones_like(value) for name, value in state.items()}, "in.safetensors")
    arguments = ["in.safetensors", "--spec", "listed.yaml", "--out", "out.safetensors"]
    code = cli.main(["import", "weights", *arguments])
    assert code == 0, capsys.readouterr()
    assert (folder / "out.safetensors").exists()
