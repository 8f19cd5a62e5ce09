"""The lattices of the packet filters: what their rotations give is what the filters give."""

from __future__ import annotations

import pytest
import torch

from wavetwin.runtime.bank.filters import QSHIFT_FILTERS, Taps, qshift_taps
from wavetwin.runtime.bank.native import lattice
from wavetwin.runtime.bank.native.cascade import PAIRS
from wavetwin.runtime.bank.native.lattice import make_lattices


def rotate(x: torch.Tensor, turns: tuple[float, ...], is_crossed: bool) -> list[torch.Tensor]:
    """Return both outputs of the rotations, as lattice.h takes them, per pair of samples."""
    first, second = x[0::2], x[1::2]
    if is_crossed:
        first, second = second, first
    for number, turn in enumerate(turns):
        if number > 0:
            first, second = first[1:], second[:-1]
        first, second = first + turn * second, second - turn * first
    return [first, second]


@pytest.mark.parametrize("filters", QSHIFT_FILTERS)
def test_rotations_give_what_the_filters_do(filters: str):
    found, taps = make_lattices(filters), qshift_taps(filters)
    x = torch.randn(80, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for tree, of_tree in enumerate(found.of_trees):
        outputs = rotate(x, of_tree.turns, found.is_crossed)
        if of_tree.is_swapped:
            outputs.reverse()
        assert len(of_tree.turns) in PAIRS, "the kernel has a loop of that length"
        for output, filtered, sign in zip(outputs, taps, of_tree.signs, strict=True):
            windows = x.unfold(0, filtered.shape[1], 2)
            expected = sign * found.gain * windows @ filtered[tree]
            assert (output - expected).abs().max() <= 1e-14 * found.gain


def test_filters_that_are_not_orthonormal_have_no_lattice(monkeypatch: pytest.MonkeyPatch):
    low, high = qshift_taps("qshift_a")
    changed = low.clone()
    changed[0, 3] += 1e-3
    monkeypatch.setattr(lattice, "qshift_taps", lambda filters: Taps(changed, high))
    with pytest.raises(ValueError, match="are not two orthonormal pairs"):
        make_lattices.__wrapped__("qshift_a")
