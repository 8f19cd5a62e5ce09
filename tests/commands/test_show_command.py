"""The options of `wavetwin show`: what is printed, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.support.shipped import ROOT, spec_of
from wavetwin.commands import cli


def show(name: str, *options: str) -> int:
    return cli.main(["show", str(spec_of(name)), *options])


def test_the_model_is_a_tree(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("twin_mod") == 0
    printed = capsys.readouterr()
    assert "\n  wavelet " in printed.out
    assert "\n    mixing " in printed.out
    assert "\x1b" not in printed.out
    assert not printed.err


def test_blocks_are_folded_unless_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("RI") == 0
    short = capsys.readouterr().out
    assert show("RI", "--full") == 0
    full = capsys.readouterr().out
    assert "each of 5" in short
    assert "each of" not in full
    assert len(full.splitlines()) > len(short.splitlines()) + 40


def test_origins_come_instead_of_the_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("twin_mod", "--origins") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("field ")
    assert "specs/base/digits.yaml:" in printed
    assert "conv2d" not in printed
    assert show("twin_mod", "--origins", "--packets", "--passes") == 0
    printed = capsys.readouterr().out
    assert printed.index("set by") < printed.index("16 of 32 packets kept")
    assert printed.index("16 of 32 packets kept") < printed.index("merge the packet bank")


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_pictures_are_written_and_named(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packets, graph = tmp_path / f"packets.{kind}", tmp_path / f"graph.{kind}"
    assert show("twin_mod", "--packets", str(packets), "--graph", str(graph)) == 0
    printed = capsys.readouterr()
    assert printed.err == f"packets: {packets}\ngraph: {graph}\n"
    assert printed.out.startswith("16 of 32 packets kept")
    for file in (packets, graph):
        if kind == "svg":
            assert ElementTree.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        else:
            with Image.open(file) as picture:
                assert picture.format == "PNG"


def test_the_graph_after_the_passes_is_another(tmp_path: Path) -> None:
    written, passed = tmp_path / "written.svg", tmp_path / "passed.svg"
    assert show("twin_mod", "--graph", str(written)) == 0
    assert show("twin_mod", "--graph", str(passed), "--passes") == 0
    assert "as written" in written.read_text(encoding="utf-8")
    assert "packet_bank" not in written.read_text(encoding="utf-8")
    assert "packet_bank" in passed.read_text(encoding="utf-8")


def test_json_stays_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show("twin_mod", "--json", "--packets", str(tmp_path / "p.svg")) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "twin_mod"
    assert (tmp_path / "p.svg").exists()


def test_pictures_that_cannot_be_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plane.svg"
    assert show("cnn", "--packets", str(file)) == 2
    assert "specs/digits/cnn.yaml: error: no-packets: cnn has no wavelet" in capsys.readouterr().err
    assert show("twin", "--packets", str(tmp_path / "p.pdf"), "--graph", str(tmp_path / "g")) == 2
    printed = capsys.readouterr()
    assert printed.err.count("error: picture-not-svg-or-png: ") == 2
    assert "help: give it a name that ends in .svg or .png" in printed.err
    assert show("twin", "--graph", str(tmp_path / "none" / "graph.svg")) == 2
    assert "picture-folder-missing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    (tmp_path / "folder.svg").mkdir()
    assert show("twin", "--graph", str(tmp_path / "folder.svg")) == 2
    assert "folder.svg: error: picture-not-written: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "option", "file"),
    [
        ("AwyI", "--packets", "packets-AwyI.svg"),
        ("twin_mod", "--graph", "graph-twin_mod.svg"),
    ],
)
def test_pictures_of_the_documents_are_up_to_date(
    name: str, option: str, file: str, tmp_path: Path
) -> None:
    assert show(name, option, str(tmp_path / file)) == 0
    assert (tmp_path / file).read_bytes() == (ROOT / "docs" / "pictures" / file).read_bytes()
