"""Line plots: places of points and ticks, gaps, looks that differ without colour."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from tests.support.html_pages import Page
from wavetwin.explain.pictures.line_plot import LinePlot, Look, Series, draw_plot, key_of


def plot(*points: tuple[float, float], **changes: object) -> str:
    series = Series("run", points, Look(0))
    return draw_plot(replace(LinePlot("a plot", "epoch", "loss", [series]), **changes))


def ticks_up(text: str) -> list[str]:
    return re.findall(r'text-anchor="end" fill="#1b1d20">([^<]+)<', text)


def ticks_across(text: str) -> list[str]:
    return re.findall(r'text-anchor="middle" fill="#1b1d20">([\d.]+)<', text)


@pytest.mark.parametrize(
    ("top", "is_rate", "expected"),
    [
        (1.0, False, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (6.5, False, ["0", "2", "4", "6", "8"]),
        (0.11, False, ["0.000", "0.025", "0.050", "0.075", "0.100", "0.125"]),
        (0.31, True, ["0 %", "10 %", "20 %", "30 %", "40 %"]),
        (0.012, True, ["0.00 %", "0.25 %", "0.50 %", "0.75 %", "1.00 %", "1.25 %"]),
        (0.0, False, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ],
)
def test_ticks_are_round_and_hold_every_value(
    top: float, is_rate: bool, expected: list[str]
) -> None:
    assert ticks_up(plot((1.0, 0.0), (2.0, top), is_rate=is_rate)) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (1.0, 20.0, ["1", "5", "10", "15", "20"]),
        (1.0, 90.0, ["1", "20", "40", "60", "80"]),
        (1.0, 1.0, ["1"]),
        (0.0, 8.0, ["0", "2", "4", "6", "8"]),
        (0.0, 0.5, ["0"]),
    ],
)
def test_epochs_below_the_axis(first: float, last: float, expected: list[str]) -> None:
    assert ticks_across(plot((first, 1.0), (last, 1.0))) == expected


def test_values_that_are_not_finite_break_a_line() -> None:
    text = plot((1.0, 1.0), (2.0, 0.5), (3.0, math.nan), (4.0, 0.5), (5.0, 0.2))
    assert [len(p.split()) for p in re.findall(r'points="([^"]+)"', text)] == [2, 2]
    assert "nan" not in text
    assert plot((1.0, math.inf)) == ""
    assert plot() == ""


def test_plot_has_a_name_and_a_description() -> None:
    text = plot((1.0, 2.0), (9.0, 0.25), title='<&"')
    Page(text)
    assert 'aria-label="&lt;&amp;&quot;"' in text
    assert "loss over epoch. run: 2 at 1, 0.25 at 9." in text


def test_runs_differ_without_colour() -> None:
    """Up to seven by the marker alone; a published one by dashes and a hollow marker."""
    markers = [re.sub(r'(fill|stroke)="[^"]*"', "", Look(n).marker(0.0, 0.0)) for n in range(7)]
    assert len(set(markers)) == 7
    published = Look(0, is_published=True)
    assert "dasharray" in published.stroke
    assert "dasharray" not in Look(0).stroke
    assert 'fill="#ffffff"' in published.marker(0.0, 0.0)
    looks = {(Look(n).colour, re.sub(r'"#\w+"', "", Look(n).marker(0.0, 0.0))) for n in range(56)}
    assert len(looks) == 56
    assert key_of([(Look(0), "a<b")]).count("a&lt;b") == 1
