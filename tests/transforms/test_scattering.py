"""Scattering2d against the golden file, its definition and the moments of white noise."""

import math

import pytest
import torch

from tests.transforms.reference import golden, image, relative_error
from wavetwin.runtime.layers.scattering import scattering_paths
from wavetwin.transforms import Scattering2d


def test_a_layer_and_its_gradient_are_those_of_the_golden_file() -> None:
    stored = golden("scattering")
    for name in ("even", "odd", "mnist", "bias0", "bias1"):
        bias = {"bias0": 0.0, "bias1": 1.0}.get(name, 1e-2)
        x = torch.tensor(stored[f"{name}/x"]).requires_grad_()
        z = Scattering2d(1, 1, bias).double()(x)
        (gradient,) = torch.autograd.grad(z, x, torch.tensor(stored[f"{name}/g"]))
        assert relative_error(z, stored[f"{name}/z"]) < 1e-12, name
        assert relative_error(gradient, stored[f"{name}/dx"]) < 1e-12, name


def test_two_orders_are_two_layers_and_paths_say_which_maps_are_left() -> None:
    x = image(2, 3, 17, 24)
    layer = Scattering2d(1, 1).double()
    assert torch.equal(Scattering2d(2, 2).double()(x), layer(layer(x)))
    everything = layer(layer(layer(x))).unflatten(1, (343, 3))
    paths = scattering_paths(3, 3)
    assert len(paths) == 343
    for order in (0, 1, 2):
        scattering = Scattering2d(3, order).double()
        kept = [index for index, path in enumerate(paths) if path.order <= order]
        assert tuple(paths[index] for index in kept) == scattering.paths
        found = scattering(x)
        assert found.shape == (2, 3 * len(kept), 3, 3)
        assert relative_error(found, everything[:, kept].flatten(1, 2)) < 1e-12


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_numbers_of_paths(levels: int) -> None:
    """Kymatio's count with six angles: 1, J L and L^2 J (J - 1) / 2."""
    paths = Scattering2d(levels, 2).paths
    by_order = [sum(path.order == order for path in paths) for order in range(3)]
    assert by_order == [math.comb(levels, order) * 6**order for order in range(3)]
    assert len(set(paths)) == len(paths)
    assert all(list(path.levels) == sorted(set(path.levels)) for path in paths)


def test_a_constant_has_no_moduli() -> None:
    z = Scattering2d(2, 2).double()(torch.ones(1, 1, 12, 20, dtype=torch.float64))
    expected = torch.zeros_like(z)
    expected[:, 0] = 1
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-14)


def test_moments_of_white_noise() -> None:
    """Measured on the layer's original at 32x32; a larger map has less border, and .383 and .612 to .625."""
    z = Scattering2d(1, 1)(image(64, 1, 32, 32).float())
    assert z[:, 0].std().item() == pytest.approx(0.389, abs=0.004)
    for band in z[:, 1:].unbind(1):
        assert 0.597 < band.mean().item() < 0.616
        assert 0.331 < band.std().item() < 0.344
    inside = z[:, 0, 2:-2, 2:-2]
    # (-1, 4, 17, 17, 4, -1) / 40 in each direction: a near_sym_a low-pass, averaged in pairs.
    assert inside.std().item() == pytest.approx(0.3825, abs=0.004)


def test_derivatives() -> None:
    scattering = Scattering2d(2, 2).double()
    x = image(1, 1, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(scattering, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(scattering, x, fast_mode=True)
    for bias in (0.0, 1e-2):
        black = torch.zeros(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
        Scattering2d(2, 2, bias).double()(black).sum().backward()
        assert black.grad is not None
        assert black.grad.isfinite().all()


def test_types_layouts_and_vmap() -> None:
    x = image(2, 3, 10, 12)
    for order in (1, 2):
        exact = Scattering2d(2, order).double()(x)
        assert (
            relative_error(
                torch.func.vmap(Scattering2d(2, order).double())(x[:, None])[:, 0], exact
            )
            < 1e-12
        )
        single = Scattering2d(2, order)
        last = single(x.float().contiguous(memory_format=torch.channels_last))
        assert last.is_contiguous(memory_format=torch.channels_last)
        assert relative_error(last.double(), exact) < 1e-6
        with torch.autocast("cpu", torch.bfloat16):
            narrow = single(x.bfloat16().requires_grad_())
            narrow.float().sum().backward()
        assert narrow.dtype == torch.bfloat16
        assert relative_error(narrow.double(), exact) < 1e-2


def test_other_borders_and_arguments() -> None:
    x = image(1, 1, 8, 8)
    zero = Scattering2d(1, mode="zero").double()(x)
    wide = Scattering2d(1).double()(torch.nn.functional.pad(x, (8, 8, 8, 8)))
    assert relative_error(zero, wide[..., 4:8, 4:8]) < 1e-12
    for arguments, message in (
        ({"levels": 0}, "0 levels"),
        ({"order": 3}, "order 3: 0 to 2"),
        ({"bias": -1.0}, "bias -1.0"),
        ({"mode": "same"}, "no boundary mode"),
        ({"level1": "haar"}, "no first-level filters"),
    ):
        with pytest.raises(ValueError, match=message):
            Scattering2d(**arguments)
