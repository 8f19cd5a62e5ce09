"""The compiler's shapes, parameters and costs are those of the network that torch builds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.support.shipped import KIND_IDS, KINDS, compiled_once
from wavetwin.runtime.network.build import build_module

COMPARED: set[object] = set()
"""Trunks that this process has compared: many specs have the same."""

COUNTED = (
    "conv2d", "linear", "colour_mixing", "packets", "packet_mixing", "colour_mixing_after",
    "wavelet_pool",
)  # fmt: skip

OTHERWISE = ("invariant", "scattering")
"""Counted by their filters, as the sources do, and computed by other products:
tests/compiler/graph/test_scattering_layers.py has their counts."""


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_the_graph_is_what_torch_builds_and_counts(path: Path) -> None:
    graph = compiled_once(path).graph
    trunk = tuple(
        (node.id, node.inputs, node.operation, node.output_shape) for node in graph.section("trunk")
    )
    if trunk in COMPARED:
        graph = replace(graph, nodes=tuple(node for node in graph if node.section != "trunk"))
    COMPARED.add(trunk)
    with torch.device("meta"):
        model = build_module(graph).eval()
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    buffers = sum(b.numel() for b in model.buffers() if b.is_floating_point())
    counts = graph.parameters
    assert (trainable, frozen, buffers) == (counts.trainable, counts.frozen, counts.buffers)

    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in model.named_modules():

        def record(_: nn.Module, __: object, output: object, name: str = name) -> None:
            tensor = output[0] if isinstance(output, tuple | list) else output
            assert isinstance(tensor, torch.Tensor)
            shapes[name] = tuple(tensor.shape[1:])

        module.register_forward_hook(record)
    counter = FlopCounterMode(display=False)
    with counter:
        output = model(torch.zeros((2, *graph.input.output_shape), device="meta"))
    assert tuple(output.shape[1:]) == graph.output.output_shape
    assert {node.id for node in graph if node.parameters.total} <= shapes.keys()
    for node in graph:
        if node.id in shapes:
            assert shapes[node.id] == node.output_shape, node.id

    flops = {
        name.split(".", 1)[1]: sum(by_operator.values())
        for name, by_operator in counter.get_flop_counts().items()
        if "." in name
    }
    for node in graph:
        if node.op in COUNTED:
            # A MAC is two floating-point operations; the batch holds two images.
            assert flops[node.id] == 4 * node.macs, node.id
        elif node.op == "adaptive_blur":
            assert flops[f"{node.id}.conv"] == 4 * node.macs, node.id
        elif node.op in OTHERWISE:
            assert node.macs > 0, node.id
        else:
            assert node.macs == 0, node.id
