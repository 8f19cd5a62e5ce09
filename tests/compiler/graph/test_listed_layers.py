"""Networks whose layers begin with the image: names, followers, and how weights begin."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import wavetwin
from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.diagnostics import CompileError
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.layer_names import RESERVED_NAMES
from wavetwin.runtime.network.build import build_module, initialise
from wavetwin.runtime.network.containers import Container

HEAD = "wavetwin: 1\ndata: {dataset: digits}\n"
LAYERS = """\
backbone:
  arch: sequential
  input: image
  layers:
    - {name: first, conv: {channels: 4}, relu: {}, dropout: {}, norm: {}}
    - pool: {}
    - {conv: {channels: 6}, gelu: {}}
    - {name: joined, residual: {body: [{name: inner, conv: {channels: 6}}, {relu: {}}]}, relu: {}}
    - conv: {channels: 2}
    - flatten: {}
    - {name: scores, linear: {}}
"""


def compiled(folder: Path, text: str, *overrides: str) -> Compiled:
    path = folder / "spec.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return wavetwin.compile(path, overrides)


def ids(graph: ModuleGraph) -> list[str]:
    return [node.id for node in graph]


def test_layers_are_called_by_their_names_and_followers_have_one_order(tmp_path: Path):
    found = compiled(tmp_path, LAYERS)
    assert ids(found.graph) == [
        "input",
        *(f"trunk.first.{each}" for each in ("conv", "norm", "dropout", "relu")),
        "trunk.pool1",
        "trunk.conv1.conv",
        "trunk.conv1.gelu",
        "trunk.joined.body.inner",
        "trunk.joined.body.relu1",
        "trunk.joined.add",
        "trunk.joined.relu",
        "trunk.conv2",
        "trunk.flatten1",
        "trunk.scores",
    ]
    assert found.graph.by_id["trunk.joined.body.inner"].origin == ("spec.yaml:10",)
    assert not found.graph.has_stem
    assert not {"stem", "pooling"} & set(found.resolved)
    model = wavetwin.build_model(found).eval()
    assert [name for name, _ in model.named_children()] == ["trunk"]
    with torch.no_grad():
        assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


def test_the_resolved_spec_is_the_same_experiment(tmp_path: Path):
    first = compiled(tmp_path, LAYERS, "backbone.initial={gain: 2}", "backbone.norm=batch")
    again = tmp_path / "again.yaml"
    again.write_text(dump_spec(first.resolved), encoding="utf-8")
    second = wavetwin.compile(again)
    assert second.digest == first.digest
    # A law by its name is the law with its own gain.
    texts = ("xavier_uniform", "{name: xavier_uniform, gain: 1}", "{gain: 1.0}")
    digests = {compiled(tmp_path, LAYERS, f"backbone.initial={text}").digest for text in texts}
    assert len(digests) == 1
    assert compiled(tmp_path, LAYERS).digest not in digests


def state(found: Compiled) -> dict[str, torch.Tensor]:
    model = build_module(found.graph)
    initialise(model, found.graph, found.plan.seed)
    return {name: value.detach() for name, value in model.named_parameters()}


def test_weights_begin_as_each_layer_says_and_others_do_not_change(tmp_path: Path):
    before = state(compiled(tmp_path, LAYERS))
    text = LAYERS.replace(
        "conv: {channels: 4}", "conv: {channels: 4, initial: {gain: 3}, bias: true}"
    )
    text = text.replace(
        "    - pool: {}\n", "    - pool: {}\n    - {name: more, conv: {channels: 4}}\n"
    )
    after = state(compiled(tmp_path, text))
    assert set(after) - set(before) == {"trunk.more.weight", "trunk.more.bias"}
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["trunk.first.conv.weight", "trunk.first.conv.bias"]
    bound = 3 * (6 / ((1 + 4) * 9)) ** 0.5
    weight = after["trunk.first.conv.weight"]
    assert bound / 2 < weight.abs().max() <= bound
    assert not after["trunk.first.conv.bias"].any()


def test_a_frozen_layer_is_not_trained_and_is_counted_so(tmp_path: Path):
    found = compiled(tmp_path, LAYERS.replace("linear: {}", "linear: {frozen: true}"))
    node = found.graph.by_id["trunk.scores"]
    assert (node.parameters.trainable, node.parameters.frozen) == (0, 2 * 256 * 10 + 10)
    model = wavetwin.build_model(found)
    assert not model.get_parameter("trunk.scores.weight").requires_grad


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("{channels: 2}", "{channels: 2}\n      norm: {kind: group}"), "does-not-fit"),
        (("norm: {}", "norm: {groups: 2}"), "field-does-not-apply"),
        (("gelu: {}", "gelu: {}, relu: {}"), "not-one-layer"),
        (("- pool: {}", "- {pool: {}, relu: {}}"), "not-one-layer"),
        (("linear: {}", "linear: {}, relu: {}"), "last-layer-not-linear"),
        (("name: first", "name: 1st"), "bad-name"),
        (("name: first", "name: conv1"), "layer-name-taken"),
        (("{channels: 4}", "{channels: 4, padding: 40, padding_mode: reflect}"), "does-not-fit"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_what_is_no_network_is_refused(tmp_path: Path, change: tuple[str, str], code: str):
    assert change[0] in LAYERS
    with pytest.raises(CompileError) as refused:
        compiled(tmp_path, LAYERS.replace(*change, 1))
    assert [each.code for each in refused.value.diagnostics] == [code]


def test_names_of_attributes_of_modules_are_reserved():
    holders = (nn.Module(), nn.Sequential(), Container({}, [], ["x"]))
    names = {name for holder in holders for name in dir(holder) if name[0] != "_"}
    assert names <= RESERVED_NAMES


def test_a_law_of_all_layers_fits_each_that_has_none_of_its_own(tmp_path: Path):
    text = LAYERS.replace("conv: {channels: 2}", "invariant: {channels: 2INITIAL}")
    law = "backbone.initial=kaiming_normal_fan_out"
    with pytest.raises(CompileError) as refused:
        compiled(tmp_path, text.replace("INITIAL", ""), law)
    (fault,) = refused.value.diagnostics
    assert fault.code == "field-does-not-apply"
    assert [each.label.split()[0] for each in fault.origins] == [
        "backbone.layers.4.invariant",
        "backbone.initial",
    ]
    compiled(tmp_path, text.replace("INITIAL", ", initial: default"), law)
