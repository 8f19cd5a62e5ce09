"""Checkpoints: whole at any moment, exact, and refused where they do not fit."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from wavetwin.ir.plan import InitialWeightsPlan
from wavetwin.provenance.package import sha256_of
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training import checkpoint
from wavetwin.runtime.training.checkpoint import (
    find_last,
    load_state,
    load_weights,
    save_snapshot,
    save_state,
)
from wavetwin.runtime.training.starting.free_channels import load_free_channels


def model(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_state_comes_back(tmp_path: Path):
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.rand(4, 2)).square().mean().backward()
    optimizer.step()
    save_state(tmp_path, network, {"optimizer": optimizer.state_dict(), "sum": 0.1 + 0.2})
    other = model()
    folder = find_last(tmp_path)
    assert folder is not None
    load_weights(other, folder / "model.safetensors")
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    state = load_state(tmp_path)
    assert state is not None
    assert state["sum"] == 0.1 + 0.2
    buffer = state["optimizer"]["state"][0]["momentum_buffer"]
    assert torch.equal(buffer, optimizer.state_dict()["state"][0]["momentum_buffer"])


class KillError(BaseException):
    pass


def test_a_kill_at_any_call_leaves_a_whole_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Stop at the n-th step of saving, for every n: the old or the new state is there, whole."""
    network = model()
    for stop in itertools.count(1):
        folder = tmp_path / str(stop)
        save_state(folder, network, {"number": 1})
        calls = 0

        def counted(original):
            def call(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls == stop:  # noqa: B023
                    raise KillError
                return original(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", counted(Path.write_bytes))
            patch.setattr(torch, "save", counted(torch.save))
            patch.setattr(checkpoint.shutil, "rmtree", counted(checkpoint.shutil.rmtree))
            patch.setattr(checkpoint, "_sync", counted(checkpoint._sync))
            patch.setattr(Path, "rename", counted(Path.rename))
            try:
                save_state(folder, network, {"number": 2})
            except KillError:
                pass
            else:
                break
        state = load_state(folder)
        assert state is not None
        assert state["number"] in (1, 2)
        last = find_last(folder)
        assert last is not None
        load_weights(model(), last / "model.safetensors")
        save_state(folder, network, {"number": 3})
        state = load_state(folder)
        assert state is not None
        assert state["number"] == 3
    assert stop > 8


def test_same_weights_same_bytes(tmp_path: Path):
    network = model()
    save_snapshot(tmp_path, network, 30)
    first = sha256_of((tmp_path / "epoch-030.safetensors").read_bytes())
    save_snapshot(tmp_path, network, 31)
    assert sha256_of((tmp_path / "epoch-031.safetensors").read_bytes()) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-030.safetensors",
        "epoch-031.safetensors",
    ]


def test_weights_of_another_model_are_refused(tmp_path: Path):
    save_snapshot(tmp_path, model(4), 1)
    with pytest.raises(RunError, match=r"of another shape: 0\.bias \(4,\) instead of \(3,\)"):
        load_weights(model(), tmp_path / "epoch-001.safetensors")
    with pytest.raises(RunError, match=r"missing: 2\.weight; .*|missing: 2\.weight"):
        load_weights(nn.Sequential(*model(4), nn.PReLU()), tmp_path / "epoch-001.safetensors")
    with pytest.raises(RunError, match="is not there"):
        load_weights(model(), tmp_path / "none.safetensors")


def test_damaged_and_hostile_files_are_refused(tmp_path: Path):
    save_state(tmp_path, model(), {"number": 1})
    (tmp_path / "last/model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(RunError, match="cannot be read"):
        load_weights(model(), tmp_path / "last/model.safetensors")

    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sentinel",))

    torch.save({"x": Hostile()}, tmp_path / "last/state.pt")
    with pytest.raises(RunError, match="cannot be read"):
        load_state(tmp_path)
    assert not (tmp_path / "sentinel").exists()


def test_free_channels_start_from_a_file(tmp_path: Path):
    first = nn.Conv2d(3, 8, 5)
    torch.save({f"conv1.{k}": v for k, v in first.state_dict().items()}, tmp_path / "old.pt")
    network = nn.Module()
    network.stem = nn.Module()
    network.stem.free = nn.Conv2d(3, 2, 5)
    load_free_channels(network, InitialWeightsPlan("old.pt", (6, 1)), tmp_path)
    assert torch.equal(network.stem.free.weight, first.weight[[6, 1]])
    assert torch.equal(network.stem.free.bias, first.bias[[6, 1]])
    with pytest.raises(RunError, match="up to number 8, and the stem has 2"):
        load_free_channels(network, InitialWeightsPlan("old.pt", (6, 8)), tmp_path)
