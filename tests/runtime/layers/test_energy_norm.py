"""The modulus' normalisation is a batch norm to whoever handles batch norms."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251 (a model of our own)

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, update_bn

import wavetwin
from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.runtime import EnergyNorm


def _batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(8, 3, 4, 4, generator=generator).abs() * scale for scale in (1.0, 2.0, 3.0, 4.0)
    ]


def _mean_energy(batches: list[Tensor]) -> Tensor:
    return torch.stack([batch.square().mean((0, 2, 3)) for batch in batches]).mean(0)


def _energy(norm: nn.Module) -> Tensor:
    return norm.get_buffer("running_var")


@pytest.mark.parametrize("others", [[], [nn.BatchNorm2d(3)]], ids=["alone", "beside a batch norm"])
def test_weight_averaging_sets_the_mean_over_the_batches(others: list[nn.Module]):
    norm = EnergyNorm(3)
    network = nn.Sequential(norm, *copy.deepcopy(others))
    network(torch.full((2, 3, 1, 1), 100.0))
    update_bn(_batches(), network)
    torch.testing.assert_close(_energy(norm), _mean_energy(_batches()), rtol=1e-5, atol=0)
    assert norm.momentum == 0.1
    averaged = AveragedModel(network)
    averaged.update_parameters(network)
    update_bn(_batches(), averaged)
    torch.testing.assert_close(
        _energy(averaged.get_submodule("module.0")), _mean_energy(_batches()), rtol=1e-5, atol=0
    )


def test_weight_averaging_of_a_twin():
    twin = wavetwin.build_model(compiled_once(ROOT / "specs/digits/twin_mod.yaml"))
    images = [torch.randn(4, 1, 32, 32) for _ in range(2)]
    norm = twin.get_submodule("pool.wavelet.norm")
    seen: list[Tensor] = []
    norm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    update_bn(images, twin)
    torch.testing.assert_close(_energy(norm), _mean_energy(seen), rtol=1e-4, atol=0)


def test_without_momentum_the_running_average_is_the_mean():
    norm = EnergyNorm(3, momentum=None)
    for count, batch in enumerate(_batches(), start=1):
        norm(batch)
        expected = _mean_energy(_batches()[:count])
        torch.testing.assert_close(_energy(norm), expected, rtol=1e-5, atol=0)
    norm.reset_running_stats()
    assert _energy(norm).tolist() == [1, 1, 1]
    assert norm.num_batches_tracked is not None
    assert int(norm.num_batches_tracked) == 0


@pytest.mark.parametrize("kind", [nn.modules.batchnorm._BatchNorm, _BatchNorm, EnergyNorm])
def test_loops_that_freeze_batch_norms_freeze_it(kind: type[nn.Module]):
    network = nn.Sequential(EnergyNorm(3), nn.ReLU()).train()
    for module in network.modules():
        if isinstance(module, kind):
            module.eval()
            module.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batch = _batches()[2].requires_grad_()
    output = network(batch)
    assert torch.equal(output, network.eval()(batch))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_without_running_statistics_the_batch_is_used():
    norm = EnergyNorm(3, track_running_stats=False)
    assert norm.running_var is None
    batch = _batches()[1]
    expected = EnergyNorm(3)(batch)
    assert torch.equal(norm(batch), expected)
    assert torch.equal(norm.eval()(batch), expected)
    kept = EnergyNorm(3)
    kept.track_running_stats = False
    assert torch.equal(kept(batch), expected)
    assert _energy(kept).tolist() == [1, 1, 1]


def test_an_empty_batch_leaves_the_statistics_alone():
    norm = EnergyNorm(3)
    norm(_batches()[0])
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    assert norm(torch.empty(0, 3, 4, 4)).shape == (0, 3, 4, 4)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_state_dicts_and_copies():
    norm = EnergyNorm(3)
    assert list(norm.state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]
    norm(_batches()[3])
    other = EnergyNorm(3)
    other.load_state_dict(dict(norm.state_dict()))
    for kept in (other, copy.deepcopy(norm), pickle.loads(pickle.dumps(norm))):  # noqa: S301
        assert torch.equal(_energy(kept), _energy(norm))
        assert kept.channels == 3


def test_synchronised_norms_are_refused_and_the_remedy_works():
    """Torch's synchronised norm subtracts the mean: another function."""
    twin = wavetwin.build_model(compiled_once(ROOT / "specs/cifar10/R18wyC_mod.yaml"))
    convert = nn.SyncBatchNorm.convert_sync_batchnorm
    with pytest.raises(
        AttributeError, match=r"model.trunk = SyncBatchNorm.convert_sync_batchnorm\("
    ):
        convert(twin)
    assert type(twin.get_submodule("pool.wavelet.norm")) is EnergyNorm
    twin.trunk = convert(twin.trunk)
    assert type(twin.get_submodule("trunk.layer1.0.bn1")) is nn.SyncBatchNorm


def test_an_image_without_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 4, 4\): \(batch, 3, height, width\)"):
        EnergyNorm(3)._check_input_dim(torch.zeros(3, 4, 4))
