"""WaveletPool2d, SWT2d and BlurPool2d against PyWavelets and against what defines them."""

import itertools
import math

import numpy as np
import pytest
import pywt
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.transforms.reference import golden, image, joined, relative_error
from wavetwin.ir.wavelets import BOUNDARY_MODES
from wavetwin.transforms import BlurPool2d, DWT2d, SWT2d, WaveletPool2d, WaveletUnpool2d


def _pool(wavelet: str = "db2", bands: str = "all", **options: object) -> WaveletPool2d:
    return WaveletPool2d(wavelet, bands, **options).double()  # pyright: ignore[reportArgumentType]


def test_full_bands_are_pywavelets_in_every_mode() -> None:
    x = image(2, 3, 7, 10)
    for mode, wavelet in itertools.product(BOUNDARY_MODES, ("db2", "bior2.2")):
        low, (detail,) = DWT2d(wavelet, 1, mode).double()(x)
        expected = torch.cat((low.unsqueeze(2), detail), 2).transpose(1, 2).flatten(1, 2)
        options = {"mode": mode, "size": "full", "normalise": "orthonormal"}
        pool = _pool(wavelet, "all", **options)
        assert relative_error(pool(x), expected) < 1e-14
        assert relative_error(_pool(wavelet, "ll", **options)(x), low) < 1e-14
        # `half` keeps the middle ceil(n / 2) of them.
        options["size"] = "half"
        rows, columns = ((4, 5), (expected.shape[2] - 4, expected.shape[3] - 5))
        cut = expected.unfold(2, rows[0], 1)[:, :, columns[0] // 2].movedim(-1, 2)
        cut = cut[..., columns[1] // 2 :][..., : rows[1]]
        assert relative_error(_pool(wavelet, "all", **options)(x), cut) < 1e-14


def test_low_band_of_haar_is_average_pooling() -> None:
    x = image(2, 3, 8, 6)
    assert relative_error(_pool("haar", "ll")(x), F.avg_pool2d(x, 2)) < 1e-14
    mix = _pool("haar", "mix", channels=3, normalise="orthonormal")
    assert relative_error(mix(x), F.avg_pool2d(x, 2)) < 1e-14
    apart = _pool("haar", "mix", channels=3, groups=3)
    assert apart.weight.shape == (3, 4, 1, 1)
    assert relative_error(apart(x), F.avg_pool2d(x, 2)) < 1e-14


def test_normalisations() -> None:
    """Constants for `dc`, the variance of white noise for `unit_variance`, by their filters."""
    ones = torch.ones(1, 1, 16, 16, dtype=torch.float64)
    for wavelet, levels in itertools.product(("db3", "bior4.4", "rbio3.3"), (1, 2)):
        pooled = _pool(wavelet, "all", levels=levels)(ones)
        expected = torch.zeros_like(pooled)
        expected[:, 0] = 1
        torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-10)  # the tables' own digits
        # The energy of a band's filter is its variance for white noise of variance 1.
        pool = _pool(wavelet, "all", levels=levels, normalise="unit_variance", mode="zero")
        x = torch.zeros(1, 1, 64, 64, dtype=torch.float64, requires_grad=True)
        for band in pool(x)[0, :, 64 >> levels + 1, 64 >> levels + 1]:
            (kernel,) = torch.autograd.grad(band, x, retain_graph=True)
            assert float(kernel.square().sum()) == pytest.approx(1, abs=1e-12)


def test_energy_and_modulus_are_smooth_norms_of_details() -> None:
    x = image(2, 3, 6, 8)
    low, h, v, d = _pool("db2")(x).chunk(4, 1)
    bias = 0.3
    energy = (h**2 + v**2 + d**2 + bias**2).sqrt() - bias
    found = _pool("db2", "energy", bias=bias)(x)
    assert relative_error(found, torch.cat((low, energy), 1)) < 1e-14
    moduli = [(part**2 + bias**2).sqrt() - bias for part in (h, v, d)]
    found = _pool("db2", "modulus", bias=bias)(x)
    assert relative_error(found, torch.cat((low, *moduli), 1)) < 1e-14
    black = torch.zeros(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    _pool("db2", "energy")(black).sum().backward()
    assert black.grad is not None
    assert black.grad.isfinite().all()


def test_whole_bands_are_unpooled_in_every_mode_and_size() -> None:
    """A map of n x (34 - n) for n from 1 to 33, another wavelet for each size in turn."""
    wavelets = ("db1", "db2", "db3", "db4", "bior2.2", "bior4.4")
    for mode, n in itertools.product(BOUNDARY_MODES, range(1, 34)):
        size = (n, 34 - n)
        if 1 in size and mode in ("reflect", "antireflect"):
            continue  # one sample has no reflection about itself
        wavelet = wavelets[n % len(wavelets)]
        normalise = ("dc", "orthonormal", "unit_variance")[n % 3]
        x = image(1, 2, *size)
        pool = _pool(wavelet, "all", mode=mode, size="full", normalise=normalise)
        unpool = WaveletUnpool2d(wavelet, normalise, mode).double()
        # bior4.4's own taps have so many digits.
        tolerance = 1e-9 if wavelet == "bior4.4" else 1e-11
        assert relative_error(unpool(pool(x), size), x) < tolerance, (wavelet, mode, n)
    x = image(1, 2, 33, 1)
    half = _pool("db3", "all")(x)
    assert relative_error(WaveletUnpool2d("db3").double()(half, (33, 1)), x) < 1e-11
    with pytest.raises(ValueError, match="of 33 or 34 samples, not 35"):
        WaveletUnpool2d("db3").double()(half, (35, 1))
    with pytest.raises(ValueError, match="6 maps: four bands"):
        WaveletUnpool2d("db3").double()(half[:, :6])


def test_a_learned_bank_stays_lossless() -> None:
    """A hundred large steps of an optimiser: energy in is energy out, a constant stays one."""
    torch.manual_seed(0)
    pool = _pool("db4", "all", learn="lattice", normalise="orthonormal")
    assert [name for name, _ in pool.named_parameters()] == ["angles"]
    pool.reset_parameters()  # `double` widened angles that had been rounded
    x = image(2, 2, 8, 12)
    assert relative_error(pool(x), _pool("db4", "all", normalise="orthonormal")(x)) < 1e-12
    start = pool.angles.detach().clone()
    for _ in range(100):
        (gradient,) = torch.autograd.grad(pool(x)[:, 2:].abs().sum(), pool.angles)
        with torch.no_grad():
            pool.angles -= gradient
    assert (pool.angles - start).abs().max() > 1
    energy = pool(x).square().sum() / x.square().sum()
    assert energy.item() == pytest.approx(1, abs=1e-12)
    constant = pool(torch.ones(1, 1, 8, 8, dtype=torch.float64))[0]
    expected = torch.zeros_like(constant)
    expected[0] = 2
    torch.testing.assert_close(constant, expected, rtol=0, atol=1e-12)
    pool.reset_parameters()
    torch.testing.assert_close(pool.angles.detach(), start)


@pytest.mark.parametrize("bands", ["ll", "all", "mix", "modulus", "energy"])
def test_derivatives_of_pools(bands: str) -> None:
    torch.manual_seed(0)
    pool = _pool("db2", bands, levels=2, mode="symmetric", learn="lattice", channels=2)
    leaves = (image(1, 2, 5, 6).requires_grad_(), *pool.parameters())

    def run(x: Tensor, *_: Tensor) -> Tensor:
        return pool(x)

    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


def test_pools_under_autocast_vmap_and_channels_last() -> None:
    x = image(2, 3, 9, 8)
    for bands in ("ll", "mix", "energy"):
        pool = _pool("db2", bands, mode="reflect", channels=3)
        exact = pool(x)
        torch.testing.assert_close(torch.func.vmap(pool)(x[:, None])[:, 0], exact)
        single = pool.float()
        last = single(x.float().contiguous(memory_format=torch.channels_last))
        assert last.is_contiguous(memory_format=torch.channels_last)
        assert relative_error(last.double(), exact) < 1e-6
        with torch.autocast("cpu", torch.bfloat16):
            narrow = single(x.bfloat16().requires_grad_())
            narrow.float().sum().backward()
        assert narrow.dtype == torch.bfloat16
        assert relative_error(narrow.double(), exact) < 2e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": "lh"}, "bands 'lh': one of ll, all, mix, modulus, energy"),
        ({"normalise": "l2"}, "normalise 'l2': one of orthonormal, dc, unit_variance"),
        ({"size": "floor"}, "size 'floor': one of half, full"),
        ({"mode": "same"}, "no boundary mode 'same'"),
        ({"levels": 0}, "0 levels"),
        ({"learn": "taps"}, "learn 'taps': None or 'lattice'"),
        ({"bands": "mix"}, "mix of None channels"),
        ({"bands": "mix", "channels": 4, "groups": 2}, "mix of 4 channels in 2 groups"),
        ({"bands": "energy", "bias": 0.0}, "bias 0.0"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _pool(**options)


def test_swt_is_pywavelets() -> None:
    stored = golden("wavelet_pooling")
    for wavelet in ("db2", "bior2.2"):
        x = torch.tensor(stored[f"swt/x/{wavelet}"])[None, None]
        low, details = SWT2d(wavelet, 2).double()(x)
        coarse, fine = stored[f"swt/{wavelet}/0"], stored[f"swt/{wavelet}/1"]
        assert relative_error(low[0, 0], coarse[0]) < 1e-12
        assert relative_error(details[1][0, 0], coarse[1:]) < 1e-12
        assert relative_error(details[0][0, 0], fine[1:]) < 1e-12
    x = image(1, 1, 16, 24)
    levels = pywt.swt2(x[0, 0].numpy(), "sym7", level=3, trim_approx=True)
    low, details = SWT2d("sym7", 3).double()(x)
    assert relative_error(low[0, 0], levels[0]) < 1e-12
    for found, expected in zip(details[::-1], levels[1:], strict=True):
        assert relative_error(found[0, 0], np.stack(expected)) < 1e-12


def test_swt_round_trip_shift_and_adjoint() -> None:
    for n in range(1, 34):
        x = image(1, 2, n, 34 - n)
        transform = SWT2d("bior2.4", 3).double()
        assert relative_error(transform.inverse()(transform(x)), x) < 1e-12, n
    x = image(1, 1, 7, 10).requires_grad_()
    moved = joined(transform(x.roll((1, 3), (2, 3))))
    bands = transform(x)
    expected = joined(
        (bands.low.roll((1, 3), (2, 3)), [d.roll((1, 3), (3, 4)) for d in bands.details])
    )
    torch.testing.assert_close(moved, expected)
    # The adjoint of an undecimated orthogonal bank is 4 times its inverse, a level.
    haar = SWT2d("db3", 1).double()
    found = haar(x)
    along = [torch.ones_like(band) * (k + 1) for k, band in enumerate((found.low, *found.details))]
    (gradient,) = torch.autograd.grad((found.low, *found.details), x, along)
    assert relative_error(gradient, 4 * haar.inverse()((along[0], along[1:]))) < 1e-12
    with pytest.raises(ValueError, match="1 details for 3 levels"):
        transform.inverse()(found)
    with pytest.raises(ValueError, match="0 levels"):
        SWT2d("haar", 0)


def test_blur_in_every_mode_is_its_definition() -> None:
    """Each output by a sum over taps on PyWavelets' own padding; sizes below the filter, too."""
    for size, stride, mode in itertools.product((2, 3, 5, 7), (1, 2, 3), BOUNDARY_MODES):
        if mode == "periodization":
            continue  # of an even map, `periodic`
        taps = np.array([math.comb(size - 1, k) for k in range(size)]) / 2 ** (size - 1)
        x = image(1, 2, 5, 2)
        before, after = (size - 1) // 2, size // 2
        margins = [(before, after), (before, after)]
        padded = np.stack([[pywt.pad(channel, margins, mode) for channel in x[0].numpy()]])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (2, 3))
        expected = np.einsum("bchwij,i,j->bchw", windows, taps, taps)[:, :, ::stride, ::stride]
        found = BlurPool2d(size, stride, mode).double()(x)
        assert relative_error(found, expected) < 1e-13, (size, stride, mode)
    blur = BlurPool2d(3, 2, "symmetric").double()
    x = image(1, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(blur, x)
    torch.testing.assert_close(torch.func.vmap(blur)(x[None])[0], blur(x))
    assert torch.equal(BlurPool2d(3).double()(x), BlurPool2d(3, mode="reflect").double()(x))
    with pytest.raises(ValueError, match="no boundary mode"):
        BlurPool2d(3, 2, "replicate")
