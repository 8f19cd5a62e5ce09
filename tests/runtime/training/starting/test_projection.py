"""A twin's first layer fitted to a CNN's: exact where it can be, and least squares elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tests.support.diff_pairs import ALL_WAVELET
from tests.support.shipped import compiled_once, spec_of
from wavetwin.ir.graph import ModuleGraph
from wavetwin.runtime.network.build import build_module, initialise
from wavetwin.runtime.network.kernels import resulting_kernel
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.starting.assignment import assign_rows
from wavetwin.runtime.training.starting.channel_order import reorder_channels
from wavetwin.runtime.training.starting.fresh_stem import fresh_stem
from wavetwin.runtime.training.starting.plain_network import plain_network
from wavetwin.runtime.training.starting.projection import project_weights

SMALL = ("data.dataset=imagenet", "data.num_classes=1000", "data.image_size=64")
# Kernels of 41 pixels hold the packets of two levels (30 taps) at every alignment.
EXACT = ("stem.kernel_size=41", "stem.padding=20", "data.image_size=48")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def plain_of(graph: ModuleGraph) -> ModuleGraph:
    plain = plain_network(graph)
    assert plain is not None
    return plain


def drawn(graph: ModuleGraph, seed: int) -> dict[str, Tensor]:
    """Return random weights in float64, with running statistics that are no identity."""
    model = build_module(graph)
    initialise(model, graph, seed)
    generator = torch.Generator().manual_seed(seed)
    state = {name: value.double() for name, value in model.state_dict().items()}
    for name, value in state.items():
        if name.endswith(("running_mean", "running_var", "norm.weight", "norm.bias")):
            state[name] = 0.5 + torch.rand(value.shape, generator=generator, dtype=torch.float64)
    return state


def outputs(graph: ModuleGraph, state: dict[str, Tensor], images: Tensor) -> Tensor:
    model = build_module(graph).double()
    model.load_state_dict(state)
    with torch.no_grad():
        return model.eval()(images)


def images_for(graph: ModuleGraph) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(2, *graph.input.output_shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("twin", "cnn", "changes"),
    [
        ("R18wyC_mod", "R18C", ()),
        ("Rzh3wyI_mod", "Rzh3I", ()),
        ("AwyI_mod", "AI", ()),
        ("Azh3wyI", "Azh3I", ()),
        ("RwyI_mod", "RI", ALL_WAVELET),
    ],
)
def test_the_plain_network_is_the_shipped_cnn(twin: str, cnn: str, changes: tuple[str, ...]):
    found = plain_of(compiled_once(spec_of(twin), *changes).graph)
    expected = compiled_once(spec_of(cnn)).graph

    def told(graph: ModuleGraph) -> list[object]:
        # How the first layer's weights would be drawn is no part of what it computes.
        nodes = [node for node in graph if node.id != "stem.free"]
        conv = replace(graph.by_id["stem.free"].operation, initial="default")
        return [(node.id, node.operation, node.inputs) for node in nodes] + [conv]

    assert told(found) == told(expected)


@pytest.mark.parametrize("name", ["R18C", "cnn", "mnist_cnn"])
def test_another_order_of_the_channels_changes_nothing(name: str):
    graph = compiled_once(spec_of(name)).graph
    state = drawn(graph, 1)
    width = len(state["stem.free.weight"])
    order = torch.randperm(width, generator=torch.Generator().manual_seed(2)).tolist()
    images = images_for(graph)
    reordered = reorder_channels(graph, state, order)
    assert torch.equal(reordered["stem.free.weight"], state["stem.free.weight"][order])
    torch.testing.assert_close(
        outputs(graph, reordered, images), outputs(graph, state, images), rtol=1e-12, atol=1e-12
    )


def test_channels_that_a_layer_groups_stay_in_their_order():
    graph = compiled_once(spec_of("R18zo3C")).graph
    with pytest.raises(RunError, match=r"pool\.blur \(adaptive_blur\) does not take them"):
        reorder_channels(graph, drawn(graph, 0), list(range(64))[::-1])


@pytest.mark.parametrize("seed", range(6))
def test_rows_are_assigned_at_the_least_cost(seed: int):
    generator = torch.Generator().manual_seed(seed)
    for rows, columns in ((1, 1), (4, 4), (5, 11), (24, 64)):
        costs = torch.rand(rows, columns, generator=generator, dtype=torch.float64)
        # Equal costs have several best assignments.
        costs = costs if seed % 2 else (4 * costs).round()
        found = assign_rows(costs)
        assert len(set(found)) == rows
        ours = costs[range(rows), found].sum()
        theirs = costs.numpy()[linear_sum_assignment(costs.numpy())].sum()
        assert float(ours) == pytest.approx(float(theirs), abs=1e-12)


def exact_cnn(twin: ModuleGraph, plain: ModuleGraph) -> tuple[dict[str, Tensor], list[int]]:
    """Return a CNN whose first kernels a twin has exactly, in another order, and that order."""
    state = drawn(plain, 3)
    stem = {k: v.double() for k, v in fresh_stem(twin, 11).state_dict().items()}
    kernel = resulting_kernel(stem, twin)
    weight = kernel.weight.real if kernel.weight.is_complex() else kernel.weight
    # The twin's window lies inside the CNN's: its margin is the difference of the paddings.
    size = state["stem.free.weight"].shape[-1]
    left, top = 20 - kernel.padding[0], 20 - kernel.padding[2]
    embedded = torch.zeros_like(state["stem.free.weight"])
    height, width = weight.shape[2:]
    assert left >= 0
    assert top >= 0
    assert left + width <= size
    assert top + height <= size
    embedded[:, :, top : top + height, left : left + width] = weight
    order = torch.randperm(len(weight), generator=torch.Generator().manual_seed(4)).tolist()
    state["stem.free.weight"] = embedded
    return reorder_channels(plain, state, order), order


@pytest.mark.parametrize("name", ["twin", "mnist_rmax"])
def test_a_twin_that_has_the_kernels_computes_the_same(name: str):
    twin = compiled_once(spec_of(name), *EXACT).graph
    plain = plain_of(twin)
    state, order = exact_cnn(twin, plain)
    initial = fresh_stem(twin, 0).state_dict()
    found = project_weights(twin, plain, state, initial)
    assert max(each.error for each in found.channels) < 1e-10
    # The colour mixing and filters stay as they begin: the rest is the CNN's.
    complete = {name: value.double() for name, value in drawn(twin, 0).items()} | found.state
    images = images_for(twin)
    torch.testing.assert_close(
        outputs(twin, complete, images), outputs(plain, state, images), rtol=1e-10, atol=1e-10
    )
    # Each channel is one of those that the CNN was made from.
    assert sorted(found.order) == sorted(order)


def test_the_mixing_weights_are_recovered():
    twin = compiled_once(spec_of("twin"), *EXACT).graph
    plain = plain_of(twin)
    state, _ = exact_cnn(twin, plain)
    found = project_weights(twin, plain, state, fresh_stem(twin, 0).state_dict())
    wanted = fresh_stem(twin, 11).state_dict()
    # In this twin every group has one channel, so that none can change places with another.
    for name in ("stem.wavelet.mixing.0.weight", "stem.wavelet.mixing.1.weight"):
        torch.testing.assert_close(found.state[name], wanted[name].double(), rtol=0, atol=1e-10)


def test_real_parts_of_a_modulus_are_fitted_and_its_norm_follows():
    twin = compiled_once(spec_of("twin_mod"), *EXACT).graph
    plain = plain_of(twin)
    state, _ = exact_cnn(twin, plain)
    found = project_weights(twin, plain, state, fresh_stem(twin, 0).state_dict())
    assert max(each.error for each in found.channels) < 1e-10
    sources = list(found.order[8:])
    mean, variance = (state[f"pool.norm.running_{each}"][sources] for each in ("mean", "var"))
    assert torch.equal(found.state["pool.wavelet.norm.running_var"], 2 * (variance + mean**2))
    assert torch.equal(found.state["pool.wavelet.norm.weight"], state["pool.norm.weight"][sources])
    free = list(found.order[:8])
    assert torch.equal(found.state["stem.free.weight"], state["stem.free.weight"][free])


def test_least_squares_leave_what_is_orthogonal():
    """The error is the distance from the packets' span: NumPy's solver is the oracle."""
    import numpy as np

    twin = compiled_once(spec_of("RwyI"), "data.image_size=64").graph
    plain = plain_of(twin)
    state = drawn(plain, 3)
    initial = {k: v.double() for k, v in fresh_stem(twin, 0).state_dict().items()}
    found = project_weights(twin, plain, state, initial)
    fitted = {**initial, **{k: v for k, v in found.state.items() if k in initial}}
    ours, theirs = resulting_kernel(fitted, twin), resulting_kernel(state, plain)
    shift = ours.padding[0] - theirs.padding[0]
    assert shift > 0
    size = theirs.weight.shape[-1]
    inside = slice(shift, shift + size)
    for each in found.channels[::5]:
        wanted = torch.zeros_like(ours.weight[0])
        wanted[:, inside, inside] = theirs.weight[each.source]
        left = (ours.weight[each.channel] - wanted).norm() / wanted.norm()
        assert float(left) == pytest.approx(each.error, abs=1e-10)
    # The first wavelet channel mixes one packet of each of its group.
    basis = []
    weight = initial["stem.wavelet.mixing.1.weight"]
    for packet in range(weight.shape[1]):
        chosen = torch.zeros_like(weight)
        chosen[:, packet] = 1.0
        kernel = resulting_kernel({**initial, "stem.wavelet.mixing.1.weight": chosen}, twin)
        basis.append(kernel.weight[kernel.bands.index(1)].flatten().numpy())
    channel = ours.bands.index(1)
    (each,) = [each for each in found.channels if each.channel == channel]
    wanted = torch.zeros_like(ours.weight[0])
    wanted[:, inside, inside] = theirs.weight[each.source]
    solution = np.linalg.lstsq(np.stack(basis, 1), wanted.flatten().numpy(), rcond=None)[0]
    assert np.allclose(
        found.state["stem.wavelet.mixing.1.weight"][0, :, 0, 0], solution, atol=1e-12
    )


def test_other_grids_are_refused():
    twin = compiled_once(spec_of("twin")).graph
    plain = plain_of(compiled_once(spec_of("twin"), "stem.stride=1").graph)
    with pytest.raises(RunError, match="at steps of 2, and the CNN's"):
        project_weights(twin, plain, drawn(plain, 0), fresh_stem(twin, 0).state_dict())


def test_a_plain_network_is_no_twin(tmp_path: Path):
    assert plain_network(compiled_once(spec_of("cnn")).graph) is None
