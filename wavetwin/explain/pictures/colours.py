"""Choose colours that grey printing and colour-blind people leave distinct.

The map of values runs from dark blue to light yellow, on the axis that red-green blindness keeps, in
even steps of CIE lightness; the colours of categories differ in lightness, too, and each has a
pattern of its own, so that nothing is shown by hue alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PAPER = "#ffffff"
INK = "#1a1a1a"
FAINT = "#5c5c5c"
"""Of text that matters less: still a contrast above 4.5 on paper."""
FRAME = "#9a9a9a"

_MAP = (
    "#00215a",
    "#313562",
    "#514c69",
    "#6f6570",
    "#8c7e77",
    "#a9997d",
    "#c7b583",
    "#e4d187",
    "#ffef8c",
)
"""CIE lightness 14, 24, ... 94; a from 14 to -6 and b from -38 to 50."""


@dataclass(frozen=True, slots=True)
class Category:
    """A colour and the pattern that sets it apart from the others without colour."""

    fill: str
    pattern: str | None


CATEGORIES: tuple[Category, ...] = (
    Category("#f9e377", None),
    Category("#87d0ef", "rising"),
    Category("#f6a444", "falling"),
    Category("#449c6b", "rows"),
    Category("#ac5291", "columns"),
    Category("#175b9e", "cross"),
    Category("#743c23", "rising"),
    Category("#a6a6a6", "falling"),
)
"""In the order in which they are taken, from light to dark but for the last."""


def category(index: int) -> Category:
    """Return the category of a number from 0; after the last one they begin again."""
    return CATEGORIES[index % len(CATEGORIES)]


def heat(value: float, low: float, high: float) -> str:
    """Return the colour, `#rrggbb`, of a value on a scale from `low`, dark, to `high`, light.

    Values beyond the ends have the ends' colours; where both ends are equal every value is in the
    middle.

    Raises:
        ValueError: a number is not finite, or `high` is below `low`.
    """
    if not all(map(math.isfinite, (value, low, high))) or high < low:
        raise ValueError(f"no colour for {value} on a scale from {low} to {high}")
    share = 0.5 if high == low else (min(max(value, low), high) - low) / (high - low)
    position = share * (len(_MAP) - 1)
    first = min(int(position), len(_MAP) - 2)
    return mixed(_MAP[first], _MAP[first + 1], position - first)


def mixed(first: str, second: str, share: float) -> str:
    """Return the colour that lies this share of the way from the first to the second."""
    channels = (
        round(before + share * (after - before))
        for before, after in zip(_channels(first), _channels(second), strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, from 0 to 1 (WCAG 2.2)."""
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def ink_on(fill: str) -> str:
    """Return black or white, whichever is the more legible on a colour: a contrast above 4.5."""
    return max(("#000000", PAPER), key=lambda colour: contrast(colour, fill))


def _channels(colour: str) -> tuple[int, int, int]:
    digits = colour.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"a colour is written #rrggbb, not {colour!r}")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
