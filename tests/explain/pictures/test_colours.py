from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavetwin.explain.pictures.colours import (
    CATEGORIES,
    FAINT,
    INK,
    PAPER,
    category,
    contrast,
    heat,
    ink_on,
    luminance,
    mixed,
)

SHARES = [step / 200 for step in range(201)]


def lightness(colour: str) -> float:
    """CIE L*."""
    y = luminance(colour)
    return 116 * y ** (1 / 3) - 16 if y > (6 / 29) ** 3 else y * (29 / 3) ** 3


def as_seen_without(colour: str, kind: str) -> str:
    """What a dichromat sees: Vienot, Brettel and Mollon 1999 (doi:10.1002/(SICI)1520-6378)."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    rows = {
        "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
        "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
    }[kind]
    seen = [
        min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear, strict=True)))) for row in rows
    ]
    back = [12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in seen]
    return "#" + "".join(f"{round(255 * c):02x}" for c in back)


def test_black_and_white_have_the_largest_contrast():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # WCAG's own example
    assert min(contrast(INK, PAPER), contrast(FAINT, PAPER)) >= 4.5


def test_the_map_gets_lighter_in_even_steps():
    values = [lightness(heat(share, 0, 1)) for share in SHARES]
    steps = [after - before for before, after in pairwise(values)]
    assert min(steps) > 0
    assert max(steps) < 2.2 * (values[-1] - values[0]) / len(steps)
    assert values[-1] - values[0] > 75


@pytest.mark.parametrize("kind", ["protan", "deutan"])
def test_the_map_gets_lighter_without_red_or_green_cones(kind: str):
    values = [lightness(as_seen_without(heat(share, 0, 1), kind)) for share in SHARES[::10]]
    assert values == sorted(values)
    assert values[-1] - values[0] > 70


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_any_finite_value_has_a_colour(value: float, low: float, width: float):
    colour = heat(value, low, low + width)
    assert len(colour) == 7
    assert 0 <= luminance(colour) <= 1
    if value <= low < low + width:
        assert colour == heat(low, low, low + width)


@pytest.mark.parametrize(
    "scale", [(float("nan"), 0, 1), (0, float("-inf"), 1), (0, 0, float("inf")), (0, 1, 0)]
)
def test_what_has_no_place_has_no_colour(scale: tuple[float, float, float]):
    with pytest.raises(ValueError, match="no colour"):
        heat(*scale)


def test_equal_ends_are_in_the_middle():
    assert heat(3, 3, 3) == heat(0.5, 0, 1)


def test_words_are_legible_on_every_colour():
    fills = [heat(share, 0, 1) for share in SHARES] + [each.fill for each in CATEGORIES] + [PAPER]
    assert min(contrast(ink_on(fill), fill) for fill in fills) >= 4.5


def test_neighbouring_categories_differ_in_grey_and_in_pattern():
    for one, other in pairwise(CATEGORIES):
        assert one.pattern != other.pattern
        assert abs(lightness(one.fill) - lightness(other.fill)) > 5
    looks = {(each.pattern, round(lightness(each.fill))) for each in CATEGORIES}
    assert len(looks) == len(CATEGORIES)
    assert category(len(CATEGORIES)) == CATEGORIES[0]


def test_colours_are_written_in_full():
    assert mixed("#000000", "#ffffff", 0.5) == "#808080"
    with pytest.raises(ValueError, match="#rrggbb"):
        luminance("red")
