"""Norm, activation, maximum and blur at once, by the native kernel, against torch's layers one after the other."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.support.same_maps import assert_alike, assert_second_derivatives_alike, gradients
from wavetwin.runtime.bank.native import windows
from wavetwin.runtime.layers import BlurPool, MaxBlurPool, use_native_kernel
from wavetwin.runtime.layers.max_pool import NormMaxPool, ReluMaxPool

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass(frozen=True)
class Case:
    """What is pooled, and how."""

    channels: tuple[int, ...]
    """Of each input."""
    size: tuple[int, int]
    window: tuple[int, int]
    """Side and margin."""
    blur: tuple[int, int]
    """Taps and step."""
    has_norm: bool = False

    def maps(self, dtype: torch.dtype = torch.float64, batch: int = 3) -> list[Tensor]:
        """Return inputs with the channels last, of whole numbers in part, so that values are equal."""
        generator = torch.Generator().manual_seed(0)
        found: list[Tensor] = []
        for channels in self.channels:
            x = torch.randn(batch, channels, *self.size, generator=generator, dtype=torch.float64)
            x[0] = x[0].round()
            x = x.to(dtype).contiguous(memory_format=torch.channels_last)
            found.append(x.requires_grad_())
        return found

    def layers(self, dtype: torch.dtype = torch.float64) -> tuple[Any, nn.Module]:
        """Return the layer, and torch's with the same parameters."""
        channels, (size, margin), (taps, step) = sum(self.channels), self.window, self.blur
        norm: nn.Module = nn.Identity()
        if self.has_norm:
            generator = torch.Generator().manual_seed(1)
            layer: Any = NormMaxPool(channels, size, 1, margin, blur_size=taps, blur_stride=step)
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter.copy_(torch.randn(channels, generator=generator))
            norm = nn.BatchNorm2d(channels)
            norm.load_state_dict(layer.state_dict())
        else:
            layer = ReluMaxPool(size, 1, margin, blur_size=taps, blur_stride=step)
        assert use_native_kernel(layer)
        pool = nn.MaxPool2d(size, 1, margin)
        whole = nn.Sequential(norm, nn.ReLU(), pool, BlurPool(taps, step))
        return layer.to(dtype), whole.to(dtype)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return a pooling of maps that are larger than its margins."""
    side, taps = draw(st.integers(1, 5)), draw(st.integers(2, 7))
    margin = draw(st.integers(0, side // 2))
    least = taps // 2 + side - 2 * margin
    height, width = (draw(st.integers(max(2, least), max(2, least) + 9)) for _ in range(2))
    channels = draw(st.lists(st.integers(1, 19), min_size=1, max_size=3))
    blur = taps, draw(st.integers(1, 9))
    return Case(tuple(channels), (height, width), (side, margin), blur, draw(st.booleans()))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cases(), st.booleans())
def test_it_is_torchs_layers_one_after_the_other(case: Case, is_training: bool):
    layer, whole = case.layers()
    inputs = case.maps()
    for module in (layer, whole):
        module.train(is_training)
    output, expected = layer(*inputs), whole(torch.cat(inputs, 1))
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert output.grad_fn.name() == "_PoolBackward", "by the kernel"
    assert_alike([output], [expected])
    assert_alike(gradients(output, layer, inputs), gradients(expected, whole, inputs))


def plain(case: Case) -> list[tuple[nn.Module, nn.Module, str]]:
    """Return layers without activation, what they are by torch, and the kernel's function's name."""
    (side, margin), (taps, step) = case.window, case.blur
    layers = [BlurPool(taps, step), MaxBlurPool(side, margin, taps, step)]
    by_torch = [
        BlurPool(taps, step),
        nn.Sequential(nn.MaxPool2d(side, 1, margin), BlurPool(taps, step)),
    ]
    for layer in layers:
        assert use_native_kernel(layer)
    names = ["_BlurBackward", "_PoolBackward"]
    return [
        (layer.double(), other.double(), name)
        for layer, other, name in zip(layers, by_torch, names, strict=True)
    ]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases())
def test_blurs_without_an_activation(case: Case):
    case = Case(case.channels[:1], tuple(map(max, case.size, (4, 4))), case.window, case.blur)
    (x,) = case.maps()
    for layer, by_torch, name in plain(case):
        output, expected = layer(x), by_torch(x.contiguous())
        assert output.grad_fn is not None
        assert output.grad_fn.name() == name, "by the kernel"
        assert output.is_contiguous(memory_format=torch.channels_last)
        assert_alike([output], [expected])
        assert_alike(gradients(output, layer, [x]), gradients(expected, by_torch, [x]))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases(), st.integers(1, 40))
def test_the_adjoint_of_a_blur_is_its_own(case: Case, channels: int):
    """<blur(x), y> = <x, adjoint(y)>, in float64 to 1e-12 of the sums of products."""
    layer = BlurPool(*case.blur).double()
    assert use_native_kernel(layer)
    size = tuple(map(max, case.size, (4, 4)))
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, channels, *size, generator=generator, dtype=torch.float64)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    output = layer(x)
    y = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    (adjoint,) = torch.autograd.grad(output, x, y)
    products, of_adjoint = output.detach() * y, x.detach() * adjoint
    limit = 1e-12 * float(products.abs().sum())
    assert abs(float(products.sum() - of_adjoint.sum())) <= limit


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("has_norm", [False, True])
def test_second_derivatives(has_norm: bool, is_training: bool):
    case = Case((3, 2), (7, 6), (3, 1), (3, 2), has_norm)
    layer, whole = case.layers()
    assert_second_derivatives_alike(layer, whole, case.maps(), is_training=is_training)


def test_second_derivatives_without_an_activation():
    case = Case((5,), (9, 8), (3, 0), (4, 2))
    (x,) = case.maps()
    for layer, by_torch, _ in plain(case):
        found: list[list[Tensor]] = []
        for module in (layer, by_torch):
            (first,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
            found.append(list(torch.autograd.grad(first.square().sum(), x)))
        assert_alike(*found)


@pytest.mark.parametrize("has_norm", [False, True])
def test_any_number_of_threads_gives_the_same_bits(has_norm: bool):
    case = Case((12, 8), (14, 11), (3, 1), (3, 2), has_norm)
    layer, _ = case.layers(torch.float32)
    inputs = case.maps(torch.float32, batch=37)
    blur = BlurPool()
    assert use_native_kernel(blur)
    found: list[list[Tensor]] = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        output, blurred = copy.deepcopy(layer)(*inputs), blur(inputs[0])
        found.append([output, blurred, *gradients(layer(*inputs), layer, inputs)])
        found[-1] += gradients(blurred, blur, inputs[:1])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_gradients_lie_in_any_layout():
    """As those of what was cut out of larger maps, or came with the channels first."""
    case = Case((6, 7), (9, 10), (3, 1), (3, 2), True)
    layer, whole = case.layers()
    inputs = case.maps()
    output, expected = layer(*inputs), whole(torch.cat(inputs, 1))
    first = torch.randn(3, 29, 7, 6, dtype=torch.float64)
    for direction in (first, first.contiguous(memory_format=torch.channels_last)):
        cut = direction[:, 4:17, 1:6, :5]
        found = torch.autograd.grad(output, inputs, cut, retain_graph=True)
        assert_alike(found, torch.autograd.grad(expected, inputs, cut, retain_graph=True))


def test_what_is_no_number_stays():
    for layer, by_torch, _ in plain(Case((9,), (8, 8), (3, 0), (3, 1))):
        x = torch.randn(2, 9, 8, 8, dtype=torch.float64)
        x[1, 4, 3, 3] = torch.nan
        x = x.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(layer(x), by_torch(x), equal_nan=True)


def test_others_get_torchs_operations(monkeypatch: pytest.MonkeyPatch):
    """Other layouts, autocast, and maps that are no larger than their margins, of which torch says so."""
    case = Case((8,), (8, 8), (3, 0), (3, 2))
    layer, whole = case.layers()
    (x,) = case.maps()

    def never(*arguments: object) -> None:
        raise AssertionError("the kernel is called")

    monkeypatch.setattr(windows, "call_kernel", never)
    assert torch.equal(layer(x.contiguous()), whole(x.contiguous()))
    with pytest.raises(AssertionError, match="the kernel is called"):
        layer(x)
    small = torch.zeros(2, 8, 3, 3, dtype=torch.float64).contiguous(
        memory_format=torch.channels_last
    )
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        layer.float()(x.float())
    for module, _, _ in plain(Case((8,), (3, 3), (3, 0), (7, 2))):
        assert torch.equal(module(x.contiguous()), module(x.detach().contiguous()))
        with pytest.raises(RuntimeError, match="Padding size should be less"):
            module(small)


def test_a_blur_is_of_all_maxima():
    with pytest.raises(ValueError, match="a blur after a maximum of stride 2: 1 is supported"):
        ReluMaxPool(3, 2, blur_size=3)
