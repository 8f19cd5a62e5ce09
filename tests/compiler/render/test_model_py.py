"""model.py is the network of the graph: the same names, shapes and outputs."""

import ast
import re
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support.shipped import KIND_IDS, KINDS, compiled_once, rendered_once
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.files import render
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.record import collect_provenance
from wavetwin.runtime.network.build import build_module

HEAD = "wavetwin: 1\n"
RESNET = (
    HEAD + "backbone: {arch: resnet18, downsampling: DOWN}\ndata: {dataset: DATA, image_size: 64}\n"
)
ALEXNET = HEAD + "backbone: {arch: alexnet}\ndata: {dataset: imagenet20, image_size: 96}\n"
KEEP2 = "keep: [{packets: [1, 2, 19], channels: 6, groups: 3}, {packets: [5, 23], channels: 10}]"
SEQUENTIAL = (
    HEAD
    + """
backbone:
  arch: sequential
  layers:
    - conv: {channels: 6, stride: 2, groups: 2, padding: 2}
    - norm: {}
    - relu: {}
    - dropout: {probability: 0.25}
    - pool: {kind: average, kernel_size: 3, stride: 2, padding: 1}
    - pool: {kind: max, kernel_size: 2}
    - flatten: {}
    - linear: {features: 12, bias: false}
    - relu: {}
    - linear: {}
data: {dataset: DATA, image_size: 40}
"""
)
LISTED = (
    HEAD
    + """
backbone:
  arch: sequential
  input: image
  initial: {gain: 1.5}
  norm: batch
  layers:
    - {name: begin, conv: {channels: 8, padding_mode: reflect, initial: kaiming_normal_fan_out}, gelu: {}}
    - name: mixed
      residual:
        body:
          - {name: first, conv: {channels: 16, stride: 2}, relu: {}, dropout: {}}
          - {conv: {channels: 16}, norm: {kind: group, groups: 4}}
        shortcut: [{conv: {channels: 16, kernel_size: 1, stride: 2, frozen: true}}]
      leaky_relu: {slope: 0.1}
    - residual: {body: [{conv: {channels: 16}}]}
    - {invariant: {channels: 6, stride: 2}, relu: {}}
    - flatten: {}
    - {name: project, linear: {features: 12, frozen: true, initial: default}, relu: {}}
    - linear: {}
data: {dataset: DATA, image_size: 16}
"""
)
WPT = "{transform: wpt, levels: 2, filters: db2, KEEP}"
# Variants that no shipped spec has; in the texts, words in capitals are replaced.
VARIANTS = {
    "alexnet, colour after, frozen": ALEXNET
    + "stem: {free_channels: 48, frozen: true, wavelet: {levels: 2, color_mixing: after, KEEP}}",
    "alexnet, colour frozen": ALEXNET
    + "stem: {free_channels: 48, wavelet: {levels: 2, "
    + "color_mixing: {position: before, trainable: false}, KEEP}}",
    "alexnet, modulus then blur": ALEXNET
    + "stem: {free_channels: 48, wavelet: {levels: 3, "
    + "keep: [{packets: [1, 2, 67], channels: 16}]}}\n"
    + "pooling: {free: max_blur, wavelet: modulus_blur}",
    "alexnet, adaptive trunk": ALEXNET.replace("alexnet}", "alexnet, downsampling: adaptive_blur}")
    + "pooling: {free: max_adaptive_blur}",
    "resnet, max kernel 2": RESNET.replace("DOWN", "blur")
    + "pooling: {free: max_blur, max_kernel: 2, blur_size: 5}",
    "resnet, replaced layers": RESNET.replace(
        "downsampling: DOWN",
        "replace: {layer2.0.conv1: {invariant: {}}, "
        "layer1.1.conv2: {conv: {initial: {gain: 2}}, dropout: {}}, layer3.1.relu1: null}",
    ),
    "resnet, all wavelet": RESNET.replace("DOWN", "strided")
    + "stem: {free_channels: 0, wavelet: {levels: 2, keep: [{packets: [1, 2, 19, 17], "
    + "channels: 64, groups: 4}], trainable_filters: true}}\npooling: {wavelet: modulus}",
    "resnet, modulus then blur": RESNET.replace("DOWN", "adaptive_blur")
    + "stem: {free_channels: 48, wavelet: {levels: 2, color_mixing: after, KEEP}}\n"
    + "pooling: {free: max_adaptive_blur, wavelet: modulus_blur}",
    "resnet, filters frozen": RESNET.replace("DOWN", "strided")
    + "stem: {free_channels: 48, frozen: true, wavelet: {levels: 2, trainable_filters: true, "
    + "regularisation: 0.001, KEEP}}",
    "resnet, one channel": RESNET.replace("DOWN", "strided").replace("DATA", "mnist")
    + "stem: {free_channels: 48, wavelet: {levels: 2, KEEP}}",
    "sequential": SEQUENTIAL + "stem: {free_channels: 8, stride: 2, kernel_size: 5, norm: none}",
    "listed layers": LISTED,
    "sequential, wpt": SEQUENTIAL
    + f"stem: {{free_channels: 8, stride: 2, kernel_size: 5, norm: batch, wavelet: {WPT}}}",
    "sequential, wpt alone, colour after": SEQUENTIAL
    + "stem: {free_channels: 0, stride: 4, kernel_size: 5, norm: none, "
    + f"wavelet: {WPT.replace('wpt', 'wpt, color_mixing: after')}}}",
}


def compile_variant(name: str, folder: Path) -> Compiled:
    text = VARIANTS[name].replace("DATA", "cifar10")
    keep = KEEP2 if "wpt" not in name else "keep: [{packets: [1, 3, 8], channels: 6, groups: 3}]"
    path = folder / "variant.yaml"
    path.write_text(text.replace("KEEP", keep), encoding="utf-8")
    return compile_spec(path)


def model_source(compiled: Compiled) -> str:
    provenance = collect_provenance(compiled.files, compiled.project, GitState(), no_git=True)
    return render(compiled, provenance)["model.py"].decode()


def load_model_py(source: str) -> types.ModuleType:
    module = types.ModuleType("built_model")
    exec(compile(source, "model.py", "exec"), module.__dict__)
    return module


def load_compiled(compiled: Compiled) -> types.ModuleType:
    return load_model_py(model_source(compiled))


def load_variant(name: str, folder: Path) -> types.ModuleType:
    return load_compiled(compile_variant(name, folder))


def describe(model: nn.Module) -> list[tuple[str, tuple[int, ...], torch.dtype]]:
    return [(name, tuple(x.shape), x.dtype) for name, x in model.state_dict().items()]


def trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def fill(model: nn.Module) -> None:
    """Give a network from the meta device weights; cheaper than drawing them as training does."""
    model.to_empty(device="cpu")
    torch.manual_seed(3)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith(("running_mean", "num_batches_tracked")):
                value.zero_()
            elif name.endswith("running_var"):
                value.fill_(1)
            else:
                bound = (value[0].numel() if value.ndim > 1 else 1) ** -0.5
                value.uniform_(-bound, bound)


def compare_names(compiled: Compiled, source: str) -> None:
    with torch.device("meta"):
        model = load_model_py(source).build_model()
        reference = build_module(compiled.graph, plan=compiled.plan)
    assert sorted(describe(model)) == sorted(describe(reference))
    assert trained(model) == trained(reference)


COMPARED: set[str] = set()
"""Texts of trunks, shapes in their comments, whose outputs this process has compared."""


def compare_outputs(compiled: Compiled, source: str) -> None:
    """Compare with two classes instead of all, which are the largest part.

    A trunk that is written as another was is not run again.
    """
    trunk = re.split(r"^class Pool\(.*?(?=^class )", source, flags=re.MULTILINE | re.DOTALL)[-1]
    assert "class Trunk(" in trunk
    trunk = trunk.split("\nclass Model(")[0]
    with torch.device("meta"):
        model = load_model_py(source).build_model(num_classes=2)
        # What the passes keep is shown in float64, where no rounding grows through a trunk.
        reference = build_module(compiled.optimised_graph, num_classes=2, plan=compiled.plan)
    if trunk in COMPARED:
        model.trunk = reference.trunk = nn.Identity()
    COMPARED.add(trunk)
    fill(reference)
    model.to_empty(device="cpu")
    model.load_state_dict(reference.state_dict(), assign=True)
    images = torch.rand(2, *compiled.graph.input.output_shape)
    with torch.no_grad():
        for training in (False, True):
            model.train(training)
            reference.train(training)
            torch.manual_seed(1)
            expected = reference(images)
            torch.manual_seed(1)
            # Both run the same layers.
            torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)
        if not compiled.graph.has_stem:
            return
        pooled = [network.pool(network.stem(images)) for network in (model, reference)]
        torch.testing.assert_close(*pooled)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small maps: threads that wait for each other take longer than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_names_and_shapes_of_the_shipped_specs(path: Path) -> None:
    compare_names(compiled_once(path), rendered_once(path)["model.py"].decode())


def is_dear(path: Path) -> bool:
    """Whether a network takes seconds: a VGG's weights, a ResNet-101's blocks, of a ResNet-50's layers."""
    graph = compiled_once(path).graph
    return graph.parameters.trainable > 100_000_000 or len(graph.nodes) > 300


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow) if is_dear(path) else path for path in KINDS],
    ids=KIND_IDS,
)
def test_outputs_of_the_shipped_specs(path: Path) -> None:
    # Small images: what model.py does with them does not depend on their size.
    is_large = compiled_once(path).graph.input.output_shape[1] > 96
    compiled = compiled_once(path, *["data.image_size=96"] * is_large)
    compare_outputs(compiled, model_source(compiled))


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name: str, tmp_path: Path) -> None:
    compiled = compile_variant(name, tmp_path)
    source = model_source(compiled)
    compare_names(compiled, source)
    compare_outputs(compiled, source)


def test_fresh_weights_are_drawn_as_the_architecture_wants(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = load_variant("resnet, max kernel 2", tmp_path).build_model()
    for name, fan_out in (("stem.free", 64 * 49), ("trunk.layer2.0.conv1", 128 * 9)):
        deviation = model.get_parameter(f"{name}.weight").std().item()
        assert deviation == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    twin = load_variant("resnet, one channel", tmp_path).build_model()
    bound = twin.get_parameter("stem.free.weight").abs().max().item()
    assert bound <= (1 / 49) ** 0.5  # PyTorch's default: uniform


def test_the_penalty_is_the_plans(tmp_path: Path) -> None:
    model = load_variant("resnet, filters frozen", tmp_path).build_model()
    assert model.stem.wavelet.mixing.lambdas == (0.001, 0.001)


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_nothing_is_unused(path: Path) -> None:
    tree = ast.parse(rendered_once(path)["model.py"])
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert imported | classes <= used


def test_fresh_weights_of_listed_layers_begin_as_each_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = load_variant("listed layers", tmp_path).build_model()
    weight = model.get_parameter("trunk.begin.conv.weight")
    assert weight.std().item() == pytest.approx((2 / (8 * 9)) ** 0.5, rel=0.1)
    assert not model.get_parameter("trunk.begin.conv.bias").any()
    # Fan in 8, fan out 16, both times 9; and 1.5 times that.
    weight = model.get_parameter("trunk.mixed.body.first.conv.weight")
    assert weight.abs().max().item() == pytest.approx(1.5 * (6 / (24 * 9)) ** 0.5, rel=0.02)
    assert not model.get_parameter("trunk.mixed.body.first.conv.bias").any()
    # As torch begins: biases, too.
    assert model.get_parameter("trunk.project.linear.bias").any()
