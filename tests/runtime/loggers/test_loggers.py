"""Loggers: what they are given, which are chosen, and that none of them can stop a training."""

from __future__ import annotations

import importlib.util
import math
import os
import pwd
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import wavetwin
from tests.support.built import build, write_images, write_spec
from tests.support.paths import ROOT
from tests.support.scripted import only_run, run_here
from tests.support.shipped import compiled_once
from wavetwin.runtime.loggers import LOGGERS, LoggedRun, Logger, Loggers, chosen_loggers
from wavetwin.runtime.loggers.chosen import LoggerKind
from wavetwin.runtime.loggers.kernel_grid import kernel_grid
from wavetwin.runtime.loggers.logger import Pixels
from wavetwin.runtime.network.kernels import resulting_kernel
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.user_config import UserConfig, read_user_config

TWIN = ROOT / "specs/digits/twin_mod.yaml"
NO_CONFIG = UserConfig(Path("config.toml"), {})


def logged(folder: Path, steps_before: int = 0) -> LoggedRun:
    return LoggedRun(folder, "small", steps_before, {"epochs": 3}, "abc", NO_CONFIG)


def opened(folder: Path, steps_before: int = 0) -> Loggers:
    loggers = Loggers()
    loggers.open([LOGGERS["tensorboard"]], logged(folder, steps_before))
    return loggers


def prepared(project: Path) -> tuple[Path, Path]:
    """Return the built folder of a small twin, two epochs, and its images."""
    return build(write_spec(project, epochs=2)).folder, write_images(project / "images")


def read_events(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        return EventAccumulator(str(folder / "events")).Reload()


class Faulty(Logger):
    """Takes a record, a picture and the network, and fails at the second record."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int, Mapping[str, float]]] = []
        self.outcomes: list[str] = []

    def add(self, section: str, step: int, values: Mapping[str, float]) -> None:
        if self.taken:
            raise ConnectionError("no route\nto the host")
        self.taken.append((section, step, values))

    def add_picture(self, name: str, epoch: int, pixels: Pixels) -> None:
        raise OSError("no pictures")

    def add_graph(self, model: nn.Module, images: Tensor) -> None:
        raise ValueError("no networks")

    def flush(self) -> None:
        pass

    def close(self, outcome: str) -> None:
        self.outcomes.append(outcome)


@pytest.mark.parametrize("done", [10, 7, 0])
def test_a_resumed_run_keeps_the_last_step_and_replaces_what_follows(
    tmp_path: Path, done: int
) -> None:
    """`done` of 10 steps were saved; 0: the first attempt was killed before its first checkpoint."""
    for first, last, value in ((1, 10, 1.0), (done + 1, 12, 2.0)):
        loggers = opened(tmp_path, first - 1)
        for step in range(first, last + 1):
            loggers.add("step", step, {"loss": value})
        loggers.close("finished")
    events = read_events(tmp_path).Scalars("step/loss")
    assert [(event.step, event.value) for event in events] == [
        (step, 1.0 if step <= done else 2.0) for step in range(1, 13)
    ]


def test_what_is_no_finite_number_is_left_out(tmp_path: Path) -> None:
    loggers = opened(tmp_path)
    values = {"loss": 0.5, "name": "x", "is": True, "worst": math.inf, "none": None}
    loggers.add("step", 1, values)
    loggers.close("finished")
    assert read_events(tmp_path).Tags()["scalars"] == ["step/loss"]


def test_a_run_shows_its_network_and_its_first_layer(tmp_path: Path) -> None:
    """In a process of its own: torch cannot trace layers whose annotations are executed."""
    folder, images = prepared(tmp_path)
    command = [sys.executable, "train.py", "--device", "cpu", "--data-root", str(images)]
    environment = {key: value for key, value in os.environ.items() if key != "WAVETWIN_LOGGERS"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert "warning" not in done.stdout + done.stderr
    events = read_events(only_run(tmp_path))
    assert [image.step for image in events.Images("first layer")] == [0, 1, 2]
    assert "MixedPackets[wavelet]" in str(events.Graph())
    assert [event.step for event in events.Scalars("epoch/validation/loss")] == [1, 2]


def test_a_trace_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    model = wavetwin.build_model(compiled_once(TWIN))
    next(model.children()).eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    opened(tmp_path).add_graph(model, torch.zeros(1, 1, 32, 32))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_kernels_are_drawn_at_their_place() -> None:
    compiled = compiled_once(TWIN)
    kernel = resulting_kernel(wavetwin.build_model(compiled), compiled.graph)
    picture = kernel_grid(kernel)
    tiles = sum(2 if is_complex else 1 for is_complex in kernel.is_complex)
    top, left, side = kernel.energy_window()
    columns = math.ceil(math.sqrt(tiles))
    scale = math.ceil(48 / side)
    step = scale * side + 1
    assert picture.shape == (math.ceil(tiles / columns) * step + 1, columns * step + 1, 3)
    first = kernel.weight[0, 0].real.detach()[top : top + side, left : left + side]
    wanted = ((0.5 + 0.5 * first / first.abs().max()) * 255).round().numpy().astype(np.uint8)
    np.testing.assert_array_equal(picture[1:step:scale, 1:step:scale, 0], wanted)


def test_one_that_fails_is_told_once_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty, loggers = Faulty(), Loggers()

    def fail(run: LoggedRun) -> Logger:
        raise TimeoutError("no answer")

    kinds = [
        LoggerKind("none", "math", fail),
        LoggerKind("faulty", "math", lambda run: faulty),
    ]
    loggers.open(kinds, logged(tmp_path))
    loggers.add_graph(nn.Identity(), torch.zeros(1))
    loggers.add_picture("first layer", 0, lambda: np.zeros((2, 2, 3), np.uint8))
    loggers.add("step", 1, {"loss": 0.5})
    assert faulty.taken == []
    assert capsys.readouterr().out == (
        "warning: none is left out: TimeoutError: no answer\n"
        "warning: faulty does not take the network: ValueError: no networks\n"
        "warning: faulty is left out from here on: OSError: no pictures; metrics.jsonl has it all\n"
    )
    loggers = Loggers()
    loggers.open(kinds[1:], logged(tmp_path))
    for step in (1, 2, 3):
        loggers.add("step", step, {"loss": 0.5})
    loggers.close("finished")
    assert faulty.taken == [("step", 1, {"loss": 0.5})]
    assert faulty.outcomes == []
    assert capsys.readouterr().out == (
        "warning: faulty is left out from here on: ConnectionError: no route; metrics.jsonl has it all\n"
    )


@pytest.mark.parametrize("name", LOGGERS)
def test_one_that_is_not_installed_is_told(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec
    missing = LOGGERS[name].module
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda module: None if module == missing else find(module)
    )
    Loggers().open([LOGGERS[name]], logged(tmp_path))
    text = capsys.readouterr().out
    assert text.startswith(f"{missing} is not installed")
    assert text.endswith("nothing is logged there; metrics.jsonl has it all\n")
    assert f"(pip install 'wavetwin[{name}]')" in text


def test_the_variable_wins_over_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "wavetwin/config.toml"
    file.parent.mkdir()
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}

    def names(**variables: str) -> list[str]:
        config = read_user_config(environment)
        return [kind.name for kind in chosen_loggers(config, environment | variables)]

    assert names() == ["tensorboard"]
    file.write_text('loggers = ["mlflow", "tensorboard"]\n', encoding="utf-8")
    assert names() == ["mlflow", "tensorboard"]
    assert names(WAVETWIN_LOGGERS="wandb, tensorboard") == ["wandb", "tensorboard"]
    assert names(WAVETWIN_LOGGERS="") == []


@pytest.mark.parametrize(
    ("text", "variable", "message"),
    [
        (
            'loggers = ["tensorbord"]',
            None,
            "names the logger 'tensorbord'; there are tensorboard, ",
        ),
        (
            'loggers = "mlflow"',
            None,
            "says that loggers is 'mlflow', not a list of texts in quotes",
        ),
        ("loggers = 1", "clearml", "WAVETWIN_LOGGERS names the logger 'clearml'; there are "),
        ("loggers = [", None, "cannot be read: "),
    ],
)
def test_what_names_no_logger_is_refused(
    tmp_path: Path, text: str, variable: str | None, message: str
) -> None:
    file = tmp_path / "wavetwin/config.toml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    if variable is not None:
        environment["WAVETWIN_LOGGERS"] = variable
    with pytest.raises(RunError) as error:
        chosen_loggers(read_user_config(environment), environment)
    assert error.value.code == "bad-config"
    assert message in str(error.value)


def test_a_user_without_a_home_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert read_user_config({}).values == {}


def test_a_folder_of_settings_that_cannot_be_asked_is_told() -> None:
    with pytest.raises(RunError, match=r"config\.toml cannot be read: .*too long"):
        read_user_config({"XDG_CONFIG_HOME": "/" + 300 * "a"})


def test_a_run_with_a_bad_setting_ends_before_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAVETWIN_LOGGERS", "tensorbord")
    folder, images = prepared(tmp_path)
    assert run_here(folder / "train.py", "--device", "cpu", "--data-root", str(images)) == 2
    assert "bad-config: names the logger 'tensorbord'" in capsys.readouterr().err
    assert not (only_run(tmp_path) / "checkpoints").exists()
