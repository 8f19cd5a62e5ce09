"""Modules of a project's own: built, drawn under the seed, frozen, grouped, and told when they fail."""

from __future__ import annotations

import random
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import wavetwin
from tests.support.built import build
from tests.support.own_code import change, layer_spec, own_project
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import Conv2d
from wavetwin.ir.parameters import held_fixed
from wavetwin.ir.plan import stream_seed
from wavetwin.runtime import FrozenParts, build_optimizer, initialise, load_build_model
from wavetwin.runtime.network.build import GraphError, build_module
from wavetwin.runtime.process.own_code import own_code_error


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def test_model_py_and_build_model_begin_and_compute_alike(tmp_path: Path):
    spec = own_project(tmp_path)
    compiled = compile_spec(spec)
    folder = build(spec).folder
    assert "\nfrom project.own.blocks import ScaledBlock\n" in (folder / "model.py").read_text()
    written = load_build_model(folder / "model.py")()
    initialise(written, compiled.graph, compiled.plan.seed)
    built = wavetwin.build_model(compiled)
    assert written.state_dict().keys() == built.state_dict().keys()
    for name, value in written.state_dict().items():
        assert torch.equal(value, built.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(written.eval()(images()), built.eval()(images()))
    assert type(written.get_submodule("trunk.block")).__module__ == "project.own.blocks"


def test_constructors_run_under_the_seed_and_leave_the_generators_as_they_were(tmp_path: Path):
    code = """
import random
import numpy as np
import torch
from torch import nn


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("drawn", torch.tensor([random.random(), np.random.rand()]))
        self.order = torch.randperm(50).tolist()
        self.weight = nn.Parameter(torch.randn(3))

    def forward(self, x):
        return x * self.weight.sum()
"""
    compiled = compile_spec(layer_spec(tmp_path, code))
    first, again = (wavetwin.build_model(compiled) for _ in range(2))
    python, numpy = random.getstate(), np.random.get_state()[1].tolist()
    state = torch.get_rng_state()
    initialise(again, compiled.graph, 1)
    assert random.getstate() == python
    assert np.random.get_state()[1].tolist() == numpy
    assert torch.equal(torch.get_rng_state(), state)
    own, other = (each.get_submodule("trunk.mine") for each in (first, again))
    assert own.order != other.order
    assert not torch.equal(own.drawn, other.drawn)
    initialise(again.double(), compiled.graph, compiled.plan.seed)
    other = again.get_submodule("trunk.mine")
    assert own.order == other.order
    assert torch.equal(own.drawn.double(), other.drawn)
    torch.manual_seed(stream_seed(compiled.plan.seed, "init:trunk.mine"))
    order = torch.randperm(50).tolist()
    assert (order, torch.randn(3).tolist()) == (own.order, own.weight.tolist())


def test_a_graph_without_contents_is_not_built(tmp_path: Path):
    graph = compile_spec(own_project(tmp_path)).graph
    with pytest.raises(GraphError, match=r"own/pooling\.py: its contents are not known here"):
        build_module(ModuleGraph.from_json(graph.to_json()))


def test_parameters_are_chosen_by_their_names_and_norms_inside_by_theirs(tmp_path: Path):
    spec = own_project(tmp_path)
    training = (
        "training.freeze=[trunk.block.norm, pool]",
        "training.groups=[{match: [trunk.block], lr_factor: 0.5}, {match: [biases], weight_decay: 0}]",
    )
    compiled = compile_spec(spec, training)
    fixed = [each.name for each in held_fixed(compiled.graph, compiled.plan.freeze)]
    assert fixed == [
        "pool.norm.weight",
        "pool.norm.bias",
        "pool.module.power",
        "trunk.block.norm.weight",
        "trunk.block.norm.bias",
    ]
    norms = compile_spec(spec, ["training.freeze=[norms]"])
    names = {each.name for each in held_fixed(norms.graph, norms.plan.freeze)}
    assert {"trunk.block.norm.weight", "trunk.conv1.norm.bias"} < names
    assert "trunk.block.scale" not in names
    model = wavetwin.build_model(compiled).train()
    parts = FrozenParts(model, compiled.graph, compiled.plan)
    parts.set_mode()
    assert not model.get_submodule("trunk.block.norm").training
    assert model.get_submodule("trunk.block").training
    plan = compiled.plan
    optimizer = build_optimizer(plan.optimizer, model, compiled.graph, plan.groups)
    rates = {
        name: group["lr"]
        for group in optimizer.param_groups
        for name, parameter in model.named_parameters()
        if any(parameter is each for each in group["params"])
    }
    assert rates["trunk.block.scale"] == 0.5 * rates["trunk.linear1.weight"]
    assert "pool.module.power" not in rates


def test_a_module_in_a_named_trunk_keeps_its_own_initial_values(tmp_path: Path):
    spec = own_project(tmp_path)
    own = "{file: own/blocks.py, name: ScaledBlock, arguments: {channels: 64}}"
    spec.write_text(
        "wavetwin: 1\ndata: {dataset: cifar10}\nbackbone:\n  arch: resnet18\n  replace:\n"
        f"    layer1.0.conv2: {{module: {own}}}\n"
    )
    compiled = compile_spec(spec)
    folder = build(spec).folder
    (node,) = [each for each in compiled.graph if each.id == "trunk.layer1.0.conv2"]
    assert (node.op, node.origin) == ("user_module", ("own.yaml:6", "own.yaml:4"))
    model = load_build_model(folder / "model.py")()
    # The constructor draws as torch does; ResNets' own convolutions have another law.
    bound = (64 * 9) ** -0.5
    assert (
        float(model.get_parameter("trunk.layer1.0.conv2.conv1.weight").detach().abs().max())
        <= bound
    )
    assert float(model.get_parameter("trunk.layer1.1.conv2.weight").detach().abs().max()) > bound
    drawn = (folder / "model.py").read_text().count("kaiming_normal_")
    assert drawn == len(compiled.graph.all_of(Conv2d, "trunk")) + 1  # and the loop over the stem


def test_names_that_mean_something_else_in_model_py_are_called_otherwise(tmp_path: Path):
    spec = own_project(tmp_path)
    change(spec.parent / "own/blocks.py", "class ScaledBlock", "class Trunk")
    change(spec.parent / "own/pooling.py", "class PowerPool", "class Tensors")
    text = (spec.parent / "own/pooling.py").read_text()
    (spec.parent / "json.py").write_text(
        text.replace("Tensors", "Trunk").replace(".win", ".own.win")
    )
    change(spec, "own/blocks.py, name: ScaledBlock", "own/blocks.py, name: Trunk")
    change(spec, "own/pooling.py, name: PowerPool", "json.py, name: Trunk")
    folder = build(spec).folder
    text = (folder / "model.py").read_text()
    assert "from project.json import Trunk as OwnTrunk\n" in text
    assert "from project.own.blocks import Trunk as OwnTrunk2\n" in text
    model = load_build_model(folder / "model.py")()
    assert type(model.get_submodule("pool.module")).__module__ == "project.json"
    assert isinstance(model(images()), Tensor)
    assert sys.modules["json"].__name__ == "json"


def test_a_fault_in_a_module_names_its_line_and_that_of_the_spec(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    code = """
from torch import nn


class Own(nn.Module):
    def forward(self, x):
        if x.device.type != "meta":
            raise ValueError("a sum that\\nis no sum")
        return x
"""
    spec = layer_spec(tmp_path, code)
    folder = build(spec).folder
    model: nn.Module = load_build_model(folder / "model.py")()
    with pytest.raises(ValueError, match="no sum") as caught:
        model(images())
    error = own_code_error(caught.value)
    assert error is not None
    assert str(error) == (
        "own/layers.py raises ValueError: a sum that is no sum\n"
        '  raised at: own/layers.py:8, in forward: raise ValueError("a sum that\\nis no sum")\n'
        "  from: spec.yaml:6"
    )
    assert own_code_error(ValueError("ours")) is None
    # Commands that build such a network tell it so, too.
    assert cli._report_unexpected(Namespace(format="text", strict=False), caught.value) == 2
    assert "own/layers.py: error: own-code-failed: raises ValueError" in capsys.readouterr().err
