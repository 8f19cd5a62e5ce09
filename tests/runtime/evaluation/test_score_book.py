"""The scores file: nothing is taken from it, whoever writes."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from tests.support.plans import ONE_CROP, make_plan, shifts
from tests.support.run_files import run_manifest
from wavetwin.ir.evaluations import EVALUATIONS
from wavetwin.provenance.record import RunProvenance
from wavetwin.runtime.data import load_data
from wavetwin.runtime.evaluation.entries import Evaluated, ScoresFile, evaluate_entry
from wavetwin.runtime.evaluation.scores_file import add_record, current_records, read_scores
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.processes import Processes
from wavetwin.runtime.training.checkpoint import save_best, save_snapshot, save_state

MANIFEST = run_manifest(make_plan()) | {"drift": ["script-modified: train.py"]}
CPU = torch.device("cpu")
SHIFTS = shifts("horizontal", "flip_rate", 2)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    save_state(tmp_path / "checkpoints", nn.Linear(2, 2), {"epoch": 3})
    return tmp_path


def scores_file(
    run: Path,
    weights: str = "last",
    *,
    build: str = "m",
    on_bad_image: str = "stop",
    limit_batches: int | None = None,
) -> ScoresFile:
    data = load_data(make_plan(), on_bad_image=on_bad_image, limit_batches=limit_batches)
    data.data_notes.append("mnist: other checksum")
    provenance = RunProvenance({}, build * 64, ("source-changed: wavetwin/commands/cli.py",))
    scores = ScoresFile(run, make_plan(epochs=5), data, provenance, weights, run)
    scores.load_weights(nn.Linear(2, 2))
    return scores


def evaluated(error: float = 0.25) -> Evaluated:
    table = {"positions": torch.arange(4), "top1_wrong": torch.tensor([1, 0, 0, 0]).byte()}
    scores = {
        "top1_error": error,
        "top5_error": 0.0,
        "flip_rate": {"1": 0.5},
        "mean_flip_rate": 0.5,
    }
    return Evaluated(scores, {"top1_error": [0.0, 0.5]}, table, 4)


def test_records_say_what_they_are_of(run: Path):
    scores = scores_file(run)
    assert (scores.epochs, scores.weights) == (3, run / "checkpoints/last/model.safetensors")
    scores.add(ONE_CROP, evaluated())
    (record,) = json.loads((run / "scores.json").read_text())["scores"]
    assert record["entry"] == {"mode": "one_crop", "split": "test", "normalise": True}
    assert record["drift"] == [
        "data-changed: mnist: other checksum",
        "script-modified: train.py",
        "source-changed: wavetwin/commands/cli.py",
    ]
    assert (record["commit"], record["digest"], record["epochs"]) == ("c" * 40, "d" * 64, 3)
    assert (record["images"], record["build_manifest_sha256"]) == (4, "m" * 64)
    table = load_file(run / record["predictions"])
    assert table["top1_wrong"].tolist() == [1, 0, 0, 0]
    assert record["predictions"].startswith("predictions/one_crop-")


def test_second_evaluation_is_a_second_record(run: Path):
    scores = scores_file(run)
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
    scores = scores_file(run)
    assert not scores.has(ONE_CROP)
    scores.add(ONE_CROP, evaluated())
    assert scores_file(run).has(ONE_CROP)
    assert not scores_file(run).has(SHIFTS)
    assert not scores_file(run).has(replace(ONE_CROP, normalise=False))
    assert not scores_file(run, limit_batches=2).has(ONE_CROP)
    assert not scores_file(run, build="n").has(ONE_CROP)
    # The same bytes under another name count for less in a report.
    (run / "checkpoints/epoch-003.safetensors").write_bytes(scores.weights.read_bytes())
    assert not scores_file(run, "epoch-003").has(ONE_CROP)
    save_state(run / "checkpoints", nn.Linear(2, 2), {"epoch": 4})
    assert not scores_file(run).has(ONE_CROP)


def test_scores_without_damaged_images_are_done_only_where_these_are_skipped(run: Path):
    scores_file(run).add(ONE_CROP, replace(evaluated(), skipped=1))
    assert scores_file(run, on_bad_image="skip").has(ONE_CROP)
    assert not scores_file(run).has(ONE_CROP)
    scores_file(run).add(ONE_CROP, evaluated())
    assert scores_file(run).has(ONE_CROP)


class Flat(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :10]


@pytest.mark.parametrize(
    ("mode", "sets", "image"),
    [
        ("corruptions", ("fog/1", "snow/2"), "{number}/a.png"),
        ("perturbations", ("tilt", "snow"), "{number}/a/{frame}.png"),
    ],
)
def test_has_knows_the_files_of_an_entry(run: Path, mode: str, sets: tuple[str, str], image: str):
    def write(name: str, size: int) -> None:
        for number in range(10):
            for frame in range(2):
                file = run / "own" / name / image.format(number=number, frame=frame)
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (size, size), 7 * number).save(file)

    entry = EVALUATIONS.read({"mode": mode, "root": "own"}, fills=True)
    scores = scores_file(run)
    assert not scores.has(entry)
    write(sets[0], 12)
    found = evaluate_entry(entry, Flat(), load_data(make_plan()), CPU, data_root=run)
    scores.add(entry, found)
    assert scores.has(entry)
    # What was missing is there now; then not even what was evaluated.
    write(sets[1], 12)
    assert not scores.has(entry)
    shutil.rmtree(run / "own" / sets[1].split("/")[0])
    assert scores.has(entry)
    (run / "own" / sets[0].split("/")[0]).rename(run / "own/rain")
    assert not scores.has(entry)
    shutil.rmtree(run / "own")
    assert not scores.has(entry)


def test_weights_of_the_record_are_the_bytes_that_were_loaded(run: Path):
    model, scores = nn.Linear(2, 2), scores_file(run)
    content = scores.weights.read_bytes()
    scores.load_weights(model)
    assert torch.equal(model.weight, load_file(scores.weights)["weight"])
    # Training goes on meanwhile: the record still names what was evaluated.
    save_state(run / "checkpoints", nn.Linear(2, 2), {"epoch": 3})
    assert scores.weights.read_bytes() != content
    scores.add(ONE_CROP, evaluated())
    (record,) = read_scores(run / "scores.json")
    assert record["weights"] == hashlib.sha256(content).hexdigest()
    save_state(run / "checkpoints", nn.Linear(2, 2), {"epoch": 4})
    with pytest.raises(RunError, match="was replaced while it was read"):
        scores.load_weights(model)
    with pytest.raises(RunError, match="is of another model"):
        scores_file(run).load_weights(nn.Linear(3, 2))


def test_scores_need_weights(run: Path):
    data = load_data(make_plan())
    scores = ScoresFile(run, make_plan(), data, RunProvenance({}, "m" * 64, ()))
    for ask in (lambda: scores.has(ONE_CROP), lambda: scores.add(ONE_CROP, evaluated())):
        with pytest.raises(RuntimeError, match="load_weights comes first"):
            ask()


def test_scores_of_another_kernel_are_marked_by_where_the_network_computes(run: Path):
    plan = make_plan(kernels="native")
    manifest = run_manifest(plan)
    on_meta = "torch's operations, on meta"
    manifest["lives"][-1]["machine"]["packet kernel"] = on_meta
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    marks: list[list[str]] = []
    for device in ("meta", "cpu"):
        scores = ScoresFile(
            run, plan, load_data(plan), RunProvenance({}, "m" * 64, ()),
            device=torch.device(device),
        )  # fmt: skip
        scores.load_weights(nn.Linear(2, 2))
        scores.add(ONE_CROP, evaluated())
        marks.append(read_scores(run / "scores.json")[-1]["drift"])
    assert marks[0] == []
    assert [mark.startswith(f"kernel-changed: {on_meta} to ") for mark in marks[1]] == [True]


class OtherBytes(Processes):
    """A second process that read another file."""

    def gather(self, value: Any) -> list[Any]:
        return [value, "0" * 64]


def test_processes_have_to_read_the_same_weights(run: Path):
    with pytest.raises(RunError, match="number 1 read other bytes than number 0"):
        scores_file(run).load_weights(nn.Linear(2, 2), OtherBytes(0, 2))


def test_trials_and_other_weights_do_not_take_the_place_of_a_result(run: Path):
    save_best(run / "checkpoints", nn.Linear(2, 2), 2)
    file = run / "scores.json"
    for scores, found in (
        (scores_file(run, limit_batches=1), evaluated(0.1)),
        (scores_file(run, "best"), evaluated(0.2)),
        (scores_file(run), replace(evaluated(0.3), skipped=1)),
        (scores_file(run), evaluated(0.4)),
        (scores_file(run), evaluated(0.5)),
        (scores_file(run), replace(evaluated(0.6), skipped=1)),
        (scores_file(run, "best"), evaluated(0.7)),
        (scores_file(run, limit_batches=1), evaluated(0.8)),
    ):
        scores.add(ONE_CROP, found)
    scores_file(run, limit_batches=1).add(SHIFTS, evaluated(0.9))
    records = read_scores(file)

    def current(number: int) -> list[float]:
        return [record["scores"]["top1_error"] for record in current_records(records[:number])]

    assert [current(number) for number in range(1, 9)] == [
        [0.1], [0.2], [0.3], [0.4], [0.5], [0.5], [0.5], [0.5],
    ]  # fmt: skip
    assert current(9) == [0.5, 0.9]


def test_numbers_that_are_not_finite_are_not_written(run: Path):
    scores = scores_file(run)
    scores.add(ONE_CROP, evaluated())
    before = (run / "scores.json").read_text()
    with pytest.raises(RunError, match=r"scores\.json is not written"):
        scores.add(ONE_CROP, evaluated(float("nan")))
    assert (run / "scores.json").read_text() == before


def test_weights_are_chosen_by_name(run: Path):
    save_best(run / "checkpoints", nn.Linear(2, 2), 2)
    save_snapshot(run / "checkpoints", nn.Linear(2, 2), 1)
    assert scores_file(run, "best").epochs == 2
    assert scores_file(run, "epoch-001").epochs == 1
    with pytest.raises(RunError, match="no weights 'epoch-009'") as error:
        scores_file(run, "epoch-009")
    assert error.value.remedy == "there are last, best, epoch-001"


def test_books_of_earlier_versions_are_read_and_added_to(run: Path):
    old = {"entry": {"mode": "one_crop"}, "scores": {"top1_error": 0.5, "top5_error": 0.0}}
    (run / "scores.json").write_text(json.dumps({"wavetwin_scores": 1, "scores": [old]}))
    scores = scores_file(run)
    assert not scores.has(ONE_CROP)
    scores.add(ONE_CROP, evaluated())
    assert read_scores(run / "scores.json")[0] == old


@pytest.mark.parametrize("text", ["{", '{"scores": []}', '{"wavetwin_scores": 1, "scores": 5}'])
def test_what_is_no_book_is_not_written_over(run: Path, text: str):
    (run / "scores.json").write_text(text)
    with pytest.raises(RunError, match=r"scores\.json"):
        scores_file(run)
    with pytest.raises(RunError, match=r"scores\.json"):
        add_record(run / "scores.json", ONE_CROP, evaluated(), {})
    assert (run / "scores.json").read_text() == text


def add_many(file: Path, number: int) -> None:
    for position in range(8):
        add_record(file, ONE_CROP, evaluated(), {"writer": number, "place": position})


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
        (writer, position) for writer in range(2) for position in range(8)
    ]
    assert all((tmp_path / record["predictions"]).is_file() for record in records)


def test_book_that_another_process_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from wavetwin.runtime.evaluation import scores_file as scores_file

    monkeypatch.setattr(scores_file, "LOCK_WAIT_SECONDS", 0.1)
    with (
        scores_file.locked(tmp_path / "b.json"),
        pytest.raises(RunError, match=r"another process has been writing to .* \(process \d+ on "),
    ):
        add_record(tmp_path / "b.json", ONE_CROP, evaluated(), {})
