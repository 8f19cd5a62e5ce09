"""`wavetwin new`: a child spec that says what differs, checked before it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec

PARENT = """
extends: wavetwin:digits/cnn.yaml
stem: {free_channels: 16}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a project"
    (folder / "specs" / "more").mkdir(parents=True)
    (folder / ".wavetwin.toml").touch()
    (folder / "specs" / "a.yaml").write_text(PARENT, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def test_a_child_says_what_differs_and_is_that_experiment(project: Path) -> None:
    overrides = ["training.optimizer.lr=0.05", "summary='wider: yes'", "stem.free_channels=32"]
    options = [part for each in overrides for part in ("--set", each)]
    assert cli.main(["new", "wide", "--from", "specs/a.yaml", *options]) == 0
    text = (project / "specs/wide.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[2:] == [
        "extends: a.yaml",
        "# One line about the experiment",
        "summary: 'wider: yes'",
        "stem:",
        "  # Freely trained output channels",
        "  free_channels: 32",
        "training:",
        "  optimizer:",
        "    # Initial learning rate",
        "    lr: 0.05",
    ]
    assert text.endswith("lr: 0.05\n")
    written = compile_spec(project / "specs/wide.yaml")
    assert written.digest == compile_spec(project / "specs/a.yaml", overrides).digest
    assert written.name == "wide"


def test_where_a_child_is_written(project: Path) -> None:
    assert cli.main(["new", "twin", "--from", "wavetwin:digits/twin.yaml"]) == 0
    text = (project / "specs/twin.yaml").read_text(encoding="utf-8")
    assert 'extends: "wavetwin:digits/twin.yaml"\n' in text
    arguments = [
        "--from",
        "specs/twin.yaml",
        "--set",
        "stem.wavelet=null",
        "--set",
        "stem.free_channels=24",
    ]
    assert cli.main(["new", "specs/more/cnn.yaml", *arguments]) == 0
    text = (project / "specs/more/cnn.yaml").read_text(encoding="utf-8")
    assert 'extends: "../twin.yaml"\n' in text
    assert compile_spec(project / "specs/more/cnn.yaml").spec.stem.wavelet is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "output-exists"),
        (["specs/none/b.yaml"], "output-not-written"),
        (["b", "--set", "stem.fre_channels=3"], "specs/b.yaml:5:3: error: unknown-field"),
        (["b", "--set", "stem.free_channels=16"], "stem.free_channels is 16 in a already"),
        (["b", "--set", "training.epochs=3", "--set", "training.epochs=4"], "is set twice"),
        (["b", "--set", "training={epochs: 3}", "--set", "training.seed=4"], "is set twice"),
        (["b", "--set", "summary=a: b"], "error: "),
        (["b", "--set", "training.epochs"], "bad-override"),
        (["b", "--set", 'summary="a\n b"'], "stands on one line"),
        (["b", "--set", "stem.kernel_size=99"], "out-of-range"),
    ],
)
def test_nothing_is_written_of_a_child_at_fault(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = sorted(project.rglob("*"))
    assert cli.main(["new", "--from", "specs/a.yaml", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert sorted(project.rglob("*")) == before
    assert (project / "specs/a.yaml").read_text(encoding="utf-8") == PARENT


def test_a_parent_that_is_not_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", "b", "--from", "specs/b.yaml"]) == 2
    assert cli.main(["new", "b", "--from", "wavetwin:digits/cmm.yaml"]) == 2
    assert "did you mean 'wavetwin:digits/cnn.yaml'?" in capsys.readouterr().err
