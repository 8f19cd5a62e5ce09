import pytest
import torch

from tests.support.golden_weights import golden_arrays, relative_error
from wavetwin.runtime.layers import DualTreePackets

ENTRIES = ["J2s2", "J2s4", "J3s2", "J3s4", "J3s8"]


def test_every_entry_is_compared():
    assert sorted(golden_arrays("packets.npz")) == sorted([*ENTRIES, "input"])


@pytest.mark.parametrize("entry", ENTRIES)
def test_packets_are_those_of_the_reference(entry: str):
    arrays = golden_arrays("packets.npz")
    packets = DualTreePackets(levels=int(entry[1]), stride=int(entry[3])).double()
    output = packets(arrays["input"])[:, 0]
    # The entries are stored as float32, which rounds to 6e-8.
    assert relative_error(torch.view_as_real(output).movedim(-1, 2), arrays[entry]) < 1e-7


@pytest.mark.parametrize("entry", ENTRIES)
def test_packets_in_float32(entry: str):
    arrays = golden_arrays("packets.npz")
    packets = DualTreePackets(levels=int(entry[1]), stride=int(entry[3]))
    real, imaginary = packets.parts(arrays["input"].float())
    output = torch.stack((real[:, 0], imaginary[:, 0]), dim=2)
    # golden/README.md's tolerance in float32.
    assert relative_error(output.double(), arrays[entry]) < 2e-4
