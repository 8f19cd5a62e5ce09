"""Operations: what each says of itself is what its layer has, for every operation there is."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields, replace
from functools import cache

import pytest
import torch

from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.ir.builder import GraphBuilder
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.mixings import MIXINGS
from wavetwin.ir.operations import (
    OPERATIONS,
    AdaptiveBlur,
    AveragePool,
    Bias,
    Call,
    Conv2d,
    Input,
    Invariant,
    Linear,
    MaxPool,
    Operation,
    Packets,
    Scattering,
    Source,
    UnfitError,
    UserModule,
    literal,
)
from wavetwin.runtime.network.build import make_layer

SPECS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("alexnet/AI", ()),
    ("alexnet/AwyI_mod", ()),
    ("alexnet/Azh3wyI_mod", ()),
    ("cifar10/R18zo3wyC", ("stem.wavelet.trainable_filters=true",)),
    ("cifar10/R18wyC_mod", ("stem.wavelet.color_mixing=after",)),
    ("cifar10/R18zh3wyC", ("stem.frozen=true",)),
    ("alexnet/AwyI", ("training.kernels=native",)),
    ("cifar10/R18wyC_mod", ("training.kernels=native", "stem.frozen=true")),
    ("alexnet/AI", ("pooling.free=wavelet", "pooling.wavelet_pool={wavelet: db2, bands: mix}")),
    (
        "digits/cnn",
        (
            "backbone.layers=[{pool: {kind: average}}, {norm: {}}, {dropout: {}}, "
            "{leaky_relu: {}}, {gelu: {}}, {norm: {kind: group, groups: 8}}, "
            "{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}]",
        ),
    ),
)


def _wavelet_layers() -> ModuleGraph:
    """Return one of each scattering and invariant layer, on odd sizes."""
    builder = GraphBuilder("wavelet layers", lambda field: None)
    current = builder.add("input", Input(shape=(2, 21, 16)))
    current = builder.add("trunk.scattering", Scattering(levels=2, order=1), current)
    for mixing in MIXINGS:
        layer = Invariant(channels=3, mixing=mixing, stride=1, bias=mixing != "dct")
        current = builder.add(f"trunk.{mixing}", layer, current)
    return builder.graph()


def _own_module() -> ModuleGraph:
    """Return a module of tests/support, as a trial finds it."""
    file = "tests/support/own_pooling.py"
    builder = GraphBuilder("own module", lambda field: None)
    current = builder.add("input", Input(shape=(2, 8, 6)))
    own = UserModule(
        file=file,
        name="MeanPool",
        arguments='{"power": 2.0}',
        sha256="",
        takes_shape=(2, 8, 6),
        gives_shape=(2, 4, 3),
        parameters=(("power", (1,), True),),
        buffers=(),
        norms=(),
        batch_norms=(),
        num_macs=0,
        takes_one_image=True,
        sources={file: (ROOT / file).read_bytes()},
    )
    builder.add("trunk.own", own, current)
    return builder.graph()


@cache
def graphs() -> tuple[ModuleGraph, ...]:
    compiled = [
        compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides) for spec, overrides in SPECS
    ]
    both = [graph for each in compiled for graph in (each.graph, each.optimised_graph)]
    return *both, _wavelet_layers(), _own_module()


def test_these_specs_have_every_operation() -> None:
    seen = {type(node.operation) for graph in graphs() for node in graph}
    assert seen == set(OPERATIONS.values())


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op != "input"])
def test_an_operation_says_what_its_layer_has(op: str) -> None:
    kind = OPERATIONS[op]
    found = 0
    for graph in graphs():
        for node in graph:
            if type(node.operation) is not kind or (found > 12 and kind is Conv2d):
                continue
            found += 1
            with torch.device("meta"):
                layer = make_layer(graph.layer(node))
            x = graph.inputs_of(node)[0].output_shape
            parts = {
                f"{part.id.removeprefix(f'{node.id}.')}.{name}": shape
                for part in node.parts
                for name, shape in part.operation.weights(x).items()
            }
            weights = {name: tuple(p.shape) for name, p in layer.named_parameters()}
            if not node.parts:
                assert weights == node.operation.weights(x)
                state = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
                assert state == node.operation.state(x)
            else:
                assert weights.keys() == parts.keys()
            buffers = sum(b.numel() for b in layer.buffers() if b.is_floating_point())
            assert buffers == node.parameters.buffers
    assert found


@pytest.mark.parametrize("op", list(OPERATIONS))
def test_the_documents_name_every_operation_and_attribute(op: str) -> None:
    page = (ROOT / "docs/graph.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if re.match(rf"\| `{op}`", line)]
    missing = [
        name for name in OPERATIONS[op].attribute_names() if not re.search(rf"\b{name}\b", row)
    ]
    assert not missing, f"docs/graph.md, {op}: {missing}"


def test_attributes_are_the_fields_in_order() -> None:
    conv = Conv2d(
        channels=4, kernel_size=3, stride=1, padding=1, groups=2, bias=True, initial="default",
        frozen=False, gain=2.0, padding_mode="reflect",
    )  # fmt: skip
    assert list(conv.attributes) == [each.name for each in fields(conv)]
    without = replace(conv, gain=1.0, padding_mode="zeros").attributes
    assert list(without) == list(conv.attributes)[:-2]
    assert "imaginary" not in Packets.attribute_names()
    with pytest.raises(FrozenInstanceError):
        conv.stride = 2  # pyright: ignore[reportAttributeAccessIssue]


def test_a_call_prints_what_it_makes() -> None:
    call = Call.of("nn.Conv2d", 3, Source("outputs"), kernel_size=5, padding_mode="reflect")
    assert str(call) == 'nn.Conv2d(3, outputs, kernel_size=5, padding_mode="reflect")'
    assert (call.layer, call.torch_name) == (None, "Conv2d")
    assert Call.of("Modulus").layer == "Modulus"
    assert [literal(value) for value in ('a"b', "é", (1, 2))] == ["'a\"b'", '"\\xe9"', "(1, 2)"]


@pytest.mark.parametrize(
    ("operation", "shape", "reason"),
    [
        (MaxPool(kernel_size=3, stride=1, padding=0), (1, 2, 9), "a window of 3 does not fit into 2"),
        (AdaptiveBlur(size=5, stride=2, groups=1, normalise="joint"), (8, 2, 2), "a margin of 2"),
        (Linear(features=3, bias=True, initial="default"), (1, 4, 4), "put `flatten` before it"),
    ],
)  # fmt: skip
def test_an_operation_without_an_output_says_why(
    operation: Operation, shape: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(UnfitError, match=reason):
        operation.output(shape)


def test_a_graph_of_before_an_attribute_is_read_with_its_default() -> None:
    graph = graphs()[2]
    document = graph.to_json()
    (bias,) = [node for node in document["nodes"] if node["op"] == "bias"]
    assert bias["attributes"].pop("initial") == "uniform"
    read = ModuleGraph.from_json(document).find(Bias)
    assert read is not None
    assert read.operation.initial == "zeros"


def test_kinds_of_windows_are_told_apart() -> None:
    settings = {"kernel_size": 2, "stride": 2, "padding": 0}
    assert MaxPool(**settings) != AveragePool(**settings)
    assert OPERATIONS["input"] is Input
