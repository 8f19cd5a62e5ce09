"""Kernels of two first layers: similarity, its invariances, and what is said of single kernels."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import wavetwin
from wavetwin.compiler.compiled import Compiled
from wavetwin.explain.study.first_layer import initial_layer, trained_layer
from wavetwin.explain.study.kernel_measures import (
    analytic_spectrum,
    luminance,
    measure_kernels,
)
from wavetwin.explain.study.kernels import study_kernels
from wavetwin.explain.study.similarity import (
    MATCHED,
    best_windows,
    compare_banks,
    cross_similarity,
    frequency_distance,
    random_kernels,
)
from wavetwin.runtime.process.errors import RunError

SIDE = 11


def gabor(
    vertical: float, horizontal: float, sigma: float = 2.0, phase: float = 0.0, side: int = SIDE
) -> Tensor:
    """A real plane wave under a Gaussian window."""
    positions = torch.arange(side, dtype=torch.float64) - side // 2
    window = torch.exp(-positions.square() / (2 * sigma**2))
    wave = torch.cos(vertical * positions[:, None] + horizontal * positions[None, :] + phase)
    return window[:, None] * window[None, :] * wave


def some_kernels() -> Tensor:
    gabors = [gabor(0.3 * n, 2.5 - 0.4 * n, 1.5 + 0.1 * n, n) for n in range(6)]
    return torch.cat((torch.stack(gabors), random_kernels(4, SIDE, seed=1)))


@pytest.mark.parametrize("ignore_phase", [False, True])
def test_a_bank_is_like_itself_in_any_order_sign_and_place(ignore_phase: bool) -> None:
    kernels = some_kernels()
    order = torch.randperm(len(kernels), generator=torch.Generator().manual_seed(2))
    moved = torch.nn.functional.pad(kernels, (3, 1, 0, 5))[order]
    moved = moved * torch.tensor([3.0, -1.0]).repeat(5)[:, None, None]
    found = compare_banks(kernels, moved, ignore_phase=ignore_phase)
    assert found.mean == pytest.approx(1.0, abs=1e-9)
    assert found.median == pytest.approx(1.0, abs=1e-9)
    assert found.matched_share == 1.0
    assert [second for _, second, _ in found.pairs] == order.argsort().tolist()
    window = best_windows(moved, SIDE)
    assert torch.allclose(window.energy_kept, torch.ones(10, dtype=torch.float64))
    assert compare_banks(kernels, window.kernels, ignore_phase=ignore_phase).mean == pytest.approx(
        1.0, abs=1e-9
    )


@pytest.mark.parametrize("angle", [0.0, math.pi / 2, -math.pi / 2])
def test_a_quarter_of_a_wave_matters_to_real_kernels_alone(angle: float) -> None:
    # A quarter of this wave is no whole number of pixels, and its window is short.
    wave = (0.75 * math.pi * math.sin(angle), 0.75 * math.pi * math.cos(angle))
    even, odd = (gabor(*wave, 1.5, phase).unsqueeze(0) for phase in (0.0, math.pi / 2))
    real = float(cross_similarity(even, odd, ignore_phase=False))
    free = float(cross_similarity(even, odd, ignore_phase=True))
    assert real < MATCHED
    assert free > 0.9
    pair = torch.complex(even, odd)
    assert float(cross_similarity(pair, even, ignore_phase=True)) > 0.9


def test_similarity_is_the_largest_inner_product_over_shifts() -> None:
    first, second = random_kernels(1, 4, seed=3), random_kernels(1, 3, seed=4)
    products = torch.nn.functional.conv2d(first[None], second[:, None], padding=2).abs()
    expected = float(products.max() / (first.norm() * second.norm()))
    found = float(cross_similarity(first, second, ignore_phase=False))
    assert found == pytest.approx(expected, rel=1e-12)


def test_pairing_takes_the_best_sum_and_banks_of_two_sizes() -> None:
    kernels = some_kernels()
    found = compare_banks(kernels[:3], kernels, ignore_phase=False)
    assert [(first, second) for first, second, _ in found.pairs] == [(0, 0), (1, 1), (2, 2)]
    noise = random_kernels(10, SIDE, seed=5)
    chance = compare_banks(kernels, noise, ignore_phase=False)
    similarity = cross_similarity(kernels, noise, ignore_phase=False)
    assert chance.mean >= float(similarity.diagonal().mean())
    assert chance.matched_share == 0.0


def test_windows_hold_the_most_energy_and_say_how_much() -> None:
    kernel = torch.zeros(1, 9, 9, dtype=torch.float64)
    kernel[0, 1:4, 5:8] = 2.0
    kernel[0, 8, 0] = 3.0
    window = best_windows(kernel, 3)
    assert torch.equal(window.kernels[0], torch.full((3, 3), 2.0).double())
    assert float(window.energy_kept) == pytest.approx(36 / 45)
    grown = best_windows(torch.ones(2, 3, 3, dtype=torch.float64), 5)
    assert grown.kernels.shape == (2, 5, 5)
    assert torch.equal(grown.energy_kept, torch.ones(2, dtype=torch.float64))
    with pytest.raises(RunError, match="channel 1 is zero"):
        best_windows(torch.stack((kernel[0], torch.zeros(9, 9).double())), 3)


def test_frequency_distance_is_the_shortest_way() -> None:
    generator = torch.Generator().manual_seed(6)
    cloud = (torch.rand(8, 2, generator=generator, dtype=torch.float64) - 0.5) * 2 * math.pi
    flipped = -cloud.flip(0)
    assert frequency_distance(cloud, flipped) == pytest.approx(0.0, abs=1e-9)
    assert frequency_distance(cloud, cloud + 2 * math.pi) == pytest.approx(0.0, abs=1e-9)
    near = torch.tensor([[3.1, 0.0]], dtype=torch.float64)
    across = torch.tensor([[-3.1, 0.2]], dtype=torch.float64)
    # Through the edge of the plane, or through the origin's mirror image: 0.2 and no more.
    assert frequency_distance(near, across) == pytest.approx(0.2)
    # One to three: the mean of the three ways.
    three = torch.tensor([[0.0, 1.0], [0.0, 1.5], [0.0, 2.0]], dtype=torch.float64)
    assert frequency_distance(torch.tensor([[0.0, 1.0]]).double(), three) == pytest.approx(0.5)


def test_large_clouds_of_two_sizes_are_moved_at_the_least_cost() -> None:
    # 33 * 32 points are too many to be paired: the least transport is known all the same.
    ones = torch.tensor([[0.1, 1.0]], dtype=torch.float64).repeat(33, 1)
    twos = torch.tensor([[0.1, 1.25]], dtype=torch.float64).repeat(32, 1)
    assert frequency_distance(ones, twos) == pytest.approx(0.25)


@pytest.mark.parametrize("points", [(32, 32), (27, 34)])
def test_analytic_kernels_have_half_of_the_plane(points: tuple[int, int]) -> None:
    kernels = some_kernels()
    spectrum = analytic_spectrum(kernels, points)
    assert torch.allclose(torch.fft.ifft2(spectrum).real[:, :SIDE, :SIDE], kernels, atol=1e-12)
    # Of a frequency and its mirror image one is zero: their product is, but where both are one.
    mirrored = spectrum.flip((1, 2)).roll((1, 1), (1, 2))
    product = (spectrum * mirrored).abs()
    for row in {0, points[0] // 2 if points[0] % 2 == 0 else 0}:
        for column in {0, points[1] // 2 if points[1] % 2 == 0 else 0}:
            product[:, row, column] = 0
    assert float(product.max()) < 1e-12
    as_complex = torch.complex(kernels, torch.zeros_like(kernels))
    assert torch.allclose(analytic_spectrum(as_complex, points), spectrum, atol=1e-12)
    truly_complex = torch.complex(kernels, kernels.flip(0))
    assert torch.equal(
        analytic_spectrum(truly_complex, points), torch.fft.fft2(truly_complex, s=points)
    )


@pytest.mark.parametrize("degrees", [0, 30, 75, -45, 89.9])
def test_measures_of_a_gabor(degrees: float) -> None:
    radius, angle = 1.2, math.radians(degrees)
    vertical, horizontal = radius * math.sin(angle), radius * math.cos(angle)
    kernel = gabor(vertical, horizontal, sigma=3.0, side=25)
    (found,) = measure_kernels(kernel.unsqueeze(0), stride=4)
    assert found.direction == pytest.approx(degrees, abs=2)
    assert found.coherence > 0.9
    assert found.normalised_sum < 0.05
    assert found.gabor_likeness > 0.7
    step = 2 * math.pi / 128
    assert found.frequency == pytest.approx((vertical, horizontal), abs=2 * step)
    assert found.mean_frequency == pytest.approx((vertical, horizontal), rel=0.1, abs=0.05)


def test_measures_tell_blurs_and_noise_from_gabors() -> None:
    blur = gabor(0.0, 0.0, sigma=3.0)
    noise = random_kernels(1, SIDE, seed=7)[0]
    wave = gabor(0.0, 1.0, sigma=3.0)
    smooth, rough, regular = measure_kernels(torch.stack((blur, noise, wave)), stride=4)
    assert smooth.normalised_sum == pytest.approx(1.0)
    assert smooth.homogeneity > regular.homogeneity
    assert smooth.coherence == pytest.approx(0.0, abs=1e-9)
    assert regular.gabor_likeness > 2 * rough.gabor_likeness
    (nothing,) = measure_kernels(torch.zeros(1, 5, 5), stride=2)
    assert math.isnan(nothing.gabor_likeness)


def test_the_share_is_that_of_the_best_square() -> None:
    kernel = random_kernels(1, 5, seed=8)
    (found,) = measure_kernels(kernel, stride=4, points=16)
    energy = analytic_spectrum(kernel, (16, 16))[0].abs().square()
    # A square of side pi / 4 has two of the sixteen frequencies in each direction.
    best = max(
        float(energy.roll((-row, -column), (0, 1))[:2, :2].sum())
        for row in range(16)
        for column in range(16)
    )
    assert found.gabor_likeness == pytest.approx(best / float(energy.sum()))


def test_luminance_is_the_answer_to_grey() -> None:
    weight = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(9))
    grey = torch.randn(5, 5, generator=torch.Generator().manual_seed(10))
    answer = (weight * grey).sum((1, 2, 3))
    assert torch.allclose((luminance(weight) * grey).sum((1, 2)), answer, atol=1e-5)


SPEC = """\
wavetwin: 1
name: {name}
backbone: {{arch: sequential, layers: [flatten: {{}}, linear: {{}}]}}
stem:
  free_channels: {free}
  kernel_size: 5
  stride: 2
  norm: batch
  wavelet:
    levels: 2
    keep: [{{band: 1, channels: 6, groups: 6}}]
pooling: {{wavelet: {pooling}}}
data: {{dataset: digits, image_size: 32}}
"""


def compiled(folder: Path, name: str, free: int = 2, pooling: str = "max") -> Compiled:
    (folder / ".wavetwin.toml").touch()
    file = folder / f"{name}.yaml"
    file.write_text(SPEC.format(name=name, free=free, pooling=pooling), encoding="utf-8")
    return wavetwin.compile(file)


def test_a_trained_layer_beside_twins_and_nulls(tmp_path: Path) -> None:
    twin = compiled(tmp_path, "twin")
    modulus = compiled(tmp_path, "modulus", pooling="modulus")
    model = wavetwin.build_model(twin)
    with torch.no_grad():
        model.get_parameter("stem.free.weight").copy_(
            torch.stack([gabor(0.2 * n, 1.5, side=5) for n in range(2)]).unsqueeze(1)
        )
    save_file(model.state_dict(), tmp_path / "trained.safetensors")
    first = trained_layer(twin.graph, twin.plan, tmp_path / "trained.safetensors")
    assert first.weights_sha256 is not None
    untrained = initial_layer(twin.graph, twin.plan, twin.project)
    assert untrained.weights_sha256 is None
    second = initial_layer(modulus.graph, modulus.plan, modulus.project)
    assert second.luminance.is_complex()
    study = study_kernels(first, second, {"untrained": untrained}, side=None, seed=0)
    beside, null, chance = study.comparisons
    assert (null.name, chance.name) == ("untrained", "random kernels")
    # Initial packet mixing is the same on both sides, and of modulus and real part alike.
    assert beside.by_phase.mean == pytest.approx(null.by_phase.mean, abs=1e-3)
    assert sum(value > 0.999 for _, _, value in beside.by_phase.pairs) == 6
    assert chance.by_phase.mean < beside.by_phase.mean
    assert 0.5 < study.first_energy_kept <= 1
    tables = {table.name: table for table in study.tables()}
    assert set(tables) == {"similarity", "pairs", "kernels_first", "kernels_second"}
    assert len(tables["kernels_first"].rows) == len(tables["kernels_second"].rows) == 8
    assert len(tables["pairs"].rows) == 16
    again = study_kernels(first, second, {"untrained": untrained}, side=None, seed=1)
    assert again.comparisons[0].by_phase.pairs == beside.by_phase.pairs
    assert again.comparisons[2].by_phase.pairs != chance.by_phase.pairs
