"""`wavetwin specs`, and commands that take a starter by its name."""

import json
from pathlib import Path

import pytest

from tests.support.shipped import ROOT, SPECS
from wavetwin.commands import cli


def test_all_starters_are_listed_with_their_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["specs"]) == 0
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(listed) == [
        f"wavetwin:{path.relative_to(ROOT / 'specs').as_posix()}" for path in SPECS
    ]
    assert listed["wavetwin:resnet34/RwyI.yaml"] == "ResNet-34 on ImageNet, twin (RMax)"
    # Without a summary of its own, the parent's.
    assert all(listed.values())


def test_a_folder_is_listed_and_a_spec_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["specs", "wavetwin:digits", "mnist/"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[0] == "wavetwin:digits/cnn.yaml"
    assert names[-1] == "wavetwin:mnist/mnist_rmax.yaml"
    assert cli.main(["specs", "digits/cnn.yaml"]) == 0
    text = (ROOT / "specs/digits/cnn.yaml").read_text(encoding="utf-8")
    assert capsys.readouterr().out == text
    assert cli.main(["specs", "digits/cnm.yaml"]) == 2
    assert "did you mean 'wavetwin:digits/cnn.yaml'?" in capsys.readouterr().err


def test_commands_that_write_nothing_take_starters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "wavetwin:digits/twin.yaml"
    assert cli.main(["check", name]) == 0
    assert cli.main(["show", name, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["name"] == "twin"
    assert cli.main(["diff", name, "wavetwin:digits/twin_mod.yaml"]) == 1
    assert "modulus" in capsys.readouterr().out
    assert cli.main(["build", name]) == 2
    assert f"wavetwin new NAME --from {name}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
