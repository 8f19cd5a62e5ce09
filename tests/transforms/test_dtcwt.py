"""DTCWT2d and its inverse against the dtcwt package's stored outputs; which stripes a band sees."""

import math

import pytest
import torch
from torch import Tensor

from tests.transforms.reference import golden, image, joined, relative_error
from wavetwin.ir.level1_taps import LEVEL1_FILTERS
from wavetwin.runtime.bank.filters import QSHIFT_FILTERS
from wavetwin.transforms import DTCWT2d, DualTreeCoefficients, IDTCWT2d

Pyramid = tuple[Tensor, tuple[Tensor, ...]]


def _stored(prefix: str, levels: int) -> Pyramid:
    stored = golden("dtcwt")
    bands = [torch.tensor(stored[f"{prefix}/bands/{level}"])[None, None] for level in range(levels)]
    return torch.tensor(stored[f"{prefix}/low"])[None, None], tuple(bands)


def _cases() -> list[str]:
    return [key.removesuffix("/back/x") for key in golden("dtcwt") if key.endswith("/back/x")]


def test_golden_files_have_every_filter_and_depth() -> None:
    parts = [case.split("/") for case in _cases()]
    assert {part[0] for part in parts} == set(LEVEL1_FILTERS)
    assert {part[1] for part in parts} == set(QSHIFT_FILTERS)
    assert {part[2] for part in parts} == {"2", "3", "4", "6"}


@pytest.mark.parametrize("case", _cases())
def test_coefficients_and_inverse_are_those_of_dtcwt(case: str) -> None:
    """Six levels of 64x33, and images smaller than every filter; made-up coefficients backwards."""
    level1, qshift, levels, _ = case.split("/")
    transform = DTCWT2d(int(levels), level1, qshift).double()
    x = torch.tensor(golden("dtcwt")[f"{case}/x"])[None, None]
    found, expected = transform(x), _stored(case, int(levels))
    assert relative_error(found.low, expected[0]) < 1e-12
    for band, wanted in zip(found.bands, expected[1], strict=True):
        assert relative_error(torch.view_as_real(band), torch.view_as_real(wanted)) < 1e-12
    inverse = transform.inverse()
    assert relative_error(inverse(found, tuple(x.shape[2:])), x) < 1e-12
    back = inverse(_stored(f"{case}/back", int(levels)))
    assert relative_error(back[0, 0], golden("dtcwt")[f"{case}/back/x"]) < 1e-12


def test_first_level_is_that_of_the_golden_file() -> None:
    stored = golden("dtcwt_level1")
    for size in ("8x8", "28x28", "6x2"):
        low, (band,) = DTCWT2d(1).double()(torch.tensor(stored[f"level1/{size}/x"]))
        assert relative_error(low, stored[f"level1/{size}/lowpass"]) < 1e-12
        assert relative_error(band.real.transpose(1, 2), stored[f"level1/{size}/real"]) < 1e-12
        assert relative_error(band.imag.transpose(1, 2), stored[f"level1/{size}/imag"]) < 1e-12


def test_every_size_is_reconstructed() -> None:
    transform = DTCWT2d(6, "near_sym_b", "qshift_b").double()
    inverse = transform.inverse()
    for n in range(1, 34):
        x = image(1, 1, n, 34 - n)
        assert relative_error(inverse(transform(x), (n, 34 - n)), x) < 1e-12, n


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_size_filter_and_depth_is_reconstructed() -> None:
    pairs = [(level1, qshift, 6) for level1 in LEVEL1_FILTERS for qshift in QSHIFT_FILTERS]
    pairs += [("near_sym_a", "qshift_a", levels) for levels in range(1, 6)]
    for level1, qshift, levels in pairs:
        transform = DTCWT2d(levels, level1, qshift).double()
        inverse = transform.inverse()
        for n in range(1, 34):
            x = image(1, 1, n, 33)
            error = relative_error(inverse(transform(x), (n, 33)), x)
            assert error < 1e-12, (level1, qshift, levels, n)


@pytest.mark.parametrize("index", range(6))
def test_a_band_sees_the_stripes_of_its_angle(index: int) -> None:
    """Angles counter-clockwise, the vertical axis upwards; rows of an image count downwards."""
    degrees = (15, 45, 75, 105, 135, 165)[index]
    angle, frequency = math.radians(degrees), 1.4 if degrees % 90 == 45 else 1.0
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    # The phase grows across the stripes.
    across = x * math.sin(angle) + y * math.cos(angle)
    bands = DTCWT2d(3)(torch.cos(across * frequency).expand(1, 1, -1, -1)).bands
    energy = bands[1][0, 0, :, 4:-4, 4:-4].abs().square().mean((1, 2))
    assert int(energy.argmax()) == index
    assert energy[index] > 5 * energy[(index + 3) % 6]


def test_moduli_hardly_change_with_a_shift() -> None:
    """What the transform is for: a shift of one pixel, coarsest level, against a real wavelet's."""
    x = torch.nn.functional.interpolate(image(1, 1, 12, 12), size=96, mode="bicubic")
    first, second = (DTCWT2d(3)(x[..., 16:80, s : s + 64].float()).bands[2] for s in (16, 17))
    change = (first.abs() - second.abs()).norm() / first.abs().norm()
    real_change = (first.real - second.real).norm() / first.real.norm()
    assert change < 0.5 * real_change


def test_derivatives_of_both_directions() -> None:
    transform = DTCWT2d(2).double()
    inverse = transform.inverse()

    def product_and_back(x: Tensor) -> Tensor:
        low, bands = transform.parts(x)
        changed = [(real * imaginary, imaginary) for real, imaginary in bands]
        return inverse((low, changed), (5, 6))

    x = image(1, 1, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(product_and_back, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(product_and_back, x, fast_mode=True)


def test_adjoint() -> None:
    """<Wu, v> = <u, W'v> with W from unit images and W' from the backward pass, sizes extended."""
    for height, width in ((5, 6), (6, 2)):
        transform = DTCWT2d(3).double()
        units = torch.eye(height * width, dtype=torch.float64).view(-1, 1, height, width)
        matrix = torch.stack([joined(transform.parts(unit[None])) for unit in units], 1)
        x = image(1, 1, height, width).requires_grad_()
        along = image(len(matrix))
        (gradient,) = torch.autograd.grad(joined(transform.parts(x)), x, along)
        assert relative_error(gradient.flatten(), matrix.T @ along) < 1e-12


def test_types_layouts_and_vmap() -> None:
    x = image(2, 3, 9, 12)
    exact = joined(DTCWT2d(3).double().parts(x))
    transform = DTCWT2d(3)
    low, bands = transform(x.float())
    assert bands[0].dtype == torch.complex64
    assert relative_error(joined((low, bands)).double(), joined(DTCWT2d(3).double()(x))) < 1e-6
    with torch.autocast("cpu", torch.bfloat16):
        narrow = x.bfloat16().requires_grad_()
        rounded = joined(transform.parts(narrow))
        back = transform.inverse()(transform.parts(narrow), (9, 12))
        back.float().square().sum().backward()
        assert transform(narrow).bands[0].dtype == torch.complex64
    assert rounded.dtype == back.dtype == torch.bfloat16
    assert relative_error(rounded.double(), exact) < 1e-2
    assert relative_error(back.double(), x) < 3e-2
    last = transform(x.float().contiguous(memory_format=torch.channels_last)).low
    assert last.is_contiguous(memory_format=torch.channels_last)
    double = DTCWT2d(2).double()
    mapped = torch.func.vmap(lambda one: joined(double.parts(one)))(x[:, None])
    assert (
        relative_error(mapped, torch.stack([joined(double.parts(one[None])) for one in x])) < 1e-12
    )
    assert not transform.state_dict()


def test_arguments_out_of_range_are_refused() -> None:
    for levels in (0, 7):
        with pytest.raises(ValueError, match=f"{levels} levels: 1 to 6"):
            DTCWT2d(levels)
    with pytest.raises(ValueError, match="no first-level filters"):
        IDTCWT2d(2, "near_sym_c")
    with pytest.raises(ValueError, match="no q-shift filters"):
        DTCWT2d(2, qshift="qshift_e")
    coefficients = DTCWT2d(1)(torch.ones(1, 1, 4, 4))
    assert isinstance(coefficients, DualTreeCoefficients)
    with pytest.raises(ValueError, match="bands of 1 levels for 2 levels"):
        IDTCWT2d(2)(coefficients)
