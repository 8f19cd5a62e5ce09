"""The score book: nothing is taken from it, whoever writes."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from plans import ONE_CROP, make_plan, shifts
from safetensors.torch import load_file
from torch import nn

from wavetwin.provenance import RunProvenance
from wavetwin.runtime.checkpoint import save_best, save_snapshot, save_state
from wavetwin.runtime.data import load_data
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.evaluate import Evaluated, ScoreBook
from wavetwin.runtime.score_book import add_record, read_scores

MANIFEST: dict[str, Any] = {
    "commit": "c" * 40,
    "dirty": False,
    "drift": ["script-modified: train.py"],
}
SHIFTS = shifts("horizontal", "flip_rate", 2)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    save_state(tmp_path / "checkpoints", nn.Linear(2, 2), {"epoch": 3})
    return tmp_path


def book(run: Path, weights: str = "last", **changes: Any) -> ScoreBook:
    data = load_data(make_plan())
    data.data_notes.append("mnist: other checksum")
    provenance = RunProvenance({}, "m" * 64, ("source-changed: wavetwin/cli.py",))
    return ScoreBook(run, make_plan(**changes), data, provenance, weights)


def evaluated(error: float = 0.25) -> Evaluated:
    table = {"positions": torch.arange(4), "top1_wrong": torch.tensor([1, 0, 0, 0]).byte()}
    return Evaluated({"top1_error": error}, {"top1_error": [0.0, 0.5]}, table, 4)


def test_records_say_what_they_are_of(run: Path):
    scores = book(run)
    assert (scores.epochs, scores.weights) == (3, run / "checkpoints/last/model.safetensors")
    scores.add(ONE_CROP, evaluated())
    (record,) = json.loads((run / "scores.json").read_text())["scores"]
    assert record["entry"] == {"mode": "one_crop", "split": "test", "normalise": True}
    assert record["drift"] == [
        "data-changed: mnist: other checksum",
        "script-modified: train.py",
        "source-changed: wavetwin/cli.py",
    ]
    assert (record["commit"], record["digest"], record["epochs"]) == ("c" * 40, "d" * 64, 3)
    assert (record["images"], record["build_manifest_sha256"]) == (4, "m" * 64)
    table = load_file(run / record["predictions"])
    assert table["top1_wrong"].tolist() == [1, 0, 0, 0]
    assert record["predictions"].startswith("predictions/one_crop-")


def test_second_evaluation_is_a_second_record(run: Path):
    scores = book(run)
    scores.add(ONE_CROP, evaluated())
    before = read_scores(run / "scores.json")
    scores.add(SHIFTS, evaluated())
    scores.add(ONE_CROP, evaluated(0.5))
    after = read_scores(run / "scores.json")
    assert after[:1] == before
    assert [record["scores"]["top1_error"] for record in after] == [0.25, 0.25, 0.5]
    assert len({record["predictions"] for record in after}) == 3
    assert len(list((run / "predictions").iterdir())) == 3


def test_has_knows_weights_data_and_build(run: Path):
    scores = book(run)
    assert not scores.has(ONE_CROP)
    scores.add(ONE_CROP, evaluated())
    assert book(run).has(ONE_CROP)
    assert not book(run).has(SHIFTS)
    assert not book(run).has(replace(ONE_CROP, normalise=False))
    data = load_data(make_plan(), limit_batches=2)
    other = ScoreBook(run, make_plan(), data, RunProvenance({}, "m" * 64, ()))
    assert not other.has(ONE_CROP)
    data = load_data(make_plan())
    other = ScoreBook(run, make_plan(), data, RunProvenance({}, "n" * 64, ()))
    assert not other.has(ONE_CROP)
    save_state(run / "checkpoints", nn.Linear(2, 2), {"epoch": 4})
    assert not book(run).has(ONE_CROP)


def test_weights_are_chosen_by_name(run: Path):
    save_best(run / "checkpoints", nn.Linear(2, 2), 2)
    save_snapshot(run / "checkpoints", nn.Linear(2, 2), 1)
    assert book(run, "best").epochs == 2
    assert book(run, "epoch-001").epochs == 1
    with pytest.raises(RunError, match="no weights 'epoch-009'") as error:
        book(run, "epoch-009")
    assert error.value.remedy == "there are last, best, epoch-001"


def test_books_of_earlier_versions_are_read_and_added_to(run: Path):
    old = {"entry": {"mode": "one_crop"}, "scores": {"top1_error": 0.5, "images": 4}}
    (run / "scores.json").write_text(json.dumps({"wavetwin_scores": 1, "scores": [old]}))
    scores = book(run)
    assert not scores.has(ONE_CROP)
    scores.add(ONE_CROP, evaluated())
    assert read_scores(run / "scores.json")[0] == old


@pytest.mark.parametrize("text", ["{", '{"scores": []}', '{"wavetwin_scores": 1, "scores": 5}'])
def test_what_is_no_book_is_not_written_over(run: Path, text: str):
    (run / "scores.json").write_text(text)
    with pytest.raises(RunError, match=r"scores\.json"):
        book(run)
    with pytest.raises(RunError, match=r"scores\.json"):
        add_record(run / "scores.json", ONE_CROP, evaluated(), {})
    assert (run / "scores.json").read_text() == text


def add_many(file: Path, number: int) -> None:
    for place in range(8):
        add_record(file, ONE_CROP, evaluated(), {"writer": number, "place": place})


def test_two_processes_lose_no_record(tmp_path: Path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=add_many, args=(tmp_path / "b.json", n)) for n in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    records = read_scores(tmp_path / "b.json")
    assert sorted((record["writer"], record["place"]) for record in records) == [
        (writer, place) for writer in range(2) for place in range(8)
    ]
    assert all((tmp_path / record["predictions"]).is_file() for record in records)


def test_book_that_another_process_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from wavetwin.runtime import score_book

    monkeypatch.setattr(score_book, "LOCK_WAIT_SECONDS", 0.1)
    with score_book.locked(tmp_path / "b.json"), pytest.raises(RunError, match="another process"):
        add_record(tmp_path / "b.json", ONE_CROP, evaluated(), {})
