"""Figures and tables for a paper: what is in the files, the same each time, labels and order."""

from __future__ import annotations

import csv
import io
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import wavetwin
from tests.support.run_files import ONE_CROP, epoch, record, shift_entry, write, write_run
from tests.support.shipped import ROOT, compiled_once
from wavetwin.commands import cli
from wavetwin.explain.paper.figure_files import render_figure
from wavetwin.explain.paper.kernel_figures import kernel_figure
from wavetwin.explain.paper.latex import as_latex, escape_latex
from wavetwin.explain.paper.line_figures import line_figures
from wavetwin.explain.pictures.line_plot import LinePlot, Look, Series
from wavetwin.explain.report.page import Section
from wavetwin.explain.report.run_labels import label_runs
from wavetwin.explain.report.runs import read_run
from wavetwin.explain.show.kernel_tiles import (
    common_side,
    kernel_tiles,
    shown_weights,
)
from wavetwin.runtime.network.kernels import ResultingKernel, resulting_kernel
from wavetwin.runtime.process.errors import RunError

RATES = {"mean_flip_rate": 0.1, "flip_rate": {"1": 0.05, "2": 0.15}}
ENDS = {"mean_flip_rate": [0.0, 0.2], "flip_rate": {"1": [0.01, 0.1], "2": [0.1, 0.2]}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the runs of a CNN, with weights, and of its twin, without."""
    folder = tmp_path_factory.mktemp("runs")
    scores = [
        record(ONE_CROP, {"top1_error": 0.25}, intervals={"top1_error": [0.2, 0.3]}),
        record(shift_entry("horizontal", "flip_rate"), RATES, intervals=ENDS),
    ]
    found: list[Path] = []
    for name in ("cnn", "twin_mod"):
        compiled = compiled_once(ROOT / f"specs/digits/{name}.yaml")
        changes: dict[str, Any] = {"digest": compiled.digest, "model_digest": compiled.model_digest}
        lines = [epoch(1, 1.5, 0.4), epoch(2, 1.0, 0.3)]
        run = write_run(folder, compiled.plan, scores, lines, spec=f"name: {name}\n", **changes)
        write(run / "graph.json", compiled.graph.to_json())
        found.append(run)
    (found[0] / "checkpoints/last").mkdir(parents=True)
    model = wavetwin.build_model(compiled_once(ROOT / "specs/digits/cnn.yaml"))
    save_file(model.state_dict(), found[0] / "checkpoints/last/model.safetensors")
    return found


def rows_of(file: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))


def test_a_report_writes_figures_data_and_tables_in_the_order_asked_for(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cnn, twin = runs
    out = tmp_path / "a folder"
    arguments = [
        "report", str(twin), str(cnn), "-o", str(tmp_path / "r.md"), "--figures", str(out),
        "--latex", str(tmp_path / "t.tex"), "--label", f"{cnn.name}=A & B_1", "--label", "twin_mod=twin $x$",
    ]  # fmt: skip
    assert cli.main(arguments) == 0
    names = [
        "training-loss", "training-top-1-error", "validation-top-1-error",
        "flip-rate-horizontal-to-2-px", "kernels",
    ]  # fmt: skip
    assert {path.name for path in out.iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("svg", "pdf", "csv")
    }
    assert f"figures: {out}: {', '.join(names)};" in capsys.readouterr().out
    header, *rows = rows_of(out / "flip-rate-horizontal-to-2-px.csv")
    assert header[0] == "series"
    assert header[3:] == ["low", "high"]
    points = [["1.0", "0.05", "0.01", "0.1"], ["2.0", "0.15", "0.1", "0.2"]]
    assert rows == [[label, *point] for label in ("twin $x$", "A & B_1") for point in points]
    svg = (out / "flip-rate-horizontal-to-2-px.svg").read_text(encoding="utf-8")
    # Text is outlines: nothing is asked of the fonts of whoever opens it, and no date is in it.
    assert "<text" not in svg
    assert "<dc:date>" not in svg
    pdf = (out / "training-loss.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    # Every weight of the window, and no other: of the only run that has any.
    header, *rows = rows_of(out / "kernels.csv")
    file = cnn / "checkpoints/last/model.safetensors"
    weight = load_file(file)["stem.free.weight"]
    assert {row[0] for row in rows} == {"A & B_1"}
    cells = torch.tensor([float(row[6]) for row in rows])
    assert cells.abs().max() == weight.abs().max()
    assert cells.square().sum() >= 0.99 * weight.square().sum()
    table = (tmp_path / "t.tex").read_text(encoding="utf-8")
    assert r" & twin \$x\$ & A \& B\_1 \\" in table
    assert r"25.00\% [20.00, 30.00]" in table
    markdown = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert markdown.index("| twin $x$ |") < markdown.index("| A & B_1 |")


def plot(*names: str) -> LinePlot:
    series = [Series(name, [(0.0, 0.5), (1.0, 0.25)], Look(at)) for at, name in enumerate(names)]
    return LinePlot(
        "A title: 1/2 px", "shift, px", "flip rate", series, is_rate=True, from_zero=True
    )


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_the_same_figure_is_the_same_bytes(form: str) -> None:
    first, second = (line_figures([plot("a", "b"), plot("c")])[0] for _ in range(2))
    assert render_figure(first, form) == render_figure(second, form)


def test_names_of_figures_differ() -> None:
    figures = line_figures([plot("a"), plot("b"), LinePlot("empty", "x", "y", [])])
    assert [each.name for each in figures] == ["a-title-1-2-px", "a-title-1-2-px-2"]


def kernel(size: int, offset: int = 0) -> ResultingKernel:
    """Return a kernel of two real channels with all energy in 3 x 3 weights."""
    weight = torch.zeros(2, 1, size, size)
    weight[:, :, offset : offset + 3, offset : offset + 3] = torch.arange(1.0, 10).reshape(3, 3)
    found = compiled_kernel()
    return replace(found, weight=weight, bands=(None, None), is_complex=(False, False))


def compiled_kernel() -> ResultingKernel:
    compiled = compiled_once(ROOT / "specs/digits/cnn.yaml")
    with torch.no_grad():
        return resulting_kernel(wavetwin.build_model(compiled), compiled.graph)


def test_several_first_layers_have_one_scale() -> None:
    small, large = kernel(3), kernel(15, 9)
    large.weight[:, :, 5:14, 5:14] += 1.0
    side = common_side([small, large])
    assert side == large.energy_window()[2] > small.energy_window()[2]
    for each in (small, large):
        shown = shown_weights(each, side)
        assert shown.shape == (2, 1, side, side)
        assert shown.square().sum() >= 0.995 * each.weight.square().sum()
    # The small one's weights stand in the middle, zeros around: nothing is stretched.
    start = (side - 3) // 2
    assert torch.equal(
        shown_weights(small, side)[:, :, start : start + 3, start : start + 3], small.weight
    )
    tiles = [kernel_tiles(each, side)[0][1][0].panels[0] for each in (small, large)]
    assert tiles[0].shape == tiles[1].shape == (side, side, 3)
    figure = kernel_figure([("a", small), ("b", large)])
    labels = list(dict.fromkeys(row[0] for row in figure.rows))
    assert labels == ["a", "b"]
    assert sum(float(row[6]) for row in figure.rows if row[0] == "a") == float(small.weight.sum())
    assert np.isclose(render_size(figure.size, render_figure(figure, "svg")), 7.0)


def render_size(size: tuple[float, float], svg: bytes) -> float:
    """Return the width of the file in inches, by its own word; its height is the figure's."""
    width, height = re.findall(rb'(?:width|height)="([0-9.]+)pt"', svg)[:2]
    assert np.isclose(float(height) / 72, size[1], atol=0.02)
    return float(width) / 72


def test_kernels_are_shown_as_vector_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(ROOT / "specs/digits/cnn.yaml")
    for ending, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        file = tmp_path / f"k.{ending}"
        assert cli.main(["show", spec, "--kernels", str(file)]) == 0
        assert file.read_bytes().startswith(start)
    assert cli.main(["show", spec, "--kernels", str(tmp_path / "k.eps")]) == 2
    assert "PNG or a SVG or a PDF" in capsys.readouterr().err.replace("an SVG", "a SVG")


def test_without_matplotlib_one_line_names_the_extra(
    runs: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = tmp_path / "out"
    assert cli.main(["report", str(runs[0]), "-o", str(out / "r.md"), "--figures", str(out)]) == 2
    message = capsys.readouterr().err
    assert "package-missing" in message
    assert "pip install 'wavetwin[figures]'" in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("cnn", "bad-argument"),
        ("cnn=", "bad-argument"),
        ("cmn=A", "unknown-name"),
        ("cnn=B", "bad-argument"),
    ],
)
def test_labels_that_do_not_fit(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str, code: str
) -> None:
    arguments = ["report", *map(str, runs), "-o", str(tmp_path / "r.md"), "--label", "twin_mod=B"]
    assert cli.main([*arguments, "--label", label]) == 2
    assert f"--label: error: {code}: " in capsys.readouterr().err
    assert not (tmp_path / "r.md").exists()


@pytest.mark.parametrize("text", ["a & b", "50 %", r"C:\x_{y}^2 ~ #1 $z$", "<a|b>", "two\nlines"])
def test_escaped_text_has_no_command(text: str) -> None:
    escaped = escape_latex(text)
    assert "\n" not in escaped
    # What is left without the escapes that LaTeX has words or a backslash for.
    plain = re.sub(r"\\text[a-z]+\{\}|\\[&%$#_{}]", "", escaped)
    assert not set(plain) & set("\\&%$#_{}~^<>|")


def test_tables_have_their_columns() -> None:
    rows = [[f"run {number}", f"{number}%"] for number in range(6)]
    text = as_latex([Section("All", ["run", "error"], rows, ["a remark"]), Section("None")])
    tables = text.split(r"\begin{table}")[1:]
    assert [each.count("&") for each in tables] == [8, 4]
    assert re.findall(r"tabular\}\{(l+r+)\}", text) == ["lrrrr", "lrr"]
    assert text.count("a remark") == 1
    assert text.index("a remark") > text.index("run 5")
    for name in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{name}") == 2


def test_an_id_of_several_runs_is_refused(runs: list[Path]) -> None:
    run = read_run(runs[0])
    again = replace(run, manifest=run.manifest | {"run": "b-s1"})
    with pytest.raises(RunError, match="2 runs are 'cnn'"):
        label_runs([run, again], ["cnn=A"])
    labelled = label_runs([run, again], ["cnn/b-s1=A", f"{runs[0].name}=B"])
    assert [each.label for each in labelled] == ["B", "A"]
    trial = replace(run, manifest=run.manifest | {"limit_batches": 2})
    assert label_runs([trial], ["cnn=A"])[0].label == "A (trial (--limit-batches 2))"
