"""Blocks of model.py: one class where one can say what they are, else a class each; edges decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tests.compiler.render.test_model_py import fill, load_compiled
from tests.support.shipped import compiled_once, spec_of
from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.render.block_source import write_stages
from wavetwin.ir.builder import GraphBuilder, add_conv, add_linear
from wavetwin.ir.operations import AdaptiveAveragePool, Add, Flatten, Input, Relu
from wavetwin.runtime.network.build import build_module

AddBlock = Callable[[GraphBuilder, str, str, int, int], str]


def plain_block(builder: GraphBuilder, prefix: str, source: str, width: int, size: int) -> str:
    current = add_conv(builder, f"{prefix}.conv", source, width, size, padding=size // 2)
    return builder.add(f"{prefix}.relu", Relu(), current)


def early_shortcut(builder: GraphBuilder, prefix: str, source: str, width: int, size: int) -> str:
    """The second convolution's input is added, not the block's."""
    first = add_conv(builder, f"{prefix}.first", source, width, size, padding=size // 2)
    second = add_conv(builder, f"{prefix}.second", first, width, 3, padding=1)
    return builder.add(f"{prefix}.add", Add(), second, first)


def with_blocks(add: AddBlock, sizes: tuple[int, ...]) -> Compiled:
    builder = GraphBuilder("blocks", lambda field: None)
    current = builder.add("input", Input(shape=(1, 32, 32)))
    current = add_conv(builder, "stem.free", current, 2, 3, padding=1)
    current = builder.add("pool.relu", Relu(), current)
    for number, size in enumerate(sizes):
        current = add(builder, f"trunk.stage.{number}", current, 4 + number, size)
    current = builder.add("trunk.avgpool", AdaptiveAveragePool(output_size=1), current)
    current = builder.add("trunk.flatten", Flatten(), current)
    add_linear(builder, "trunk.fc", current, 10, ())
    graph = builder.graph()
    return replace(compiled_once(spec_of("cnn")), graph=graph, optimised_graph=graph)


@pytest.mark.parametrize(
    ("add", "sizes", "name"),
    [
        (plain_block, (3, 3, 3), "Block"),
        (plain_block, (3, 5), None),
        (early_shortcut, (3, 3), "BasicBlock"),
        (early_shortcut, (5, 3), None),
    ],
)
def test_model_py_computes_what_the_edges_say(
    add: AddBlock, sizes: tuple[int, ...], name: str | None
) -> None:
    compiled = with_blocks(add, sizes)
    stages = write_stages("trunk", compiled.graph.section("trunk"), compiled.graph)
    assert name == (None if stages is None else stages.block.name)
    model, reference = load_compiled(compiled).build_model(), build_module(compiled.graph)
    fill(reference)
    model.load_state_dict(reference.state_dict())
    images = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images), reference.eval()(images))
