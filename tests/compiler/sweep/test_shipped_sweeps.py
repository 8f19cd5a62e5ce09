"""The sweeps that lie among the shipped specs compile, every point of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from wavetwin.compiler.sweep.members import check_sweep
from wavetwin.ir.sweeps import SWEEP_SUFFIX
from wavetwin.provenance.starters import starter_names

SWEEPS = sorted((ROOT / "specs").rglob(f"*{SWEEP_SUFFIX}"))


def test_there_are_sweeps_and_no_list_of_specs_has_them() -> None:
    assert SWEEPS
    assert not any(name.endswith(SWEEP_SUFFIX) for name in starter_names())


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_a_shipped_sweep_has_the_points_of_its_source(path: Path) -> None:
    checked = check_sweep(path)
    assert len(checked.points) == 32
    assert checked.warnings == ()
    varied = [each.count for each in checked.space.fields if each.varies]
    assert varied == [4, 4, 4, 4]
    assert all(re.fullmatch(r"(\w+=[0-9.e-]+,?){4}", each.label) for each in checked.points)
    assert {each.plan.epochs for each in checked.points} == {20}
    assert {each.plan.threads for each in checked.points} == {1}
