"""Every step's draws follow from its number, and seeding them leaves nothing behind."""

import hashlib
from types import SimpleNamespace

import pytest
import torch

from wavetwin.ir.plan import stream_seed
from wavetwin.runtime.process.random_streams import seed_step


def test_a_step_draws_what_torchs_own_seeding_gives() -> None:
    seed_step(torch.device("cpu"), 3, 1, 7, rank=1)
    drawn = torch.nn.functional.dropout(torch.ones(64), 0.5)
    text = f"{stream_seed(3, 'dropout', 1, 1)},7"
    torch.manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
    assert torch.equal(drawn, torch.nn.functional.dropout(torch.ones(64), 0.5))


def test_devices_that_are_not_used_keep_no_calls() -> None:
    kept = [torch.cuda._queued_calls, torch.xpu._queued_calls]
    before = list(map(len, kept))
    for step in range(10):
        seed_step(torch.device("cpu"), 0, 0, step)
    assert list(map(len, kept)) == before


def test_a_device_in_use_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    module = SimpleNamespace(manual_seed=seeded.append)
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    seed_step(torch.device("mps"), 0, 0, 0)
    text = f"{stream_seed(0, 'dropout', 0, 0)},0"
    assert seeded == [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")]
