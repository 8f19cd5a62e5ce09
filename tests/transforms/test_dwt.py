"""DWT2d and IDWT2d against PyWavelets: values, every size, exact gradients."""

import itertools

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from tests.transforms.reference import (
    golden,
    image,
    joined,
    matrix_of,
    relative_error,
    wavedec2,
)
from wavetwin.ir.wavelet_taps import WaveletTaps, wavelet_taps
from wavetwin.ir.wavelets import BOUNDARY_MODES, PYWAVELETS_LENGTHS
from wavetwin.transforms import DWT2d, IDWT2d

NEEDS_TWO = ("reflect", "antireflect")


def _cases() -> list[tuple[str, str, str]]:
    names = [key.split("/") for key in golden("wavelet_pooling")]
    return [(n[0], n[1], n[2]) for n in names if len(n) == 3 and n[0] not in ("error", "swt")]


def test_bands_are_those_of_the_golden_file() -> None:
    stored = golden("wavelet_pooling")
    assert len(_cases()) == 366
    for wavelet, mode, size in _cases():
        low, (detail,) = DWT2d(wavelet, 1, mode).double()(
            torch.tensor(stored[f"x/{size}"])[None, None]
        )
        bands = torch.cat((low.unsqueeze(2), detail), 2)[0, 0]
        assert relative_error(bands, stored[f"{wavelet}/{mode}/{size}"]) < 1e-12, (
            wavelet,
            mode,
            size,
        )


def test_several_levels_are_those_of_pywavelets() -> None:
    """Margins many times longer than the map included: db20 has 40 taps."""
    wavelets = ("haar", "db20", "sym6", "coif2", "rbio3.3", "bior6.8")
    sizes = ((13, 9), (6, 2), (16, 3))
    for wavelet, mode, (height, width) in itertools.product(wavelets, BOUNDARY_MODES, sizes):
        x = image(1, 1, height, width)
        levels = 1 if mode in NEEDS_TWO and len(wavelet) == 4 else 2
        expected = wavedec2(x[0, 0].numpy(), wavelet, mode, levels)
        found = joined(DWT2d(wavelet, levels, mode).double()(x))
        assert relative_error(found, expected) < 1e-12, (wavelet, mode, height, width)


def _error_of_pywavelets(wavelet: str, mode: str, height: int, width: int) -> float:
    x = image(1, 2, height, width)
    low, details = pywt.dwt2(x.numpy(), wavelet, mode)
    found = pywt.idwt2((low, details), wavelet, mode)[..., :height, :width]
    return relative_error(torch.from_numpy(found), x)


def _round_trip_error(wavelet: str, levels: int, mode: str, height: int, width: int) -> float:
    x = image(1, 2, height, width)
    transform = DWT2d(wavelet, levels, mode).double()
    return relative_error(transform.inverse()(transform(x), (height, width)), x)


@pytest.mark.parametrize("mode", BOUNDARY_MODES)
def test_every_size_is_reconstructed(mode: str) -> None:
    for n in range(2 if mode in NEEDS_TWO else 1, 34):
        # Two samples of a level are enough for the next one to be reflected.
        assert _round_trip_error("db3", 2, mode, n, 34 - n if n < 33 else 33) < 1e-12, n


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", BOUNDARY_MODES)
def test_every_size_wavelet_and_depth_is_reconstructed(mode: str) -> None:
    for wavelet in PYWAVELETS_LENGTHS:
        for n in (1, 2, 3, 4, 5, 7, 8, 12, 33):
            # dmey's taps miss by 4e-3, which `smooth` lines of a second level make large.
            levels = 1 if n == 1 or mode in NEEDS_TWO or wavelet == "dmey" else 3
            if n == 1 and mode in NEEDS_TWO:
                continue
            # Its table is not exact (test_taps): what is lost is what PyWavelets loses.
            lost = _error_of_pywavelets(wavelet, mode, n, 33) if wavelet == "dmey" else 0.0
            assert _round_trip_error(wavelet, levels, mode, n, 33) < 1.001 * lost + 1e-9, (
                wavelet,
                n,
            )
    for wavelet, n, width in itertools.product(
        ("db1", "db2", "db3", "db4", "bior2.2", "bior4.4"), range(1, 34), (2, 33)
    ):
        if n > 1 or mode not in NEEDS_TWO:
            assert _round_trip_error(wavelet, 1, mode, n, width) < 1e-10, (wavelet, n)


@pytest.mark.parametrize("mode", BOUNDARY_MODES)
@pytest.mark.parametrize("wavelet", ["haar", "db4"])
def test_gradients_are_the_adjoint(wavelet: str, mode: str) -> None:
    """PyWavelets' own matrix, transposed: a backward pass that crops its padding is 40 % off here."""
    height, width = 5, 6
    matrix = matrix_of(lambda x: wavedec2(x, wavelet, mode, 2), height, width)
    x = image(1, 1, height, width).requires_grad_()
    found = joined(DWT2d(wavelet, 2, mode).double()(x))
    along = image(len(found))
    (gradient,) = torch.autograd.grad(found, x, along)
    assert relative_error(gradient.flatten(), matrix.T @ along) < 1e-12


@pytest.mark.parametrize("mode", ["symmetric", "periodization"])
def test_derivatives_of_both_directions(mode: str) -> None:
    transform = DWT2d("db2", 2, mode).double()
    inverse = transform.inverse()

    def energy_and_back(x: Tensor) -> Tensor:
        low, details = transform(x)
        return inverse((low, [detail.square() for detail in details]), (5, 6))

    x = image(1, 1, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(energy_and_back, x)
    assert torch.autograd.gradgradcheck(energy_and_back, x, fast_mode=True)


def test_types_and_layouts() -> None:
    x = image(2, 3, 9, 12)
    transform = DWT2d("bior4.4", 2, "reflect")
    exact = joined(DWT2d("bior4.4", 2, "reflect").double()(x))
    single = joined(transform(x.float()))
    assert single.dtype == torch.float32
    assert relative_error(single.double(), exact) < 1e-6
    with torch.autocast("cpu", torch.bfloat16):
        narrow = x.bfloat16().requires_grad_()
        rounded = joined(transform(narrow))
        rounded.float().square().sum().backward()
    assert rounded.dtype == torch.bfloat16
    assert relative_error(rounded.double(), exact) < 1e-2  # eight bits of input and of output
    assert narrow.grad is not None
    last = transform(x.float().contiguous(memory_format=torch.channels_last))
    assert last.low.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(joined(last), single)
    assert not transform.state_dict()


def test_images_are_independent_under_vmap() -> None:
    transform = DWT2d("db2", 2, "antireflect").double()
    x = image(3, 2, 1, 7, 6)
    mapped = torch.func.vmap(lambda one: joined(transform(one)))(x)
    one_by_one = torch.stack([joined(transform(one)) for one in x])
    torch.testing.assert_close(mapped, one_by_one)


def test_given_taps_and_arguments() -> None:
    own = WaveletTaps.from_low_pass((0.5, 0.5), (1.0, 1.0))
    assert DWT2d(own).double()(torch.ones(1, 1, 4, 4).double()).low.eq(1).all()
    assert wavelet_taps("haar").is_orthogonal
    with pytest.raises(ValueError, match="no boundary mode 'symetric': one of zero, constant, "):
        DWT2d("haar", 1, "symetric")
    with pytest.raises(ValueError, match="0 levels"):
        DWT2d("haar", 0)
    with pytest.raises(ValueError, match="1 details for 2 levels"):
        IDWT2d("haar", 2)(DWT2d("haar")(torch.ones(1, 1, 4, 4)))
    for mode in NEEDS_TWO:
        with pytest.raises(ValueError, match=f"one sample has no extension in mode '{mode}'"):
            DWT2d("db2", 1, mode)(torch.ones(1, 1, 1, 4))


def test_an_even_map_needs_no_size() -> None:
    x = image(1, 1, 6, 8)
    back = IDWT2d("db2").double()(DWT2d("db2").double()(x))
    assert relative_error(back, x) < 1e-12
    theirs = pywt.waverec2(pywt.wavedec2(x[0, 0].numpy(), "db2", level=1), "db2")
    assert np.allclose(back[0, 0].numpy(), theirs, rtol=0, atol=1e-12)
