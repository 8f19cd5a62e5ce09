"""Scattering and invariant layers of a spec: graph, model.py, built network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import wavetwin
from wavetwin.compiler.compiled import Compiled
from wavetwin.diagnostics import CompileError
from wavetwin.ir.mixings import MIXINGS
from wavetwin.ir.operations import Invariant, Scattering

SPEC = """\
wavetwin: 1
backbone:
  arch: sequential
  layers:
    - scattering: {}
    - invariant: {channels: 5, mixing: random}
    - relu: {}
    - invariant: {channels: 6, stride: 2, mixing: dct, mode: zero, smoothing: 0.1}
    - flatten: {}
    - linear: {}
stem: {free_channels: 2}
data: {dataset: digits}
"""


def _compiled(folder: Path, text: str) -> Compiled:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return wavetwin.compile(path)


def test_layers_of_a_spec_are_in_the_graph_and_in_the_network(tmp_path: Path):
    compiled = _compiled(tmp_path, SPEC)
    nodes = [node for node in compiled.graph if isinstance(node.operation, Scattering | Invariant)]
    assert [(node.id, node.output_shape) for node in nodes] == [
        ("trunk.scattering1", (14, 8, 8)),
        ("trunk.invariant1", (5, 8, 8)),
        ("trunk.invariant2", (6, 4, 4)),
    ]
    # 98 inputs of the first mixing, of which each has a 3x3 kernel; 35 of the second, three times.
    assert [node.parameters.trainable for node in nodes] == [0, 98 * 5 + 5, 3 * 35 * 6 + 6]
    assert [node.parameters.buffers for node in nodes] == [14, 14 + 98 * 5 * 9, 14 + 27]
    model = wavetwin.build_model(compiled).eval()
    with torch.no_grad():
        assert model(torch.randn(2, 1, 32, 32)).shape == (2, 10)


def test_a_choice_that_there_is_not_is_refused(tmp_path: Path):
    with pytest.raises(CompileError) as refused:
        _compiled(tmp_path, SPEC.replace("mixing: random", "mixing: gaussian"))
    assert [each.code for each in refused.value.diagnostics] == ["unknown-choice"]


def test_the_gain_of_the_initial_law_and_its_two_readings(tmp_path: Path):
    """Formula 1.5.1: the published program counts 7 C inputs, its text can be read as C."""

    def bound(initial: str) -> float:
        text = SPEC.replace("channels: 5, mixing: random", f"channels: 5, initial: {initial}")
        (node,) = [
            node for node in _compiled(tmp_path, text).graph if node.id == "trunk.invariant1"
        ]
        layer = node.operation
        assert isinstance(layer, Invariant)
        return MIXINGS[layer.mixing].bound(98, 5, layer.gain)

    assert bound("default") == pytest.approx(1.5 * (6 / 103) ** 0.5)
    assert bound("{name: xavier_uniform, gain: 0.5}") == pytest.approx(0.5 * (6 / 103) ** 0.5)
    of_channels = bound("{name: xavier_uniform, gain: 2.0, fan_in: channels}")
    assert of_channels == pytest.approx(2 * (6 / 19) ** 0.5)
