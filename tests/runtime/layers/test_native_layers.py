"""Levels of the dual tree and whole packets by the native kernel, against torch's operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.support.same_maps import assert_alike
from wavetwin.ir.level1_taps import LEVEL1_FILTERS
from wavetwin.ir.wavelets import BOUNDARY_MODES
from wavetwin.runtime.layers import DualTreePackets, Invariant, Scattering2d, use_native_kernel
from wavetwin.runtime.layers.moduli import Level1, plain_moduli, split_moduli
from wavetwin.runtime.wavelets import dual_tree

pytestmark = pytest.mark.usefixtures("one_thread")


def maps(*shape: int, dtype: torch.dtype = torch.float64, is_channels_last: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    layout = torch.channels_last if is_channels_last else torch.contiguous_format
    return x.contiguous(memory_format=layout).requires_grad_()


def gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    directions = [
        torch.randn(output.shape, generator=generator, dtype=output.dtype) for output in outputs
    ]
    return list(torch.autograd.grad(outputs, inputs, directions))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.sampled_from(LEVEL1_FILTERS),
    st.sampled_from(tuple(BOUNDARY_MODES)),
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(2, 21), st.integers(2, 21)),
    st.booleans(),
)
def test_a_level_of_any_border_size_and_layout(
    filters: str, mode: str, shape: tuple[int, ...], is_channels_last: bool
):
    level = Level1(filters, mode, 1e-2)
    taps = dual_tree.level1_filters(filters)[0]
    x = maps(*shape, is_channels_last=is_channels_last)
    found = split_moduli(x, taps, level, native=True)
    assert found.grad_fn is not None
    assert found.grad_fn.name() == "_ModuliBackward", "by the kernel"
    expected = plain_moduli(x, taps, level)
    assert_alike([found, *gradients([found], [x])], [expected, *gradients([expected], [x])])


def test_a_level_is_larger_than_matrix_products_take():
    level = Level1("near_sym_a", "symmetric", 1e-2)
    taps = dual_tree.level1_filters("near_sym_a")[0]
    x = maps(1, 1, 12, 270)
    found, expected = split_moduli(x, taps, level, native=True), plain_moduli(x, taps, level)
    assert found.grad_fn is not None
    assert found.grad_fn.name() == "_ModuliBackward"
    assert_alike([found], [expected])


def both(make: Any) -> tuple[nn.Module, nn.Module]:
    """Return a layer that the kernel computes, and its copy that it does not."""
    layers: list[nn.Module] = []
    for _ in range(2):
        torch.manual_seed(0)
        layers.append(make().double())
    assert use_native_kernel(layers[0])
    return layers[0], layers[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Invariant(5, 4),
        lambda: Invariant(5, 4, bias=False),
        lambda: Invariant(5, 4, "learned", stride=1),
        lambda: Scattering2d(2, 2),
        lambda: Scattering2d(3, 1),
    ],
    ids=["invariant", "no bias", "3x3, up-sampled", "scattering", "third level"],
)
def test_layers_of_levels(make: Any):
    x = maps(2, 5, 13, 18)
    found: list[list[Tensor]] = []
    for layer in both(make):
        inputs = [x, *layer.parameters()]
        first = gradients([layer(x)], inputs)
        (of_x,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
        second = torch.autograd.grad(of_x.square().sum(), x)
        found.append([layer(x), *first, *second])
    assert_alike(*found)


@pytest.mark.parametrize(("levels", "stride"), [(1, 1), (2, 2), (3, 8), (4, 8)])
def test_all_packets(levels: int, stride: int):
    x = maps(2, 3, 21, 34)
    native, plain = both(lambda: DualTreePackets(levels, stride))
    found: list[list[Tensor]] = []
    for layer in (native, plain):
        parts: tuple[Tensor, Tensor] = layer.parts(x)  # pyright: ignore[reportCallIssue]
        real: Tensor = layer.real(x)  # pyright: ignore[reportCallIssue]
        found.append([*parts, real, *gradients(parts, [x]), *gradients([real], [x])])
    assert_alike(*found)


def test_any_number_of_threads_gives_the_same_bits():
    x = maps(3, 13, 12, 15, dtype=torch.float32)
    layers = Invariant(13, 4), DualTreePackets(2, 2)
    found: list[list[Tensor]] = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        for layer in layers:
            assert use_native_kernel(layer)
        outputs = layers[0](x), *layers[1].parts(x)
        found.append([*outputs, *gradients(outputs, [x])])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))
