"""What a report shows of classes: accuracies, confusions, calibration, paired differences, CSV files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.support.html_pages import Page
from tests.support.plans import make_plan
from tests.support.run_files import ONE_CROP, record, write_run
from wavetwin.commands import cli
from wavetwin.explain.report import ReportOptions, report, write_report
from wavetwin.runtime.evaluation.intervals import proportion_interval

LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
FIRST = [0, 0, 0, 1, 1, 1, 2, 2, 2, 0]
SECOND = [0, 0, 0, 0, 1, 1, 1, 2, 2, 0]
CONFIDENCE = [0.9, 0.8, 0.7, 0.95, 0.6, 0.55, 0.5, 0.45, 0.99, 0.4]
NAMES = ["cat", "<dog>", "owl"]
TABLE = "predictions/one_crop-1.safetensors"
CAPTION = "Accuracy of each class, one crop"


def columns_of(classes: list[int], **changes: Any) -> dict[str, torch.Tensor]:
    wrong = torch.tensor(classes) != torch.tensor(LABELS)
    columns = {
        "positions": torch.arange(10),
        "labels": torch.tensor(LABELS),
        "classes": torch.tensor(classes).int(),
        "top1_wrong": wrong.to(torch.uint8),
        "top5_wrong": torch.zeros(10).to(torch.uint8),
        "confidence": torch.tensor(CONFIDENCE),
    }
    return {name: value for name, value in (columns | changes).items() if value is not None}


def run_of(
    folder: Path, name: str, classes: list[int], seed: int = 0, csv_text: str = "", **changes: Any
) -> Path:
    """A run of three classes with the table of one crop."""
    digest = f"{seed:07x}{len(name):x}" + "0" * 56
    plan = make_plan(
        name=name, seed=seed, num_classes=3, dataset="folder", training_digest=digest, digest=digest
    )
    scores = {"top1_error": 0.25, "expected_calibration_error": 0.1, "calibration_bins": 15}
    extra = {"predictions_csv": "predictions/one_crop-1.csv"} if csv_text else {}
    run = write_run(folder, plan, [record(ONE_CROP, scores, predictions=TABLE, **extra)])
    (run / "predictions").mkdir()
    about = {"table": json.dumps({"entry": ONE_CROP, "class_names": NAMES})}
    save_file(columns_of(classes, **changes), run / TABLE, about)
    if csv_text:
        (run / extra["predictions_csv"]).write_text(csv_text, encoding="utf-8")
    return run


def page_of(runs: list[Path], folder: Path, options: ReportOptions | None = None) -> Page:
    file = folder / "page/report.html"
    write_report(runs, file, options)
    page = Page(file.read_text(encoding="utf-8"))
    page.check()
    return page


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_page_has_each_class_of_each_run(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, "cnn", FIRST), run_of(tmp_path, "twin", SECOND)]
    page = page_of(runs, tmp_path)
    cells = page.cells(CAPTION)
    first, second = "cnn (00000003-s0)", "twin (00000004-s0)"
    low, high = proportion_interval(3, 4)
    assert cells["cat", first] == f"75.00% [{100 * low:.2f}, {100 * high:.2f}]"
    assert cells["cat", second].startswith("100.00% [51.01, ")
    assert cells["<dog>", first].startswith("50.00%")
    assert cells["owl", "images"] == "2"
    calibration = page.cells("Probability of the top prediction, one crop")
    assert calibration[first, "accuracy"] == "60.00%"
    assert calibration[first, "mean probability"] == "68.40%"
    assert calibration[first, "calibration error (ECE)"].endswith(", 15 bins")
    confusions = page.cells(f"Most frequent confusions, one crop: {first}")
    assert confusions["<dog>", "prediction"] == "owl"
    assert confusions["<dog>", "of the label's images"] == "50.00%"
    mistakes = page.cells(f"Most confident mistakes, one crop: {first}")
    assert mistakes["index 3", "prediction"] == "<dog>"
    assert mistakes["index 3", "probability"] == "95.00%"
    assert "Classes and calibration" in page.headings
    text = (tmp_path / "page/report.html").read_text(encoding="utf-8")
    assert "&lt;dog&gt; predicted as owl: 2 of 4" in text
    assert "<dog>" not in text
    assert f"Reliability, one crop: {first}, ECE" in text


def test_mistakes_go_by_file_where_there_are_files(tmp_path: Path) -> None:
    rows = "".join(f"{number},a/{number}.png,cat,cat,1\n" for number in range(10))
    run = run_of(tmp_path, "cnn", FIRST, csv_text=f"index,file,label,prediction,p_cat\n{rows}")
    page = page_of([run], tmp_path)
    cells = page.cells("Most confident mistakes, one crop: cnn (00000003-s0)")
    assert cells["a/3.png", "prediction"] == "<dog>"
    assert "one crop, as CSV: predictions/one_crop-1.csv in its folder" in page.text


def test_a_damaged_table_hides_no_other_run(tmp_path: Path) -> None:
    whole, damaged = (run_of(tmp_path, name, FIRST) for name in ("cnn", "damaged"))
    for content in (b"", b"\0" * 100, (whole / TABLE).read_bytes()[:-1]):
        (damaged / TABLE).write_bytes(content)
        page = page_of([damaged, whole], tmp_path)
        assert page.cells(CAPTION)["cat", "cnn (00000003-s0)"].startswith("75.00%")
        assert "one_crop-1.safetensors cannot be read" in page.text
        assert "evaluate again with evaluate.py --again" in page.text
        assert "damaged (00000007-s0)" in page.text
        text = report([damaged, whole])
        remark = text.split("## Predictions that cannot be read")[1]
        assert "one_crop-1.safetensors cannot be read" in remark
        assert "evaluate again with evaluate.py --again" in remark
        assert "| cnn (00000003-s0) |" in text
    (damaged / TABLE).unlink()
    assert "one_crop-1.safetensors cannot be read" in page_of([damaged], tmp_path).text
    # A column of a class that the network does not have.
    save_file(columns_of([3] * 10), damaged / TABLE)
    assert "classes 3 to 3 of 3" in page_of([damaged, whole], tmp_path).text


def test_a_damaged_csv_hides_nothing_else(tmp_path: Path) -> None:
    run = run_of(tmp_path, "cnn", FIRST, csv_text="index,file\n0\n")
    page = page_of([run], tmp_path)
    assert "one_crop-1.csv cannot be read: a row has 1 cells, the header 2" in page.text
    cells = page.cells("Most confident mistakes, one crop: cnn (00000003-s0)")
    assert cells["index 3", "prediction"] == "<dog>"


def test_tables_of_before_have_no_calibration(tmp_path: Path) -> None:
    """They are named by the run's manifest, else by number."""
    plan = make_plan(num_classes=3, dataset="folder")
    scores = [record(ONE_CROP, {"top1_error": 0.4}, predictions=TABLE)]
    for suffix, names in (("", None), ("-1", NAMES)):
        run = write_run(tmp_path, plan, scores, suffix=suffix, class_names=names)
        (run / "predictions").mkdir()
        save_file(columns_of(FIRST, confidence=None), run / TABLE, {"entry": "{}"})
        page = page_of([run], tmp_path)
        assert ((names or ["0"])[0], "images") in page.cells(CAPTION)
        assert "Reliability" not in page.text


def test_paired_differences_by_class(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, "cnn", FIRST, seed) for seed in (0, 1)]
    runs += [run_of(tmp_path, "twin", SECOND, seed) for seed in (0, 1)]
    text = report(runs, ReportOptions(paired=("cnn", "twin")))
    section = text.split("## twin against cnn, by class: one crop")[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("| ")
    ][2:]
    assert [row[0] for row in rows] == ["owl", "cat", "<dog>"]
    assert rows[1][1:4] == ["4", "75.00%", "100.00%"]
    assert rows[1][4].startswith("+25.00% [")
    # Two images that never differ leave room for one in 1 - 0.025 ** (1 / 2).
    assert rows[0][4] == "+0.00% [-84.19, +84.19]"
    assert (
        "of 3 classes 0 have an interval without 0; by chance alone it would be about 0.15"
        in section
    )


def test_many_classes_are_shortened_on_the_page_alone(tmp_path: Path) -> None:
    plan = make_plan(num_classes=120, dataset="folder")
    run = write_run(tmp_path, plan, [record(ONE_CROP, {"top1_error": 0.4}, predictions=TABLE)])
    (run / "predictions").mkdir()
    labels = torch.arange(240) % 120
    classes = torch.where(labels < 5, labels + 1, labels)
    columns = {"positions": torch.arange(240), "labels": labels, "classes": classes.int()}
    save_file(columns, run / TABLE)
    page = page_of([run], tmp_path, ReportOptions(csv=tmp_path / "csv"))
    caption = f"{CAPTION}: the 40 of 120 lowest of tiny (a1b2c3d4-s7)"
    names = [row for row, column in page.cells(caption) if column == "images"]
    assert names[:5] == ["0", "1", "2", "3", "4"]
    assert len(names) == 40
    assert "Confusion matrix" not in page.text
    assert len(rows_of(tmp_path / "csv/classes.csv")) == 120


def test_csv_files_have_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [run_of(tmp_path, "cnn", FIRST), run_of(tmp_path, "twin", SECOND)]
    folder, page = tmp_path / "out/csv", tmp_path / "report.md"
    arguments = ["report", *map(str, runs), "-o", str(page), "--csv", str(folder)]
    assert cli.main([*arguments, "--paired", "cnn", "twin"]) == 0
    assert f"tables: {folder}" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == [
        "calibration.csv",
        "classes.csv",
        "confusion-1-cnn-one-crop.csv",
        "confusion-2-twin-one-crop.csv",
        "paired-classes.csv",
    ]
    first = rows_of(folder / "classes.csv")[1]
    assert (first["class"], first["images"], first["right"]) == ("<dog>", "4", "2")
    assert [float(first[name]) for name in ("low", "high")] == list(proportion_interval(2, 4))
    matrix = rows_of(folder / "confusion-1-cnn-one-crop.csv")
    assert matrix[1] == {"label": "<dog>", "cat": "0", "<dog>": "2", "owl": "2"}
    bins = rows_of(folder / "calibration.csv")
    assert len(bins) == 2 * 15
    assert sum(int(row["images"]) for row in bins) == 20
    assert bins[0]["accuracy"] == ""
    paired = {row["class"]: row for row in rows_of(folder / "paired-classes.csv")}
    assert float(paired["cat"]["difference"]) == 0.25


def test_a_folder_that_cannot_be_written_is_a_diagnostic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path, "cnn", FIRST)
    (tmp_path / "csv").write_text("a file", encoding="utf-8")
    arguments = ["report", str(run), "-o", str(tmp_path / "r.md"), "--csv", str(tmp_path / "csv")]
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert "cannot be written" in error
    assert "--csv" in error
