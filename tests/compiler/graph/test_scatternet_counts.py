"""Parameters and multiplications of "A Learnable ScatterNet"'s networks are the published ones, or those recounted.

Sources: tables 1.1, 1.4, 1.5 and 1.7 of "A Learnable ScatterNet", counted again layer by layer; where
table 1.7 differs, `show --counting source` says why.
"""

from __future__ import annotations

import pytest

from tests.support.shipped import compiled_once, spec_of
from wavetwin.ir.graph import ModuleGraph


def graph_of(name: str) -> ModuleGraph:
    return compiled_once(spec_of(name)).graph


def learned(name: str) -> int:
    return graph_of(name).parameters.trainable


def multiplications(name: str, *layers: str) -> int:
    """Of all layers, or of those named."""
    nodes = [node for node in graph_of(name) if node.section == "trunk"]
    return sum(node.macs for node in nodes if not layers or node.id.split(".")[1] in layers)


@pytest.mark.parametrize(
    ("name", "trainable"),
    [
        ("mnist_inv", 49 + 2401 + 56 + 110),
        ("mnist_conv", 63 + 3087 + 56 + 110),
        ("mnist_impulse", 2616),
        ("mnist_gaussian", 2616),
        ("mnist_random", 2616),
        ("mnist_learned", 22_050 + 56 + 110),
        ("mnist_dct", 7350 + 56 + 110),
        ("mnist_wide", 25_250 + 110 + 110),
    ],
)
def test_mnist_parameters(name: str, trainable: int) -> None:
    assert learned(name) == trainable
    # The fixed projection, its 10 biases among them.
    assert graph_of(name).parameters.frozen == (49_010 if name == "mnist_wide" else 24_020)


@pytest.mark.parametrize(
    ("name", "count"),
    [("mnist_inv", 204_869), ("mnist_conv", 654_444), ("mnist_wide", 5_096_000)],
)
def test_mnist_multiplications(name: str, count: int) -> None:
    assert multiplications(name, "layer1", "layer2") == count


CIFAR_CONVS = {"A": 1_728, "B": 36_864, "C": 73_728, "D": 147_456, "E": 294_912, "F": 589_824}
CIFAR_MIXINGS = {"A": 1_344, "B": 28_672, "C": 57_344, "D": 114_688, "E": 229_376, "F": 458_752}


def test_the_vgg_like_networks() -> None:
    assert learned("cifar10_ref") == sum(CIFAR_CONVS.values()) + 1_792 + 2_570 == 1_148_874
    assert learned("cifar100_ref") == 1_172_004
    assert round(multiplications("cifar10_ref") / 1e6, 1) == 152.8
    assert learned("tiny_ref") == 4_789_896
    assert round(multiplications("tiny_ref") / 1e6, 1) == 837.7
    rounded = [
        round(multiplications("tiny_ref", f"conv{letter}") / 1e6, 1) for letter in "ABCDEFGH"
    ]
    assert rounded == [7.1, 151.0, 75.5, 151.0, 75.5, 151.0, 75.5, 151.0]


@pytest.mark.parametrize(
    ("letter", "millions", "ratio"),
    [
        ("A", 0.45, 0.257),
        ("B", 9.70, 0.257),
        ("C", 4.26, 0.226),
        ("D", 8.52, 0.226),
        ("E", 3.96, 0.210),
        ("F", 7.93, 0.210),
    ],
)
def test_a_swapped_layer(letter: str, millions: float, ratio: float) -> None:
    name, layer = f"cifar10_inv{letter}", f"conv{letter}"
    # The mixing has a bias, which the convolution has not.
    width = graph_of(name).node(f"trunk.{layer}.invariant").output_shape[0]
    fewer = learned("cifar10_ref") - learned(name) + width
    assert fewer == CIFAR_CONVS[letter] - CIFAR_MIXINGS[letter]
    count = multiplications(name, layer)
    assert round(count / 1e6, 2) == millions
    assert round(count / multiplications("cifar10_ref", layer), 3) == ratio


@pytest.mark.parametrize(
    ("swap", "parameters", "count"),
    [("B", 0.993, 0.816), ("D", 0.971, 0.809), ("F", 0.885, 0.805), ("CD", 0.957, 0.713),
     ("BD", 0.964, 0.625)],
)  # fmt: skip
def test_a_swapped_network(swap: str, parameters: float, count: float) -> None:
    name = f"cifar10_inv{swap}"
    convs = sum(CIFAR_CONVS.values())
    own = convs - sum(CIFAR_CONVS[letter] - CIFAR_MIXINGS[letter] for letter in swap)
    assert round(own / convs, 3) == parameters
    assert round(multiplications(name) / multiplications("cifar10_ref"), 3) == count


@pytest.mark.parametrize(
    ("letter", "total", "of_100", "millions"),
    [
        ("A", 2_582_938, 2_617_588, 165.20),
        ("B", 2_605_156, 2_639_806, 166.70),
        ("C", 3_685_594, 3_720_244, 237.41),
        ("D", 4_313_690, 4_348_340, 279.96),
    ],
)
def test_scatnets(letter: str, total: int, of_100: int, millions: float) -> None:
    name = f"cifar10_scatnet{letter}"
    assert learned(name) == total
    assert learned(f"cifar100_scatnet{letter}") == of_100
    assert round(multiplications(name) / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("letter", "parameters", "millions"),
    [("A", 10.70, 1170), ("B", 10.72, 1176), ("C", 11.80, 1459), ("D", 12.43, 1630)],
)
def test_scatnets_on_tiny_imagenet(letter: str, parameters: float, millions: int) -> None:
    name = f"tiny_scatnet{letter}"
    assert round(learned(name) / 1e6, 2) == parameters
    # Printed in millions, some of them cut, some rounded.
    assert abs(multiplications(name) / 1e6 - millions) < 0.6
