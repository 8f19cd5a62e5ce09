from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.support.drawn_pictures import assert_sound, inside, parsed
from tests.support.shipped import KINDS, compiled_once, spec_of
from wavetwin.explain.packet_use import packet_choice
from wavetwin.explain.pictures.colours import PAPER, contrast, heat
from wavetwin.explain.pictures.frequency_plane import Cell, draw_frequency_plane, frequency_plane
from wavetwin.explain.pictures.packet_plane import draw_packets
from wavetwin.explain.pictures.png import render_png
from wavetwin.explain.pictures.shapes import Lines, Rectangle, hatch
from wavetwin.explain.pictures.svg import render_svg
from wavetwin.ir.packets import num_packets, plane_cells

LEVELS = [1, 2, 3, 4]


@pytest.mark.parametrize("transform", ["dtcwpt", "wpt"])
@pytest.mark.parametrize("levels", LEVELS)
def test_packets_tile_the_plane(levels: int, transform: str):
    side = 2 ** (levels + 1)
    cells = [
        cell
        for number in range(num_packets(transform, levels))
        for cell in plane_cells(transform, levels, number)
    ]
    assert sorted(cells) == [(row, column) for row in range(side) for column in range(side)]
    for number in range(num_packets(transform, levels)):
        own = set(plane_cells(transform, levels, number))
        assert {(side - 1 - row, side - 1 - column) for row, column in own} == own


@pytest.mark.parametrize("text", ["0.12", "127\n3.4", "a <b> & 'c'", ""])
@pytest.mark.parametrize("levels", LEVELS)
def test_planes_are_sound(levels: int, text: str):
    cells = {
        number: Cell(heat(number, 0, 2 * 4**levels), text, "x < y", "cross" if number % 3 else None)
        for number in range(2 * 4**levels)
    }
    drawing = draw_frequency_plane(
        levels,
        cells,
        title="A title that is much longer than the smallest plane is wide, so that it is wrapped",
        legend=[("#00215a", "nothing & none"), (Cell("#ffffff", pattern="rows"), "rows " * 30)],
    )
    assert_sound(drawing)
    in_cells = [label for label in drawing.texts if label.text in text.split("\n")]
    # Letters that could not be read are not written.
    is_legible = bool(text) and (len(text) < 8 or levels < 3)
    assert bool(in_cells) == is_legible
    assert all(label.size >= 7 for label in in_cells)
    assert frequency_plane(levels, cells, title="t") == frequency_plane(levels, cells, title="t")


def test_packets_of_shipped_specs_are_legible():
    """A complex packet has two cells of the plane, a real one four."""
    drawn = 0
    for path in KINDS:
        compiled = compiled_once(path)
        choice = packet_choice(compiled.graph)
        if choice is None:
            assert compiled.spec.stem.wavelet is None
            continue
        drawn += 1
        drawing = draw_packets(choice, compiled.name)
        assert_sound(drawing)
        assert len(render_svg(drawing)) < 100_000
        rectangles = [s for s in drawing.shapes if isinstance(s, Rectangle) and s.title]
        assert len(rectangles) == 4 ** (choice.levels + 1)
        kept = [s for s in rectangles if "left out" not in s.title]
        assert len(kept) == len(plane_cells(choice.transform, choice.levels, 0)) * choice.num_kept
        assert all((s.fill == PAPER) == ("left out" in s.title) for s in rectangles)
        for label in drawing.texts:
            for rectangle in rectangles:
                if label.anchor == "middle" and inside(label, rectangle.box):
                    assert contrast(label.colour, rectangle.fill or PAPER) >= 4.5
    assert drawn > 12


def test_titles_say_what_becomes_of_a_packet():
    choice = packet_choice(compiled_once(spec_of("AwyI")).graph)
    assert choice is not None
    titles = [
        s.title for s in draw_packets(choice, "AwyI").shapes if isinstance(s, Rectangle) and s.title
    ]
    assert "packet 70, waves at -23 degrees, band 2, group 1, wavelet channels 6 to 8" in titles
    assert "packet 0, left out (lowpass)" in titles
    assert "packet 48, waves at 45 degrees, left out (edges)" in titles


def test_a_png_shows_the_same():
    choice = packet_choice(compiled_once(spec_of("twin_mod")).graph)
    assert choice is not None
    drawing = draw_packets(choice, "twin_mod")
    data = render_png(drawing)
    assert data == render_png(drawing)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (round(2 * drawing.width), round(2 * drawing.height))
        for shape in drawing.shapes:
            if isinstance(shape, Rectangle) and shape.title and shape.fill:
                pixel = image.getpixel((2 * shape.x + 6, 2 * shape.y + 6))
                is_plain = "band 1" in shape.title or "left out" in shape.title
                assert not is_plain or "#{:02x}{:02x}{:02x}".format(*pixel) == shape.fill


@pytest.mark.parametrize("pattern", ["rising", "falling", "cross", "rows", "columns"])
def test_patterns_stay_in_their_box(pattern: str):
    box = (3.0, 5.0, 40.0, 27.0)
    lines = hatch(pattern, box, "#000000")
    assert isinstance(lines, Lines)
    assert len(lines.points) >= 3
    for x, y in (point for line in lines.points for point in line):
        assert box[0] - 1e-9 <= x <= box[2] + 1e-9
        assert box[1] - 1e-9 <= y <= box[3] + 1e-9


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no frequency plane of 5 levels"):
        frequency_plane(5, {}, title="t")
    with pytest.raises(ValueError, match="no packet 32"):
        frequency_plane(2, {32: Cell("#ffffff")}, title="t")
    with pytest.raises(ValueError, match="no pattern 'dots'"):
        frequency_plane(2, {1: Cell("#ffffff", pattern="dots")}, title="t")


def test_the_elements_text_is_escaped():
    drawing = draw_frequency_plane(1, {0: Cell("#ffffff", "<x>", "\"&'\x00")}, title='</svg>"')
    root = parsed(drawing)
    assert root.get("aria-label") == '</svg>"'
    assert "\"&'" in [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
