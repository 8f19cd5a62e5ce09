"""Twins whose parts somebody has changed or watches compute the same with passes as without."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.flop_counter import FlopCounterMode

import wavetwin
from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.compiler.compiled import Compiled
from wavetwin.runtime.layers import (
    AdaptiveBlur,
    BlurPool,
    MaxBlurPool,
    MixedPackets,
    PacketMixing,
    map_parts,
)
from wavetwin.runtime.network.build import build_module

KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "RMax": ("digits/twin", ()),
    "CMod": ("digits/twin_mod", ()),
    "CMod and blur": ("digits/twin_mod", ("pooling.wavelet=modulus_blur",)),
    "colours before": ("cifar10/R18wyC", ()),
    "colours after": ("cifar10/R18wyC_mod", ("stem.wavelet.color_mixing=after",)),
    "RMax and blur": ("cifar10/R18zh3wyC", ()),
    "CMod beside blur": ("cifar10/R18zh3wyC_mod", ()),
    "RMax and adaptive blur": ("cifar10/R18zo3wyC", ()),
    "CMod beside adaptive blur": ("cifar10/R18zo3wyC_mod", ()),
}
"""Every kind of first layer whose nodes the passes merge."""


@cache
def _compiled(kind: str) -> Compiled:
    spec, overrides = KINDS[kind]
    return compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)


def _first_layers(kind: str) -> tuple[nn.Module, nn.Module]:
    """Return stem and pooling as written and after the passes, in float64, of the same weights."""
    models: list[nn.Module] = []
    for graph in (_compiled(kind).graph, _compiled(kind).optimised_graph):
        nodes = tuple(node for node in graph if node.section != "trunk")
        torch.manual_seed(0)
        models.append(build_module(dataclasses.replace(graph, nodes=nodes)).double().eval())
    written, optimised = models
    return written, optimised


def _run(model: nn.Module, kind: str) -> tuple[Tensor, list[Tensor]]:
    """Return the output, and the gradients of the images and of all parameters."""
    shape = (2, *_compiled(kind).graph.input.output_shape)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    leaves = [x.requires_grad_(), *(p for p in model.parameters() if p.requires_grad)]
    output = model(x)
    return output.detach(), list(torch.autograd.grad(output.square().sum(), leaves))


class Adapter(nn.Module):
    """Puts a low-rank change beside a frozen layer, as adapters do; has no `weight`."""

    def __init__(self, base: nn.Conv2d) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        inputs = base.in_channels // base.groups
        self.down = nn.Parameter(torch.linspace(-1, 1, 2 * inputs).double().view(2, inputs))
        self.up = nn.Parameter(torch.linspace(-1, 2, 2 * base.out_channels).double().view(-1, 2))

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.up @ self.down)[:, :, None, None]
        return self.base(x) + F.conv2d(x, weight, groups=self.base.groups)


class Doubled(nn.Module):
    """A parametrisation."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x.tanh()


def _old_weight_norm(layer: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(layer)
    layer.get_parameter("weight_g").data.mul_(2)


def _pruned(layer: nn.Module) -> None:
    prune.l1_unstructured(layer, "weight", 0.5)
    layer.get_parameter("weight_orig").data.mul_(3)


def _hooked(layer: nn.Module) -> None:
    layer.register_forward_hook(
        lambda module, inputs, output: map_parts(lambda part: part * 2, cast("Tensor", output))
    )


def _pre_hooked(layer: nn.Module) -> None:
    layer.register_forward_pre_hook(
        lambda module, inputs: (map_parts(lambda part: part + 1, cast("Tensor", inputs[0])),)
    )


def _gradient_hooked(layer: nn.Module) -> None:
    layer.register_full_backward_hook(
        lambda module, of_inputs, of_outputs: tuple(3 * of_input for of_input in of_inputs)
    )


def _with_another_forward(layer: nn.Module) -> None:
    forward = layer.forward

    def squared(input: Any) -> Any:
        return map_parts(lambda part: part.square() + 1, forward(input))

    layer.forward = squared


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "prune": _pruned,
    "weight_norm, old": _old_weight_norm,
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm, old": nn.utils.spectral_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "parametrize": lambda layer: parametrize.register_parametrization(layer, "weight", Doubled()),
    "forward hook": _hooked,
    "forward pre-hook": _pre_hooked,
    "backward hook": _gradient_hooked,
    "another forward": _with_another_forward,
}


EVERY = ("CMod", "colours after")
"""Kinds that every change is tried on; the others see some of them."""


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (change, kind)
        for kind in KINDS
        for change in CHANGES
        if kind in EVERY or change in ("prune", "parametrize", "forward hook")
    ],
)
def test_changed_mixings_compute_the_same_with_passes_as_without(change: str, kind: str):
    models = _first_layers(kind)
    before = _run(models[1], kind)[0]
    names = ["stem.wavelet.mixing.0"]
    # torch finds no gradients of a module that takes a pair.
    if "colours" in kind and change != "backward hook":
        names.append("stem.wavelet.colour")
    for model in models:
        for name in names:
            if "norm" in change:
                torch.manual_seed(1)
            CHANGES[change](model.get_submodule(name))
    outputs, gradients = zip(*(_run(model, kind) for model in models), strict=True)
    # The same sums in another order.
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    if change not in ("weight_norm", "backward hook"):
        assert not torch.allclose(before, outputs[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["stem.wavelet.mixing", "stem.wavelet.keep"])
def test_hooks_of_merged_nodes_fire(name: str, kind: str):
    models = _first_layers(kind)
    fired: list[str] = []
    for model in models:
        model.get_submodule(name).register_forward_hook(lambda *_: fired.append("once"))
    outputs = [_run(model, kind)[0] for model in models]
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-10)
    assert fired == ["once"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_in_the_place_of_parts(kind: str):
    models = _first_layers(kind)
    for model in models:
        mixing = model.get_submodule("stem.wavelet.mixing")
        assert isinstance(mixing, PacketMixing)
        conv = mixing[0]
        assert isinstance(conv, nn.Conv2d)
        mixing[0] = Adapter(conv)
        if kind == "colours before":
            colour = model.get_submodule("stem.wavelet.colour")
            with_quantiser = nn.Sequential(torch.ao.quantization.QuantStub(), colour, nn.Tanh())
            model.set_submodule("stem.wavelet.colour", with_quantiser)
    outputs, gradients = zip(*(_run(model, kind) for model in models), strict=True)
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    assert any(name.endswith("0.down") for name, _ in models[1].named_parameters())


def test_a_child_of_another_size_or_with_a_bias():
    """The module is the same, so that its attributes decide."""
    for layer in (
        nn.Conv2d(6, 6, 1, groups=6, bias=True),
        nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
        nn.Conv2d(6, 6, 1, groups=1, bias=False),
    ):
        models = _first_layers("CMod")
        for model in models:
            model.set_submodule("stem.wavelet.mixing.0", copy.deepcopy(layer).double())
        outputs = [_run(model, "CMod")[0] for model in models]
        torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-10)


def test_hooks_of_all_modules_see_the_parts_and_counters_what_is_computed():
    kind = "RMax and blur"
    _, optimised = _first_layers(kind)
    expected = _run(optimised, kind)[0]
    seen: list[nn.Module] = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
    try:
        output = _run(optimised, kind)[0]
    finally:
        handle.remove()
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-10)
    for name in ("stem.wavelet.colour", "stem.wavelet.mixing.2", "pool.blur.max", "pool.blur.blur"):
        assert optimised.get_submodule(name) in seen
    seen.clear()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        optimised.get_submodule("stem.wavelet")(torch.zeros(1, 3, 32, 32, dtype=torch.float64))
    assert 0 < counter.get_total_flops() < 2 * _compiled(kind).graph.macs
    assert not seen


@pytest.mark.parametrize("part", ["max", "blur"])
def test_parts_of_a_max_blur(part: str):
    layer = MaxBlurPool().double()
    x = torch.randn(2, 4, 12, 14, dtype=torch.float64)
    child = layer.get_submodule(part)
    _hooked(child)
    torch.testing.assert_close(layer(x), 2 * MaxBlurPool().double()(x))
    layer.set_submodule(part, nn.Identity())
    expected = BlurPool().double()(x) if part == "max" else nn.MaxPool2d(3, 1, 1)(x)
    torch.testing.assert_close(layer(x), expected)
    other = MaxBlurPool().double()
    other.max = nn.MaxPool2d(5, 1, 2)
    torch.testing.assert_close(other(x), BlurPool().double()(nn.MaxPool2d(5, 1, 2)(x)))


def _as_written(layer: AdaptiveBlur, x: Tensor) -> Tensor:
    """Return the layer's output with kernels predicted at every pixel, by its children's calls."""
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    kernels = layer.norm(layer.conv(padded)).softmax(1)
    windows = F.unfold(padded, 3).view(len(x), layer.groups, -1, 9, *x.shape[2:])
    return (
        (windows * kernels.unflatten(1, (layer.groups, 1, 9))).sum(3).flatten(1, 2)[..., ::2, ::2]
    )


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("change", [*CHANGES, "no running statistics", "group norm", "no affine"])
def test_parts_of_an_adaptive_blur(change: str, is_training: bool):
    layer = AdaptiveBlur(8, groups=2).double().train(is_training)
    x = torch.randn(3, 8, 10, 12, dtype=torch.float64)
    if change == "no running statistics":
        layer.norm = nn.BatchNorm2d(18, track_running_stats=False).double().train(is_training)
    elif change == "group norm":
        layer.set_submodule("norm", nn.GroupNorm(2, 18).double())
    elif change == "no affine":
        layer.norm = nn.BatchNorm2d(18, affine=False).double().train(is_training)
    else:
        CHANGES[change](layer.conv)
    layer.conv.eval()  # spectral_norm goes on iterating in training
    with torch.no_grad():
        torch.testing.assert_close(layer(x), _as_written(layer, x))


def test_pruned_twins_train():
    """Each step computes the weight anew."""
    x, y = torch.randn(4, 1, 32, 32).double(), torch.tensor([1, 2, 3, 4])
    trained: list[dict[str, Tensor]] = []
    for optimise in (False, True):
        model = wavetwin.build_model(_compiled("CMod"), optimise=optimise).double().train()
        child = model.get_submodule("stem.wavelet.mixing.0")
        prune.l1_unstructured(child, "weight", 0.5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        torch.manual_seed(0)  # of the dropout
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        trained.append(model.state_dict())
    torch.testing.assert_close(trained[1], trained[0], rtol=1e-9, atol=1e-9)
    name = "stem.wavelet.mixing.0.weight_mask"
    assert trained[1][name].mean() == 0.5


def test_functional_call_copies_and_tied_weights():
    kind = "colours before"
    written, optimised = _first_layers(kind)
    shape = (2, *_compiled(kind).graph.input.output_shape)
    x = torch.randn(shape, dtype=torch.float64)
    changed = {name: 2 * value for name, value in written.named_parameters()}
    outputs = [torch.func.functional_call(m, changed, (x,)) for m in (written, optimised)]
    assert not torch.allclose(outputs[1], optimised(x))
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-10)
    clone = copy.deepcopy(optimised)
    names = ["stem.wavelet.mixing.1", "stem.wavelet.mixing.3"]
    for model in (written, clone):
        tied, other = (model.get_submodule(name) for name in names)
        other.weight = tied.weight
    _pruned(optimised.get_submodule(names[0]))
    of_clone = _run(clone, kind)
    torch.testing.assert_close(_run(written, kind), of_clone, rtol=1e-9, atol=1e-9)


def test_merged_layers_stay_merged(monkeypatch: pytest.MonkeyPatch):
    """Untouched parts are not called, in eager mode, nor while their weights are loaded or copied."""
    calls: list[Any] = []
    monkeypatch.setattr(MixedPackets, "_one_after_the_other", lambda *inputs: calls.append(inputs))
    for kind in KINDS:
        _, optimised = _first_layers(kind)
        optimised.load_state_dict(optimised.state_dict())
        _run(copy.deepcopy(optimised), kind)
        assert any(isinstance(module, MixedPackets) for module in optimised.modules())
    assert calls == []


def test_too_small_images_and_layers_alone():
    model = _first_layers("colours before")[1].float()
    with pytest.raises(ValueError, match=r"shape \(2, 3, 1, 1\) are too small"):
        model(torch.zeros(2, 3, 1, 1))
