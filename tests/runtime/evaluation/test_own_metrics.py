"""Metrics of a project's own, computed on the digits' test images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.plans import make_plan
from wavetwin.ir.evaluations import Evaluation, OneCrop, TenCrops
from wavetwin.ir.own_code import OwnCode
from wavetwin.ir.own_metric import OwnMetric
from wavetwin.runtime.data import load_data
from wavetwin.runtime.evaluation.entries import Evaluated, evaluate_entry, summarise
from wavetwin.runtime.evaluation.scores_file import entry_key
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.own_code import install_sources

CODE = b'''
import torch
from torch.nn.functional import cross_entropy


def weighted(logits, labels, scale=1.0):
    """Says of each image where it is."""
    assert (logits.dtype, labels.dtype) == (torch.float32, torch.int64)
    places = torch.arange(len(labels))
    assert logits.shape == (360, 10)
    value = scale * (places * (logits.argmax(1) == labels)).sum()
    logits.zero_()
    labels.zero_()
    return value


class Tempered:
    """Has a temperature of its own, by gradients."""

    def update(self, logits, labels):
        scale = torch.ones((), requires_grad=True)
        (self.gradient,) = torch.autograd.grad(cross_entropy(scale * logits, labels), scale)

    def compute(self):
        return self.gradient


class Drawn:
    def __call__(self, logits, labels):
        return torch.rand(()).item()


def log_probabilities(logits, labels):
    return logits.exp().sum(1).mean()


def broken(logits, labels):
    raise KeyError("no such class")


def without(logits, labels):
    import sys

    sys.modules["sklearn"] = None
    import sklearn


def empty(logits, labels):
    return logits.new_tensor([]).mean()
'''
FILE = "own/metrics.py"
CPU = torch.device("cpu")


class Corner(nn.Module):
    """Ten logits that are ten pixels."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, 3:8, 4:6].flatten(1) * 3


@pytest.fixture(autouse=True)
def sources() -> Iterator[None]:
    install_sources({FILE: CODE})
    yield
    install_sources({})


def metric(name: str, label: str | None = None, **arguments: Any) -> OwnMetric:
    files = {FILE: sha256(CODE).hexdigest()}
    code = OwnCode(file=FILE, name=name, arguments=arguments or None, files=files)
    return OwnMetric(name=label or name, module=code)


def evaluate(entry: Evaluation, **changes: Any) -> Evaluated:
    data = load_data(make_plan(evaluation=(OneCrop(), entry), batch_size=100, **changes))
    return evaluate_entry(entry, Corner(), data, CPU)


def test_metrics_see_all_images_in_order_and_change_nothing() -> None:
    listed = (metric("weighted"), metric("weighted", "doubled", scale=2.0), metric("Tempered"))
    found, plain = evaluate(OneCrop(metrics=listed)), evaluate(OneCrop())
    own = found.scores.pop("metrics")
    assert found.scores == plain.scores
    assert found.intervals == plain.intervals
    assert found.per_image.keys() == plain.per_image.keys()
    table = found.per_image
    is_right = table["classes"] == table["labels"]
    assert 0 < is_right.sum() < 360
    assert own["weighted"] == float((torch.arange(360) * is_right).sum())
    assert own["doubled"] == 2 * own["weighted"]
    assert own["Tempered"] != 0
    assert list(own) == ["weighted", "doubled", "Tempered"]


def test_of_ten_crops_they_get_logarithms_of_probabilities() -> None:
    entry = TenCrops(metrics=(metric("log_probabilities"),))
    assert evaluate(entry).scores["metrics"]["log_probabilities"] == pytest.approx(1, abs=1e-6)


def test_what_a_metric_draws_follows_from_the_seed_and_its_name() -> None:
    entry = OneCrop(metrics=(metric("Drawn"), metric("Drawn", "other")))
    before = torch.get_rng_state()
    first, again, another = (evaluate(entry, seed=seed).scores["metrics"] for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first == again
    assert len({*first.values(), *another.values()}) == 4


@pytest.mark.parametrize(
    ("name", "code", "text", "notes"),
    [
        (
            "broken",
            "own-code-failed",
            "metric broken (broken of own/metrics.py) raises KeyError: 'no such class'",
            ('raised at: own/metrics.py:38, in broken: raise KeyError("no such class")',),
        ),
        (
            "empty",
            "own-code-does-not-fit",
            "metric empty (empty of own/metrics.py) gives nan",
            (),
        ),
        (
            "weighted",
            "own-code-failed",
            "metric weighted (weighted of own/metrics.py) raises TypeError: weighted() got an "
            "unexpected keyword argument 'size'",
            (),
        ),
    ],
)
def test_a_fault_of_a_metric_is_the_users(
    name: str, code: str, text: str, notes: tuple[str, ...]
) -> None:
    arguments: dict[str, Any] = {"size": 1} if name == "weighted" else {}
    entry = OneCrop(metrics=(metric("Drawn"), metric(name, **arguments)))
    with pytest.raises(RunError) as caught:
        evaluate(entry)
    assert (caught.value.code, caught.value.headline) == (code, text)
    assert caught.value.notes == (*notes, "from: evaluation.1.metrics.1.module")


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", sys.modules.get("sklearn"))
    with pytest.raises(RunError) as caught:
        evaluate(OneCrop(metrics=(metric("without"),)))
    assert (caught.value.code, caught.value.remedy) == (
        "package-missing",
        "pip install scikit_learn",
    )


def test_one_that_cannot_be_made_costs_no_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Corner, "forward", lambda self, images: pytest.fail("evaluated"))
    with pytest.raises(RunError, match="has no attribute 'Missing'"):
        evaluate(OneCrop(metrics=(metric("Missing"),)))


def test_a_line_and_a_record_have_them() -> None:
    entry = OneCrop(metrics=(metric("weighted", "places", scale=1e-4),))
    found = evaluate(entry)
    assert f"metrics places: {found.scores['metrics']['places']:.4f}, 360 images" in summarise(
        found
    )
    assert entry.describe() == "one crop, test, own metrics places"
    # Records of before there were metrics are named as those without any.
    assert "metrics" not in entry_key(OneCrop())
    (kept,) = entry_key(entry)["metrics"]
    assert kept["module"]["files"] == {FILE: sha256(CODE).hexdigest()}
