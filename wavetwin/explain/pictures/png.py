"""Render a drawing as a bitmap, by Pillow, with two pixels for each of the drawing's."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import TYPE_CHECKING

from wavetwin.explain.pictures.colours import PAPER
from wavetwin.explain.pictures.shapes import Drawing, Lines, Point, Polygon, Rectangle, Shape, Text

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

SCALE = 2


def render_png(drawing: Drawing) -> bytes:
    """Return the bytes of the file."""
    from PIL import Image, ImageDraw

    size = round(SCALE * drawing.width), round(SCALE * drawing.height)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        _draw(draw, shape)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _draw(draw: ImageDraw, shape: Shape) -> None:
    if isinstance(shape, Rectangle):
        stroke = max(1, round(SCALE * shape.stroke_width))
        left, top, right, bottom = (SCALE * edge for edge in shape.box)
        draw.rounded_rectangle(
            (left, top, right, bottom), SCALE * shape.radius, shape.fill, shape.stroke, stroke
        )
    elif isinstance(shape, Lines):
        for line in shape.points:
            for piece in _dashes(line) if shape.dashed else [line]:
                draw.line(_scaled(piece), shape.stroke, max(1, round(SCALE * shape.width)), "curve")
    elif isinstance(shape, Polygon):
        draw.polygon(_scaled(shape.points), shape.fill)
    else:
        _write(draw, shape)


def _write(draw: ImageDraw, label: Text) -> None:
    """Write a line; the font that Pillow brings has one weight, bold letters get a thin rim."""
    from PIL import ImageFont

    draw.text(
        (SCALE * label.x, SCALE * label.y),
        label.text,
        label.colour,
        ImageFont.load_default(SCALE * label.size),
        anchor={"start": "ls", "middle": "ms", "end": "rs"}[label.anchor],
        stroke_width=SCALE if label.halo else int(label.bold),
        stroke_fill=label.halo or label.colour,
    )


def _dashes(line: tuple[Point, ...], on: float = 4.0, off: float = 3.0) -> list[tuple[Point, ...]]:
    """Return the pieces of a dashed line; each straight part begins with a dash."""
    pieces: list[tuple[Point, ...]] = []
    for (x, y), (to_x, to_y) in pairwise(line):
        length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
        start = 0.0
        while start < length:
            stop = min(start + on, length)
            pieces.append(
                tuple(
                    (x + (to_x - x) * at / length, y + (to_y - y) * at / length)
                    for at in (start, stop)
                )
            )
            start += on + off
    return pieces


def _scaled(points: tuple[Point, ...]) -> list[tuple[float, float]]:
    return [(SCALE * x, SCALE * y) for x, y in points]
