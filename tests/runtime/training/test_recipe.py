"""What a recipe says of a step: a run by the script equals a loop by hand, bit for bit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from tests.support.plans import SGD, make_plan
from tests.support.scripted import MODEL, PENALTY, build_folder, only_run, run_here, tiny_graph
from wavetwin.ir.optimizers import Adam, RmsProp
from wavetwin.ir.parameter_groups import ParameterGroup
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.precisions import PRECISIONS
from wavetwin.ir.schedules import Constant
from wavetwin.ir.training import Training
from wavetwin.runtime import (
    FrozenParts,
    LossScaler,
    WeightAverage,
    build_optimizer,
    import_torchvision,
    initialise,
    weighted_cross_entropy,
)
from wavetwin.runtime.data import ExperimentData, load_data
from wavetwin.runtime.evaluation.scores_file import find_weights
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.processes import ALONE
from wavetwin.runtime.process.random_streams import seed_step
from wavetwin.runtime.training.checkpoint import load_state
from wavetwin.runtime.training.failed_batch import save_failed_batch
from wavetwin.runtime.training.mixed_images import cutmix, mix_images, mixup
from wavetwin.runtime.training.records import read_gradients, read_lines
from wavetwin.runtime.training.running import NotFinite
from wavetwin.runtime.training.saved_state import load_last_weights
from wavetwin.runtime.training.schedule import LearningRate
from wavetwin.runtime.training.training_batches import TrainingBatch, prepare_batch

LARGE = (300.0,) * 10
"""Class weights with which the first gradients overflow in float16."""
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
            seed_step(torch.device("cpu"), plan.seed, epoch, step)
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


def test_float16_is_torchs_gradient_scaler(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Bit for bit; the first steps overflow and are skipped, clipping sees gradients as they are."""
    plan = make_plan(
        epochs=2, schedule=Constant(), optimizer=replace(SGD, lr=0.005), precision="float16",
        clip_norm=70.0, average_decay=0.5, class_weights=LARGE,
    )  # fmt: skip
    data, model = images_of(plan, tmp_path), model_of(plan)
    scaler = torch.amp.GradScaler("cpu")
    steps = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, weight_decay=1e-4)
    scales: list[list[float]] = []
    for epoch in range(2):
        scales.append([scaler.get_scale()])
        for step, (images, labels, _) in enumerate(data.training_batches(epoch)):
            seed_step(torch.device("cpu"), plan.seed, epoch, step)
            steps.zero_grad()
            with torch.autocast("cpu", torch.float16):
                logits = model(data.normalise(images))
                loss = weighted_cross_entropy(logits, labels, torch.tensor(LARGE))
            scaler.scale(loss).backward()
            scaler.unscale_(steps)
            nn.utils.clip_grad_norm_(model.parameters(), 70.0)
            scaler.step(steps)
            scaler.update()
            scales[-1].append(scaler.get_scale())
    assert_equal(script_weights(tmp_path, plan), model.state_dict())
    epochs = [each for each in read_lines(only_run(tmp_path) / "metrics.jsonl") if "train" in each]
    skipped = [sum(b < a for a, b in pairwise(each)) for each in scales]
    assert 0 < sum(skipped) < 10
    assert [each["scaling"] for each in epochs] == [
        {"skipped_steps": count, "loss_scale": each[-1]}
        for count, each in zip(skipped, scales, strict=True)
    ]
    assert "skipped: gradients overflowed; the loss is now scaled by " in capsys.readouterr().out
    state = load_state(only_run(tmp_path) / "checkpoints")
    assert state is not None
    assert state["loss_scaler"]["scaler"] == scaler.state_dict()


def test_gradients_that_no_scale_helps_end_the_training(tmp_path: Path):
    scaler, parameter = LossScaler(torch.device("cpu")), nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    for _ in range(33):
        assert not scaler.has_failed
        optimizer.zero_grad()
        scaler.scale(parameter.sum() * math.inf).backward()
        scaler.unscale(optimizer)
        scaler.step(optimizer)
    assert scaler.has_failed
    assert parameter.item() == 1
    assert scaler.take_epoch() == {"skipped_steps": 33, "loss_scale": 2.0**-17}
    assert scaler.take_epoch()["skipped_steps"] == 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"skipped": 4}, "4 steps were skipped of 3"),
        ({"skipped": None}, "None steps were skipped of 3"),
        ({"scaler": None}, "loss_scaler is missing or not of its kind"),
        ({"scale": 3.0}, "the loss scale is 3.0, and no power of two"),
        ({"scale": math.nan}, "the loss scale is nan, and no power of two"),
        ({"growth_interval": 1}, "growth_interval of the loss scaler is 1, and 2000 by torch"),
        ({"more": 1}, "loss_scaler has other numbers than torch's"),
    ],
)
def test_a_changed_loss_scaler_is_refused(changes: dict[str, Any], fault: str | None):
    scaler = LossScaler(torch.device("cpu"))
    state = scaler.state_dict()
    for name, value in changes.items():
        if name in state:
            state[name] = value
        else:
            state["scaler"] = {**state["scaler"], name: value}
    assert list(scaler.faults(state, 3)) == ([fault] if fault else [])


@pytest.mark.parametrize("name", PRECISIONS)
def test_precisions_are_the_fields_choices(name: str):
    assert list(PRECISIONS) == list(get_args(get_type_hints(Training)["precision"]))
    row = PRECISIONS[name]
    assert row.autocast is None or isinstance(getattr(torch, row.autocast), torch.dtype)


def test_a_skipped_step_has_no_gradient_norms(tmp_path: Path):
    plan = make_plan(
        epochs=1, precision="float16", record_gradients=True, regularisation=PENALTY,
        optimizer=replace(SGD, lr=0.005), class_weights=LARGE,
    )  # fmt: skip
    script_weights(tmp_path, plan)
    norms = read_gradients(only_run(tmp_path))
    assert [each.shape for each in norms.values()] == [(5, 4), (5, 2)]
    lost = [np.isnan(each).all(1) for each in norms.values()]
    assert (lost[0] == lost[1]).all()
    assert lost[0].any()
    assert all(np.isfinite(each[~lost[0]]).all() for each in norms.values())


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


def test_weights_are_averaged_by_the_formula(tmp_path: Path):
    """Parameters and running statistics; the last step's is 1 - decay of what it is now."""
    plan = make_plan(epochs=1, schedule=Constant(), average_decay=0.75)
    averages: dict[str, Tensor] = {}

    class Averaging(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            if not averages:
                averages.update({name: p.double() for name, p in model_of(plan).named_parameters()})
            super().step(closure)
            for name, p in zip(averages, self.param_groups[0]["params"], strict=True):
                averages[name] = 0.75 * averages[name] + 0.25 * p.detach().double()

    by_hand(plan, tmp_path, lambda p: Averaging(p, lr=SGD.lr, momentum=0.9, weight_decay=1e-4))
    script_weights(tmp_path, plan)
    file, epochs = find_weights(only_run(tmp_path), "average")
    found = load_file(file)
    for name, value in averages.items():
        torch.testing.assert_close(found[name].double(), value, rtol=0, atol=1e-6)
    assert epochs == 1
    # A run whose averaged weights were changed is not taken up.
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    state, model = load_state(file.parents[1]), model_of(plan)
    assert state is not None
    with pytest.raises(RunError, match=r"average.safetensors is not the file that the run saved"):
        load_last_weights(model, file.parent, state, file.name, "average_sha256")
    file.unlink()
    with pytest.raises(RunError, match="has no weights 'average'"):
        find_weights(only_run(tmp_path), "average")


def test_running_statistics_are_averaged_and_counts_copied():
    norm = nn.BatchNorm1d(2)
    average = WeightAverage(norm, 0.75)
    norm(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    average.update()
    # The norm's own momentum is 0.1, its batch's means are 2 and 4.
    assert average.model.get_buffer("running_mean").tolist() == pytest.approx([0.05, 0.1])
    assert average.model.get_buffer("num_batches_tracked").item() == 1
    assert not average.model.training


def test_mixing_is_torchvisions():
    import_torchvision()
    from torchvision.transforms import v2

    images, labels = torch.randn(5, 3, 9, 13), torch.tensor([0, 1, 2, 2, 9])
    given = {"labels": labels, "batch_size": 5}
    mixed, share = mixup(images, 0.3)
    theirs = v2.MixUp(num_classes=10)
    assert torch.equal(mixed, theirs.transform(images, given | {"lam": share}))
    # Half a rectangle of sqrt(0.36) = 0.6 of the sides is 2 and 3 wide; the middle is at (1, 12).
    mixed, share = cutmix(images, 0.64, 0.999, 0.12)
    box = {"box": (12 - 3, 0, 13, 1 + 2), "lam_adjusted": 1 - 4 * 3 / (9 * 13)}
    assert share == pytest.approx(box["lam_adjusted"])
    assert torch.equal(mixed, v2.CutMix(num_classes=10).transform(images, given | box))
    plan = make_plan(mixup=0.3, cutmix=1.0)
    batch = TrainingBatch(images, labels, labels, 1.0, 5, is_placeholder=False)
    kinds: set[bool] = set()
    for step in range(8):
        found, again = (mix_images(batch, plan, 1, step) for _ in range(2))
        assert torch.equal(found.images, again.images)
        share = found.targets[0, 0].item()
        other = theirs._mixup_label(labels, lam=share)
        torch.testing.assert_close(found.targets, other)
        assert torch.equal(found.labels, other.argmax(1))
        is_cut = ((found.images == images) | (found.images == images.roll(1, 0))).all()
        kinds.add(bool(is_cut))
        if not is_cut:
            torch.testing.assert_close(found.images, mixup(images, share)[0])
    assert kinds == {True, False}
    assert len({mix_images(batch, plan, 1, step).targets[0, 0].item() for step in range(8)}) == 8


@pytest.mark.parametrize("mode", ["evaluation", "training"])
def test_frozen_parts_stay(mode: Any, tmp_path: Path):
    plan = make_plan(epochs=1, freeze=("stem.free", "pool"), frozen_norms=mode)
    first, found = model_of(plan).state_dict(), script_weights(tmp_path, plan)
    fixed = ["stem.free.weight", "stem.free.bias", "pool.norm.weight", "pool.norm.bias"]
    statistics = [
        "pool.norm.running_mean",
        "pool.norm.running_var",
        "pool.norm.num_batches_tracked",
    ]
    for name, value in found.items():
        stays = name in fixed or (mode == "evaluation" and name in statistics)
        assert torch.equal(value, first[name]) == stays, name
    run = only_run(tmp_path)
    assert json.loads((run / "manifest.json").read_text())["parameters"]["frozen"] == 60 + 12
    state = load_state(run / "checkpoints")
    assert state is not None
    assert len(state["optimizer"]["state"]) == len(first) - len(fixed) - len(statistics)


def test_a_frozen_penalty_has_no_gradient(tmp_path: Path):
    """And only part of a norm frozen leaves it in training mode."""
    plan = make_plan(epochs=1, freeze=("stem.mixing", "biases"), regularisation=PENALTY)
    found = script_weights(tmp_path, plan)
    first = model_of(plan).state_dict()
    assert not torch.equal(found["pool.norm.running_mean"], first["pool.norm.running_mean"])
    assert not torch.equal(found["pool.norm.weight"], first["pool.norm.weight"])
    for name in ("pool.norm.bias", "stem.free.bias", "trunk.linear1.bias", "stem.mixing.0.weight"):
        assert torch.equal(found[name], first[name]), name


def test_groups_are_torchs(tmp_path: Path):
    """A parameter is in the first group that matches it; the frozen ones are in none."""
    groups = (
        ParameterGroup(match=("stem.free",), lr_factor=0.1),
        ParameterGroup(match=("norms", "biases"), weight_decay=0.0, lr_factor=2.0),
    )
    plan = make_plan(epochs=1, schedule=Constant(), groups=groups, optimizer=SGD)
    names = [name for name, _ in model_of(plan).named_parameters()]

    def made(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        own = dict(zip(names, parameters, strict=True))
        free = [own.pop(f"stem.free.{each}") for each in ("weight", "bias")]
        plain = [own.pop(name) for name in ("pool.norm.weight", "pool.norm.bias")]
        plain.append(own.pop("trunk.linear1.bias"))
        groups = [
            {"params": list(own.values())},
            {"params": free, "lr": SGD.lr * 0.1},
            {"params": plain, "lr": SGD.lr * 2, "weight_decay": 0},
        ]
        return torch.optim.SGD(groups, lr=SGD.lr, momentum=0.9, weight_decay=1e-4)

    assert_equal(script_weights(tmp_path, plan), by_hand(plan, tmp_path, made))
    plan = make_plan(freeze=("stem",), groups=groups)
    model = model_of(plan)
    FrozenParts(model, tiny_graph(plan.name), plan)
    optimizer = build_optimizer(plan.optimizer, model, tiny_graph(plan.name), plan.groups)
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    assert sizes == [1, 3]


def test_a_failed_batch_is_kept_as_it_was_mixed(tmp_path: Path):
    plan = make_plan(mixup=0.3)
    data, rate = (
        images_of(plan, tmp_path),
        LearningRate(plan, build_optimizer(SGD, model_of(plan)), 5),
    )
    file = save_failed_batch(tmp_path, data, NotFinite("loss", 7), rate, ALONE)
    images, labels, _ = next(iter(data.training_batches(1, 1)))
    batch = prepare_batch(images, labels, 8, data, torch.device("cpu"), 1)
    kept = load_file(file)
    assert torch.equal(kept["images"], mix_images(batch, plan, 1, 1).images)
    assert not torch.equal(kept["images"], batch.images)
    assert torch.equal(kept["labels"], labels)
