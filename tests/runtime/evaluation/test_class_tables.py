"""Predictions by class: what is kept beside the scores, as tables and as CSV."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix as sklearn_matrix
from torch import nn

from tests.support.plans import ONE_CROP, make_plan
from wavetwin.files.csv_text import csv_text
from wavetwin.ir.evaluations import EVALUATIONS, OneCrop, TenCrops, comparison_key, read_entry
from wavetwin.runtime.data import load_data
from wavetwin.runtime.evaluation.calibration import calibrate
from wavetwin.runtime.evaluation.class_counts import class_labels, confusion_matrix
from wavetwin.runtime.evaluation.entries import Evaluated, evaluate_entry, summarise
from wavetwin.runtime.evaluation.intervals import proportion_interval
from wavetwin.runtime.evaluation.predictions_csv import read_file_names
from wavetwin.runtime.evaluation.scores_file import add_record, current_records, read_scores
from wavetwin.runtime.evaluation.table_files import read_classes
from wavetwin.runtime.process.errors import RunError

CPU = torch.device("cpu")
KEPT = OneCrop(predictions=True)
CLASSES = ("=1+1", "@home", 'quote"d', "Äpfel, rot")
INFO = {"digest": "d" * 64}


class Brightness(nn.Module):
    """The brighter an image, the later its class."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        centres = torch.linspace(-1, 1, self.classes)
        return -4 * (images.mean((1, 2, 3))[:, None] - centres) ** 2


@pytest.fixture(scope="module")
def digits() -> Evaluated:
    return evaluate_entry(KEPT, Brightness(10), load_data(make_plan(batch_size=100)), CPU)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """Six test images of four classes, in files whose names a spreadsheet or a terminal would act on."""
    root = tmp_path_factory.mktemp("data")
    for split in ("train", "test"):
        for number, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for part in range(2 if number < 2 else 1):
                image = Image.new("RGB", (12, 12), (60 * number + 20 * part,) * 3)
                image.save(root / split / name / f"-{part} ü.png")
    old = root / "test" / CLASSES[3] / "-0 ü.png"
    old.rename(os.fsdecode(os.fsencode(old.parent) + b"/\xff\n.png"))
    sizes = {"training_images": 5, "validation": 1, "num_classes": 4, "channels": 3}
    plan = make_plan(dataset="folder", mean=(0.5,) * 3, std=(0.5,) * 3, **sizes)
    data = load_data(plan, data_root=root, workers=0)
    return evaluate_entry(KEPT, Brightness(4), data, CPU, data_root=root)


def rows_of(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, strict=True))


def test_table_has_probabilities_and_their_error(digits: Evaluated) -> None:
    table, scores = digits.per_image, digits.scores
    probabilities = table["probabilities"]
    assert probabilities.shape == (360, 10)
    # Ten float32.
    assert torch.allclose(probabilities.sum(1), torch.ones(360), atol=1e-6)
    confidence, classes = probabilities.max(1)
    assert torch.equal(table["confidence"], confidence)
    assert torch.equal(table["classes"].long(), classes)
    right = table["labels"] == classes
    assert scores["calibration_bins"] == 15
    assert scores["expected_calibration_error"] == calibrate(confidence, right, 15).error
    assert "expected calibration error 0." in summarise(digits)
    assert "calibration bins 15" in summarise(digits)


def test_probabilities_are_kept_where_they_are_asked_for(digits: Evaluated) -> None:
    data = load_data(make_plan(batch_size=100))
    plain = evaluate_entry(replace(ONE_CROP, calibration_bins=7), Brightness(10), data, CPU)
    assert "probabilities" not in plain.per_image
    assert torch.equal(plain.per_image["confidence"], digits.per_image["confidence"])
    assert plain.scores["calibration_bins"] == 7
    assert plain.files is digits.files is None
    assert plain.scores["top1_error"] == digits.scores["top1_error"]
    crops = evaluate_entry(TenCrops(predictions=True), Brightness(10), data, CPU)
    mean = crops.per_image["probabilities"]
    assert torch.equal(crops.per_image["confidence"], mean.max(1).values)


def test_csv_of_arrays_goes_by_index(digits: Evaluated, tmp_path: Path) -> None:
    record = add_record(tmp_path / "scores.json", KEPT, digits, INFO)
    header, *rows = rows_of(tmp_path / record["predictions_csv"])
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert header == ["index", "label", "prediction", *(f"p_{name}" for name in names)]
    table = load_file(tmp_path / record["predictions"])
    assert [int(row[0]) for row in rows] == list(range(360))
    assert [names.index(row[1]) for row in rows] == table["labels"].tolist()
    assert [names.index(row[2]) for row in rows] == table["classes"].tolist()
    written = torch.tensor([[float(cell) for cell in row[3:]] for row in rows])
    assert torch.allclose(written, table["probabilities"], rtol=1e-5, atol=0)
    assert read_file_names(tmp_path / record["predictions_csv"]) == {}
    assert not list(tmp_path.rglob("*.tmp"))


def test_csv_of_files_names_them_and_runs_nothing(folder: Evaluated, tmp_path: Path) -> None:
    record = add_record(tmp_path / "scores.json", KEPT, folder, INFO)
    content = (tmp_path / record["predictions_csv"]).read_bytes()
    header, *rows = rows_of(tmp_path / record["predictions_csv"])
    assert header == ["index", "file", "label", "prediction", *(f"p_{name}" for name in CLASSES)]
    assert content.count(b"\n") == 7
    assert '"quote""d/-0 ü.png"'.encode() in content
    for row in rows:
        assert not row[1].startswith(("=", "+", "-", "@"))
        for cell in row[2:4]:
            assert cell.removeprefix("'") in CLASSES
            assert not cell.startswith(("=", "+", "-", "@"))
        assert sum(map(float, row[4:])) == pytest.approx(1, abs=1e-5)
    assert [row[2] for row in rows[:2]] == ["'=1+1"] * 2
    files = read_file_names(tmp_path / record["predictions_csv"])
    assert files[0] == "'=1+1/-0 ü.png"
    assert files[5] == "Äpfel, rot/\\udcff\\n.png"


def test_cells_of_a_csv() -> None:
    text = csv_text(["a", "+b"], [["=x", -1.5], ["tab\t", None], ["\ty", 3], ["l\nm", 1e-300]])
    assert text == "a,'+b\n'=x,-1.5\ntab\t,\n'\ty,3\nl\\nm,1e-300\n"


def test_table_is_read_back(folder: Evaluated, digits: Evaluated, tmp_path: Path) -> None:
    for each, names in ((folder, CLASSES), (digits, digits.class_names)):
        record = add_record(tmp_path / "scores.json", KEPT, each, INFO)
        found = read_classes(tmp_path / record["predictions"])
        assert found.class_names == names
        assert torch.equal(found.is_right, each.per_image["top1_wrong"] == 0)
        assert found.confidence is not None
        assert torch.equal(found.confidence, each.per_image["confidence"])
    # The same table has the same bytes.
    first, second = (
        add_record(tmp_path / name / "scores.json", KEPT, folder, INFO)
        for name in "ab"
        if (tmp_path / name).mkdir() is None
    )
    assert (tmp_path / "a" / first["predictions"]).read_bytes() == (
        tmp_path / "b" / second["predictions"]
    ).read_bytes()


def test_tables_of_before_are_read(tmp_path: Path) -> None:
    """They had neither probabilities nor names."""
    ones = torch.arange(3)
    columns = {"positions": ones, "labels": ones.clone(), "classes": ones.int()}
    save_file(columns, tmp_path / "x.safetensors", {"entry": "{}"})
    found = read_classes(tmp_path / "x.safetensors", 3)
    assert (found.confidence, found.class_names) == (None, None)
    assert bool(found.is_right.all())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": None}, "the column labels is missing"),
        ({"classes": torch.zeros(3)}, "the column classes has no whole numbers"),
        ({"classes": torch.zeros(2).int()}, "one column is as long as another"),
        ({"labels": torch.tensor([0, 1, 4])}, "the column labels has classes 0 to 4 of 4"),
        ({"classes": torch.tensor([0, -1, 2])}, "the column classes has classes -1 to 2 of 4"),
        ({"confidence": torch.tensor([0.5, float("nan"), 1])}, "what is no probability"),
        ({"confidence": torch.tensor([0.5, 0.5, 1.5])}, "what is no probability"),
    ],
)
def test_damaged_tables_are_refused(
    tmp_path: Path, changes: dict[str, torch.Tensor | None], reason: str
) -> None:
    ones = torch.arange(3)
    columns = {"positions": ones, "labels": ones + 0, "classes": ones.int(), "confidence": ones / 3}
    columns = {name: value for name, value in (columns | changes).items() if value is not None}
    file = tmp_path / "x.safetensors"
    save_file(columns, file)
    with pytest.raises(RunError, match=reason) as caught:
        read_classes(file, 4)
    assert caught.value.diagnostics[0].code == "file-damaged"
    assert "--again" in (caught.value.remedy or "")
    file.write_bytes(b"not a table")
    with pytest.raises(RunError, match=r"x\.safetensors cannot be read"):
        read_classes(file)
    file.unlink()
    with pytest.raises(RunError, match=r"x\.safetensors cannot be read"):
        read_classes(file)
    save_file({"labels": ones}, file, {"table": json.dumps({"entry": {}, "class_names": 3})})
    with pytest.raises(RunError, match="class_names"):
        read_classes(file)


@pytest.mark.parametrize(
    "content",
    [b"", b"file,index\n", b"index,file\n0\n", b"index,file\nx,y\n", b"\xff", b'index,file\n"0'],
)
def test_damaged_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(RunError, match=r"x\.csv cannot be read"):
        read_file_names(tmp_path / "x.csv")


def test_confusion_matrix_is_that_of_scikit_learn(digits: Evaluated) -> None:
    table = digits.per_image
    expected = sklearn_matrix(table["labels"], table["classes"], labels=range(10))
    found = confusion_matrix(table["labels"], table["classes"], 10)
    assert found.tolist() == expected.tolist()
    # A class that nothing has and nothing is taken for.
    assert confusion_matrix(torch.tensor([1]), torch.tensor([0]), 3).tolist() == [
        [0, 0, 0],
        [1, 0, 0],
        [0, 0, 0],
    ]


def test_names_of_classes() -> None:
    assert class_labels(["a", "b\n"], "folder", 2) == ("a", "b\\n")
    assert class_labels(None, "digits", 10)[:2] == ("zero", "one")
    assert class_labels(["a"], None, 2) == ("0", "1")


@pytest.mark.parametrize(("successes", "number"), [(0, 1), (1, 1), (3, 10), (50, 50), (17, 1000)])
def test_interval_of_a_share_is_wilson_s(successes: int, number: int) -> None:
    expected = binomtest(successes, number).proportion_ci(0.95, method="wilson")
    # The quantile has seven digits.
    assert proportion_interval(successes, number) == pytest.approx(expected, abs=1e-7)


def test_what_is_kept_makes_no_other_entry(digits: Evaluated, tmp_path: Path) -> None:
    """Records that differ by what is kept count as one entry; those of another split do not."""
    file = tmp_path / "scores.json"
    for entry in (ONE_CROP, KEPT, replace(KEPT, split="train"), replace(KEPT, calibration_bins=5)):
        add_record(file, entry, digits, INFO | {"weights": entry.describe()})
    records = read_scores(file)
    assert records[0]["entry"] == {"mode": "one_crop", "split": "test", "normalise": True}
    assert records[1]["entry"] == records[0]["entry"] | {"predictions": True}
    current = current_records(records)
    assert [read_entry(each["entry"]) for each in current] == [
        replace(KEPT, calibration_bins=5),
        replace(KEPT, split="train"),
    ]
    assert KEPT.predicts_as(ONE_CROP)
    assert not KEPT.predicts_as(TenCrops())
    assert not KEPT.predicts_as(replace(ONE_CROP, normalise=False))
    keys = {comparison_key(EVALUATIONS[name]().to_json()) for name in EVALUATIONS}
    assert len(keys) == len(EVALUATIONS)
