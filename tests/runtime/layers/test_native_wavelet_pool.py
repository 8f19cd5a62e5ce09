"""Wavelet pooling by the native kernel, against torch's operations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.support.same_maps import assert_alike
from wavetwin.ir.operations import BAND_MAPS
from wavetwin.ir.wavelets import BOUNDARY_MODES
from wavetwin.runtime.bank.native import windows
from wavetwin.runtime.layers import WaveletPool2d, use_native_kernel
from wavetwin.runtime.layers.wavelet_pool import NORMALISATIONS

pytestmark = pytest.mark.usefixtures("one_thread")


def maps(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def both(*arguments: Any, **options: Any) -> tuple[WaveletPool2d, WaveletPool2d]:
    native, by_torch = (WaveletPool2d(*arguments, **options).double() for _ in range(2))
    assert use_native_kernel(native)
    return native, by_torch


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.sampled_from(["haar", "db2", "db4", "bior2.2", "sym5"]),
    st.sampled_from(sorted(BAND_MAPS)),
    st.sampled_from(sorted(BOUNDARY_MODES)),
    st.sampled_from(["half", "full"]),
    st.sampled_from(NORMALISATIONS),
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(9, 24), st.integers(9, 24)),
)
def test_any_bands_borders_and_sizes(
    wavelet: str, bands: str, mode: str, size: str, scale: str, levels: int, shape: tuple[int, ...]
):
    x = maps(*shape)
    options = {"channels": shape[1]}
    found: list[list[Tensor]] = []
    for layer in both(wavelet, bands, levels, scale, mode, size, **options):
        output = layer(x)
        generator = torch.Generator().manual_seed(1)
        direction = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        wanted = [x, *layer.parameters()]
        found.append([output, *torch.autograd.grad(output, wanted, direction)])
    assert_alike(*found)


@pytest.mark.parametrize("bands", ["ll", "modulus"])
def test_second_derivatives(bands: str):
    x = maps(2, 3, 11, 10)
    found: list[list[Tensor]] = []
    for layer in both("db2", bands, mode="smooth"):
        (first,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
        found.append([first, *torch.autograd.grad(first.square().sum(), x)])
    assert_alike(*found)


def test_any_number_of_threads_gives_the_same_bits():
    x = maps(9, 12, 14, 11, dtype=torch.float32)
    layer = WaveletPool2d("db2", "all")
    assert use_native_kernel(layer)
    found: list[list[Tensor]] = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        output = layer(x)
        found.append([output, *torch.autograd.grad(output.square().sum(), x)])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_it_is_the_kernel_with_the_channels_last_and_fixed_filters(monkeypatch: pytest.MonkeyPatch):
    def never(*arguments: object) -> None:
        raise AssertionError("the kernel is called")

    native, by_torch = both("db2")
    learned = both("db2", learn="lattice")
    x = maps(2, 3, 8, 8)
    monkeypatch.setattr(windows, "call_kernel", never)
    assert torch.equal(native(x.contiguous()), by_torch(x.contiguous()))
    assert torch.equal(*(layer(x) for layer in learned))
    with pytest.raises(AssertionError, match="the kernel is called"):
        native(x)


def test_one_sample_has_no_reflection():
    """As torch's operations say."""
    for layer in both("haar", mode="reflect"):
        with pytest.raises(ValueError, match="a map of one sample has no extension"):
            layer(maps(2, 3, 1, 8))
