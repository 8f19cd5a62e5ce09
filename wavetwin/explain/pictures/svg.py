"""Render a drawing as one `<svg>` element, which stands in HTML or in a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from wavetwin.explain.pictures.shapes import Drawing, Lines, Point, Polygon, Rectangle, Shape

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def render_svg(drawing: Drawing) -> str:
    """Return the element; it has no ids, so that several stand in one page."""
    width, height = _number(drawing.width), _number(drawing.height)
    title = escaped(drawing.title)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{title}" '
        f'font-family="{FONT}" style="max-width:100%;height:auto">',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_group(style, list(shapes)) for style, shapes in groupby(drawing.shapes, key=_style)),
        "</svg>",
    ]
    return "\n".join(lines)


def svg_file(element: str) -> str:
    """Return the text of a file that holds one `<svg>` element."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{element}\n'


def escaped(text: str) -> str:
    """Return text as XML takes it in content and in attributes; what it may not hold is left out."""
    kept = "".join(char for char in text if char.isprintable() or char in "\n\t")
    return (
        kept.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#39;")
    )


def _group(style: str, shapes: Sequence[Shape]) -> str:
    """Return shapes of one style after each other."""
    elements = [_element(shape) for shape in shapes]
    if len(elements) == 1:
        name, rest = elements[0][1:].split(" ", 1)
        return f"<{name} {style} {rest}"
    return "\n".join([f"<g {style}>", *elements, "</g>"])


def _style(shape: Shape) -> str:
    """Return the attributes that say how a shape looks, but for the fill of a rectangle."""
    if isinstance(shape, Rectangle):
        stroke, width = shape.stroke or "none", _number(shape.stroke_width)
        return f'stroke="{stroke}" stroke-width="{width}"'
    if isinstance(shape, Lines):
        dashes = ' stroke-dasharray="4 3"' if shape.dashed else ""
        return f'fill="none" stroke="{shape.stroke}" stroke-width="{_number(shape.width)}"{dashes}'
    if isinstance(shape, Polygon):
        return f'fill="{shape.fill}"'
    parts = [f'font-size="{_number(shape.size)}" fill="{shape.colour}" pointer-events="none"']
    if shape.anchor != "start":
        parts.append(f'text-anchor="{shape.anchor}"')
    if shape.bold:
        parts.append('font-weight="bold"')
    if shape.halo is not None:
        parts.append(
            f'stroke="{shape.halo}" stroke-width="3" stroke-linejoin="round" paint-order="stroke"'
        )
    return " ".join(parts)


def _element(shape: Shape) -> str:
    if isinstance(shape, Rectangle):
        return _rectangle(shape)
    if isinstance(shape, Lines):
        return f'<path d="{"".join(_path(line) for line in shape.points)}"/>'
    if isinstance(shape, Polygon):
        return f'<path d="{_path(shape.points)}Z"/>'
    return f'<text x="{_number(shape.x)}" y="{_number(shape.y)}">{escaped(shape.text)}</text>'


def _rectangle(shape: Rectangle) -> str:
    opening = (
        f'<rect x="{_number(shape.x)}" y="{_number(shape.y)}" width="{_number(shape.width)}" '
        f'height="{_number(shape.height)}" fill="{shape.fill or "none"}"'
    )
    if shape.radius:
        opening += f' rx="{_number(shape.radius)}"'
    return (
        f"{opening}><title>{escaped(shape.title)}</title></rect>" if shape.title else opening + "/>"
    )


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _number(value: float) -> str:
    """Return a length to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
