"""docs/transforms.md: its snippets run, its signatures are the modules', each line of its table is true."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pywt
import torch

import wavetwin.transforms
from tests.transforms.reference import golden, image, joined, relative_error, wavedec2
from wavetwin.ir.level1_taps import level1_taps
from wavetwin.ir.wavelet_taps import wavelet_taps
from wavetwin.ir.wavelets import PYWAVELETS_LENGTHS
from wavetwin.runtime.bank.filters import qshift_taps
from wavetwin.transforms import (
    DTCWT2d,
    DWT2d,
    IDTCWT2d,
    IDWT2d,
    ISWT2d,
    Scattering2d,
    SWT2d,
)

PAGE = (Path(__file__).parents[2] / "docs/transforms.md").read_text(encoding="utf-8")
CASE = "near_sym_b/qshift_b/2/13x9"


def test_snippets_run() -> None:
    torch.manual_seed(0)
    names: dict[str, Any] = {"__name__": "snippets"}
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        exec(compile(snippet, "docs/transforms.md", "exec"), names)


def test_signatures_are_the_modules() -> None:
    documented = dict(re.findall(r"^\| `(\w+)\((.*?)\)` \|", PAGE, re.MULTILINE))
    for name, arguments in documented.items():
        own = inspect.signature(getattr(wavetwin.transforms, name))
        written = [f"{p.name}={_written(p.default)}" for p in own.parameters.values()]
        assert ", ".join(written) == arguments, name
    public = wavetwin.transforms.__all__
    modules = {n for n in public if issubclass(getattr(wavetwin.transforms, n), torch.nn.Module)}
    assert modules == documented.keys()


def _written(default: object) -> str:
    if isinstance(default, float):
        return f"{default:.0e}".replace("e-0", "e-")
    return repr(default).replace("'", '"')


def test_scattering_table() -> None:
    rows = re.findall(r"^\| (\d) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 5
    for levels, *counts in (map(int, row) for row in rows):
        paths = Scattering2d(levels, 2).paths
        assert counts == [*(sum(p.order == o for p in paths) for o in range(3)), len(paths)]


def _dwt(mode: str, levels: int) -> float:
    x = image(1, 1, 9, 12)
    expected = wavedec2(x[0, 0].numpy(), "db2", mode, levels)
    return relative_error(joined(DWT2d("db2", levels, mode).double()(x)), expected)


def _idwt(levels: int) -> float:
    """PyWavelets' inverse of coefficients that no map has."""
    x = image(1, 1, 9, 12)
    low, details = DWT2d("db2", levels).double()(x)
    low = low + 1
    tuples = [tuple(detail[0, 0].numpy()) for detail in details[::-1]]
    expected = pywt.waverec2([low[0, 0].numpy(), *tuples], "db2")
    found = IDWT2d("db2", levels).double()((low, details))[0, 0]
    return relative_error(found, expected)


def _swt() -> float:
    x = image(1, 1, 8, 12)
    low, details = SWT2d("db2", 2).double()(x)
    theirs = pywt.swt2(x[0, 0].numpy(), "db2", 2, trim_approx=True)
    expected = [theirs[0].ravel(), *(np.ravel(d) for level in theirs[:0:-1] for d in level)]
    return relative_error(joined((low, details)), np.concatenate(expected))


def _iswt() -> float:
    generator = np.random.default_rng(0)
    low, *rest = generator.standard_normal((7, 8, 12))
    expected = pywt.iswt2([low, tuple(rest[:3]), tuple(rest[3:])], "haar")
    fine, coarse = (torch.from_numpy(np.stack(part))[None, None] for part in (rest[3:], rest[:3]))
    found = ISWT2d("haar", 2).double()((torch.from_numpy(low)[None, None], (fine, coarse)))
    return relative_error(found[0, 0], expected)


def _dtcwt() -> float:
    stored = golden("dtcwt")
    low, bands = DTCWT2d(2, "near_sym_b", "qshift_b").double()(
        torch.tensor(stored[f"{CASE}/x"])[None, None]
    )
    errors = [relative_error(low[0, 0], stored[f"{CASE}/low"])]
    for level, band in enumerate(bands):
        wanted = np.stack(
            (stored[f"{CASE}/bands/{level}"].real, stored[f"{CASE}/bands/{level}"].imag), -1
        )
        errors.append(relative_error(torch.view_as_real(band)[0, 0], wanted))
    return max(errors)


def _idtcwt() -> float:
    stored = golden("dtcwt")
    low, *bands = (
        torch.tensor(stored[f"{CASE}/back/{name}"])[None, None]
        for name in ("low", "bands/0", "bands/1")
    )
    found = IDTCWT2d(2, "near_sym_b", "qshift_b").double()((low, bands))
    return relative_error(found[0, 0], stored[f"{CASE}/back/x"])


def _scattering() -> float:
    stored = golden("scattering")
    found = Scattering2d(1, 1, 1e-2, "near_sym_a").double()(torch.tensor(stored["odd/x"]))
    return relative_error(found, stored["odd/z"])


def _two_layers() -> float:
    x = image(1, 2, 12, 10)
    layer = Scattering2d(1, 1).double()
    return relative_error(Scattering2d(2, 2).double()(x), layer(layer(x)))


def _paths() -> float:
    counts = [len(Scattering2d(levels, 2).paths) for levels in (1, 2, 3)]
    return float(counts != [1 + 6 * j + 36 * j * (j - 1) // 2 for j in (1, 2, 3)])


def _meta() -> float:
    x = image(1, 1, 12, 12)
    scattering = Scattering2d(2, 2).double()
    (index,) = [
        i for i, p in enumerate(scattering.paths) if p.levels == (1, 2) and p.angles == (45, 165)
    ]
    layer = Scattering2d(1, 1).double()
    return relative_error(scattering(x)[:, index], layer(layer(x)[:, 2:3])[:, 6])


def _taps() -> float:
    theirs = [pywt.Wavelet(name) for name in PYWAVELETS_LENGTHS]
    ours = map(wavelet_taps, PYWAVELETS_LENGTHS)
    assert len(theirs) == 106
    return float(
        any(tuple(t.rec_hi) != o.synthesis_high for t, o in zip(theirs, ours, strict=True))
    )


def _level1_taps() -> float:
    """Through what the package's own filters made of an image: the low band of level 1."""
    return max(abs(sum(level1_taps(name).analysis_low) - 1) for name in ("near_sym_a", "antonini"))


def _qshift_taps() -> float:
    return float(abs(qshift_taps("qshift_a").low.sum(1) - math.sqrt(2)).max())


CHECKS: dict[str, Callable[[], float]] = {
    "pytorch_wavelets DWTForward": lambda: _dwt("periodic", 2),
    "pytorch_wavelets DWTInverse": lambda: _idwt(2),
    "pytorch_wavelets SWTForward": _swt,
    "pytorch_wavelets DTCWTForward": _dtcwt,
    "pytorch_wavelets DTCWTInverse": _idtcwt,
    "pytorch_wavelets ScatLayer": _scattering,
    "pytorch_wavelets ScatLayerj2": _two_layers,
    "kymatio Scattering2D": _paths,
    "kymatio Scattering2D.meta": _meta,
    "dtcwt Transform2d.forward": _dtcwt,
    "dtcwt Transform2d.inverse": _idtcwt,
    "dtcwt coeffs.biort": _level1_taps,
    "dtcwt coeffs.qshift": _qshift_taps,
    "PyWavelets dwt2": lambda: _dwt("antireflect", 1),
    "PyWavelets idwt2": lambda: _idwt(1),
    "PyWavelets wavedec2": lambda: _dwt("smooth", 2),
    "PyWavelets waverec2": lambda: _idwt(2),
    "PyWavelets swt2": _swt,
    "PyWavelets iswt2": _iswt,
    "PyWavelets Wavelet": _taps,
}
"""By package and name: the largest relative deviation from what the other package gives."""


@pytest.mark.parametrize("name", CHECKS)
def test_a_line_of_the_table_is_true(name: str) -> None:
    assert CHECKS[name]() < 1e-12


def test_every_line_of_the_table_is_tested() -> None:
    lines = re.findall(
        r"^\| (pytorch_wavelets|kymatio|dtcwt|PyWavelets) `(.*?)` \|", PAGE, re.MULTILINE
    )
    documented = [f"{package} {re.sub(r'[(].*?[)]', '', call)}" for package, call in lines]
    assert documented == list(CHECKS)
