import pytest
import torch
from torch import nn

from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.runtime.layers import PacketMixing
from wavetwin.runtime.network.build import GraphError, build_module
from wavetwin.runtime.training.losses import l1_linf_penalty, regularisation


def test_penalty_is_the_formula():
    first = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 0.0]], dtype=torch.float64)
    second = torch.tensor([[4.0, 4.0]], dtype=torch.float64)
    rows = (3.5 / 2 - 1) + 0
    penalty = l1_linf_penalty([first[..., None, None], second[..., None, None]], (0.1, 10.0))
    assert penalty.item() == pytest.approx(0.1 * rows + 10.0 * 1)
    assert l1_linf_penalty([first, second], (0.0, 0.0)).item() == 0


def test_penalty_of_zero_rows_and_its_gradient():
    weight = torch.tensor([[0.0, 0.0], [1.0, 0.25]], dtype=torch.float64, requires_grad=True)
    l1_linf_penalty([weight], (1.0,)).backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[0.0, 0.0], [-0.25, 1.0]]


def test_lambdas_must_fit():
    with pytest.raises(ValueError, match="1 bands of weights, 2 lambdas"):
        l1_linf_penalty([torch.ones(1, 1)], (1.0, 1.0))
    with pytest.raises(ValueError, match="0 bands"):
        l1_linf_penalty([], ())


def test_regularisation_reads_the_mixings_lambdas():
    mixing = PacketMixing([(4, 2, 1)], lambdas=(2.0,))
    model = nn.Sequential(mixing, PacketMixing([(2, 2, 1)]))
    expected = l1_linf_penalty([mixing[0].get_parameter("weight")], (2.0,))
    assert torch.equal(regularisation(model), expected)
    assert regularisation(nn.Linear(2, 2)).item() == 0


class Adapter(nn.Module):
    """Puts a change beside a frozen layer, as adapters do; has no `weight`."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base


class AdapterWithWeight(Adapter):
    @property
    def weight(self) -> torch.Tensor:
        return self.base.get_parameter("weight") * 2


def test_what_stands_in_a_bands_place_needs_a_weight():
    mixing = PacketMixing([(4, 2, 1), (2, 2, 2)], lambdas=(2.0, 0.0))
    kept = mixing[0]
    mixing[0] = Adapter(kept)
    with pytest.raises(TypeError, match=r"band 0 of a packet mixing is of Adapter, .* 'weight'"):
        regularisation(nn.Sequential(mixing))
    # Both remedies.
    mixing[0] = AdapterWithWeight(kept)
    doubled = l1_linf_penalty([kept.get_parameter("weight") * 2], (2.0,))
    assert torch.equal(regularisation(mixing), doubled)
    mixing[0], mixing.lambdas = Adapter(kept), None
    assert regularisation(mixing).item() == 0


def test_build_takes_the_lambdas_from_the_plan():
    compiled = compiled_once(ROOT / "specs/alexnet/AwyI.yaml")
    assert compiled.plan.regularisation is not None
    with torch.device("meta"):
        network = build_module(compiled.graph, plan=compiled.plan)
    assert network.get_submodule("stem.wavelet.mixing").lambdas == (0.0, 0.0041, 0.00032)
    cnn = compiled_once(ROOT / "specs/digits/twin.yaml").graph
    with pytest.raises(GraphError, match=r"stem.wavelet.mixing is not a packet mixing of 3 bands"):
        build_module(cnn, plan=compiled.plan)
