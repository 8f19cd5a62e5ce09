"""What a training starts from: whose tensors are taken, and what is said of the others."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.support.plans import make_plan
from tests.support.scripted import build_folder, run_here, tiny_graph
from tests.support.shipped import compiled_once, spec_of
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import Relu, UserModule
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.schedules import Constant
from wavetwin.ir.starting_weights import StartingWeights, find_state
from wavetwin.runtime.network.build import build_module, initialise
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.torchvision_compat import import_torchvision
from wavetwin.runtime.training.schedule import LearningRate
from wavetwin.runtime.training.starting.initial_stem import initial_stem
from wavetwin.runtime.training.starting.reading import Reading
from wavetwin.runtime.training.starting.start import Start, read_start
from wavetwin.runtime.training.starting.tensor_checks import WeightsError

SMALL = ("data.dataset=folder", "data.num_classes=10", "data.image_size=64")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def plan_with(folder: Path, **fields: Any) -> TrainingPlan:
    weights = StartingWeights(**{"checkpoint": "w.safetensors", **fields})
    file = folder / weights.file
    recorded = weights.sha256 or (sha256(file) if file.is_file() else None)
    return make_plan(weights=replace(weights, sha256=recorded))


def tiny_state(classes: int = 10, seed: int = 1) -> dict[str, Tensor]:
    graph = tiny_graph("tiny")
    model = build_module(graph, num_classes=classes)
    initialise(model, graph, seed)
    return {name: value.clone() for name, value in model.state_dict().items()}


def start_of(folder: Path, state: dict[str, Tensor], **fields: Any) -> Start:
    save_file(state, folder / "w.safetensors")
    return read_start(tiny_graph("tiny"), plan_with(folder, **fields), folder)


def filled(graph: ModuleGraph, start: Start) -> dict[str, Tensor]:
    model = build_module(graph)
    initialise(model, graph, 7)
    start.fill(model)
    return model.state_dict()


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Give norms statistics of their own, so that none is an identity."""
    generator = torch.Generator().manual_seed(3)
    for name, value in model.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return model


@pytest.mark.parametrize(
    ("arch", "spec"),
    [
        ("resnet18", "R18C"),
        # Half a gigabyte of weights.
        pytest.param("alexnet", "AI", marks=pytest.mark.slow),
    ],
)
def test_torchvisions_weights_compute_what_they_do_there(arch: str, spec: str):
    import_torchvision()
    from torchvision import models

    torch.manual_seed(0)
    theirs = randomised(models.get_model(arch, weights=None, num_classes=10)).double().eval()
    graph = compiled_once(spec_of(spec), *SMALL).graph
    weights = StartingWeights(checkpoint="x.pth")
    reading = Reading(graph, weights, Path("x.pth"))
    found = reading.of_network(theirs.state_dict())
    assert not found.faults
    record = reading.record(found, "0" * 64, ())
    assert not record.fresh
    assert not record.left_over
    assert record.num_parameters == sum(each.numel() for each in theirs.parameters())
    model = build_module(graph).double()
    Start(found.state, record).fill(model)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images), theirs(images), rtol=1e-12, atol=1e-12)


def test_a_wrapped_pickle_is_read(tmp_path: Path):
    state = {f"module.{name}": value for name, value in tiny_state().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pth")
    start = read_start(tiny_graph("tiny"), plan_with(tmp_path, checkpoint="w.pth"), tmp_path)
    assert start.tensors.keys() == tiny_state().keys()
    assert any("'module.' taken off" in note for note in start.record.notes)


def test_one_of_several_state_dicts(tmp_path: Path):
    first, second = tiny_state(seed=1), tiny_state(seed=2)
    torch.save({"student": first, "teacher": second}, tmp_path / "w.pth")
    graph = tiny_graph("tiny")
    with pytest.raises(RunError, match=r"in a spec weights\.state_dict: student"):
        read_start(graph, plan_with(tmp_path, checkpoint="w.pth"), tmp_path)
    plan = plan_with(tmp_path, checkpoint="w.pth", state_dict="teacher")
    start = read_start(graph, plan, tmp_path)
    assert torch.equal(start.tensors["stem.free.weight"], second["stem.free.weight"])


def test_everything_is_loaded_and_said(tmp_path: Path):
    state = tiny_state()
    start = start_of(tmp_path, state)
    after = filled(tiny_graph("tiny"), start)
    assert all(torch.equal(after[name], value) for name, value in state.items())
    lines = list(start.record.lines())
    assert lines == ["weights: 11 tensors of w.safetensors, 1,594 parameters"]


def test_parts_are_loaded_and_the_rest_begins_anew(tmp_path: Path):
    state, graph = tiny_state(), tiny_graph("tiny")
    start = start_of(tmp_path, state, parts=("trunk", "norms"))
    assert set(start.tensors) == {
        name for name in state if name.startswith(("trunk.", "pool.norm."))
    }
    after = filled(graph, start)
    fresh = build_module(graph)
    initialise(fresh, graph, 7)
    for name, value in fresh.state_dict().items():
        expected = state[name] if name in start.tensors else value
        assert torch.equal(after[name], expected), name
    assert list(start.record.lines())[1:] == [
        "  begins anew: stem.free, stem.mixing.0, stem.mixing.1",
        "  left in the file: stem.free.weight, stem.free.bias, stem.mixing.0.weight, stem.mixing.1.weight",
    ]


def test_another_number_of_classes(tmp_path: Path):
    with pytest.raises(WeightsError) as caught:
        start_of(tmp_path, tiny_state(classes=4))
    assert "trunk.linear1.weight (4, 150) instead of (10, 150)" in str(caught.value)
    assert "set weights.classifier to new" in str(caught.value)
    start = start_of(tmp_path, tiny_state(classes=4), classifier="new")
    assert "trunk.linear1.weight" not in start.tensors
    assert start.record.fresh == ("trunk.linear1.weight", "trunk.linear1.bias")
    assert set(start.record.left_over) == {"trunk.linear1.weight", "trunk.linear1.bias"}
    # A classifier of the same size begins anew, too, where that is asked for.
    assert "trunk.linear1.bias" not in start_of(tmp_path, tiny_state(), classifier="new").tensors


def bad_state() -> dict[str, Tensor]:
    """Return weights with a tensor missing, one of another shape, and a dozen too many."""
    state = tiny_state()
    del state["stem.free.bias"]
    state["stem.mixing.1.weight"] = torch.zeros(3, 3, 1, 1)
    return state | {f"trunk.extra{number:02d}.weight": torch.zeros(2, 2) for number in range(12)}


def test_what_does_not_fit_is_listed(tmp_path: Path):
    with pytest.raises(WeightsError) as caught:
        start_of(tmp_path, bad_state())
    text = str(caught.value)
    assert "1 missing, 1 of another shape, 12 left over" in text
    assert "missing: stem.free.bias (6,)" in text
    assert "stem.mixing.1.weight (3, 3, 1, 1) instead of (2, 2, 1, 1)" in text
    assert text.count("left over: trunk.extra") == 8
    assert "and 4 more" in text
    assert "weights.on_mismatch to skip" in text


def test_what_does_not_fit_is_skipped_and_said(tmp_path: Path):
    start = start_of(tmp_path, bad_state(), on_mismatch="skip")
    assert {"stem.free.bias", "stem.mixing.1.weight"}.isdisjoint(start.tensors)
    assert "stem.free.weight" in start.tensors
    record = start.record
    assert record.fresh == ("stem.free.bias", "stem.mixing.1.weight")
    assert len(record.mismatches) == 14
    assert record.summary()["skipped"] == 14
    assert len(record.to_json()["skipped"]) == 14
    assert any(line.startswith("  skipped: missing: stem.free.bias") for line in record.lines())


def test_only_what_is_asked_for_has_to_fit(tmp_path: Path):
    state = bad_state()
    # Left over among what was asked for, as the layers of a deeper network.
    with pytest.raises(WeightsError, match=r"extra00\.weight"):
        start_of(tmp_path, state, parts=("trunk",))
    start = start_of(tmp_path, state, parts=("pool.norm",))
    assert all(name.startswith("pool.norm.") for name in start.tensors)
    assert "trunk.extra00.weight" in start.record.left_over


def with_own_layer(graph: ModuleGraph, place: str | None = None) -> ModuleGraph:
    """Put a layer of a project's into the place of another, the first Relu, as graph.json has it."""
    relu = next(node for node in graph if isinstance(node.operation, Relu))
    replaced = relu if place is None else graph.by_id[place]
    shape = replaced.output_shape
    own = UserModule(
        file="own/scale.py",
        name="Scale",
        arguments="{}",
        sha256="0" * 64,
        takes_shape=shape,
        gives_shape=shape,
        parameters=(("scale", (), True),),
        buffers=(("order", (shape[0],), True, False),),
        norms=(),
        batch_norms=(),
        num_macs=0,
        takes_one_image=True,
    )
    nodes = (replace(node, operation=own) if node is replaced else node for node in graph)
    return ModuleGraph.from_json(replace(graph, nodes=tuple(nodes)).to_json())


def test_weights_of_a_network_with_own_code_need_no_code():
    graph = with_own_layer(compiled_once(spec_of("cnn")).graph)
    own = next(node.id for node in graph if isinstance(node.operation, UserModule))
    reading = Reading(graph, StartingWeights(checkpoint="x"), Path("x"))
    state = {each.name: torch.ones(each.shape) for each in find_state(graph)}
    order = f"{own}.order"
    faults = reading.of_network(state).faults
    assert [(each.own_name, each.text) for each in faults] == [
        (order, "torch.float32 instead of whole numbers")
    ]
    state[order] = state[order].long()
    found = reading.of_network(state)
    assert not found.faults
    assert set(found.state) == set(state)
    assert found.state[order].dtype == torch.int64
    # A file with a part of it is another one's.
    del state[order]
    assert [each.own_name for each in reading.of_network(state).faults] == [order]


def test_an_own_layer_that_the_file_does_not_have_begins_anew_and_is_told():
    graph = with_own_layer(compiled_once(spec_of("cnn")).graph)
    own = next(node.id for node in graph if isinstance(node.operation, UserModule))
    state = {
        each.name: torch.ones(each.shape)
        for each in find_state(graph)
        if not isinstance(each.node.operation, UserModule)
    }
    reading = Reading(graph, StartingWeights(checkpoint="x"), Path("x"))
    found = reading.of_network(state)
    assert not found.faults
    record = reading.record(found, "0" * 64, ())
    assert record.fresh == (f"{own}.scale", f"{own}.order")
    assert list(record.lines())[1:] == [
        f"  of the file: nothing in it is of {own}, a layer of the project's own",
        f"  begins anew: {own}",
    ]
    # Where it is asked for by its name, it has to be there.
    named = StartingWeights(checkpoint="x", parts=("stem", own))
    faults = Reading(graph, named, Path("x")).of_network(state).faults
    assert {each.own_name for each in faults} == {f"{own}.order", f"{own}.scale"}
    # And everything else has to be there, too.
    del state["stem.free.weight"]
    assert [each.own_name for each in reading.of_network(state).faults] == ["stem.free.weight"]


@pytest.mark.parametrize("replaced", ["trunk.layer1.0.relu1", "trunk.layer1.0.conv2"])
def test_of_torchvisions_files_all_but_own_layers_is_taken(replaced: str):
    graph = with_own_layer(compiled_once(spec_of("RI")).graph, replaced)
    import_torchvision()
    from torchvision import models

    with torch.device("meta"):
        theirs = models.get_model("resnet34", weights=None).state_dict()
    state = {k: torch.zeros((), dtype=v.dtype).expand(v.shape) for k, v in theirs.items()}
    reading = Reading(graph, StartingWeights(checkpoint="x"), Path("x"))
    found = reading.of_network(state)
    assert not found.faults
    assert found.own == (replaced,)
    # The weights of the layer whose place it takes are left in the file.
    left = {f"{replaced.removeprefix('trunk.')}.weight"} & theirs.keys()
    assert set(reading.record(found, "0" * 64, ()).left_over) == left
    assert len(found.state) == len(theirs) - len(left)


def test_the_state_that_is_compared_is_the_networks():
    for name in ("cnn", "twin_mod", "RI", "Rzo3wyI_mod"):
        graph = compiled_once(spec_of(name)).graph
        with torch.device("meta"):
            built = build_module(graph).state_dict()
        assert [(each.name, each.shape) for each in find_state(graph)] == [
            (key, tuple(value.shape)) for key, value in built.items()
        ]


def test_nothing_that_fits_is_an_error(tmp_path: Path):
    with pytest.raises(RunError, match="has nothing of the network's weights"):
        start_of(tmp_path, {"other.weight": torch.zeros(2, 2)}, on_mismatch="skip")


def test_values_that_are_no_numbers_are_refused(tmp_path: Path):
    state = tiny_state()
    state["stem.free.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(RunError, match=r"no finite numbers: stem\.free\.weight"):
        start_of(tmp_path, state, on_mismatch="skip")
    assert start_of(tmp_path, state, parts=("trunk",)).tensors


def test_another_file_is_refused(tmp_path: Path):
    save_file(tiny_state(), tmp_path / "w.safetensors")
    plan = plan_with(tmp_path)
    save_file(tiny_state(seed=2), tmp_path / "w.safetensors")
    with pytest.raises(RunError) as caught:
        read_start(tiny_graph("tiny"), plan, tmp_path)
    assert caught.value.code == "weights-changed"
    (tmp_path / "w.safetensors").unlink()
    with pytest.raises(RunError) as caught:
        read_start(tiny_graph("tiny"), plan, tmp_path)
    assert caught.value.code == "file-not-found"


def test_a_twin_takes_the_trunk_of_a_cnns_file(tmp_path: Path):
    """Of AlexNet's: torchvision counts the layers of a CNN otherwise than the published twins'."""
    twin, cnn = (compiled_once(spec_of(each)).graph for each in ("AwyI_mod", "AI"))
    import_torchvision()
    from torchvision import models

    with torch.device("meta"):
        theirs = models.get_model("alexnet", weights=None).state_dict()
    # Values are not looked at here, and would be a quarter of a gigabyte.
    state = {k: torch.empty(1).expand(v.shape) for k, v in theirs.items()}
    reading = Reading(twin, StartingWeights(checkpoint="x", parts=("trunk",)), Path("x"))
    found = reading.of_network({k: v.zero_() for k, v in state.items()})
    assert not found.faults
    assert set(found.state) == {name for name in cnn.state() if name.startswith("trunk.")}
    whole = Reading(twin, StartingWeights(checkpoint="x"), Path("x"))
    found = whole.of_network(state)
    assert {fault.own_name for fault in found.faults} >= {"stem.wavelet.mixing.0.weight"}
    assert "weights.stem: project" in whole.remedy(found)


def test_a_projection_is_recorded_and_fills_the_first_layer(tmp_path: Path):
    compiled = compiled_once(spec_of("twin_mod"))
    cnn = compiled_once(spec_of("cnn")).graph
    model = build_module(cnn)
    initialise(model, cnn, 3)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    weights = StartingWeights(checkpoint="w.safetensors", stem="project")
    plan = replace(compiled.plan, weights=weights)
    start = read_start(compiled.graph, plan, tmp_path)
    document = json.loads(json.dumps(start.record.to_json()))
    assert len(document["projected"]) == 16
    assert sorted(document["channel_order"]) == list(range(24))
    assert [each["source"] for each in document["projected"]] == document["channel_order"][8:]
    assert all(0 < each["error"] < 1 for each in document["projected"])
    assert "16 wavelet channels fitted: relative errors of" in list(start.record.lines())[-1]
    stem = initial_stem(compiled.graph, plan, tmp_path).state_dict()
    for name in stem:
        if name in start.tensors:
            assert torch.equal(stem[name], start.tensors[name].float()), name
    # A CNN of other kernels is no CNN of this twin.
    other = {**model.state_dict(), "stem.free.weight": torch.zeros(24, 1, 5, 5)}
    save_file(other, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="the size of the twin's free ones"):
        read_start(compiled.graph, plan, tmp_path)


# By the scripts


def trained(project: Path, plan: TrainingPlan, *arguments: str) -> Path:
    folder = project / "generated" / plan.name
    if not folder.exists():
        build_folder(project, plan)
    assert run_here(folder / "train.py", "--device", "cpu", "--allow-drift", *arguments) == 0
    (run,) = (project / "runs" / plan.name).iterdir()
    return run


def test_a_run_goes_on_from_the_best_weights_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    first = trained(tmp_path, make_plan(epochs=1, schedule=Constant()))
    best = first / "checkpoints/best.safetensors"
    weights = StartingWeights(run=f"tiny/{first.name}", which="best", sha256=sha256(best))
    plan = make_plan(
        name="next", epochs=1, schedule=Constant(), weights=weights, training_digest="b" * 64
    )
    frozen = replace(plan, freeze=("stem", "pool"))
    run = trained(tmp_path, frozen)
    assert f"weights: 11 tensors of runs/tiny/{first.name}" in capsys.readouterr().out
    own, theirs = load_file(run / "checkpoints/last/model.safetensors"), load_file(best)
    # Frozen parts, norms' statistics too, are as it started; the rest is trained from there.
    assert own.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(own[name], value) == (not name.startswith("trunk.")), name
    assert (own["trunk.linear1.bias"] - theirs["trunk.linear1.bias"]).abs().max() < 0.1
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["starting_weights"]["sha256"] == sha256(best)
    assert manifest["starting_weights"]["fresh"] == []
    record = json.loads((run / "starting_weights.json").read_text())
    assert set(record["loaded"]) == set(theirs)


def test_a_run_that_resumes_needs_the_file_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_file(tiny_state(), tmp_path / "w.safetensors")
    plan = replace(plan_with(tmp_path), epochs=2)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for project in (whole, parts):
        project.mkdir()
        shutil.copy(tmp_path / "w.safetensors", project)
    expected = load_file(trained(whole, plan) / "checkpoints/last/model.safetensors")
    folder = build_folder(parts, plan)
    options = ("--device", "cpu", "--allow-drift", "--checkpoint-steps", "2")

    def stop(rate: LearningRate, epoch: int, step: int) -> None:
        original(rate, epoch, step)
        if (epoch, step) == (0, 3):
            raise RunError("cannot-write", "stopped by the test")

    original = LearningRate.set
    with monkeypatch.context() as patched:
        patched.setattr(LearningRate, "set", stop)
        assert run_here(folder / "train.py", *options) == 2
    (parts / "w.safetensors").unlink()
    resumed = load_file(trained(parts, plan) / "checkpoints/last/model.safetensors")
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())


def test_a_file_that_does_not_fit_stops_before_the_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    save_file(tiny_state(classes=4), tmp_path / "w.safetensors")
    plan = replace(plan_with(tmp_path), epochs=1)
    folder = build_folder(tmp_path, plan)
    assert run_here(folder / "train.py", "--device", "cpu", "--allow-drift") == 2
    captured = capsys.readouterr()
    assert "weights-do-not-fit" in captured.err
    assert "images train" not in captured.out
