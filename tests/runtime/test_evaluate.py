"""The battery: brute force and figures by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plans import ONE_CROP, make_plan, shifts
from scripted import build_folder, only_run, run_here
from torch import nn

from wavetwin.compiler.plan import EvaluationPlan
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.transforms import fit, resize
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.evaluate import evaluate_entry
from wavetwin.runtime.metrics import divergence_from_first, flips, wrong_guesses

CPU = torch.device("cpu")


def test_wrong_guesses():
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.8, 0.1, 0.3]])
    labels = torch.tensor([2, 1])
    assert [wrong_guesses(scores, labels, k) for k in (1, 2, 5)] == [2, 1, 0]


def test_flips_by_brute_force():
    classes = torch.randint(0, 3, (5, 4, 6), generator=torch.Generator().manual_seed(0))
    for step in (1, 2, 5):
        differ = pairs = 0
        for image in classes.tolist():
            for row in range(4):
                for column in range(6):
                    for down, right in ((0, step), (step, 0)):
                        if row + down < 4 and column + right < 6:
                            pairs += 1
                            differ += image[row][column] != image[row + down][column + right]
        assert flips(classes, step) == (differ, pairs)


def test_divergence_by_hand():
    p, q = [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]
    logits = torch.tensor([p, q]).log().reshape(1, 1, 2, 3)
    expected = 0.5 * math.log(2) + 0.25 * math.log(0.5)
    assert divergence_from_first(logits).tolist() == [[0.0, pytest.approx(expected, rel=1e-6)]]


class Corner(nn.Module):
    """Logits that depend on few pixels, so that shifts flip them."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, :5, :2].flatten(1) * 3


def test_one_crop():
    data = load_data(make_plan(normalise="none", mean=(0.0,), std=(1.0,)))
    scores = evaluate_entry(ONE_CROP, Corner(), data, CPU)
    images = fit(data.test.source.load(range(360)).float() / 16, 12)
    logits, labels = Corner()(images), data.test.source.labels
    assert scores["images"] == 360
    assert scores["top1_error"] == (logits.argmax(1) != labels).double().mean()
    assert 0 < scores["top5_error"] < scores["top1_error"]
    loss = nn.functional.cross_entropy(logits, labels)
    assert scores["loss"] == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize(
    ("direction", "move"), [("horizontal", (0, 1)), ("vertical", (1, 0)), ("diagonal", (1, 1))]
)
@pytest.mark.parametrize("divide", [1, 2])
def test_shifts_by_brute_force(direction: str, move: tuple[int, int], divide: int):
    data = load_data(make_plan())
    large = fit(data.test.source.load(range(360)).float() / 16, divide * (12 + 3))
    frames = []
    for shift in range(3 * divide + 1):
        top, left = move[0] * shift, move[1] * shift
        side = 12 * divide
        crop = resize(large[..., top : top + side, left : left + side], 12, 12)
        frames.append(Corner()(data.normalise(crop)))
    entry = shifts(direction, "flip_rate", 3, divide)
    scores = evaluate_entry(entry, Corner(), data, CPU)
    guesses = [frame.argmax(1) for frame in frames]
    for step in (1, 2, 3):
        pairs = [(a != b).double().mean() for a, b in zip(guesses, guesses[step:], strict=False)]
        assert scores["flip_rate"][str(step)] == pytest.approx(float(sum(pairs) / len(pairs)))
    assert scores["mean_flip_rate"] > 0
    entry = shifts(direction, "kl_divergence", 3, divide)
    divergences = evaluate_entry(entry, Corner(), data, CPU)["kl_divergence"]
    p0 = frames[0].double().softmax(1)
    for value, frame in zip(divergences, frames, strict=True):
        expected = (p0 * (p0.log() - frame.double().log_softmax(1))).sum(1).mean()
        assert value == pytest.approx(float(expected), abs=1e-6)


def test_grid_of_shifts_and_no_normalisation():
    data = load_data(make_plan())
    grid = evaluate_entry(shifts("both", "kl_divergence", 2), Corner(), data, CPU)["kl_divergence"]
    line = evaluate_entry(shifts("horizontal", "kl_divergence", 2), Corner(), data, CPU)
    assert (len(grid), len(grid[0])) == (3, 3)
    assert grid[0] == pytest.approx(line["kl_divergence"])
    plain = replace(shifts("horizontal", "kl_divergence", 2), normalise=False)
    assert evaluate_entry(plain, Corner(), data, CPU)["kl_divergence"] != line["kl_divergence"]


def test_ten_crops_of_a_constant_network():
    data = load_data(make_plan())
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 10))
    nn.init.zeros_(model[1].weight)
    model[1].bias.data = torch.arange(10.0)
    entry = EvaluationPlan("ten_crops", "test", None, None, None, None, None, None, True)
    scores = evaluate_entry(entry, model, data, CPU)
    labels = data.test.source.labels
    assert scores["top1_error"] == pytest.approx(float((labels != 9).double().mean()))
    assert scores["top5_error"] == pytest.approx(float((labels < 5).double().mean()))


def test_script_writes_scores_and_keeps_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    corruptions = EvaluationPlan("corruptions", None, None, None, None, None, None, "c", True)
    battery = (ONE_CROP, corruptions, shifts("horizontal", "flip_rate"))
    folder = build_folder(tmp_path, make_plan(epochs=1, evaluation=battery))
    common = ("--device", "cpu", "--allow-drift")
    assert run_here(folder / "evaluate.py", *common) == 2
    assert "run train.py first" in capsys.readouterr().err
    assert run_here(folder / "train.py", *common) == 0
    assert run_here(folder / "evaluate.py", *common) == 2
    output = capsys.readouterr()
    assert "'corruptions' is not available in this version" in output.err
    assert "\r" not in output.out
    assert run_here(folder / "evaluate.py", *common) == 2
    records = json.loads((only_run(tmp_path) / "scores.json").read_text())["scores"]
    assert [record["entry"]["mode"] for record in records] == ["one_crop", "shifts"]
    assert records[0]["scores"]["images"] == 360
    assert records[0]["commit"] == "c" * 40
    assert len(records[0]["weights"]) == len(records[0]["data"]) == 64


def test_split_without_images_is_an_error():
    data = load_data(make_plan(validation=0, training_images=1437))
    with pytest.raises(RunError, match="validation split has no images"):
        evaluate_entry(replace(ONE_CROP, split="validation"), Corner(), data, CPU)
