"""What a recipe says of a step: a run by the script equals a loop by hand, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from tests.support.plans import SGD, make_plan
from tests.support.scripted import MODEL, build_folder, only_run, run_here, tiny_graph
from wavetwin.ir.optimizers import Adam, AdamW, RmsProp
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.schedules import Constant
from wavetwin.runtime import initialise, weighted_cross_entropy
from wavetwin.runtime.data import ExperimentData, load_data
from wavetwin.runtime.process.random_streams import seed_step

WEIGHTS = (2.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.25, 1.25)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def script_weights(project: Path, plan: TrainingPlan, *arguments: str) -> dict[str, Tensor]:
    """Train by the script and return the last weights."""
    folder = project / "generated" / plan.name
    if not folder.exists():
        build_folder(project, plan)
    assert run_here(folder / "train.py", "--device", "cpu", "--allow-drift", *arguments) == 0
    return load_file(only_run(project) / "checkpoints/last/model.safetensors")


def images_of(plan: TrainingPlan, folder: Path) -> ExperimentData:
    return load_data(plan, data_root=None, statistics_file=folder / "statistics.json")


def model_of(plan: TrainingPlan) -> nn.Module:
    names: dict[str, Any] = {}
    exec(MODEL, names)
    model = names["build_model"]()
    initialise(model, tiny_graph(plan.name), plan.seed)
    return model


def by_hand(
    plan: TrainingPlan,
    folder: Path,
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    loss_of: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    after_backward: Callable[[nn.Module], None] = lambda model: None,
) -> dict[str, Tensor]:
    """Return the weights after the plan's epochs at a constant learning rate."""
    data, model = images_of(plan, folder), model_of(plan)
    steps = optimizer(list(model.parameters()))
    for epoch in range(plan.epochs):
        for step, (images, labels, _) in enumerate(data.training_batches(epoch)):
            seed_step(plan.seed, epoch, step)
            steps.zero_grad()
            loss_of(model(data.normalise(images)), labels).backward()
            after_backward(model)
            steps.step()
    return model.state_dict()


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


OPTIMIZERS: dict[str, tuple[Any, Callable[[Any], torch.optim.Optimizer]]] = {
    "adam": (
        Adam(lr=0.01, eps=1e-6, betas=(0.8, 0.9), weight_decay=0.02),
        lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-6, betas=(0.8, 0.9), weight_decay=0.02),
    ),
    "adamw": (
        AdamW(lr=0.01, eps=1e-3, weight_decay=0.02),
        lambda p: torch.optim.AdamW(p, lr=0.01, eps=1e-3, weight_decay=0.02),
    ),
    "rmsprop": (
        RmsProp(lr=0.01, alpha=0.8, momentum=0.5, centered=True, weight_decay=0.02),
        lambda p: torch.optim.RMSprop(
            p, lr=0.01, alpha=0.8, momentum=0.5, centered=True, weight_decay=0.02
        ),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_is_torchs(name: str, tmp_path: Path):
    declared, made = OPTIMIZERS[name]
    plan = make_plan(epochs=1, schedule=Constant(), optimizer=declared)
    optimizer = made([nn.Parameter(torch.zeros(3))])
    assert_equal(script_weights(tmp_path, plan), by_hand(plan, tmp_path, made))
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = made([parameter])
    parameter.grad = torch.ones(3)
    optimizer.step()
    kept = [each for each in optimizer.state[parameter].values() if each.shape == (3,)]
    assert declared.num_averages == len(kept)


def test_smoothing_weights_and_clipping(tmp_path: Path):
    plan = make_plan(epochs=1, schedule=Constant(), label_smoothing=0.2, clip_norm=2.7)
    plan = replace(plan, class_weights=WEIGHTS)
    norms: list[float] = []

    def clip(model: nn.Module) -> None:
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 2.7)))

    def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
        each = functional.cross_entropy(
            logits, labels, torch.tensor(WEIGHTS), reduction="none", label_smoothing=0.2
        )
        return each.sum() / len(labels)

    expected = by_hand(
        plan,
        tmp_path,
        lambda p: torch.optim.SGD(p, lr=SGD.lr, momentum=0.9, weight_decay=1e-4),
        loss_of,
        clip,
    )
    assert min(norms) < 2.7 < max(norms)
    found = script_weights(tmp_path, plan)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6)


def test_the_weighted_loss_of_a_batch_is_the_mean_of_its_parts():
    logits, labels = torch.randn(6, 10, dtype=torch.float64), torch.arange(6)
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)
    whole = weighted_cross_entropy(logits, labels, weights, 0.1)
    parts = [
        weighted_cross_entropy(logits[part], labels[part], weights, 0.1) * len(logits[part])
        for part in (slice(0, 2), slice(2, 6))
    ]
    torch.testing.assert_close(sum(parts) / 6, whole)
    # torch divides by the number of images where targets are probabilities.
    soft = functional.one_hot(labels, 10).double()
    expected = functional.cross_entropy(logits, soft, weights, label_smoothing=0.1)
    torch.testing.assert_close(whole, expected)
