"""The evaluation suite on the data set's own images: brute force and figures by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from tests.support.plans import ONE_CROP, make_plan, shifts
from tests.support.scripted import build_folder, only_run, run_here
from wavetwin.ir.evaluations import Corruptions, Evaluation, Perturbations, TenCrops
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.transforms import fit, resize
from wavetwin.runtime.evaluation.entries import (
    Evaluated,
    describe,
    evaluate_entry,
    score_one_crop,
    summarise,
)
from wavetwin.runtime.process.errors import RunError

CPU = torch.device("cpu")
TEN_CROPS = TenCrops()


class Corner(nn.Module):
    """Logits that depend on few pixels, so that shifts flip them."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, :5, :2].flatten(1) * 3


class Counting(Corner):
    """Notes how many images each forward pass has."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images))
        return super().forward(images)


def test_one_crop():
    data = load_data(make_plan(normalise="none", mean=(0.0,), std=(1.0,)))
    evaluated = evaluate_entry(ONE_CROP, Corner(), data, CPU)
    images = fit(data.test.source.load(range(360)).float() / 16, 12)
    logits, labels = Corner()(images), data.test.source.labels
    scores = evaluated.scores
    assert (evaluated.images, evaluated.skipped) == (360, 0)
    assert scores["top1_error"] == (logits.argmax(1) != labels).double().mean()
    assert 0 < scores["top5_error"] < scores["top1_error"]
    loss = nn.functional.cross_entropy(logits, labels)
    assert scores["loss"] == pytest.approx(float(loss), rel=1e-5)
    table = evaluated.per_image
    assert table["positions"].tolist() == list(range(360))
    assert torch.equal(table["classes"], logits.argmax(1).int())
    assert torch.equal(table["labels"], labels)
    means = {name: scores[name] for name in ("loss", "top1_error", "top5_error")}
    assert score_one_crop(Corner(), data, "test", CPU) == means


def test_intervals_are_binomial_for_errors():
    data = load_data(make_plan())
    evaluated = evaluate_entry(ONE_CROP, Corner(), data, CPU)
    assert evaluated.intervals.keys() == {"loss", "top1_error", "top5_error"}
    rate = evaluated.scores["top5_error"]
    spread = 1.96 * math.sqrt(rate * (1 - rate) / 360)
    low, high = evaluated.intervals["top5_error"]
    assert low == pytest.approx(rate - spread, abs=0.01)
    assert high == pytest.approx(rate + spread, abs=0.01)


@pytest.mark.parametrize(
    ("direction", "move"), [("horizontal", (0, 1)), ("vertical", (1, 0)), ("diagonal", (1, 1))]
)
@pytest.mark.parametrize("divide", [1, 2])
def test_shifts_by_reading_the_images_again_for_each(
    direction: str, move: tuple[int, int], divide: int
):
    data = load_data(make_plan(batch_size=100))
    frames: list[torch.Tensor] = []
    for shift in range(3 * divide + 1):
        # Each shift reads, enlarges and cuts every image by itself.
        logits: list[torch.Tensor] = []
        for index in range(360):
            large = fit(data.test.source.load([index])[0].float() / 16, divide * (12 + 3))
            top, left, side = move[0] * shift, move[1] * shift, 12 * divide
            crop = resize(large[..., top : top + side, left : left + side], 12, 12)
            logits.append(Corner()(data.normalise(crop).unsqueeze(0)))
        frames.append(torch.cat(logits))
    entry = shifts(direction, "flip_rate", 3, divide)
    evaluated = evaluate_entry(entry, Corner(), data, CPU)
    scores, predictions = evaluated.scores, [frame.argmax(1) for frame in frames]
    for step in (1, 2, 3):
        pairs = [
            (a != b).double().mean() for a, b in zip(predictions, predictions[step:], strict=False)
        ]
        assert scores["flip_rate"][str(step)] == pytest.approx(float(sum(pairs) / len(pairs)))
        low, high = evaluated.intervals["flip_rate"][str(step)]
        assert low < scores["flip_rate"][str(step)] < high
    assert scores["mean_flip_rate"] == pytest.approx(sum(scores["flip_rate"].values()) / 3)
    flat = evaluated.per_image["classes"].flatten(1)
    assert torch.equal(flat, torch.stack(predictions, dim=1).int())
    entry = shifts(direction, "kl_divergence", 3, divide)
    evaluated = evaluate_entry(entry, Corner(), data, CPU)
    p0 = frames[0].double().softmax(1)
    for value, ends, frame in zip(
        evaluated.scores["kl_divergence"],
        evaluated.intervals["kl_divergence"],
        frames,
        strict=True,
    ):
        expected = (p0 * (p0.log() - frame.double().log_softmax(1))).sum(1).mean()
        assert value == pytest.approx(float(expected), abs=1e-6)
        assert ends[0] <= value <= ends[1]
    assert evaluated.scores["kl_divergence"][0] == 0


def test_grid_of_shifts_and_no_normalisation():
    data = load_data(make_plan())
    both = evaluate_entry(shifts("both", "kl_divergence", 2), Corner(), data, CPU)
    line = evaluate_entry(shifts("horizontal", "kl_divergence", 2), Corner(), data, CPU)
    grid = both.scores["kl_divergence"]
    assert (len(grid), len(grid[0])) == (3, 3)
    assert both.per_image["kl"].shape == (360, 3, 3)
    first_row = torch.tensor(both.intervals["kl_divergence"][0])
    assert torch.allclose(first_row, torch.tensor(line.intervals["kl_divergence"]), atol=1e-6)
    assert grid[0] == pytest.approx(line.scores["kl_divergence"])
    plain = replace(shifts("horizontal", "kl_divergence", 2), normalise=False)
    assert evaluate_entry(plain, Corner(), data, CPU).scores != line.scores


def test_windows_share_forward_passes_up_to_the_batch_size():
    model = Counting()
    data = load_data(make_plan(batch_size=64))
    evaluate_entry(shifts("diagonal", "flip_rate", 3, 2), model, data, CPU)
    # 16 images at a time are enlarged, 4 windows of each in a pass: 7 windows take two passes. Of
    # the 360 images the last 8 are together, and all their 7 windows.
    assert model.sizes == [64, 48] * 22 + [56]
    full = evaluate_entry(shifts("diagonal", "flip_rate", 3, 2), Corner(), data, CPU)
    one_by_one = load_data(make_plan(batch_size=4))
    again = evaluate_entry(shifts("diagonal", "flip_rate", 3, 2), Corner(), one_by_one, CPU)
    assert again.scores == full.scores


def test_ten_crops_of_a_constant_network():
    data = load_data(make_plan())
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 10))
    nn.init.zeros_(model[1].weight)
    model[1].bias.data = torch.arange(10.0)
    scores = evaluate_entry(TEN_CROPS, model, data, CPU).scores
    labels = data.test.source.labels
    assert scores["top1_error"] == pytest.approx(float((labels != 9).double().mean()))
    assert scores["top5_error"] == pytest.approx(float((labels < 5).double().mean()))


def test_ten_crops_average_probabilities():
    data = load_data(make_plan(normalise="none", mean=(0.0,), std=(1.0,)))
    table = evaluate_entry(TEN_CROPS, Corner(), data, CPU).per_image
    images = resize(data.test.source.load(range(360)).float() / 16, 13, 13)
    mean = torch.zeros(360, 10)
    for top, left in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 0)):
        crop = images[..., top : top + 12, left : left + 12]
        mean += Corner()(crop).softmax(1) + Corner()(crop.flip(-1)).softmax(1)
    assert torch.equal(table["classes"], mean.argmax(1).int())


def test_limited_batches_are_counted_as_such():
    data = load_data(make_plan(), limit_batches=3)
    for entry in (ONE_CROP, shifts("vertical", "flip_rate", 2, 2)):
        assert evaluate_entry(entry, Corner(), data, CPU).images == 24


def test_script_adds_scores_and_keeps_going(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    corruptions = Corruptions(root="c")
    suite = (ONE_CROP, corruptions, shifts("horizontal", "flip_rate"))
    folder = build_folder(tmp_path, make_plan(epochs=1, evaluation=suite))
    common = ("--device", "cpu", "--allow-drift", "--data-root", str(tmp_path))
    assert run_here(folder / "evaluate.py", *common) == 2
    assert "run train.py first" in capsys.readouterr().err
    assert run_here(folder / "train.py", *common) == 0
    assert run_here(folder / "evaluate.py", *common) == 2
    output = capsys.readouterr()
    assert f"{tmp_path / 'c'}: error: data-set-missing: is not there\n" in output.err
    assert "one crop, test: loss " in output.out
    assert "\r" not in output.out
    run = only_run(tmp_path)
    records = json.loads((run / "scores.json").read_text())["scores"]
    assert [record["entry"]["mode"] for record in records] == ["one_crop", "shifts"]
    assert records[0]["images"] == 360
    assert records[0]["commit"] == "c" * 40
    assert len(records[0]["weights"]) == len(records[0]["data"]) == 64
    assert all((run / record["predictions"]).is_file() for record in records)
    # A second start has nothing to do but the entry that failed; --again adds records.
    assert run_here(folder / "evaluate.py", *common) == 2
    assert json.loads((run / "scores.json").read_text())["scores"] == records
    assert run_here(folder / "evaluate.py", *common, "--again") == 2
    again = json.loads((run / "scores.json").read_text())["scores"]
    assert again[:2] == records
    assert [record["scores"] for record in again[2:]] == [record["scores"] for record in records]


class Diverged(Corner):
    """Its output for the last image of every forward pass is infinite or not a number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        logits[-1, 3] = self.value
        return logits


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "entry", [ONE_CROP, TEN_CROPS, shifts("diagonal", "flip_rate"), shifts("both", "kl_divergence")]
)
def test_network_that_diverged_has_no_scores(entry: Evaluation, value: float):
    data = load_data(make_plan(batch_size=100))
    with pytest.raises(RunError, match="not a finite number for some images of") as error:
        evaluate_entry(entry, Diverged(value), data, CPU)
    assert describe(entry) in error.value.headline
    assert "--weights best" in str(error.value.remedy)


def test_perturbations_of_a_network_that_diverged(tmp_path: Path):
    for number in range(10):
        for frame in range(2):
            file = tmp_path / f"p/tilt/{number}/a/{frame}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (12, 12)).save(file)
    entry = Perturbations(root="p")
    data = load_data(make_plan())
    with pytest.raises(RunError, match="not a finite number for some images of perturbations, p"):
        evaluate_entry(entry, Diverged(math.nan), data, CPU, data_root=tmp_path)


class Huge(Corner):
    """Finite logits whose differences are not."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(images), 10), -3e38)
        logits[:, 3] = 3e38
        return logits


def test_finite_logits_of_an_infinite_loss_have_no_scores():
    data = load_data(make_plan())
    with pytest.raises(RunError, match="the loss of one crop, test is not a finite number"):
        evaluate_entry(ONE_CROP, Huge(), data, CPU)


def test_validation_may_be_let_to_diverge():
    data = load_data(make_plan())
    with pytest.raises(RunError, match="not a finite number"):
        score_one_crop(Diverged(math.nan), data, "validation", CPU)
    scores = score_one_crop(Diverged(math.nan), data, "validation", CPU, allow_non_finite=True)
    assert math.isnan(scores["loss"])
    scores = score_one_crop(Diverged(-math.inf), data, "validation", CPU, allow_non_finite=True)
    assert scores["loss"] == math.inf


def test_split_without_images_is_an_error():
    data = load_data(make_plan(validation=0, training_images=1437))
    with pytest.raises(RunError, match="validation split has no images"):
        evaluate_entry(replace(ONE_CROP, split="validation"), Corner(), data, CPU)


def test_summary_is_one_line():
    scores = {
        "flip_rate": {"1": 0.25, "2": 0.5},
        "mean_flip_rate": 0.375,
        "top1_error": {"fog": {"1": 0.5, "2": 0.7}},
        "kl_divergence": [[0.0, 0.1], [0.2, 0.3]],
        "missing": ["snow/1"],
    }
    intervals = {
        "flip_rate": {"1": [0.2, 0.3], "2": [0.4, 0.6]},
        "mean_flip_rate": [0.3, 0.4],
        "top1_error": {"fog": {"1": [0.4, 0.6], "2": [0.6, 0.8]}},
        "kl_divergence": [[[0.0, 0.0], [0.0, 0.2]], [[0.1, 0.3], [0.2, 0.4]]],
    }
    assert summarise(Evaluated(scores, intervals, {}, 7, 2)) == (
        "flip rate 1: 0.2500 [0.2000, 0.3000]; 2: 0.5000 [0.4000, 0.6000], "
        "mean flip rate 0.3750 [0.3000, 0.4000], top1 error fog: 0.6000, "
        "kl divergence at the largest shift 0.3000 [0.2000, 0.4000], missing: snow/1, "
        "7 images, 2 damaged images left out"
    )
