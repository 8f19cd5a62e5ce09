"""`wavetwin fmt`: one form, the same values, every comment, and nothing more the second time."""

import random
import subprocess
from pathlib import Path

import pytest

from tests.support.shipped import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.format import format_text
from wavetwin.compiler.parse.nodes import to_plain
from wavetwin.compiler.parse.source import Source
from wavetwin.compiler.parse.tree import parse_text

UGLY = """\
wavetwin:   1


# of all
extends:   wavetwin:digits/cnn.yaml   \r
backbone:
      layers:
      - conv: {channels: 32,kernel_size: 3, bias: false}
            # of the norm
      - norm: {}
      -   relu: {}
      - flatten: {}
      - linear: {}
training: {epochs: 3,   # few
   optimizer: {name: sgd, lr: 1e-1}}
summary: >
   a long

   text
tags: ['a', "b"]
# the end

"""
FORMED = """\
wavetwin: 1

# of all
extends: wavetwin:digits/cnn.yaml
backbone:
  layers:
    - conv: {channels: 32, kernel_size: 3, bias: false}
    # of the norm
    - norm: {}
    - relu: {}
    - flatten: {}
    - linear: {}
training: {epochs: 3,   # few
  optimizer: {name: sgd, lr: 1e-1}}
summary: >
  a long

  text
tags: ['a', "b"]
# the end
"""


def values(text: str) -> object:
    tree = parse_text(Source("", text)).tree
    assert tree is not None
    return to_plain(tree)


def test_one_form_keeps_the_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "a.yaml"
    spec.write_bytes(UGLY.encode())
    before = compile_spec(spec).digest
    assert cli.main(["fmt", "--check", str(spec)]) == 1
    assert spec.read_bytes() == UGLY.encode()
    assert capsys.readouterr().err == f"differs     {spec}\n1 file, 1 to be written\n"
    assert cli.main(["fmt", str(tmp_path)]) == 0
    assert spec.read_text(encoding="utf-8") == FORMED
    assert compile_spec(spec).digest == before
    assert cli.main(["fmt", "--check", str(spec)]) == 0


@pytest.mark.parametrize(
    ("text", "formed"),
    [
        ("", ""),
        ("# alone", "# alone\n"),
        ("\ufeffa:   1", "a: 1\n"),
        ("a:\n\n\n\n  b: 1e-4\n", "a:\n\n  b: 1e-4\n"),
        ("a: {b: , c: no}  # x\n", "a: {b: , c: no}  # x\n"),
        ("a: [\n 1,\n\n # one\n  2\n ]\n", "a: [\n  1,\n\n  # one\n  2\n]\n"),
        ("- a: [1,\n    2]\n", "  - a: [1,\n      2]\n"),
        ("a: |+\n    x  \n\n\nb: 2\n", "a: |+\n  x  \n\n\nb: 2\n"),
        ("a: 'x # no comment'\n", "a: 'x # no comment'\n"),
        ("a:\n    b: 1\n    # of a\nc: 2\n", "a:\n  b: 1\n  # of a\nc: 2\n"),
        ("a:\n    b: 1\n# of c\nc: 2\n", "a:\n  b: 1\n# of c\nc: 2\n"),
        ("a: &x {b: 1}\nc: *x\n", "a: &x {b: 1}\nc: *x\n"),
        ("a: [{b:  1}, {c: {d: [{e: 2}]}}]\n", "a: [{b: 1}, {c: {d: [{e: 2}]}}]\n"),
        ("a: [b:  1]\n", "a: [{b: 1}]\n"),
    ],
)
def test_forms(text: str, formed: str) -> None:
    assert format_text(text) == formed
    assert format_text(formed) == formed


@pytest.mark.slow  # a second for each 50 specs
def test_what_is_shipped_has_the_form() -> None:
    for spec in (ROOT / "specs").rglob("*.yaml"):
        text = spec.read_text(encoding="utf-8")
        assert format_text(text) == text, spec


def test_disarranged_specs_come_back() -> None:
    """Spaces, empty lines, comments and line breaks that say nothing are put in at random."""
    drawn = random.Random(0)
    specs = sorted((ROOT / "specs/base").glob("*.yaml"))
    for spec in drawn.sample(specs, 12):
        text = spec.read_text(encoding="utf-8")
        lines: list[str] = []
        for line in text.split("\n"):
            depth = len(line) - len(line.lstrip())
            if line.strip() and drawn.random() < 0.3:
                lines += drawn.choice([["", ""], [" " * depth + f"# number {len(lines)}"], [""]])
            if drawn.random() < 0.3 and "{" in line and "#" not in line and "reason" not in line:
                line = line.replace(", ", f",   # {len(lines)}\n{' ' * (depth + 5)}", 1)
            lines.append(line + "  " * drawn.randrange(2))
        disarranged = "\n".join(lines)
        formed = format_text(disarranged)
        assert formed is not None, disarranged
        assert format_text(formed) == formed, disarranged
        assert values(formed) == values(text)
        for number in range(len(lines)):
            assert formed.count(f"# number {number}\n") == disarranged.count(f"# number {number}\n")


def test_a_fault_is_reported_and_the_file_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text("a:  1\na:  2\n", encoding="utf-8")
    good.write_text("a:  1\n", encoding="utf-8")
    assert cli.main(["fmt", str(tmp_path)]) == 2
    assert "bad.yaml:2:1: error: duplicate-key" in capsys.readouterr().err
    assert bad.read_text(encoding="utf-8") == "a:  1\na:  2\n"
    assert good.read_text(encoding="utf-8") == "a: 1\n"
    assert cli.main(["fmt", str(tmp_path / "none.yaml")]) == 2
    assert "file-not-found" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main(["fmt", str(tmp_path / "empty")]) == 2
    assert "no-specs" in capsys.readouterr().err


def test_what_cannot_be_kept_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "a.yaml"
    spec.write_text("a:  1 # kept\n", encoding="utf-8")
    monkeypatch.setattr("wavetwin.compiler.format._write_again", lambda text: "a: 1\n")
    assert cli.main(["fmt", str(spec)]) == 2
    assert "not-formatted" in capsys.readouterr().err
    assert spec.read_text(encoding="utf-8") == "a:  1 # kept\n"


def test_a_folder_means_all_documents(tmp_path: Path) -> None:
    for name in ("base/a.yaml", "b.sweep.yaml", "_c.yaml", "generated/d.yaml", ".e.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a:  1\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert cli.main(["fmt", str(tmp_path)]) == 0
    changed = {file.name for file in tmp_path.rglob("*.yaml") if file.read_text() == "a: 1\n"}
    assert changed == {"a.yaml", "b.sweep.yaml", "_c.yaml"}
