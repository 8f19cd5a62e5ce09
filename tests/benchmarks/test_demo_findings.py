"""What the demo says of a pair of networks: every case, from tables of constructed images."""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.support.plans import make_plan
from tests.support.run_files import ONE_CROP, record, shift_entry, write_run
from wavetwin.explain.report.runs import read_source
from wavetwin.runtime.evaluation.intervals import PairedDifference

demo = importlib.import_module("benchmarks.demo")
findings = importlib.import_module("benchmarks.demo_findings")
IMAGES = 200


def shares(percent: int) -> Tensor:
    """An image in a hundred for each percent, the same ones for a smaller share."""
    return (torch.arange(IMAGES) % 100 < percent).double()


@functools.cache
def measured(first: int, second: int) -> Any:
    return findings.Measure.of(shares(first), shares(second))


def comparison(errors: tuple[int, int], flips: tuple[int, int], right: Any = None) -> Any:
    return findings.Comparison(
        "CNN", "CMod", IMAGES, measured(*errors), measured(*flips), 300, right
    )


CASES = {"less": (30, 10), "more": (10, 30), "undecided": (20, 20)}
ERRORS = {
    "less": "CMod makes fewer errors than CNN (10.00% instead of 30.00%: -20.00% [",
    "more": "CMod makes more errors than CNN (30.00% instead of 10.00%: +20.00% [",
    "undecided": "The 200 test images do not decide which of CNN and CMod makes fewer errors "
    "(20.00% instead of 20.00%: +0.00% [",
}
FLIPS = {
    "less": "CMod's predictions flip less often when the image moves (10.00% instead of 30.00%: -20.00% [",
    "more": "CMod's predictions flip more often when the image moves (30.00% instead of 10.00%: +20.00% [",
    "undecided": " whose predictions flip less often when the image moves (20.00% instead of 20.00%",
}


@pytest.mark.parametrize("errors", CASES)
@pytest.mark.parametrize("flips", CASES)
def test_the_sentence_says_what_the_intervals_say(errors: str, flips: str) -> None:
    pair = comparison(CASES[errors], CASES[flips], measured(20, 20))
    text = pair.sentence()
    assert text.startswith(ERRORS[errors])
    for case, wording in FLIPS.items():
        assert (wording in text) == (case == flips)
    joint = {frozenset(("less", "more")): "but", frozenset(("undecided",)): "nor"}
    found = re.findall(r"\), (and|but|nor) ", text)
    assert found == [joint.get(frozenset((errors, flips)), "and")]
    # At equal errors nothing is said of flips that are undecided anyway.
    assert ("both get right" in text) == (flips != "undecided")
    assert text.endswith(").") or text.endswith("alone.")
    assert text.count(". ") == 0, "one sentence"


@pytest.mark.parametrize(
    ("right", "wording"),
    [
        ((30, 10), "; of the 300 that both get right they flip less often, too (10.00% instead of"),
        ((10, 30), "; of the 300 that both get right they flip more often (30.00% instead of"),
        ((20, 20), "; the 300 that both get right do not decide it ("),
    ],
)
def test_the_sentence_looks_at_flips_apart_from_errors(
    right: tuple[int, int], wording: str
) -> None:
    text = comparison((30, 10), (30, 10), measured(*right)).sentence()
    assert wording in text
    assert ("it may come from the errors alone" in text) == (right == (20, 20))
    assert "there is no image that both get right" in comparison((100, 0), (30, 10)).sentence()


def test_an_interval_that_touches_0_decides_nothing() -> None:
    for low, high, expected in (
        (-0.2, 0.0, "UNDECIDED"),
        (0.0, 0.2, "UNDECIDED"),
        (-0.2, -1e-9, "LESS"),
        (1e-9, 0.2, "MORE"),
    ):
        measure = findings.Measure(0.5, 0.5, PairedDifference((low + high) / 2, low, high))
        assert measure.verdict is findings.Verdict[expected]


def test_elsewhere_is_named_where_the_second_is_not_more_stable() -> None:
    here, there = demo.setting("specs/demo/demo_cnn.yaml"), demo.setting("specs/alexnet/AI.yaml")
    assert str(here) == "48 pixels, 24 channels in the first layer, 10 epochs"
    assert str(there) == "224 pixels, 64 channels in the first layer, 90 epochs"
    assert demo.setting("specs/resnet34/RI.yaml") == there
    rates = demo.published_rates(demo.CNN, demo.CMOD)
    assert rates["AlexNet"] == pytest.approx((0.2446, 0.2244), abs=5e-5)
    assert findings.elsewhere(comparison((30, 10), (30, 10)), rates, here, there) == ""
    rates = {"A": (0.2, 0.1), "B": (0.1, 0.11)}
    # In the same proportion half of 10 % less, and a tenth of it more.
    more = findings.elsewhere(comparison((30, 10), (10, 30)), rates, here, there)
    assert (
        "CMod flips less often than CNN in 1 of 2 architectures (A 10.00% instead of 20.00%; B"
        in more
    )
    assert "docs/mnist-study.md" in more
    assert "would be -5.00% and +1.00% here, of which 0 of 2 are within the interval. " in more
    assert more.endswith(f"there {there}; here {here}, one training each.")
    flips = findings.Measure(0.1, 0.1, PairedDifference(0.0, -0.06, 0.06))
    pair = replace(comparison((30, 10), (20, 20)), flips=flips)
    assert "2 of 2 are within the interval: too few images to tell. " in findings.elsewhere(
        pair, rates, here, there
    )


def predicted_run(runs: Path, name: str, classes: list[list[int]]) -> Path:
    """A run with images of class 0 whose predictions under diagonal shifts are given."""
    frames = torch.tensor(classes, dtype=torch.int32).unsqueeze(2)
    wrong = torch.tensor([row[0] != 0 for row in classes], dtype=torch.uint8)
    flips = shift_entry("diagonal", "flip_rate")
    folder = write_run(
        runs,
        make_plan(seed=0, name=name),
        [
            record(ONE_CROP, {"top1_error": 0.5}, predictions="predictions/one.safetensors"),
            record(
                flips,
                {"flip_rate": {"1": 0.0, "2": 0.0}, "mean_flip_rate": 0.0},
                predictions="predictions/flips.safetensors",
            ),
        ],
    )
    (folder / "predictions").mkdir()
    images = {"positions": torch.arange(len(classes)), "labels": torch.zeros(len(classes)).long()}
    one = {"classes": frames[:, 0, 0].contiguous(), "top1_wrong": wrong, "top5_wrong": 0 * wrong}
    for key, table in (("one", one), ("flips", {"classes": frames})):
        save_file(images | table, folder / f"predictions/{key}.safetensors")
    return folder


def test_runs_are_compared_over_the_images_that_both_get_right(tmp_path: Path) -> None:
    first = predicted_run(tmp_path, "cnn", [[0, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]])
    second = predicted_run(tmp_path, "cmod", [[0, 0, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0]])
    pair = demo.compare(read_source(first), read_source(second), ("CNN", "CMod"))
    assert (pair.errors.first, pair.errors.second) == (0.25, 0.25)
    # Step 1: 1/2, 0, 1/2, 1 of the pairs differ; step 2: 1, 0, 1, 0.
    assert pair.flips.first == pytest.approx((0.75 + 0 + 0.75 + 0.5) / 4)
    assert pair.flips.second == 0
    # Images 0 and 3 are right in both where they are not moved.
    assert (pair.images, pair.right_images) == (4, 2)
    assert pair.flips_of_right.first == pytest.approx((0.75 + 0.5) / 2)
    assert re.search(r"of the 2 that both get right they flip less often, too", pair.sentence())
