"""Draw the centre frequencies of a first layer's channels in the frequency plane."""

from __future__ import annotations

from collections.abc import Sequence

from wavetwin.explain.pictures.line_plot import Look
from wavetwin.explain.pictures.svg import escaped

__all__ = ["centre_plane"]

_SIDE, _LEFT, _TOP = 300.0, 48.0, 8.0
_TICKS = ((-1.0, "-π"), (-0.5, "-π/2"), (0.0, "0"), (0.5, "π/2"), (1.0, "π"))


def centre_plane(
    frequencies: Sequence[Sequence[float]],
    bands: Sequence[int | None],
    is_complex: Sequence[bool],
    label: str,
) -> str:
    """Return the centre frequencies of channels in the plane from -pi to pi, as an `<svg>` element.

    Args:
        frequencies: of each channel (down, right), in units of pi radians a pixel.
        bands: of each channel; channels of one band have one look.
        is_complex: whether a channel has one peak; a real one has the opposite peak, too.
        label: what the channels belong to.
    """
    numbers: dict[int | None, int] = {}
    marks: list[str] = []
    for (down, right), band, is_single in zip(frequencies, bands, is_complex, strict=True):
        look = Look(numbers.setdefault(band, len(numbers)))
        signs = (1,) if is_single else (1, -1)
        marks += [look.marker(_x(sign * right), _y(sign * down)) for sign in signs]
    title = escaped(f"Centre frequencies of {label}")
    width, height = _LEFT + _SIDE + 12, _TOP + _SIDE + 40
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{title}" font-size="12"><title>{title}</title><desc>{len(frequencies)} '
        "channels; their values stand under the kernels.</desc>"
        f"{''.join(_grid())}{''.join(marks)}</svg>"
    )


def _x(share: float) -> float:
    return _LEFT + (1 + share) / 2 * _SIDE


def _y(share: float) -> float:
    """Vertical frequencies grow downwards, as rows of an image do."""
    return _TOP + (1 + share) / 2 * _SIDE


def _grid() -> list[str]:
    parts: list[str] = []
    for share, name in _TICKS:
        colour = "#1b1d20" if share == 0 else "#d5d8dc"
        parts.append(
            f'<path d="M{_x(share):g} {_TOP:g}v{_SIDE:g}M{_LEFT:g} {_y(share):g}h{_SIDE:g}" '
            f'stroke="{colour}" stroke-width=".8" fill="none"/>'
            f'<text x="{_x(share):g}" y="{_TOP + _SIDE + 16:g}" text-anchor="middle" '
            f'fill="#1b1d20">{name}</text>'
            f'<text x="{_LEFT - 6:g}" y="{_y(share) + 4:g}" text-anchor="end" '
            f'fill="#1b1d20">{name}</text>'
        )
    middle = _TOP + _SIDE / 2
    parts.append(
        f'<text x="{_LEFT + _SIDE / 2:g}" y="{_TOP + _SIDE + 34:g}" text-anchor="middle" '
        'fill="#1b1d20">horizontal frequency, radians a pixel</text>'
        f'<text transform="translate(11 {middle:g}) rotate(-90)" text-anchor="middle" '
        'fill="#1b1d20">vertical frequency, radians a pixel, downwards</text>'
    )
    return parts
