"""Runs, training and evaluation as a notebook has them, beside what the scripts do."""

from __future__ import annotations

import json
import pickle  # noqa: TID251 - a test of what a user does with a model
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import wavetwin
from tests.support.paths import ROOT
from tests.support.scripted import run_here
from wavetwin.compiler.compiled import Compiled
from wavetwin.diagnostics import CompileError, DiagnosticError
from wavetwin.notebook.loaded_run import Run
from wavetwin.runtime import load_build_model
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.train import TrainingRun

SPEC = """\
wavetwin: 1
backbone:
  arch: sequential
  layers: [{conv: {channels: 8, kernel_size: 3}}, {norm: {}}, {relu: {}}, {flatten: {}}, {linear: {}}]
stem: {free_channels: 6, kernel_size: 5, stride: 2, norm: batch}
data: {dataset: digits, image_size: 16, validation: 1300}
training: {epochs: 1, batch_size: 64, optimizer: {name: sgd, lr: 0.1}}
evaluation: [{mode: one_crop, predictions: true}]
"""
HERE: dict[str, Any] = {"no_git": True, "device": "cpu"}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("project")
    (folder / "specs").mkdir()
    (folder / "pyproject.toml").write_text("[tool.wavetwin]\n", encoding="utf-8")
    (folder / "specs/small.yaml").write_text(SPEC, encoding="utf-8")
    return wavetwin.compile(folder / "specs/small.yaml")


@pytest.fixture(scope="module")
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def run(compiled: Compiled, threads: int) -> Run:
    """Trained and evaluated once; the process is as it was."""
    cudnn = torch.backends.cudnn
    flags, state = (cudnn.benchmark, cudnn.deterministic), torch.get_rng_state()
    built = sys.modules.pop("model", None)
    trained = wavetwin.train(compiled, **HERE)
    assert "model" not in sys.modules
    if built is not None:
        sys.modules["model"] = built
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert (cudnn.benchmark, cudnn.deterministic) == flags
    return wavetwin.evaluate(compiled, run=trained, weights="best", **HERE)


@pytest.fixture
def copied(run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run.path, tmp_path / "runs/small" / run.path.name))


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(file.read_text(encoding="utf-8"))
    change(document)
    file.write_text(json.dumps(document), encoding="utf-8")


def fault_of(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(DiagnosticError) as caught:
        call()
    fault = caught.value.diagnostics[0]
    return fault.code, str(caught.value)


@pytest.mark.slow
def test_a_run_is_that_of_the_script(run: Run, compiled: Compiled, tmp_path: Path) -> None:
    folder = compiled.project / "generated/small"
    assert run.path.parent == compiled.project / "runs/small"
    assert run_here(folder / "train.py", "--device", "cpu", "--runs", str(tmp_path)) == 0
    assert (
        run_here(
            folder / "evaluate.py", "--device", "cpu", "--runs", str(tmp_path), "--weights", "best"
        )
        == 0
    )
    other = tmp_path / "small" / run.path.name

    def names(path: Path) -> list[str]:
        found = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
        return sorted(
            name for name in found if "tfevents" not in name and "predictions/" not in name
        )

    assert names(run.path) == names(other)
    for name in ("checkpoints/last/model.safetensors", "checkpoints/best.safetensors", "plan.json"):
        assert (run.path / name).read_bytes() == (other / name).read_bytes()
    first, second = (
        json.loads((path / "manifest.json").read_text("utf-8")) for path in (run.path, other)
    )
    assert first.keys() == second.keys()
    for name in ("digest", "training_digest", "build_manifest_sha256", "sources", "seed", "drift"):
        assert first[name] == second[name]
    assert first["lives"][0].keys() == second["lives"][0].keys()
    assert first["lives"][0]["command"] == ["wavetwin.train", "--device", "cpu"]
    scores = [
        json.loads((path / "scores.json").read_text("utf-8"))["scores"]
        for path in (run.path, other)
    ]
    assert scores[0][0]["scores"] == scores[1][0]["scores"]
    assert scores[0][0].keys() == scores[1][0].keys()


def test_what_is_done_is_not_done_again(run: Run, compiled: Compiled) -> None:
    before = (run.path / "scores.json").read_bytes(), (run.path / "metrics.jsonl").read_bytes()
    assert wavetwin.train(compiled, **HERE).path == run.path
    assert wavetwin.evaluate(compiled, weights="best", **HERE).path == run.path
    assert before == (
        (run.path / "scores.json").read_bytes(),
        (run.path / "metrics.jsonl").read_bytes(),
    )


def test_model_is_the_generated_one_with_the_weights(run: Run, compiled: Compiled) -> None:
    model = run.model
    assert model is run.model
    assert not model.training
    weights = load_file(run.path / "checkpoints/best.safetensors")
    assert model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    generated = load_build_model(compiled.project / "generated/small/model.py")(num_classes=10)
    generated.load_state_dict(weights)
    images, labels = next(run.data().batches(360))
    with torch.inference_mode():
        logits = model(images)
        assert torch.equal(generated.eval()(images), logits)
    error = float((logits.argmax(1) != labels).double().mean())
    assert run.scores["one_crop.test.best.top1_error"].value == error


def test_model_has_gradients_wherever_it_is_asked_for_first(run: Run) -> None:
    images = next(run.data().batches(4))[0]
    with torch.inference_mode():
        again = wavetwin.load_run(run.path)
        assert torch.equal(again.model(images), run.model(images))
    again.model(images).sum().backward()
    assert again.model.stem.free.weight.grad is not None


def test_model_hooks_pickles_traces_and_has_parts(run: Run) -> None:
    model, seen = run.model, list[torch.Size]()
    images = next(run.data().batches(4))[0]
    parts = dict(model.named_modules())
    assert parts["trunk.conv1"] is model.trunk.conv1
    with model.trunk.conv1.register_forward_hook(lambda _, __, out: seen.append(out.shape)):
        logits = model(images)
    assert seen == [model.trunk.conv1(model.pool(model.stem(images))).shape]
    assert torch.equal(model.trunk(model.pool(model.stem(images))), logits)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - its own
    assert torch.equal(again(images), logits)
    with torch.no_grad():
        with pytest.warns(DeprecationWarning, match="torch.jit.trace"):
            traced = torch.jit.trace(model, images)
        assert torch.equal(traced(images), logits)
        exported = torch.export.export(model, (images,))
        assert torch.allclose(exported.module()(images), logits, atol=1e-6)


def test_metrics_are_arrays(run: Run) -> None:
    metrics = run.metrics()
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    (epoch,) = [line for line in lines if line["kind"] == "epoch"]
    assert all(values.dtype == np.float64 for values in metrics.values())
    assert metrics["train.loss"].tolist() == [epoch["train"]["loss"]]
    assert metrics["validation.top1_error"].tolist() == [epoch["validation"]["top1_error"]]
    assert metrics["seconds"].tolist() == [epoch["time"]["seconds"]]


def test_images_are_those_of_the_split(run: Run) -> None:
    images = run.data("validation")
    assert len(images) == 1300
    assert images.class_names[:2] == ("zero", "one")
    assert images.files is None
    image, label = images[3]
    batch, labels = next(images.batches(8))
    assert torch.equal(image, batch[3])
    assert (label, images.labels[3]) == (labels[3], labels[3])
    assert torch.equal(images[-1][0], images[1299][0])
    picture = images.picture(3)
    assert 0 <= float(picture.min()) < float(picture.max()) <= 1
    loaded = next(iter(torch.utils.data.DataLoader(images, batch_size=8)))
    assert torch.equal(loaded[0], batch)
    assert repr(images) == "RunImages(digits, validation: 1,300 images of 10 classes)"
    with pytest.raises(IndexError):
        images[1300]
    assert fault_of(lambda: run.data("tests"))[0] == "bad-argument"


def test_spec_and_difference(run: Run, compiled: Compiled) -> None:
    assert run.spec.training.epochs == 1
    assert run.compiled.digest == compiled.digest
    wrong: Any = run.path
    with pytest.raises(TypeError, match=r"load_run returns, not PosixPath"):
        wavetwin.diff(compiled, wrong)
    same = wavetwin.diff(compiled, run)
    assert same.is_empty
    assert repr(same) == f"Difference(small, small/{run.path.name}: none)"
    other = wavetwin.compile(compiled.files[-1], ["stem.free_channels=4", "summary=<b>&"])
    difference = wavetwin.diff(run, other)
    assert repr(difference).startswith(f"Difference(small/{run.path.name}, small: 1 fields, ")
    assert "another training" in repr(difference)
    page = difference._repr_html_()
    assert "stem.free_channels" in page
    assert "one_crop.test.best.top1_error" in page


def test_short_texts_and_cards(run: Run, compiled: Compiled) -> None:
    error = run.scores["one_crop.test.best.top1_error"]
    assert repr(run) == (
        f"Run(small {run.path.name}: best weights after 1 of 1 epochs, finished, "
        f"one_crop.test.best.top1_error {error.value:.4f})"
    )
    card = run._repr_html_()
    assert f"{error.value:.4f} [{error.low:.4f}, {error.high:.4f}]" in card
    assert "<td>15</td>" in card
    assert repr(compiled).startswith("Compiled(small: ")
    assert len(repr(compiled)) < 120
    odd = wavetwin.compile(compiled.files[-1], ["summary='<script>alert(1)</script>'"])
    page = odd._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "trunk.conv1" in page


@pytest.mark.parametrize(
    ("damage", "code", "text"),
    [
        (lambda run: (run / "manifest.json").unlink(), "not-a-run", "has no manifest.json"),
        (lambda run: (run / "plan.json").write_text("{"), "file-damaged", "plan.json"),
        (lambda run: (run / "spec.lock.yaml").unlink(), "file-damaged", "no spec.lock.yaml"),
        (lambda run: (run / "graph.json").write_text("[]"), "file-damaged", "graph.json"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "no-weights", "run train.py first"),
        (
            lambda run: edit(run / "manifest.json", lambda d: d.update(training_digest="0" * 64)),
            "run-differs",
            "of another training",
        ),
        (
            lambda run: edit(run / "graph.json", lambda d: d["nodes"].pop()),
            "run-differs",
            "of another network",
        ),
        (
            lambda run: edit(
                run / "manifest.json", lambda d: d.update(edited={"files": {"model.py": "x"}})
            ),
            "run-differs",
            "edited model.py",
        ),
    ],
)
def test_what_is_no_whole_run_is_refused(
    copied: Path, damage: Callable[[Path], object], code: str, text: str
) -> None:
    damage(copied)
    found = fault_of(lambda: wavetwin.load_run(copied))
    assert found[0] == code
    assert text in found[1]


def test_weights_that_the_run_did_not_save_are_refused(copied: Path) -> None:
    file = copied / "checkpoints/best.safetensors"
    loaded = wavetwin.load_run(copied)
    weights = {name: value + 1 for name, value in load_file(file).items()}
    save_file(weights, file, {"epoch": "1"})
    code, text = fault_of(lambda: loaded.model)
    assert code == "checkpoint-damaged"
    assert "is not the file that the run saved" in text
    file.unlink()
    assert fault_of(lambda: loaded.model)[0] == "file-unreadable"
    assert fault_of(lambda: wavetwin.load_run(copied))[0] == "no-weights"
    assert wavetwin.load_run(copied, "last").epochs == 1
    assert fault_of(lambda: wavetwin.load_run(copied, "first"))[0] == "bad-argument"
    assert fault_of(lambda: wavetwin.load_run(copied, "epoch-7"))[0] == "no-weights"


def test_scores_of_all_weights_are_there_by_their_names(copied: Path) -> None:
    file = copied / "scores.json"
    document = json.loads(file.read_text("utf-8"))
    of_last = [
        each | {"checkpoint": "last", "scores": each["scores"] | {"top1_error": 0.125}}
        for each in document["scores"]
    ]
    file.write_text(json.dumps(document | {"scores": document["scores"] + of_last}), "utf-8")
    run = wavetwin.load_run(copied)
    best = run.scores["one_crop.test.best.top1_error"].value
    assert run.scores["one_crop.test.top1_error"].value == 0.125 != best
    shown = f"one_crop.test.best.top1_error {best:.4f}, one_crop.test.top1_error 0.1250"
    assert shown in repr(run)


def test_damaged_scores_are_a_diagnostic(copied: Path) -> None:
    (copied / "scores.json").write_text("[]", encoding="utf-8")
    assert fault_of(lambda: wavetwin.load_run(copied))[0] == "file-damaged"


def test_other_folders_are_refused(tmp_path: Path) -> None:
    for name in ("nothing", "."):
        assert fault_of(lambda name=name: wavetwin.load_run(tmp_path / name))[0] == "not-a-run"
    (tmp_path / "manifest.json").write_text('{"name": "theirs"}', encoding="utf-8")
    assert fault_of(lambda: wavetwin.load_run(tmp_path))[0] == "other-version"


def test_wrong_arguments_are_diagnostics(run: Run, compiled: Compiled, copied: Path) -> None:
    for arguments in (
        {"run": "first"},
        {"workers": -1},
        {"limit_batches": 0},
        {"on_bad_image": "hide"},
        {"device": "cpx", "run": "new"},
    ):
        with pytest.raises(RunError):
            wavetwin.train(compiled, **HERE | arguments)
    assert (
        fault_of(lambda: wavetwin.evaluate(compiled, weights="first", **HERE))[0] == "bad-argument"
    )
    assert fault_of(lambda: wavetwin.evaluate(compiled, run="no", **HERE))[0] == "no-weights"
    other = wavetwin.compile(compiled.files[-1], ["training.epochs=2"])
    assert fault_of(lambda: wavetwin.evaluate(other, run=copied, **HERE))[0] == "run-differs"
    script = compiled.project / "generated/small/train.py"
    text = script.read_text(encoding="utf-8")
    script.write_text(text + "\n", encoding="utf-8")
    try:
        with pytest.raises(CompileError, match="hand-edited"):
            wavetwin.train(compiled, **HERE)
    finally:
        script.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_an_interrupt_saves_and_the_next_call_goes_on(
    compiled: Compiled, threads: int, tmp_path: Path
) -> None:
    finish = TrainingRun.finish_step

    def interrupted(self: TrainingRun, *given: Any) -> None:
        if self.step == 1:
            signal.raise_signal(signal.SIGINT)
        finish(self, *given)

    with (
        mock.patch.object(TrainingRun, "finish_step", interrupted),
        pytest.raises(KeyboardInterrupt),
    ):
        wavetwin.train(compiled, runs=tmp_path, **HERE)
    assert torch.get_num_threads() == threads
    resumed = wavetwin.train(compiled, runs=tmp_path, **HERE)
    sessions = resumed.documents.manifest["lives"]
    assert [each["outcome"] for each in sessions] == ["stopped", "finished"]
    another = wavetwin.train(compiled, runs=tmp_path, run="new", **HERE)
    assert another.path.name == f"{resumed.path.name}-2"
    first, second = (load_file(each.weights_file) for each in (resumed, another))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_nothing_that_the_package_itself_imports_imports_the_package() -> None:
    """`import wavetwin` in a module that wavetwin/__init__.py imports would be a circle."""
    found = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "wavetwin").rglob("*.py"))
        if "commands" not in path.parts
        and re.search(r"(?m)^\s*import wavetwin$", path.read_text(encoding="utf-8"))
    ]
    assert found == []
