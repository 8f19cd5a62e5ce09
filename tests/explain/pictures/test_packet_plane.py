"""The drawn frequency plane against the filters themselves."""

import math

import pytest
import torch

from wavetwin.compiler.lint.gain import low_pass_gain
from wavetwin.explain.packet_use import orientation
from wavetwin.explain.pictures.frequency_plane import Cell, draw_frequency_plane
from wavetwin.explain.pictures.shapes import Rectangle
from wavetwin.ir.packets import num_packets, packet_info
from wavetwin.runtime.bank import filters as f
from wavetwin.runtime.layers.packets import DualTreePacketMaps


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_each_packets_spectrum_lies_in_or_next_to_its_cell(levels: int):
    """The centre of mass on the torus, of the 2-D kernel's power spectrum."""
    kernels = f.packet_kernels(levels, "qshift_a")
    points, side = 32 * 2**levels, 2 ** (levels + 1)
    power = torch.fft.fft2(kernels, s=(points, points)).abs().square()
    turn = torch.exp(2j * math.pi * torch.arange(points, dtype=torch.float64) / points)
    down = torch.angle((power.sum(2) * turn).sum(1))
    right = torch.angle((power.sum(1) * turn).sum(1))
    numbers = range(num_packets("dtcwpt", levels))
    drawing = draw_frequency_plane(
        levels, {n: Cell("#ffffff", title=f"packet {n}") for n in numbers}, title="t"
    )
    boxes = [s for s in drawing.shapes if isinstance(s, Rectangle) and s.title]
    left, top = min(s.x for s in boxes), min(s.y for s in boxes)
    exact = 0
    for number in numbers:
        here = [(angle + math.pi) / (2 * math.pi) * side for angle in (down[number], right[number])]
        distances = []
        for box in (s for s in boxes if s.title == f"packet {number}"):
            cell = (box.y - top) / box.height, (box.x - left) / box.width
            # In cells, on the torus; 0.5 is the edge.
            distances.append(
                max(
                    abs((float(position) - spot - 0.5 + side / 2) % side - side / 2)
                    for position, spot in zip(here, cell, strict=True)
                )
            )
        assert len(distances) == 2
        assert min(distances) < 1.5, number
        exact += min(distances) <= 0.5
    # Nearly all lie in their own cell: where two cells are drawn, one would do by chance alone.
    assert exact >= 0.9 * len(numbers)


def test_orientations_are_the_measured_ones():
    measured = f.packet_orientations(3)
    drawn = [orientation(packet_info("dtcwpt", 3, number), 3) for number in range(128)]
    assert (measured - torch.tensor(drawn)).abs().max() < 15


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("name", f.QSHIFT_FILTERS)
def test_the_low_pass_gain_of_the_lint_rule_is_the_filters(levels: int, name: str):
    bank = DualTreePacketMaps(levels=levels, stride=2**levels, filters=name).double()
    size = 16 * 2**levels + 200
    out = bank(torch.ones(1, 1, size, size, dtype=torch.float64))
    real, imaginary = out if isinstance(out, tuple) else (out.real, out.imag)
    modulus = torch.hypot(real, imaginary)[0]
    middle = modulus[:, modulus.shape[1] // 2, modulus.shape[2] // 2]
    gain = low_pass_gain("dtcwpt", levels)
    for number, value in enumerate(middle.tolist()):
        is_low_pass = packet_info("dtcwpt", levels, number).is_lowpass
        # The high-pass filters' sums vanish to the taps' last printed digits.
        assert value == pytest.approx(gain if is_low_pass else 0.0, abs=2e-5 * gain)
    # Half A's low-pass packet has a constant in its imaginary part alone, half B's in the real one.
    middle = real[0, :: 4**levels, modulus.shape[1] // 2, modulus.shape[2] // 2].tolist()
    assert middle == pytest.approx([0.0, gain], abs=2e-5 * gain)


@pytest.mark.parametrize("name", ["haar", "db4", "bior2.2"])
def test_the_low_pass_gain_of_real_packets_is_the_filters(name: str):
    low_pass = f.fixed_filters("wpt", name, 3)[0, 0].sum()
    assert float(low_pass**2) == pytest.approx(low_pass_gain("wpt", 3), rel=1e-9)
