"""Networks of every kind of first layer under `torch.jit.trace` and `torch.fx`, copied and pickled.

Tests that `test_traced.py` runs in a process of their own: the annotations that the other tests execute
cannot be traced.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle  # noqa: TID251 (a model of our own)
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import Tensor, fx, nn
from torch.export import Dim
from torch.utils.tensorboard import SummaryWriter

import wavetwin
from tests.compiler.render.test_model_py import load_compiled
from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.runtime import import_torchvision, leaf_modules
from wavetwin.runtime.layers import (
    AdaptiveBlur,
    BlurPool,
    CenterCropConcat,
    ColourMixingAfter,
    DualTreePacketMaps,
    EnergyNorm,
    KeepPackets,
    MaxBlurPool,
    MixedPackets,
    Modulus,
    Subsample,
)
from wavetwin.runtime.network.build import build_module

KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CNN": ("digits/cnn", ()),
    "CNN, blur": ("digits/cnn", ("pooling.free=max_blur",)),
    "CNN, adaptive blur": ("digits/cnn", ("pooling.free=max_adaptive_blur",)),
    "RMax": ("digits/twin", ()),
    "CMod": ("digits/twin_mod", ()),
    "CMod and blur": ("digits/twin_mod", ("pooling.wavelet=modulus_blur",)),
    "RMax and blur": ("digits/twin", ("pooling.free=max_blur",)),
    "CMod beside adaptive blur": ("digits/twin_mod", ("pooling.free=max_adaptive_blur",)),
    "trained filters": ("digits/twin_mod", ("stem.wavelet.trainable_filters=true",)),
    "colours before": ("cifar10/R18wyC", ()),
    "colours after, blurs": ("cifar10/R18zh3wyC_mod", ("stem.wavelet.color_mixing=after",)),
}


def _model(kind: str, optimise: bool = True) -> nn.Module:
    spec, overrides = KINDS[kind]
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)
    graph = compiled.optimised_graph if optimise else compiled.graph
    if spec.startswith("cifar10"):
        # The first layer and two blocks; the rest of the trunk repeats them.
        nodes = tuple(n for n in graph if n.section != "trunk" or n.id.startswith("trunk.layer1"))
        graph = dataclasses.replace(graph, nodes=nodes)
    torch.manual_seed(0)
    return build_module(graph).eval()


def _images(kind: str, count: int = 2) -> Tensor:
    channels = 1 if KINDS[kind][0].startswith("digits") else 3
    return torch.randn(count, channels, 32, 32, generator=torch.Generator().manual_seed(1))


both = pytest.mark.parametrize("optimise", [True, False], ids=["with passes", "as written"])
every_kind = pytest.mark.parametrize("kind", KINDS)


@both
@every_kind
def test_torchscript_traces_hold_for_other_images_and_batches(kind: str, optimise: bool):
    model = _model(kind, optimise)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced: Any = torch.jit.trace(model, _images(kind))
        for count in (1, 5):
            x = _images(kind, count).flip(3)
            torch.testing.assert_close(traced(x), model(x), rtol=1e-5, atol=1e-5)


@both
@every_kind
def test_symbolic_traces_compute_the_same_and_train(kind: str, optimise: bool):
    model = _model(kind, optimise)
    traced = fx.symbolic_trace(model)
    x = _images(kind)
    assert torch.equal(traced(x), model(x))
    assert traced.state_dict().keys() == model.state_dict().keys()
    expected = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    names = [name for name, _ in model.named_parameters()]
    found = torch.autograd.grad(traced(x).square().sum(), [traced.get_parameter(n) for n in names])
    assert all(map(torch.equal, found, expected))


@both
@every_kind
def test_features_are_extracted_by_the_graphs_names(kind: str, optimise: bool):
    import_torchvision()
    from torchvision.models.feature_extraction import (
        create_feature_extractor,
        get_graph_node_names,
    )

    model = _model(kind, optimise)
    _, names = get_graph_node_names(model)
    ends = ("stem.wavelet", "stem.free", "pool.blur", "pool.relu")
    wanted = [name for name in names[:-1] if name in ends]
    wanted.append(names[-1])
    for options in ({}, {"leaf_modules": leaf_modules(model)}):
        extract = create_feature_extractor(model, wanted, tracer_kwargs=options)
        features = extract(_images(kind))
        assert list(features) == wanted
        assert torch.equal(features[wanted[-1]], model(_images(kind)))


SMALL = """
wavetwin: 1
backbone: {arch: sequential, layers: [{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, stride: 2, kernel_size: 5, norm: batch}
data: {dataset: digits}
"""


def test_model_py_is_traced_exported_and_compiled(tmp_path: Path):
    """The check of its input is a part of no trace; sizes stay free."""
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    model = load_compiled(wavetwin.compile(tmp_path / "small.yaml")).build_model().eval()
    x, other = torch.randn(2, 1, 32, 32), torch.randn(3, 1, 41, 36)
    free = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    exported = torch.export.export(model, (x,), dynamic_shapes=(free,)).module()
    compiled: Any = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced: Any = torch.jit.trace(model, x)
        torch.testing.assert_close(traced(other[..., :32, :32]), model(other[..., :32, :32]))
        for made in (exported, compiled, fx.symbolic_trace(model)):
            torch.testing.assert_close(made(x), model(x), rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(made(other), model(other), rtol=1e-5, atol=1e-5)


def test_a_networks_graph_is_written_for_tensorboard(tmp_path: Path):
    model = load_compiled(compiled_once(ROOT / "specs/digits/twin_mod.yaml")).build_model()
    with warnings.catch_warnings(), SummaryWriter(str(tmp_path)) as writer:
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        writer.add_graph(model.eval(), torch.randn(2, 1, 32, 32))
    _, event, *_ = RawEventFileLoader(str(next(tmp_path.iterdir()))).Load()
    graph = GraphDef.FromString(Event.FromString(event).graph_def)
    names = {node.name for node in graph.node}
    assert any("Stem[stem]/MixedPackets[wavelet]" in name for name in names), sorted(names)


LAYERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Any, ...]]]] = {
    "BlurPool": (BlurPool, lambda: (torch.randn(2, 4, 9, 8),)),
    "MaxBlurPool": (MaxBlurPool, lambda: (torch.randn(2, 4, 9, 8),)),
    "AdaptiveBlur": (lambda: AdaptiveBlur(8), lambda: (torch.randn(2, 8, 9, 8),)),
    "EnergyNorm": (lambda: EnergyNorm(4), lambda: (torch.randn(2, 4, 9, 8),)),
    "Modulus": (Modulus, lambda: ((torch.randn(2, 4, 9, 8), torch.randn(2, 4, 9, 8)),)),
    "Subsample": (lambda: Subsample(2), lambda: (torch.randn(2, 4, 9, 8),)),
    "KeepPackets": (lambda: KeepPackets([1, 0]), lambda: (torch.randn(2, 4, 9, 8),)),
    "ColourMixingAfter": (lambda: ColourMixingAfter(2), lambda: (torch.randn(2, 6, 9, 8),)),
    "DualTreePacketMaps": (lambda: DualTreePacketMaps(2, 2), lambda: (torch.randn(2, 1, 19, 18),)),
    "CenterCropConcat": (
        CenterCropConcat,
        lambda: (torch.randn(2, 4, 9, 8), torch.randn(2, 4, 7, 8)),
    ),
    "MixedPackets": (
        lambda: MixedPackets([1, 2], [(2, 2, 1)], 2, 2),
        lambda: (torch.randn(2, 1, 19, 18),),
    ),
}


class Around(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any, y: Any) -> Any:
        return self.layer(x) if y is None else self.layer(x, y)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_traced_within_and_alone(name: str):
    make, inputs = LAYERS[name]
    layer, tensors = make().eval(), inputs()
    expected = layer(*tensors)
    arguments = {"y": None} if len(tensors) == 1 else None
    traced = fx.symbolic_trace(Around(layer), arguments)
    torch.testing.assert_close(traced(*tensors, *([None] * (2 - len(tensors)))), expected)
    if name != "CenterCropConcat":
        torch.testing.assert_close(fx.symbolic_trace(layer)(*tensors), expected)


def _doubled(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
    return output * 2


def test_hooks_of_layers_run_once_in_a_traced_network():
    network = nn.Sequential(BlurPool(), nn.ReLU())
    network[0].register_forward_hook(_doubled)
    x = torch.randn(1, 2, 8, 8)
    traced = fx.symbolic_trace(network)
    assert torch.equal(traced(x), network(x))
    assert torch.equal(fx.symbolic_trace(traced)(x), network(x))


def test_containers_are_called_hooked_frozen_copied_and_pickled():
    model = wavetwin.build_model(
        compiled_once(ROOT / "specs/cifar10/R18wyC_mod.yaml"), num_classes=3
    ).eval()
    shapes: list[torch.Size] = []
    layer4 = model.get_submodule("trunk.layer4")
    handle = layer4.register_forward_hook(
        lambda module, inputs, output: shapes.append(output.shape)
    )
    x = torch.randn(1, 3, 64, 64)
    expected = model(x)
    assert shapes == [torch.Size([1, 512, 2, 2])]
    handle.remove()
    assert layer4(torch.randn(1, 256, 4, 4)).shape == (1, 512, 2, 2)
    layer1 = model.get_submodule("trunk.layer1")
    assert isinstance(layer1, nn.Sequential)
    assert layer1[0](torch.randn(1, 64, 4, 4)).shape == (1, 64, 4, 4)
    assert list(dict(model.get_submodule("trunk").named_children())) == [
        *("layer1", "layer2", "layer3", "layer4", "avgpool", "flatten", "fc"),
    ]
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert torch.equal(copied(x), expected)
        assert list(copied.state_dict()) == list(model.state_dict())
    for parameter in layer1.parameters():
        parameter.requires_grad_(False)
    assert not any(p.requires_grad for n, p in model.named_parameters() if "layer1" in n)
    model.set_submodule("trunk.layer2.0", nn.Conv2d(64, 128, 3, 2, 1))
    model.set_submodule("trunk.fc", nn.Linear(512, 7))
    assert copy.deepcopy(model)(x).shape == (1, 7)


@both
@every_kind
def test_children_are_in_the_order_in_which_they_compute(kind: str, optimise: bool):
    model = _model(kind, optimise)
    called: list[str] = []
    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: called.append(name))
    model(_images(kind))
    names = [name for name, _ in model.named_modules() if name in called]
    merged = ("stem.wavelet.", "pool.blur.")
    assert [n for n in dict.fromkeys(called) if not n.startswith(merged)] == [
        n for n in names if not n.startswith(merged)
    ]
