"""Norm, activation and maximum at once, by the native kernel, against torch's layers one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.fx import symbolic_trace

from tests.support.same_maps import assert_alike, assert_second_derivatives_alike, gradients
from wavetwin.runtime.bank.native import windows
from wavetwin.runtime.layers import ChannelBias, EnergyNorm, use_native_kernel
from wavetwin.runtime.layers.max_pool import NormMaxPool, ReluMaxPool

pytestmark = pytest.mark.usefixtures("one_thread")

Case = tuple[tuple[int, ...], tuple[int, int], tuple[int, int, int], bool]
"""Channels of each input, height and width, window, and whether there is a norm."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(st.integers(1, 5))
    window = size, draw(st.integers(1, 4)), draw(st.integers(0, size // 2))
    parts = draw(st.lists(st.integers(1, 19), min_size=1, max_size=3))
    height, width = (draw(st.integers(max(2, size - 2 * window[2]), 13)) for _ in range(2))
    return tuple(parts), (height, width), window, draw(st.booleans())


def maps(case: Case, dtype: torch.dtype = torch.float64, batch: int = 3) -> list[Tensor]:
    """Return inputs with the channels last, of whole numbers in part, so that values are equal."""
    generator = torch.Generator().manual_seed(0)
    found: list[Tensor] = []
    for channels in case[0]:
        x = torch.randn(batch, channels, *case[1], generator=generator, dtype=torch.float64)
        x[0] = x[0].round()
        x = x.to(dtype).contiguous(memory_format=torch.channels_last)
        found.append(x.requires_grad_())
    return found


def layers(case: Case, dtype: torch.dtype = torch.float64) -> tuple[Any, nn.Module]:
    """Return the layer, and torch's with the same parameters."""
    channels, (size, stride, padding) = sum(case[0]), case[2]
    generator = torch.Generator().manual_seed(1)
    if not case[3]:
        layer: Any = ReluMaxPool(size, stride, padding)
        norm: nn.Module = nn.Identity()
    else:
        layer, norm = NormMaxPool(channels, size, stride, padding), nn.BatchNorm2d(channels)
        with torch.no_grad():
            # Negative ones, too: the largest value is then the smallest one's.
            layer.weight.copy_(torch.randn(channels, generator=generator))
            layer.bias.copy_(torch.randn(channels, generator=generator))
        norm.load_state_dict(layer.state_dict())
    assert use_native_kernel(layer)
    whole = nn.Sequential(norm, nn.ReLU(), nn.MaxPool2d(size, stride, padding))
    return layer.to(dtype), whole.to(dtype)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases(), st.booleans())
def test_it_is_torchs_layers_one_after_the_other(case: Case, is_training: bool):
    layer, whole = layers(case)
    inputs = maps(case)
    for module in (layer, whole):
        module.train(is_training)
    output, expected = layer(*inputs), whole(torch.cat(inputs, 1))
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert output.grad_fn.name() == "_PoolBackward", "by the kernel"
    assert_alike([output], [expected])
    assert_alike(gradients(output, layer, inputs), gradients(expected, whole, inputs))
    if case[3]:
        norm: Any = whole.get_submodule("0")
        for name, value in norm.state_dict().items():
            torch.testing.assert_close(layer.state_dict()[name], value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("has_norm", [False, True])
def test_second_derivatives(has_norm: bool, is_training: bool):
    case: Case = ((3, 2), (6, 5), (3, 2, 1), has_norm)
    layer, whole = layers(case)
    assert_second_derivatives_alike(layer, whole, maps(case), is_training=is_training)


@pytest.mark.parametrize("window", [(1, 1, 0), (3, 2, 1)])
def test_gradients_lie_in_any_layout(window: tuple[int, int, int]):
    """As those of larger maps, of what was repeated along a side, or with the channels first."""
    case: Case = ((3, 8), (6, 7), window, True)
    layer, whole = layers(case)
    inputs = maps(case)
    output, expected = layer(*inputs), whole(torch.cat(inputs, 1))
    size = tuple(output.shape[2:])
    first = torch.randn(3, 17, 9, 9, dtype=torch.float64)
    last = first.contiguous(memory_format=torch.channels_last)
    directions = [each[:, 2:13, 1 : 1 + size[0], : size[1]] for each in (first, last)]
    directions += [last[:, 2:13, 1:2, : size[1]].expand(-1, -1, *size)]
    directions += [last[:, 2:13, : size[0], 3:4].expand(-1, -1, *size)]
    for direction in directions:
        found = torch.autograd.grad(output, inputs, direction, retain_graph=True)
        assert_alike(found, torch.autograd.grad(expected, inputs, direction, retain_graph=True))


def test_maps_lie_in_any_layout():
    """As those that are cut out of larger ones."""
    layer, whole = layers(((5,), (6, 7), (1, 1, 0), True))
    large = torch.randn(3, 9, 8, 11, dtype=torch.float64)
    large = large.contiguous(memory_format=torch.channels_last).requires_grad_()
    x = large[:, 2:7, 1:7, 3:10]
    output, expected = layer(x), whole(x.contiguous())
    assert output.grad_fn.name() == "_PoolBackward", "by the kernel"
    assert_alike([output], [expected])
    assert_alike(gradients(output, layer, [large]), gradients(expected, whole, [large]))


def own_layers(kind: str, channels: int) -> list[Any]:
    """Return a layer that takes positive parts by the kernel, and the same followed by torch's."""
    kinds: dict[str, Callable[..., nn.Module]] = {
        "bias": ChannelBias,
        "energy": EnergyNorm,
        "energy, average": partial(EnergyNorm, momentum=None),
        "energy, untracked": partial(EnergyNorm, track_running_stats=False),
    }
    layer, plain = kinds[kind](channels, relu=True).double(), kinds[kind](channels).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.linspace(-1.5, 1, channels))
    plain.load_state_dict(layer.state_dict())
    assert use_native_kernel(layer)
    return [layer, nn.Sequential(plain, nn.ReLU())]


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("kind", ["bias", "energy", "energy, average", "energy, untracked"])
def test_what_follows_a_modulus(kind: str, is_training: bool):
    (x,) = maps(((11,), (5, 7), (1, 1, 0), False))
    found: list[list[Tensor]] = []
    for module in own_layers(kind, 11):
        module.train(is_training)
        output = module(x)
        assert (output.grad_fn.name() == "_PoolBackward") == (not found), "by the kernel"
        first = gradients(module(x), module, [x])
        (of_x,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
        second = torch.autograd.grad(of_x.square().sum(), [x, *module.parameters()])
        found.append([output, *first, *second, *(each.double() for each in module.buffers())])
    assert_alike(*found)


@pytest.mark.parametrize("has_norm", [False, True])
def test_any_number_of_threads_gives_the_same_bits(has_norm: bool):
    case: Case = ((12, 8), (14, 11), (3, 2, 1), has_norm)
    layer, _ = layers(case, torch.float32)
    inputs = maps(case, torch.float32, batch=37)
    found: list[list[Tensor]] = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        output = copy.deepcopy(layer)(*inputs)
        found.append([output, *gradients(layer(*inputs), layer, inputs)])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_what_is_no_number_stays():
    """As in torch's layers: a loss that is not finite is seen, not hidden."""
    case: Case = ((9,), (7, 7), (3, 2, 0), False)
    layer, whole = layers(case)
    (x,) = maps(case)
    with torch.no_grad():
        x[1, 4, 3, 3] = torch.nan
        torch.testing.assert_close(layer(x), whole(x), equal_nan=True)
        assert layer(x)[1, 4].isnan().sum() == 1


def test_others_get_torchs_operations(monkeypatch: pytest.MonkeyPatch):
    """Other layouts, half precision, and one value of a channel, of which there is no variance."""
    layer, whole = layers(((8,), (8, 8), (3, 2, 0), True))

    def never(*arguments: object) -> None:
        raise AssertionError("the kernel is called")

    monkeypatch.setattr(windows, "call_kernel", never)
    (x,) = maps(((8,), (8, 8), (3, 2, 0), True))
    assert torch.equal(layer(x.contiguous()), whole(x.contiguous()))
    with pytest.raises(AssertionError, match="the kernel is called"):
        layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        layer.float()(x.float())
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(torch.zeros(1, 8, 1, 1).contiguous(memory_format=torch.channels_last))


def test_function_transforms_and_traces_get_torchs_operations():
    layer, whole = layers(((5,), (8, 8), (3, 2, 0), True))
    layer, whole = layer.eval(), whole.eval()
    (x,) = maps(((5,), (8, 8), (3, 2, 0), True))
    x = x.detach()
    by_image = torch.func.vmap(lambda image: layer(image.unsqueeze(0))[0])(x)
    graph = symbolic_trace(nn.Sequential(layer))(x)
    for found in (by_image, graph):
        assert_alike([found], [whole(x)])


def test_no_norm_of_torchs_takes_its_place():
    model = nn.Sequential(NormMaxPool(8, 3, 2))
    with pytest.raises(AttributeError, match="NormMaxPool has no synchronised form"):
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
