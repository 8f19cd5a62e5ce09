"""The bar of a scale: its colours are those of the picture, its ticks stand where their values do."""

import math

import pytest

from wavetwin.explain.pictures.colour_bar import BAR_HEIGHT, ColourBar, draw_bar
from wavetwin.explain.pictures.colours import heat
from wavetwin.explain.pictures.frequency_plane import Cell, draw_frequency_plane
from wavetwin.explain.pictures.shapes import Lines, Rectangle, Text
from wavetwin.explain.study.planes import heat_plane
from wavetwin.explain.study.positions import PacketPosition

BAR = ColourBar("a title", [(0.0, "0"), (0.5, "half"), (1.0, "1 and more")])


def test_the_bar_has_the_colours_of_the_scale_and_its_ticks() -> None:
    shapes = list(draw_bar(BAR, (10.0, 100.0, 490.0)))
    filled = [each for each in shapes if isinstance(each, Rectangle) and each.fill]
    assert (filled[0].x, filled[-1].x + filled[-1].width) == (10.0, 490.0)
    width = 480 / len(filled)
    for number, each in enumerate(filled):
        assert each.x == pytest.approx(10 + number * width)
        assert each.fill == heat((number + 0.5) / len(filled), 0.0, 1.0)
    (marks,) = [each for each in shapes if isinstance(each, Lines)]
    assert [line[0][0] for line in marks.points] == [10.0, 250.0, 490.0]
    texts = [each for each in shapes if isinstance(each, Text)]
    assert [(each.text, each.anchor) for each in texts] == [
        ("0", "start"), ("half", "middle"), ("1 and more", "end"), ("a title", "middle"),
    ]  # fmt: skip
    # Nothing leaves the room that the bar says it takes.
    for each in texts:
        left, top, right, bottom = each.box
        assert left >= 9.9
        assert right <= 490.1
        assert top > 100
        assert bottom <= 100 + BAR_HEIGHT


def test_a_plane_makes_room_for_its_bar() -> None:
    cells = {0: Cell("#ffffff")}
    without, with_bar = (draw_frequency_plane(3, cells, title="t", bar=bar) for bar in (None, BAR))
    assert with_bar.height == without.height + BAR_HEIGHT
    assert with_bar.width == without.width


def test_ticks_of_a_map_stand_where_its_colours_are() -> None:
    position = PacketPosition(0, 1, (0, 0), (0.1, 0.1), (0.1, 0.1))
    scale = (0.0, 0.25, 1.0)
    picture = heat_plane(1, [position], [0.25], title="t", scale=scale)
    assert "1 and more" in picture
    assert "0.25" in picture
    # A value's cell has the colour of the bar above its tick, to one step of the bar.
    share = math.sqrt(0.25)
    assert heat(share, 0.0, 1.0) in picture
    steps = [heat((number + 0.5) / 48, 0.0, 1.0) for number in range(48)]
    assert all(each in picture for each in steps)
    assert picture == heat_plane(1, [position], [0.25], title="t", scale=scale)
