"""Confusion matrices and reliability diagrams as drawings."""

from __future__ import annotations

import random

import pytest

from tests.support.drawn_pictures import assert_sound
from wavetwin.explain.pictures.confusion_picture import Bin, draw_confusion, draw_reliability
from wavetwin.explain.pictures.shapes import Lines, Rectangle


def matrix(classes: int, most: int) -> list[list[int]]:
    draw = random.Random(classes)
    return [[draw.choice([0, 0, 1, most]) for _ in range(classes)] for _ in range(classes)]


@pytest.mark.parametrize("classes", [1, 2, 10, 31, 100])
@pytest.mark.parametrize("most", [7, 12345])
def test_a_matrix_of_any_size_can_be_read(classes: int, most: int) -> None:
    names = ["x" * (number % 40) + "ö" for number in range(classes)]
    drawing = draw_confusion(matrix(classes, most), names, f"{classes} classes & <more>")
    assert_sound(drawing)
    assert drawing.width < 700


def test_a_cell_is_as_dark_as_its_share_of_the_row() -> None:
    drawing = draw_confusion([[3, 1], [0, 0]], ["a", "b"], "t")
    cells = {each.title: each for each in drawing.shapes if isinstance(each, Rectangle)}
    assert cells["a predicted as a: 3 of 4"].fill != cells["a predicted as b: 1 of 4"].fill
    assert cells["b predicted as a: 0 of 0"].fill == "#ffffff"
    assert [text.text for text in drawing.texts][1:5] == ["3", "1", "a 0", "b 1"]
    with pytest.raises(ValueError, match="101 classes"):
        draw_confusion(matrix(101, 3), [""] * 101, "t")


@pytest.mark.parametrize("bins", [2, 15, 1000])
def test_bars_and_marks_are_where_the_shares_are(bins: int) -> None:
    some = [Bin(0, 0.0, 0.0)] * (bins - 1) + [Bin(4, 0.75, 0.9)]
    drawing = draw_reliability(some, "Reliability")
    assert_sound(drawing)
    frame = next(
        each for each in drawing.shapes if isinstance(each, Rectangle) and each.fill is None
    )
    bar = next(each for each in drawing.shapes if isinstance(each, Rectangle) and each.title)
    assert bar.height == pytest.approx(0.75 * frame.height)
    assert bar.box[2:] == pytest.approx(frame.box[2:])
    mark = next(each for each in drawing.shapes if isinstance(each, Lines) and each.width > 2)
    assert mark.points[0][0][1] == pytest.approx(frame.box[3] - 0.9 * frame.height)
    assert "4 images, 75.0% right, mean probability 90.0%" in bar.title
