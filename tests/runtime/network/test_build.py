from __future__ import annotations

import copy
import dataclasses
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.ir.graph import ModuleGraph
from wavetwin.runtime.network.build import GraphError, build_module, initialise

TWINS = [
    ("cifar10/R18wyC", ()),
    ("cifar10/R18wyC_mod", ()),
    ("cifar10/R18zh3wyC_mod", ()),
    ("cifar10/R18zo3wyC", ()),
    ("cifar10/R18zo3wyC", ("pooling.wavelet=max",)),
    ("cifar10/R18wyC", ("stem.wavelet.color_mixing=after",)),
    ("cifar10/R18wyC", ("stem.wavelet.trainable_filters=true",)),
    ("digits/twin_mod", ()),
]


def _graph(spec: str, *overrides: str) -> ModuleGraph:
    return compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides).graph


def _images(graph: ModuleGraph, count: int = 2) -> torch.Tensor:
    return torch.randn(count, *graph.input.output_shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("spec", "overrides"), TWINS)
def test_nodes_have_the_graphs_shapes_names_and_parameters(spec: str, overrides: tuple[str, ...]):
    graph = _graph(spec, *overrides)
    network = build_module(graph)
    seen: dict[str, tuple[int, ...]] = {}

    def record(name: str):
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            assert isinstance(tensor, torch.Tensor)
            seen[name] = tuple(tensor.shape[1:])

        return hook

    for node in graph.nodes[1:]:
        network.get_submodule(node.id).register_forward_hook(record(node.id))
    logits = network(_images(graph))
    assert seen == {node.id: node.output_shape for node in graph.nodes[1:]}
    assert logits.shape == (2, *graph.output.output_shape)
    for node in graph.nodes[1:]:
        module = network.get_submodule(node.id)
        parameters = list(module.parameters())
        assert sum(p.numel() for p in parameters if p.requires_grad) == node.parameters.trainable
        assert sum(p.numel() for p in parameters if not p.requires_grad) == node.parameters.frozen
        buffers = sum(b.numel() for b in module.buffers() if b.is_floating_point())
        assert buffers == node.parameters.buffers, node.id


@pytest.mark.parametrize(("spec", "overrides"), TWINS)
def test_macs_are_those_that_torch_counts(spec: str, overrides: tuple[str, ...]):
    graph = _graph(spec, *overrides)
    # In training: an adaptive blur predicts kernels everywhere there, for its norm's statistics.
    network = build_module(graph).train()
    with FlopCounterMode(display=False) as counter:
        network(_images(graph, 2))
    counts = counter.get_flop_counts()
    for node in graph:
        if node.macs:
            flops = sum(counts[f"Network.{node.id}"].values()) // 2
            if node.attributes.get("trainable_filters"):
                assert flops > 2 * node.macs  # and the filters themselves
            else:
                assert flops == 2 * node.macs, node.id


@pytest.mark.parametrize(("spec", "overrides"), TWINS)
def test_the_optimised_first_layers_compute_the_same(spec: str, overrides: tuple[str, ...]):
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)
    written, optimised = (
        nn.ModuleDict({name: network.get_submodule(name) for name in ("stem", "pool")}).double()
        for network in (build_module(compiled.graph), build_module(compiled.optimised_graph))
    )
    optimised.load_state_dict(written.state_dict())
    images = _images(compiled.graph).double()
    for training in (True, False):
        outputs: list[torch.Tensor] = []
        for sections in (written, optimised):
            sections.train(training)
            outputs.append(sections["pool"](sections["stem"](images)))
        # The same sums in another order.
        torch.testing.assert_close(*outputs, rtol=0, atol=1e-12)


PUBLISHED = [
    *(f"alexnet/{name}" for name in ("AI", "AwyI", "AwyI_mod", "Azh3I", "Azh3wyI", "Azh3wyI_mod")),
    *(f"resnet34/{name}" for name in ("RI", "RwyI", "RwyI_mod", "Rwy0I")),
    *(f"resnet34/Rz{blur}{kind}" for blur in ("h3", "o3") for kind in ("I", "wyI", "wyI_mod")),
    *(f"resnet34/Rz{blur}wyI_abl" for blur in ("h3", "o3")),
]
"""A spec of every published first layer."""

UNPUBLISHED = [
    ("resnet34/RwyI", ("pooling.wavelet=max_blur",)),
    ("resnet34/RwyI", ("pooling.wavelet=modulus_blur",)),
    ("resnet34/Rzo3wyI", ("pooling.wavelet=max",)),
    ("resnet34/Rzh3wyI", ("pooling.max_kernel=2",)),
    ("resnet34/Rzh3wyI_mod", ("pooling.wavelet=modulus_blur", "pooling.max_kernel=2")),
    ("alexnet/AwyI", ("stem.wavelet.color_mixing=after",)),
    ("alexnet/AwyI_mod", ("stem.wavelet.color_mixing=after",)),
    ("alexnet/Azh3wyI", ("pooling.wavelet=modulus_blur",)),
    *(("resnet34/Rzh3wyI", (f"pooling.blur_size={size}",)) for size in (2, 4, 5, 6, 7)),
    ("resnet34/Rzo3wyI", ("pooling.blur_size=5",)),
]
"""Ablations, windows of 2, the blurred modulus, and every size of blur."""


@pytest.mark.parametrize(("spec", "overrides"), [*((spec, ()) for spec in PUBLISHED), *UNPUBLISHED])
def test_written_and_optimised_first_layers_agree_at_odd_sizes(
    spec: str, overrides: tuple[str, ...]
):
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)
    written, optimised = (_first_layer(g) for g in (compiled.graph, compiled.optimised_graph))
    optimised.load_state_dict(written.state_dict())
    generator = torch.Generator().manual_seed(0)
    for size in ((31, 67), (45, 38), (67, 33)):
        images = torch.randn(2, 3, *size, dtype=torch.float64, generator=generator)
        outputs = [sections(images) for sections in (written, optimised)]
        # The same sums in another order.
        torch.testing.assert_close(*outputs, rtol=0, atol=1e-12)
        assert outputs[0].shape[:2] == (2, 64)


def _first_layer(graph: ModuleGraph) -> nn.Sequential:
    nodes = tuple(node for node in graph if node.section != "trunk")
    network = build_module(dataclasses.replace(graph, nodes=nodes)).double()
    return nn.Sequential(network.stem, network.pool)


def test_rules_and_packet_lists_are_the_same_layer():
    by_rule = _graph("alexnet/AwyI")
    packets = by_rule.node("stem.wavelet.keep").attributes["packets"]
    bands = by_rule.node("stem.wavelet.mixing").attributes["bands"]
    assert isinstance(packets, tuple)
    entries, first = [], 0
    assert isinstance(bands, tuple)
    for inputs, outputs, groups in bands:
        chosen = list(packets[first : first + inputs])
        entries.append(f"{{packets: {chosen}, channels: {outputs}, groups: {groups}}}")
        first += inputs
    by_list = _graph(
        "alexnet/AwyI", "stem.wavelet.exclude=[]", f"stem.wavelet.keep=[{', '.join(entries)}]"
    )
    images = torch.randn(1, 3, 63, 45, dtype=torch.float64)
    first_layers = [_first_layer(graph) for graph in (by_rule, by_list)]
    first_layers[1].load_state_dict(first_layers[0].state_dict())
    assert torch.equal(*(layer(images) for layer in first_layers))


def test_real_networks_compute_no_imaginary_packets():
    compiled = compiled_once(ROOT / "specs/cifar10/R18wyC.yaml")
    written, optimised = (build_module(g) for g in (compiled.graph, compiled.optimised_graph))
    flops = []
    for network in (written, optimised):
        with FlopCounterMode(display=False) as counter:
            network.stem.get_submodule("wavelet.packets")(torch.randn(1, 1, 32, 32))
        flops.append(counter.get_total_flops())
    rows, both = 32 * 16 * 8 * 30, 16 * 16 * 64 * 30
    assert flops == [2 * (rows + both), 2 * (rows + both // 2)]


def test_images_of_other_sizes():
    graph = _graph("alexnet/AwyI_mod")
    with torch.device("meta"):
        network = build_module(graph, num_classes=7)
    for size in ((224, 224), (256, 200), (97, 130)):
        assert network(torch.empty(1, 3, *size, device="meta")).shape == (1, 7)


def test_num_classes_replaces_the_last_linear_layer():
    graph = _graph("digits/cnn")
    assert build_module(graph, num_classes=3)(_images(graph)).shape == (2, 3)
    headless = dataclasses.replace(graph, nodes=graph.nodes[:3])
    with pytest.raises(GraphError, match="no linear layer can take 3 classes"):
        build_module(headless, num_classes=3)


def test_frozen_parameters_need_no_gradient():
    network = build_module(_graph("cifar10/R18wyC", "stem.frozen=true"))
    assert not any(p.requires_grad for p in network.stem.parameters())
    assert all(p.requires_grad for p in network.trunk.parameters())


def test_initialisation_is_reproducible_and_shared_with_the_cnn():
    cnn_graph, twin_graph = _graph("cifar10/R18C"), _graph("cifar10/R18wyC_mod")
    cnn, twin, again = (build_module(g) for g in (cnn_graph, twin_graph, twin_graph))
    for network, graph in ((cnn, cnn_graph), (twin, twin_graph), (again, twin_graph)):
        torch.rand(3)  # nothing depends on torch's default generator
        initialise(network, graph, seed=5)
    assert all(torch.equal(twin.state_dict()[k], v) for k, v in again.state_dict().items())
    trunk = {k: v for k, v in cnn.state_dict().items() if k.startswith("trunk.")}
    assert all(torch.equal(twin.state_dict()[k], v) for k, v in trunk.items())
    initialise(again, twin_graph, seed=6)
    name = "trunk.fc.weight"
    assert not torch.equal(twin.state_dict()[name], again.state_dict()[name])


def test_initialisation_after_the_meta_device():
    graph = _graph("cifar10/R18zo3wyC_mod")
    with torch.device("meta"):
        network = build_module(graph)
    assert all(t.is_meta for t in (*network.parameters(), *network.buffers()))
    with pytest.raises(ValueError, match="to_empty"):
        initialise(network, graph, 1)
    network.to_empty(device="cpu")
    initialise(network, graph, 1)
    direct = build_module(graph)
    initialise(direct, graph, 1)
    for (name, first), second in zip(network.named_buffers(), direct.buffers(), strict=True):
        assert torch.equal(first, second), name
    assert torch.equal(network(_images(graph)), direct(_images(graph)))


def test_initial_weights_are_torchs():
    """Ranges and deviations of arXiv:2212.00394 (the bounds are those of torch's layers)."""
    graph = _graph("cifar10/R18zo3wyC_mod")
    network = build_module(graph, generator=torch.Generator().manual_seed(0))
    initial = dict(network.named_parameters())
    assert initial["stem.wavelet.colour.weight"].flatten().tolist() == pytest.approx(
        [0.9802, 1.3060, 0.7138]
    )
    free = initial["stem.free.weight"]
    bound = (3 * 49) ** -0.5
    assert 0.98 * bound < float(free.detach().abs().max()) <= bound
    conv = initial["trunk.layer2.0.conv1.weight"]
    assert float(conv.detach().std()) == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    blur = initial["trunk.layer2.0.blur.conv.weight"]
    assert float(blur.detach().std()) == pytest.approx((2 / (72 * 9)) ** 0.5, rel=0.02)
    mixing = initial["stem.wavelet.mixing.0.weight"]
    assert float(mixing.detach().abs().max()) <= 1
    again = build_module(graph, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(initial[k], v) for k, v in again.named_parameters())


@pytest.mark.parametrize("name", ["AwyI_mod", "Azh3wyI_mod"])
def test_the_bias_after_the_modulus_begins_as_the_published_one(name: str):
    """As that of a depthwise 1x1 convolution of torch's; it has a random stream of its own."""
    deciles = torch.linspace(0, 1, 11)
    torch.manual_seed(5)
    theirs = nn.Conv2d(40000, 40000, 1, groups=40000).bias
    assert theirs is not None
    graph, zeros = (
        _without_trunk(_graph(f"alexnet/{name}", *overrides))
        for overrides in ((), ("pooling.initial_bias=zeros",))
    )
    network = build_module(graph)
    own = []
    for seed in range(250):
        initialise(network, graph, seed)
        own.append(network.state_dict()["pool.wavelet.bias.bias"].clone())
    draws = torch.cat(own)
    torch.testing.assert_close(
        draws.quantile(deciles), theirs.detach().quantile(deciles), atol=0.05, rtol=0
    )
    assert len(draws.unique()) > 7900
    begun, empty = network, build_module(zeros)
    for each, of in ((begun, graph), (empty, zeros)):
        initialise(each, of, 3)
    different = [
        name
        for name, value in begun.state_dict().items()
        if not torch.equal(value, empty.state_dict()[name])
    ]
    assert different == ["pool.wavelet.bias.bias"]
    assert not empty.state_dict()["pool.wavelet.bias.bias"].any()


def test_a_graph_that_does_not_say_how_its_bias_begins_meant_zeros():
    document = _without_trunk(_graph("alexnet/AwyI_mod")).to_json()
    (bias,) = (node for node in document["nodes"] if node["op"] == "bias")
    del bias["attributes"]["initial"]
    old = ModuleGraph.from_json(document)
    assert not build_module(old).state_dict()["pool.wavelet.bias.bias"].any()


def _without_trunk(graph: ModuleGraph) -> ModuleGraph:
    nodes = tuple(node for node in graph if node.section != "trunk")
    return dataclasses.replace(graph, nodes=nodes)


@pytest.mark.parametrize("section", ["stem", "pool", "trunk"])
def test_sections_are_readable_code(section: str):
    network = build_module(_graph("cifar10/R18wyC_mod"))
    assert "def forward(self, x)" in network.get_submodule(section).code


def test_networks_can_be_copied():
    graph = _graph("cifar10/R18wyC_mod")
    network = build_module(graph).eval()
    clone = copy.deepcopy(network).double()
    exact = build_module(graph).eval()
    exact.load_state_dict(network.state_dict())
    assert torch.equal(clone(_images(graph).double()), exact.double()(_images(graph).double()))


def test_unknown_operations_and_values_are_refused():
    graph = _graph("cifar10/R18wyC")

    def read(node_id: str, **values: object) -> ModuleGraph:
        document = graph.to_json()
        (node,) = (node for node in document["nodes"] if node["id"] == node_id)
        node.update(values)
        return ModuleGraph.from_json(document)

    def rewired(node_id: str, *inputs: str) -> ModuleGraph:
        nodes = [replace(each, inputs=inputs) if each.id == node_id else each for each in graph]
        return ModuleGraph(graph.name, tuple(nodes))

    with pytest.raises(
        ValueError, match=r"pool.relu: unknown operation 'swish'; one of adaptive_a"
    ):
        read("pool.relu", op="swish")
    with pytest.raises(ValueError, match=r"stem.free: conv2d has no attribute 'channels'"):
        read("stem.free", attributes={})
    with pytest.raises(ValueError, match=r"pool.relu: relu knows no attribute 'slope'"):
        read("pool.relu", attributes={"slope": 0.1})
    with pytest.raises(ValueError, match=r"pool.relu reads 'pool.nowhere', which is not before it"):
        read("pool.relu", inputs=["pool.nowhere"])
    with pytest.raises(GraphError, match=r"pool.relu reads 'pool.nowhere', which is not"):
        build_module(rewired("pool.relu", "pool.nowhere"))
    with pytest.raises(GraphError, match="trunk reads 2 values of other sections"):
        build_module(rewired("trunk.layer1.0.add", "pool.relu", "trunk.layer1.0.bn2"))
    packets = graph.node("stem.wavelet.packets").attributes
    for key, value in (("padding_mode", "reflect"), ("transform", "dwt")):
        with pytest.raises(ValueError, match=f"stem.wavelet.packets: {key} '{value}'"):
            read("stem.wavelet.packets", attributes={**packets, key: value})


def test_training_under_bfloat16_autocast():
    graph = _graph("cifar10/R18zo3wyC_mod", "stem.wavelet.trainable_filters=true")
    network = build_module(graph)
    initialise(network, graph, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = (
            network(torch.cat((torch.zeros(1, 3, 32, 32), _images(graph)))).float().square().sum()
        )
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
