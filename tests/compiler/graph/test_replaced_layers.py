"""`backbone.replace` in trunks that the language knows by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.diagnostics import CompileError
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.replaced_layers import kind_of_operation
from wavetwin.runtime.network.build import build_module, initialise


def compiled(folder: Path, arch: str, replace: str, rest: str = "") -> Compiled:
    path = folder / "spec.yaml"
    text = f"wavetwin: 1\nbackbone: {{arch: {arch}, replace: {replace}{rest}}}\n"
    path.write_text(f"{text}data: {{dataset: cifar10, image_size: 64}}\n", encoding="utf-8")
    return compile_spec(path, project=folder)


def changed(before: Compiled, after: Compiled) -> dict[str, str]:
    """Return the operations of nodes that the second alone has, or has otherwise."""
    theirs = {node.id: node.operation for node in before.graph}
    return {node.id: node.op for node in after.graph if theirs.get(node.id) != node.operation}


@pytest.mark.parametrize(
    ("arch", "replace", "expected"),
    [
        ("alexnet", "{conv2: {invariant: {}}}", {"trunk.conv2": "invariant"}),
        (
            "vgg11",
            "{conv2_1: {conv: {kernel_size: 5}, norm: {}}, relu3_1: {gelu: {}}}",
            {
                "trunk.conv2_1.conv": "conv2d",
                "trunk.conv2_1.norm": "batch_norm",
                "trunk.relu3_1": "gelu",
            },
        ),
        (
            "resnet18",
            "{layer2.0.conv1: {invariant: {}}}",
            {"trunk.layer2.0.conv1": "invariant"},
        ),
        (
            "resnet18",
            "{avgpool: {pool: {kind: max, kernel_size: 2}}}",
            {"trunk.avgpool": "max_pool"},
        ),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_layer_is_replaced_where_its_shape_fits(
    tmp_path: Path, arch: str, replace: str, expected: dict[str, str]
):
    before, after = (compiled(tmp_path, arch, each) for each in ("{}", replace))
    assert changed(before, after) == expected
    shapes = [[node.output_shape for node in each.graph][-8:] for each in (before, after)]
    assert shapes[0] == shapes[1]
    assert after.digest != before.digest
    first = next(iter(expected))
    assert after.graph.by_id[first].origin == ("spec.yaml:2",)
    again = tmp_path / "again.yaml"
    again.write_text(dump_spec(after.resolved), encoding="utf-8")
    assert compile_spec(again, project=tmp_path).digest == after.digest


def test_channels_stride_and_law_are_the_trunks_where_nothing_else_is_said(tmp_path: Path):
    found = compiled(tmp_path, "resnet18", "{layer2.0.conv1: {conv: {kernel_size: 5}}}")
    conv = found.graph.by_id["trunk.layer2.0.conv1"].attributes
    known = ("channels", "kernel_size", "stride", "padding", "bias", "initial")
    assert [conv[name] for name in known] == [128, 5, 2, 2, False, "kaiming_normal_fan_out"]
    # A trunk that blurs has a step of one there.
    rest = ", downsampling: blur"
    found = compiled(tmp_path, "resnet18", "{layer2.0.conv1: {invariant: {}}}", rest)
    invariant = found.graph.by_id["trunk.layer2.0.conv1"]
    assert (invariant.attributes["stride"], invariant.attributes["channels"]) == (1, 128)


def test_a_null_leaves_a_layer_out(tmp_path: Path):
    before = compiled(tmp_path, "alexnet", "{}")
    after = compiled(tmp_path, "alexnet", "{relu2: null, pool2: null}")
    removed = {node.id for node in before.graph} - {node.id for node in after.graph}
    assert removed == {"trunk.relu2", "trunk.pool2"}
    assert after.resolved["backbone"]["replace"] == {
        "pool2": {"identity": {}},
        "relu2": {"identity": {}},
    }


def test_all_other_initial_values_stay(tmp_path: Path):
    states: list[dict[str, torch.Tensor]] = []
    for replace in ("{}", "{layer1.0.conv1: {invariant: {}}}"):
        graph = compiled(tmp_path, "resnet18", replace).graph
        model = build_module(graph)
        initialise(model, graph, 0)
        states.append(model.state_dict())
    before, after = states
    swapped = "trunk.layer1.0.conv1"
    assert after.keys() - before.keys() == {f"{swapped}.bias"}
    others = [name for name in before if name != f"{swapped}.weight"]
    assert all(torch.equal(before[name], after[name]) for name in others)


@pytest.mark.parametrize(
    ("replace", "code"),
    [
        ("{conv_2: {invariant: {}}}", "unknown-layer"),
        ("{flatten: {gelu: {}}}", "layer-not-replaceable"),
        ("{fc6: {linear: {features: 10}}}", "layer-not-replaceable"),
        ("{pool2: {conv: {}}}", "missing-field"),
        ("{conv2: {invariant: {}, pool: {}}}", "not-one-layer"),
        ("{conv2: {name: other, invariant: {}}}", "field-does-not-apply"),
        ("{conv2: {invariant: {initial: kaiming_normal_fan_out}}}", "field-does-not-apply"),
        ("{conv2: {conv: {groups: 7}}}", "does-not-fit"),
        ("{conv2: {invariant: {stride: 5}}}", "unknown-choice"),
    ],
)
def test_what_cannot_be_replaced_is_refused_at_its_location(
    tmp_path: Path, replace: str, code: str
):
    with pytest.raises(CompileError) as refused:
        compiled(tmp_path, "alexnet", replace)
    (fault,) = refused.value.diagnostics
    assert fault.code == code
    places = [fault.location, *(each.location for each in fault.origins)]
    assert 2 in {place.line for place in places if place is not None}


def test_every_named_trunk_has_replaceable_layers_and_all_its_convolutions_are():
    for architecture in ARCHITECTURES.values():
        if architecture.lists_layers:
            continue
        operations = architecture.trunk_operations(None)
        convolutions = [name for name, each in operations.items() if each.op == "conv2d"]
        assert convolutions
        assert all(kind_of_operation(operations[name]) is not None for name in convolutions)
