"""Draw the kernels of the six bands that scattering and invariant layers take the modulus of.

Run as `python docs/pictures/draw_level1.py`: it writes `level1-bands.svg` beside itself, which
docs/layers.md shows. A test holds the file to what is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from wavetwin.explain.pictures.colours import FRAME, INK, PAPER
from wavetwin.explain.pictures.shapes import Drawing, Rectangle, Shape, Text
from wavetwin.explain.pictures.svg import render_svg, svg_file
from wavetwin.runtime.layers.moduli import level1_kernels
from wavetwin.runtime.wavelets import dual_tree

PICTURE = Path(__file__).resolve().parent / "level1-bands.svg"
PIXEL, GAP, LEFT, TOP = 12.0, 16.0, 88.0, 64.0


def draw() -> Drawing:
    """Return the picture: real parts above imaginary parts, grey is 0."""
    kernels = level1_kernels(dual_tree.level1_filters("near_sym_a")[0])[1:, 0]
    side = kernels.shape[1] * PIXEL
    title = "Bands of near_sym_a, as correlated with the image: mid-grey is 0"
    shapes: list[Shape] = [Text(16, 26, title, 12, INK, "start", True)]
    for row, part in enumerate(("real", "imaginary")):
        y = TOP + row * (side + GAP)
        shapes.append(Text(LEFT - 10, y + side / 2, part, 12, INK, "end"))
        for band, angle in enumerate(dual_tree.ANGLES):
            x = LEFT + band * (side + GAP)
            if not row:
                shapes.append(Text(x + side / 2, y - 8, f"{angle} degrees", 12, INK, "middle"))
            shapes += _tile(kernels[6 * row + band], x, y)
    width = LEFT + len(dual_tree.ANGLES) * (side + GAP)
    return Drawing(width, TOP + 2 * (side + GAP), title, tuple(shapes))


def _tile(kernel: torch.Tensor, left: float, top: float) -> Iterator[Shape]:
    """Yield a kernel's pixels, scaled to its largest value."""
    side = len(kernel) * PIXEL
    yield Rectangle(left, top, side, side, PAPER, FRAME)
    largest = float(kernel.abs().max())
    for i, line in enumerate(kernel.tolist()):
        for j, value in enumerate(line):
            grey = round(128 + 127 * value / largest)
            yield Rectangle(
                left + j * PIXEL, top + i * PIXEL, PIXEL, PIXEL, f"#{grey:02x}{grey:02x}{grey:02x}"
            )


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(svg_file(render_svg(draw())), encoding="utf-8")


if __name__ == "__main__":
    main()
