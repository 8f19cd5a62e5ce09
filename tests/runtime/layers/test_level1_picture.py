"""docs/layers.md: its picture of the bands is drawn from the layers' kernels."""

from __future__ import annotations

import importlib.util

from tests.support.drawn_pictures import assert_sound
from tests.support.paths import ROOT
from wavetwin.explain.pictures.svg import render_svg, svg_file


def test_the_picture_of_the_bands_is_the_codes() -> None:
    file = ROOT / "docs/pictures/draw_level1.py"
    spec = importlib.util.spec_from_file_location("draw_level1", file)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    drawing = script.draw()
    assert_sound(drawing)
    drawn = svg_file(render_svg(drawing))
    assert script.PICTURE.read_text(encoding="utf-8") == drawn, "run docs/pictures/draw_level1.py"
