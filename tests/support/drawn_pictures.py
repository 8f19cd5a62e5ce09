"""What tests ask of a drawing: that its file is sound and its words are where they can be read."""

from __future__ import annotations

from itertools import combinations, pairwise
from xml.etree import ElementTree

from wavetwin.explain.pictures.shapes import Box, Drawing, Lines, Rectangle, Text
from wavetwin.explain.pictures.svg import render_svg, svg_file

NAMESPACE = "{http://www.w3.org/2000/svg}"


def parsed(drawing: Drawing) -> ElementTree.Element:
    """Return the SVG's root, read as any reader would."""
    return ElementTree.fromstring(svg_file(render_svg(drawing)).encode())


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share an area."""
    return (
        min(one[2], other[2]) - max(one[0], other[0]) > 0.05
        and min(one[3], other[3]) - max(one[1], other[1]) > 0.05
    )


def assert_sound(drawing: Drawing) -> None:
    """The file is well-formed, its words are all there, inside the picture and apart."""
    root = parsed(drawing)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert [text.text for text in root.iter(f"{NAMESPACE}text")] == [w.text for w in drawing.texts]
    boxes = [label.box for label in drawing.texts]
    for box in [*boxes, *(s.box for s in drawing.shapes if isinstance(s, Rectangle))]:
        assert box[0] >= 0
        assert box[1] >= 0
        assert box[2] <= drawing.width
        assert box[3] <= drawing.height
    boxes.sort(key=lambda box: box[1])
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            if other[1] >= one[3]:
                break
            assert not overlap(one, other), (one, other)


def inside(label: Text, box: Box) -> bool:
    """Whether a text lies in a box."""
    left, top, right, bottom = label.box
    return box[0] <= left and box[1] <= top and right <= box[2] and bottom <= box[3]


def crosses(lines: Lines, box: Box) -> bool:
    """Whether any straight part of the lines enters a box, measured at points close together."""
    for line in lines.points:
        for (x, y), (to_x, to_y) in pairwise(line):
            steps = max(2, int(abs(to_x - x) + abs(to_y - y)))
            for step in range(steps + 1):
                at = x + (to_x - x) * step / steps, y + (to_y - y) * step / steps
                if box[0] + 1 < at[0] < box[2] - 1 and box[1] + 1 < at[1] < box[3] - 1:
                    return True
    return False


def apart(boxes: list[Box]) -> bool:
    """Whether no two boxes overlap."""
    return not any(overlap(one, other) for one, other in combinations(boxes, 2))
