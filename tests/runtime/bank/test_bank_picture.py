"""docs/bank.md: its picture is drawn from the code's layout, and its terms are the code's."""

from __future__ import annotations

import dataclasses
import importlib.util
import re

from tests.support.drawn_pictures import assert_sound
from tests.support.paths import ROOT
from wavetwin.explain.pictures.svg import render_svg, svg_file
from wavetwin.runtime.bank.blocks import AxisBlocks
from wavetwin.runtime.bank.info import BankInfo
from wavetwin.runtime.bank.layout import BankLayout, TileLayout
from wavetwin.runtime.bank.native.cascade import Program
from wavetwin.runtime.bank.native.lattice import Lattice
from wavetwin.runtime.bank.slots import Slots

KINDS = (AxisBlocks, BankInfo, BankLayout, Lattice, Program, Slots, TileLayout)
CLASSES = {each.__name__: each for each in KINDS}


def test_the_picture_of_the_bank_is_the_codes() -> None:
    spec = importlib.util.spec_from_file_location("draw_bank", ROOT / "docs/pictures/draw_bank.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    drawing = script.draw("AwyI", script.bank_layout(script.SPEC))
    assert_sound(drawing)
    drawn = svg_file(render_svg(drawing))
    assert script.PICTURE.read_text(encoding="utf-8") == drawn, "run docs/pictures/draw_bank.py"


def test_the_terms_of_the_bank_are_the_codes() -> None:
    text = (ROOT / "docs/bank.md").read_text(encoding="utf-8")
    terms = re.findall(r"`([A-Z]\w+)\.(\w+)`", text)
    assert len(terms) > 12
    for owner, name in terms:
        names = {field.name for field in dataclasses.fields(CLASSES[owner])}
        assert name in names or hasattr(CLASSES[owner], name), f"{owner}.{name}"
