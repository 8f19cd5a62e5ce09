"""The studies' theory: the formula, a table of frequencies, and where packets lie."""

import math

import pytest
import torch

from wavetwin.explain.study.banks import GratingBank
from wavetwin.explain.study.positions import centroids, packet_positions
from wavetwin.explain.study.rows import rank_correlation
from wavetwin.explain.study.theory import expected_discrepancy, spectrum_discrepancy, wrap
from wavetwin.runtime.bank.filters import packet_kernels

PHASES = 200_000


def phase_average(step: torch.Tensor) -> float:
    """The mean of (max over the window of cos - 1)^2 over equidistant phases of the wave.

    The integrand is continuous with kinks: the error is of order (2 pi / PHASES)^2, 1e-9 over 10.
    """
    phase = (torch.arange(PHASES, dtype=torch.float64) + 0.5) * (2 * math.pi / PHASES)
    values = [
        torch.cos(phase + row * float(step[0]) + column * float(step[1]))
        for row in (-1, 0, 1)
        for column in (-1, 0, 1)
    ]
    return float((torch.stack(values).amax(0) - 1).square().mean())


def test_formula_is_the_mean_over_the_phase() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.rand(20, 2, generator=generator, dtype=torch.float64) - 0.5) * 8 * math.pi
    special = torch.tensor([(0, 0), (1, 0), (1, 1), (0.5, 0.5), (2, -4)]).double() * math.pi
    steps = torch.cat((drawn, special))
    expected = [phase_average(step) for step in steps]
    assert expected_discrepancy(steps).tolist() == pytest.approx(expected, abs=1e-9)


def test_tabulated_values() -> None:
    steps = torch.tensor(
        [(0, 0), (1, 0), (0.25, 0.25), (0.25, 0.75), (0.75, 0.75), (0.5, 0.5)], dtype=torch.float64
    )
    values = [round(value, 4) for value in expected_discrepancy(steps * math.pi).tolist()]
    assert values == [1.5, 0.2268, 0.1140, 0.0012, 0.0135, 0.0177]


def test_values_over_the_torus() -> None:
    steps = torch.arange(1000, dtype=torch.float64) * (2 * math.pi / 1000)
    values = expected_discrepancy(
        torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    ).flatten()
    assert round(float(values.mean()), 4) == 0.0705
    assert round(float(values.median()), 4) == 0.0078
    assert round(float((values < 0.01).double().mean()), 2) == 0.54
    assert round(float((values > 0.2).double().mean()), 2) == 0.09


def test_theory_over_the_spectrum_of_one_frequency_is_that_of_the_frequency() -> None:
    frequency = torch.tensor([[0.7, -1.1]], dtype=torch.float64)
    kernel = GratingBank(frequency, sigma=20.0, stride=2).kernels()
    averaged = spectrum_discrepancy(kernel, stride=2)
    assert float(averaged) == pytest.approx(float(expected_discrepancy(2 * frequency)), abs=2e-3)


@pytest.mark.parametrize(("levels", "reach"), [(2, 0.060), (3, 0.067)])
def test_packets_lie_in_cells_of_their_own(levels: int, reach: float) -> None:
    positions = packet_positions(levels, "qshift_b")
    assert len({position.cell for position in positions}) == 2 * 4**levels == len(positions)
    apart = [
        abs(float(wrap(torch.tensor(centre - measured))))
        for position in positions
        for centre, measured in zip(position.centre, position.centroid, strict=True)
    ]
    assert max(apart) < reach
    bands = [sum(position.band == band for position in positions) for band in range(levels + 1)]
    assert bands == [2, *(6 * 4**level for level in range(levels))]
    assert {position.phase_class(2 ** (levels - 1)) for position in positions} == {
        (1, 1),
        (1, 3),
        (3, 3),
    }


def test_places_are_those_of_the_frequency_plane() -> None:
    from wavetwin.explain.pictures.frequency_plane import plane_cells

    for levels in (1, 2, 3):
        half = 2**levels
        for position in packet_positions(levels, "qshift_a"):
            drawn = plane_cells("dtcwpt", levels, position.number)
            assert (position.cell[0] + half, position.cell[1] + half) in drawn


def test_centroid_of_a_grating_is_its_frequency() -> None:
    frequencies = torch.tensor([(0.3, 0.9), (-2.0, 1.0), (3.0, 3.1)], dtype=torch.float64)
    found = centroids(GratingBank(frequencies, sigma=8.0, stride=2).kernels())
    assert float(wrap(found - frequencies).abs().max()) < 1e-6


def test_kernels_of_packets_are_what_places_are_measured_on() -> None:
    found = centroids(packet_kernels(2, "qshift_b"))
    positions = packet_positions(2, "qshift_b")
    assert [list(position.centroid) for position in positions] == found.tolist()


def test_rank_correlation_shares_ranks_of_equal_values() -> None:
    rising = torch.tensor([1.0, 2.0, 2.0, 3.0]).double()
    assert rank_correlation(rising, rising * 7 + 1) == pytest.approx(1.0)
    assert rank_correlation(rising, -rising) == pytest.approx(-1.0)
    # Ranks 1, 2.5, 2.5, 4 beside 1, 2, 3, 4, by hand.
    other = torch.tensor([1.0, 5.0, 6.0, 9.0]).double()
    assert rank_correlation(rising, other) == pytest.approx(4.5 / math.sqrt(4.5 * 5.0))
    # What differs in the tenth digit is equal.
    assert rank_correlation(rising + torch.tensor([0, 1e-12, 0, 0]), other) == pytest.approx(
        4.5 / math.sqrt(4.5 * 5.0)
    )
