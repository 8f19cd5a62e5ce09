"""Windows of one image that are moved by a first layer's stride: what of its maps is the same."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.runtime.layers import use_native_kernel
from wavetwin.runtime.network.build import build_module

SIZE, MOVE = 96, 8


@pytest.mark.parametrize("spec", ["alexnet/AwyI_mod", "resnet34/RwyI", "resnet34/RI"])
@pytest.mark.parametrize("kernels", ["torch", "native"])
def test_a_first_layer_is_not_used_again_for_another_window(spec: str, kernels: str):
    """Whole strides move the maps, bit for bit, but for the borders, where zeros stand for other pixels.

    A first layer of every window is therefore computed, and none taken from another window's.
    """
    overrides = (f"training.kernels={kernels}",) if spec != "resnet34/RI" else ()
    graph = compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides).optimised_graph
    torch.manual_seed(0)
    nodes = tuple(node for node in graph if node.section != "trunk")
    network = build_module(dataclasses.replace(graph, nodes=nodes)).eval()
    first = torch.nn.Sequential(network.stem, network.pool)
    assert kernels == "torch" or use_native_kernel(first)
    image = torch.randn(1, 3, SIZE + MOVE, SIZE)
    with torch.no_grad():
        still, moved = (
            first(image[:, :, top : top + SIZE].contiguous(memory_format=torch.channels_last))
            for top in (0, MOVE)
        )
    # A pooled sample is 8 pixels of an AlexNet, 4 of a ResNet.
    step = MOVE // round(SIZE / (still.shape[2] + 1))
    same = (still[:, :, step:] == moved[:, :, : still.shape[2] - step]).all(3).all(1).flatten()
    middle = len(same) // 2
    assert same[middle], "what reads no border"
    assert not same[0], "the upper border of one window"
    assert not same[-1], "the lower border of the other"
