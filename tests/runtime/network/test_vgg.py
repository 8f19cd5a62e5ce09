"""VGGs: torchvision's weights give torchvision's outputs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

import wavetwin
from tests.support.shipped import compiled_once, spec_of
from wavetwin.compiler.compiled import Compiled
from wavetwin.ir.graph import ModuleGraph
from wavetwin.runtime.network.build import build_module
from wavetwin.runtime.process.torchvision_compat import import_torchvision
from wavetwin.runtime.training.starting.reference_names import reference_to_graph_names

NAMES = ("vgg11", "vgg11_bn", "vgg16_bn")
"""Whose features are compared; of VGG-16 the logits are."""
IMAGENET = "data={dataset: imagenet, image_size: 224, validation: 100}"
TOLERANCE = 1e-12
"""Relative to the largest value, in float64: the same layers, in the same order."""


def compiled_as(architecture: str) -> Compiled:
    overrides = (
        f"backbone.arch={architecture}",
        "data={dataset: folder, num_classes: 10, image_size: 32, validation: 0}",
    )
    return compiled_once(spec_of("V11bC"), *overrides)


def theirs_without_weights(architecture: str) -> Any:
    import_torchvision()
    from torchvision import models

    with torch.device("meta"):
        return models.get_model(architecture, num_classes=10).double().eval()


def random_state(shapes: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of the size that keeps maps even."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for name, like in shapes.items():
        if not like.is_floating_point():
            state[name] = torch.zeros(like.shape, dtype=like.dtype)
            continue
        fan_in = like[0].numel()
        # Of 100 million weights a 49th is drawn, and repeated: drawing is what takes time.
        repeats = 49 if fan_in > 10000 else 1
        shape = (like.shape[0], fan_in // repeats) if repeats > 1 else like.shape
        drawn = torch.empty(shape, dtype=torch.float64).uniform_(generator=generator)
        drawn = drawn.repeat(1, repeats) if repeats > 1 else drawn
        state[name] = drawn.sub_(0.5).mul_((24 / fan_in) ** 0.5) if fan_in > 1 else drawn
    return state


def without_classifier(graph: ModuleGraph) -> ModuleGraph:
    cut = next(i for i, node in enumerate(graph) if node.op == "flatten")
    return dataclasses.replace(graph, nodes=graph.nodes[:cut])


def compare(ours: Tensor, theirs: Tensor) -> None:
    scale = float(theirs.abs().max())
    assert scale > 1e-3
    assert float((ours - theirs).abs().max()) <= TOLERANCE * scale


@pytest.mark.slow  # draws four VGGs
@pytest.mark.parametrize("architecture", NAMES)
def test_torchvisions_weights_give_torchvisions_features(architecture: str) -> None:
    graph, theirs = compiled_as(architecture).graph, theirs_without_weights(architecture)
    state = random_state(theirs.features.state_dict(prefix="features."))
    theirs.load_state_dict(state, strict=False, assign=True)
    with torch.device("meta"):
        network = build_module(without_classifier(graph)).double().eval()
    names = {ours: name for name, ours in reference_to_graph_names(graph).items()}
    network.load_state_dict(
        {ours: state[names[ours]] for ours in network.state_dict()}, assign=True
    )
    images = torch.rand(2, 3, 40, 36, dtype=torch.float64)
    with torch.no_grad():
        compare(network(images), theirs.avgpool(theirs.features(images)))


def test_torchvisions_weights_give_torchvisions_logits() -> None:
    compiled, theirs = compiled_as("vgg16"), theirs_without_weights("vgg16")
    state = random_state(theirs.state_dict())
    theirs.load_state_dict(state, assign=True)
    with torch.device("meta"):
        network = build_module(compiled.graph).double().eval()
    network.load_state_dict(wavetwin.from_reference_state_dict(state, compiled), assign=True)
    images = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        compare(network(images), theirs(images))


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [("vgg11", 132_863_336), ("vgg16", 138_357_544)],
)
def test_parameters_are_the_published_numbers(architecture: str, parameters: int) -> None:
    overrides = (f"backbone.arch={architecture}", IMAGENET)
    compiled = compiled_once(spec_of("V11bC"), *overrides)
    assert compiled.graph.parameters.trainable == parameters


def test_weights_begin_as_torchvisions_do() -> None:
    """Convolutions kaiming normal by fan out, linear layers normal with 0.01, biases 0."""
    graph = compiled_as("vgg11").graph
    small = without_classifier(graph)
    torch.manual_seed(0)
    state = build_module(small).state_dict()
    assert not state["trunk.conv2_1.bias"].any()
    deviation = float(state["trunk.conv5_1.weight"].std())
    assert deviation == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)
    laws = {node.id: node.operation.initial_law for node in graph if node.op == "linear"}
    assert laws == dict.fromkeys(("trunk.fc6", "trunk.fc7", "trunk.fc8"), "normal")


def test_a_blurring_trunk_has_maps_of_the_same_sizes() -> None:
    """Each maximum of 2 x 2 at steps of 2 becomes one at every position and a blur by two."""
    overrides = (IMAGENET, "pooling.free=max_blur", "backbone.downsampling=blur")
    strided = compiled_once(spec_of("V11bC"), *overrides[:1]).graph
    blurring = compiled_once(spec_of("V11bC"), *overrides).graph
    halved = [node for node in strided if node.op == "max_pool"]
    maxima = [node for node in blurring if node.op == "max_pool"]
    blurs = [node for node in blurring if node.op == "blur_pool"]
    assert [node.attributes["stride"] for node in halved + maxima] == [2] * 5 + [1] * 5
    assert [node.inputs[0] for node in blurs] == [node.id for node in maxima]
    assert [node.output_shape for node in blurs] == [node.output_shape for node in halved]
