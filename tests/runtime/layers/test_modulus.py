"""The modulus in float32 is right wherever the type holds it, and so is its slope."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from wavetwin.runtime import Modulus

VALUES = (3e38, 1e25, 1e19, 3.0, 1e-10, 1e-19, 1e-25, 1e-38)
RATIOS = (0.0, 1e-3, 1.0, -2.0, 1e4)


def _parts() -> tuple[Tensor, Tensor]:
    pairs = [
        (value, value * ratio)
        for value in VALUES
        for ratio in RATIOS
        if math.hypot(value, value * ratio) < 3.4e38
    ]
    real, imaginary = zip(*[*pairs, *((b, a) for a, b in pairs)], strict=True)
    return torch.tensor(real), torch.tensor(imaginary)


def _check(root: Tensor, real: Tensor, imaginary: Tensor) -> None:
    """Compare with the standard library's, in float64; subnormal numbers have few digits."""
    for value, a, b in zip(root.tolist(), real.tolist(), imaginary.tolist(), strict=True):
        assert math.isclose(value, math.hypot(a, b), rel_tol=1e-6, abs_tol=3e-45), (a, b)


def test_values_and_slopes_of_large_and_small_numbers():
    real, imaginary = (part.requires_grad_() for part in _parts())
    root = Modulus()((real, imaginary))
    _check(root, real, imaginary)
    slopes = torch.autograd.grad(root.sum(), (real, imaginary))
    for part, slope in zip((real, imaginary), slopes, strict=True):
        expected = part.detach().double() / torch.hypot(real.double(), imaginary.double()).detach()
        torch.testing.assert_close(slope.double(), expected, rtol=1e-3, atol=1e-5)


def test_subnormal_numbers():
    values = torch.tensor([1e-40, -1e-42, 1.4e-45], requires_grad=True)
    root = Modulus()((values, torch.zeros(3)))
    assert torch.equal(root, values.abs())
    (slope,) = torch.autograd.grad(root.sum(), values)
    assert slope.tolist() == [1, -1, 1]


def test_overflow_is_infinite_with_a_finite_slope():
    part = torch.full((1,), 3e38, requires_grad=True)
    root = Modulus()((part, torch.full((1,), 3e38)))
    assert root.tolist() == [math.inf]
    assert torch.autograd.grad(root, part)[0].isfinite().all()


def test_at_zero_all_derivatives_are_finite():
    real, imaginary = (torch.zeros(3, requires_grad=True) for _ in range(2))
    root = Modulus()((real, imaginary))
    slopes = torch.autograd.grad(root.sum(), (real, imaginary), create_graph=True)
    assert [slope.tolist() for slope in slopes] == [[0.0] * 3] * 2
    second = torch.autograd.grad(slopes[0].sum() + slopes[1].sum(), (real, imaginary))
    assert all(bool(value.isfinite().all()) for value in second)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_reaches_the_ends_of_its_range(dtype: torch.dtype):
    end = torch.finfo(dtype)
    values = torch.tensor([end.max, 1.0, end.smallest_normal, 0.0], dtype=dtype)
    assert torch.equal(Modulus()((values, torch.zeros_like(values))), values)
    with torch.autocast("cpu", dtype):
        assert torch.equal(Modulus()((values, torch.zeros_like(values))), values)


@pytest.mark.parametrize("bias", [0.01, 1e-25])
def test_a_bias_overflows_nowhere_and_keeps_its_slopes(bias: float):
    real, imaginary = (part.requires_grad_() for part in _parts())
    root = Modulus(bias)((real, imaginary))
    slopes = torch.autograd.grad(root.sum(), (real, imaginary))
    wide = [part.detach().double() for part in (real, imaginary)]
    squares = wide[0].square() + wide[1].square()
    whole = (squares + bias**2).sqrt()
    expected = squares / (whole + bias)
    torch.testing.assert_close(root.double(), expected, rtol=1e-5, atol=1e-37)
    for part, slope in zip(wide, slopes, strict=True):
        torch.testing.assert_close(slope.double(), part / whole, rtol=1e-3, atol=1e-5)
    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(Modulus(bias)((zero, zero.detach())), zero, create_graph=True)
    (second,) = torch.autograd.grad(slope, zero)
    assert (slope.item(), second.item()) == (0, pytest.approx(1 / bias))


def test_traces_have_the_whole_range():
    """TorchScript's trace is compared with the same numbers, and zeros."""
    parts = tuple(torch.cat((part, torch.zeros(2))) for part in _parts())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced: Any = torch.jit.trace(Modulus(), (parts,))
    assert "hypot" not in str(traced.inlined_graph)
    _check(traced(parts), *parts)


COMPILED = """
import math, torch
from wavetwin.runtime import Modulus

class Flat(torch.nn.Module):
    def forward(self, real, imaginary):
        return Modulus()((real, imaginary))

real = torch.tensor([1e25, 3.0, 1e-25, 0.0, 3e38], requires_grad=True)
imaginary = torch.tensor([1e25, 4.0, -1e-25, 0.0, 1e38])
expected = [math.hypot(a, b) for a, b in zip(real.tolist(), imaginary.tolist())]
compiled = torch.compile(Flat(), fullgraph=True, backend="aot_eager")
root = compiled(real, imaginary)
(slope,) = torch.autograd.grad(root.sum(), real)
program = torch.export.export(Flat(), (real, imaginary)).module()
for found in (root, program(real, imaginary)):
    assert all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(found.tolist(), expected)), found
assert torch.allclose(slope, torch.tensor([0.70711, 0.6, 0.70711, 0.0, 0.94868])), slope
assert not any("hypot" in str(node.target) for node in program.graph.nodes)
"""


@pytest.mark.slow  # starts torch's compiler
def test_compiled_and_exported_the_range_is_the_same():
    subprocess.run([sys.executable, "-c", COMPILED], check=True, timeout=300)
