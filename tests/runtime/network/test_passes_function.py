"""The passes keep what a network computes, and the names of its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

import wavetwin
from tests.support.paths import ROOT
from tests.support.shipped import KINDS, compiled_once
from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.passes import passes_for, run_passes
from wavetwin.diagnostics import CompileError
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.image_sizes import find_image_sizes
from wavetwin.runtime.layers import CropToPackets, MixedPackets, use_native_kernel
from wavetwin.runtime.network.build import GraphError, build_module, initialise

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-12
"""Relative to the largest value: the same sums in another order, in float64."""


def first_layers(graph: ModuleGraph, with_features: bool = False) -> nn.Sequential:
    """Build stem and pooling in float64, and the trunk up to its vectors where it is asked for."""
    cut = next((i for i, node in enumerate(graph) if node.op == "flatten"), len(graph.nodes))
    nodes = tuple(node for node in graph.nodes[:cut] if with_features or node.section != "trunk")
    torch.manual_seed(0)
    network = build_module(dataclasses.replace(graph, nodes=nodes)).double()
    return nn.Sequential(network.stem, network.pool, network.trunk)


def filled(model: nn.Module) -> nn.Module:
    """Give norms and biases values that a mistake would show."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(
                parameter.shape, generator=generator, dtype=parameter.dtype
            )
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer += 0.5 * torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype)
    return model


def results(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return output, gradients and running statistics of a training step, then evaluation."""
    images = images.clone().requires_grad_()
    model.train().zero_grad()
    output = model(images)
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(output.shape, generator=generator, dtype=output.dtype)
    (output * weights).sum().backward()
    assert images.grad is not None
    found = {"training": output.detach(), "images": images.grad}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            found[name] = parameter.grad
    found |= {name: buffer.clone() for name, buffer in model.state_dict().items()}
    with torch.no_grad():
        found["evaluation"] = model.eval()(images)
    return found


def compare(expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    gradients = max(value.abs().max() for name, value in expected.items() if "." in name)
    for name, value in expected.items():
        # Gradients that cancel are as exact as the largest one is.
        largest = max(float(gradients if "." in name else value.abs().max()), 1.0)
        torch.testing.assert_close(
            found[name], value, rtol=0, atol=TOLERANCE * largest, msg=lambda m, n=name: f"{n}: {m}"
        )


def compare_passes(
    compiled: Compiled, sizes: Sequence[tuple[int, int]] = ((31, 45), (38, 31))
) -> None:
    """Compare the network as written with the one after each pass that changes it."""
    graph = compiled.graph
    with_features = any(
        node.section == "trunk" and node.op == "max_blur_pool" for node in compiled.optimised_graph
    )
    if with_features:
        # All of a trunk's subsampling leaves nothing of smaller images.
        smallest = find_image_sizes(graph).smallest
        sizes = ((smallest, smallest + 7),)
    written = filled(first_layers(graph, with_features))
    state = {name: value.clone() for name, value in written.state_dict().items()}
    generator = torch.Generator().manual_seed(3)
    channels = graph.input.output_shape[0]
    images = [
        torch.randn(2, channels, *size, generator=generator, dtype=torch.float64) for size in sizes
    ]
    expected = [results(written, each) for each in images]
    current = graph
    kernels = compiled.plan.packet_kernels
    if kernels.is_native:
        # What the kernel pools has its channels last.
        images = [each.contiguous(memory_format=torch.channels_last) for each in images]
    for name, rewrite in passes_for(kernels):
        after, _ = run_passes(current, [(name, rewrite)])
        if after is current:
            continue
        current = after
        model = first_layers(after, with_features)
        # Running statistics, too, are those from before the first images.
        model.load_state_dict(state)
        assert not kernels.is_native or use_native_kernel(model)
        for each, wanted in zip(images, expected, strict=True):
            compare(wanted, results(model, each))
    assert current.nodes == compiled.optimised_graph.nodes


@cache
def shipped() -> dict[str, Compiled]:
    """Return a shipped spec for every first layer and pooling, the smallest trunk first."""
    found: dict[object, Compiled] = {}
    for path in KINDS:
        compiled = compiled_once(path)
        if not compiled.graph.section("stem"):
            continue  # the layers begin with the image: passes change first layers and what blurs
        nodes = tuple(
            (node.id, node.op, node.inputs, tuple(node.attributes.items()))
            for node in compiled.graph
            if node.section in ("stem", "pool") or node.op in ("max_pool", "blur_pool")
        )
        found.setdefault(nodes, compiled)
    return {compiled.name: compiled for compiled in found.values()}


@pytest.mark.parametrize("name", shipped())
def test_every_pass_keeps_the_function_of_the_shipped_specs(name: str):
    compare_passes(shipped()[name])


NATIVE = ("training.kernels=native",)
VARIANTS = {
    "trained filters": ("cifar10/R18wyC_mod", ("stem.wavelet.trainable_filters=true",)),
    "colours after": ("cifar10/R18wyC_mod", ("stem.wavelet.color_mixing=after",)),
    "colours after, bias": ("alexnet/AwyI", ("stem.wavelet.color_mixing=after",)),
    "no free channels": (
        "digits/twin_mod",
        (
            "stem.free_channels=0",
            "stem.wavelet.exclude=[]",
            "stem.wavelet.keep=[{packets: [1, 2, 17, 18, 3, 19], channels: 24, groups: 2}]",
        ),
    ),
    "blurred modulus": ("alexnet/Azh3wyI_mod", ("pooling.wavelet=modulus_blur",)),
    "blur of 2": ("cifar10/R18zh3wyC", ("pooling.blur_size=2", "pooling.max_kernel=2")),
    "frozen": ("cifar10/R18wyC_mod", ("stem.frozen=true",)),
    "stride 1": ("digits/twin_mod", ("stem.stride=1",)),
    "both parts, colours after, bias": ("sparse/alexnet_j2", ("stem.wavelet.color_mixing=after",)),
    "no pooling": ("digits/twin", ("pooling.free=none",)),
    "no pooling, modulus": ("digits/twin_mod", ("pooling.free=none",)),
    "native": ("resnet34/RwyI", NATIVE),
    "native, blur": ("cifar10/R18zh3wyC", NATIVE),
    "native, no norm": ("alexnet/AwyI", NATIVE),
    "native, modulus, no norm": ("alexnet/AwyI_mod", NATIVE),
    "native, modulus, colours after": (
        "cifar10/R18wyC_mod",
        (*NATIVE, "stem.wavelet.color_mixing=after"),
    ),
    "native, blurred modulus": ("digits/twin_mod", (*NATIVE, "pooling.wavelet=modulus_blur")),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_pass_keeps_the_function_of_variants(name: str):
    spec, overrides = VARIANTS[name]
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)
    compare_passes(compiled)


@st.composite
def overrides(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """A small spec and what is changed in it; some combinations are no network."""
    levels = draw(st.integers(1, 3))
    number = 2 * 4**levels
    bands: list[str] = []
    channels = 0
    for _ in range(draw(st.integers(1, 3))):
        groups = draw(st.integers(1, 3))
        inputs = groups * draw(st.integers(1, 2))
        packets = draw(
            st.lists(st.integers(0, number - 1), min_size=inputs, max_size=inputs, unique=True)
        )
        outputs = groups * draw(st.integers(1, 3))
        channels += outputs
        bands.append(f"{{packets: {packets}, channels: {outputs}, groups: {groups}}}")
    free = draw(st.sampled_from(("max", "max_blur", "max_adaptive_blur")))
    wavelet = draw(st.sampled_from(("max", free, "modulus", "modulus_blur")))
    # The sequential network takes any number of channels.
    chosen = [
        f"stem.wavelet.levels={levels}",
        f"stem.stride={2 ** draw(st.integers(0, min(levels, 2)))}",
        f"stem.free_channels={8 * draw(st.integers(0, 1))}",
        f"stem.kernel_size={draw(st.sampled_from((3, 5, 7)))}",
        f"stem.norm={draw(st.sampled_from(('batch', 'none')))}",
        f"stem.wavelet.filters={draw(st.sampled_from(('qshift_06', 'qshift_a', 'qshift_b')))}",
        "stem.wavelet.exclude=[]",
        f"stem.wavelet.keep=[{', '.join(bands)}]",
        f"pooling.free={free}",
        f"pooling.wavelet={wavelet}",
        f"pooling.blur_size={draw(st.sampled_from((2, 3, 4)))}",
    ]
    if draw(st.booleans()):
        chosen += ["data.dataset=cifar10"]
        chosen += [f"stem.wavelet.color_mixing={draw(st.sampled_from(('before', 'after')))}"]
    if draw(st.integers(0, 4)) == 0:
        chosen += ["stem.wavelet.trainable_filters=true"]
    elif draw(st.booleans()):
        chosen += NATIVE
    return "digits/twin", tuple(chosen)


@pytest.mark.slow  # random specs; the shipped ones are compared each time
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(overrides(), st.integers(24, 41), st.integers(24, 41))
def test_every_pass_keeps_the_function_of_random_specs(
    chosen: tuple[str, tuple[str, ...]], height: int, width: int
):
    spec, changes = chosen
    try:
        compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", *changes)
    except CompileError:
        assume(False)
        raise
    compare_passes(compiled, [(height, width)])


@pytest.mark.parametrize("name", shipped())
def test_passes_change_no_name(name: str):
    compiled = shipped()[name]
    with torch.device("meta"):
        networks = [build_module(graph) for graph in (compiled.graph, compiled.optimised_graph)]
    shapes = [{k: v.shape for k, v in network.state_dict().items()} for network in networks]
    assert shapes[0] == shapes[1]
    trained = [{k: p.requires_grad for k, p in n.named_parameters()} for n in networks]
    assert trained[0] == trained[1]


def test_the_pair_between_stem_and_pooling():
    compiled = compiled_once(ROOT / "specs/digits/twin_mod.yaml")
    network = wavetwin.build_model(compiled)
    images = torch.randn(2, 1, 33, 38)
    free, (real, imaginary) = network.stem(images)
    # Of 33 rows the packets have 16, the convolution 17.
    assert free.shape == (2, 8, 16, 19)
    assert real.shape == imaginary.shape == (2, 16, 8, 10)
    assert network.pool((free, (real, imaginary))).shape == (2, 24, 8, 10)
    graph = compiled.optimised_graph
    nodes = [
        dataclasses.replace(node, inputs=("pool.crop_free", "stem.free"))
        if node.id == "pool.concat"
        else node
        for node in graph
    ]
    with pytest.raises(GraphError, match="pool reads 3 values"):
        build_module(dataclasses.replace(graph, nodes=tuple(nodes)))


def test_initial_weights_and_lambdas_do_not_depend_on_the_passes():
    compiled = compiled_once(
        ROOT / "specs/cifar10/R18wyC_mod.yaml", *("stem.wavelet.regularisation=0.01",)
    )
    written, optimised = (wavetwin.build_model(compiled, optimise=o) for o in (False, True))
    for name, value in written.state_dict().items():
        assert torch.equal(optimised.state_dict()[name], value), name
    mixing = [model.get_submodule("stem.wavelet.mixing") for model in (written, optimised)]
    assert mixing[0].lambdas == mixing[1].lambdas == (0.01,) * len(list(mixing[0].children()))
    initialise(optimised, compiled.optimised_graph, compiled.plan.seed)
    assert all(torch.equal(optimised.state_dict()[k], v) for k, v in written.state_dict().items())


@pytest.mark.parametrize("saves_memory", [False, True])
@pytest.mark.parametrize("imaginary", [False, True])
def test_the_layer_is_its_children_one_after_the_other(imaginary: bool, saves_memory: bool):
    torch.manual_seed(0)
    options = {"bias": True, "subsample": 2, "imaginary": imaginary, "saves_memory": saves_memory}
    bands = ((4, 2, 2), (2, 3, 1))
    layer = MixedPackets(
        (1, 2, 19, 17, 5, 6), bands, 2, 2, colour=(0.9, 1.2, 0.7), **options
    ).double()  # fmt: skip
    for height, width in ((32, 45), (47, 31)):
        image = torch.randn(2, 3, height, width, dtype=torch.float64)
        packets = layer.packets(layer.colour(image))
        maps = layer.mixing(layer.keep(packets))
        parts = maps if imaginary else (maps,)
        like = torch.empty(2, 1, parts[0].shape[2] - 3, parts[0].shape[3] - 2)
        found = layer(image, like)
        for part, other in zip(parts, found if imaginary else (found,), strict=True):
            # 3 rows less: 2 of them above, and of 2 columns 1 before.
            window = part[..., 2:-1:2, 1:-1:2]
            torch.testing.assert_close(other, window, rtol=0, atol=1e-12)


def test_arguments_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="3 colours are transformed"):
        MixedPackets((1,), ((1, 1, 1),), 1, 1, colour=(1.0, 1.0, 1.0), colours=3)
    with pytest.raises(ValueError, match="nothing to mix after"):
        MixedPackets((1,), ((1, 1, 1),), 1, 1, mixes_after=True)
    with pytest.raises(ValueError, match="subsample 0"):
        MixedPackets((1,), ((1, 1, 1),), 1, 1, subsample=0)
    with pytest.raises(ValueError, match="levels"):
        CropToPackets(9, 1)
