"""Draw the packet bank's layout of one spec, from the layout that the code makes for it.

Run as `python docs/pictures/draw_bank.py`: it writes `bank-AwyI.svg` beside itself, which docs/bank.md
shows. A test holds the file to what is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

import wavetwin
from wavetwin.explain.pictures.colours import FAINT, FRAME, INK, PAPER, category
from wavetwin.explain.pictures.shapes import Anchor, Drawing, Lines, Rectangle, Shape, Text
from wavetwin.explain.pictures.svg import render_svg, svg_file
from wavetwin.ir.operations import PacketBank
from wavetwin.runtime.bank.blocks import AxisBlocks
from wavetwin.runtime.bank.layout import BankLayout, make_layout
from wavetwin.runtime.bank.slots import Slots, make_slots
from wavetwin.runtime.network.build import make_layer

FOLDER = Path(__file__).resolve().parent
SPEC, PICTURE = FOLDER.parents[1] / "specs/alexnet/AwyI.yaml", FOLDER / "bank-AwyI.svg"
WIDTH, LEFT, CELL, BOX = 820.0, 120.0, (62.0, 30.0), 20.0


def bank_layout(spec: Path) -> BankLayout:
    """Return the layout of a spec's bank for one of its images on a CPU, as the bank asks for it."""
    graph = wavetwin.compile(spec).optimised_graph
    (node,) = [node for node in graph if isinstance(node.operation, PacketBank)]
    bank = make_layer(graph.layer(node, {}))
    inputs = [torch.zeros(1, *graph.by_id[name].output_shape) for name in node.inputs]
    with mock.patch("wavetwin.runtime.bank.mixed.make_layout", wraps=make_layout) as asked:
        bank(*inputs)
    return make_layout(*asked.call_args.args)


def draw(name: str, layout: BankLayout) -> Drawing:
    """Return the picture: slots and tiles, outputs, and both axes of the image."""
    info, slots = layout.info, make_slots(layout.info)
    left, right, top, bottom = layout.margins
    height = layout.num_blocks * layout.along_columns.block - top - bottom
    width = layout.along_rows.total_blocks * layout.along_rows.block - left - right
    what = "both parts" if info.is_complex else "real parts alone"
    title = (
        f"The packet bank of {name}: {len(info.packets)} packets of {info.levels} levels, {what}"
    )
    y = 92.0
    shapes: list[Shape] = [_text(16, 26, title, bold=True), *_grid(layout, slots, y)]
    y += slots.columns.shape[1] * CELL[1] + 76
    shapes += _outputs(layout, y)
    y += len(layout.tiles) * 24 + 100
    size = f"{height} x {width} pixels"
    shapes += _axis(f"along_rows, of {size}", layout.along_rows, width, info.out_width, y)
    y += 150
    shapes += _axis(f"along_columns, of {size}", layout.along_columns, height, info.out_height, y)
    return Drawing(WIDTH, y + 118, title, tuple(shapes))


def _text(x: float, y: float, text: str, anchor: Anchor = "start", *, bold: bool = False) -> Text:
    return Text(x, y, text, 12, INK if bold else FAINT, anchor, bold)


def _grid(layout: BankLayout, slots: Slots, top: float) -> Iterator[Shape]:
    """Yield the lanes as columns and the filters as rows: a cell holds a slot of each tree."""
    lanes, trees, taps = slots.rows.shape
    filters = slots.columns.shape[1]
    wide, high = CELL
    kind = f"{trees} trees" if trees > 1 else "1 tree"
    text = f"Slots: {lanes} lanes x {kind} x {filters} filters of {taps} taps"
    yield _text(16, top - 38, text, bold=True)
    for lane in range(lanes):
        yield _text(LEFT + (lane + 0.5) * wide, top - 8, f"lane {lane}", "middle")
    for number in range(filters):
        yield _text(LEFT - 8, top + number * high + 20, f"filter {number}", "end")
    yield Rectangle(LEFT, top, lanes * wide, filters * high, PAPER, FRAME)
    right = LEFT + lanes * wide + 16
    for index, tile in enumerate(slots.tiles):
        across, down = _size(tile.lanes), _size(tile.filters)
        takes = tile.packets[0].view(-1, across, trees, down).any(2)
        left, up = LEFT + tile.lanes.start * wide, top + tile.filters.start * high
        for lane in range(across):
            for number in range(down):
                rows = takes[:, lane, number].nonzero().flatten().tolist()
                text = ", ".join(str(layout.info.packets[row]) for row in rows)
                x, y = left + lane * wide, up + number * high
                yield Rectangle(x, y, wide, high, category(index).fill, FRAME)
                yield Text(x + wide / 2, y + 20, text or "none", 12, INK, "middle")
        yield Rectangle(left, up, across * wide, down * high, stroke=INK, stroke_width=2.5)
        y = top + 12 + index * 58
        yield Rectangle(right, y - 11, 13, 13, category(index).fill, INK)
        yield _text(right + 20, y, f"tile {index}", bold=True)
        yield _text(right + 20, y + 16, f"lanes {_range(tile.lanes)}")
        yield _text(right + 20, y + 32, f"filters {_range(tile.filters)}")
    below = top + filters * high + 20
    yield _text(
        LEFT, below, "Numbers: the kept packets that are sums or differences of a cell's slots,"
    )
    yield _text(
        LEFT, below + 16, "a slot for each tree. White: no packet is kept, so there is no tile."
    )


def _outputs(layout: BankLayout, top: float) -> Iterator[Shape]:
    """Yield the outputs that each tile is mixed to, and the groups of the mixing that they are of."""
    yield _text(16, top, f"Outputs: {layout.info.outputs} maps, each tile mixed to some", bold=True)
    start = 0
    for number, (inputs, outputs, groups) in enumerate(layout.info.bands, start=1):
        left, right = LEFT + start * BOX + 2, LEFT + (start + outputs) * BOX - 2
        y = top + 46.0
        yield Lines((((left, y + 6), (left, y), (right, y), (right, y + 6)),), INK)
        yield _text(left, y - 18, f"band {number}: {inputs} to {outputs},")
        yield _text(left, y - 4, f"{groups} groups")
        start += outputs
    for index, tile in enumerate(layout.tiles):
        y = top + 58 + index * 24
        yield _text(LEFT - 8, y + 14, f"tile {index}", "end")
        for output in range(layout.info.outputs):
            inside = tile.outputs.start <= output < tile.outputs.stop
            fill = category(index).fill if inside else PAPER
            yield Rectangle(LEFT + output * BOX, y, BOX, 18, fill, FRAME)


def _axis(name: str, axis: AxisBlocks, size: int, kept: int, top: float) -> Iterator[Shape]:
    """Yield one axis: the blocks that are read, those in the image, and the outputs."""
    scale = (WIDTH - LEFT - 20) / (axis.total_blocks * axis.block)
    block, step = axis.block * scale, axis.block * scale / axis.per_block
    computed = axis.num_blocks * axis.per_block
    text = f"{name}: {axis.total_blocks} blocks of {axis.block} samples, the first at {axis.first}"
    yield _text(16, top, text, bold=True)
    yield _text(LEFT - 8, top + 29, "blocks read", "end")
    yield _text(LEFT - 8, top + 61, "outputs", "end")
    for number in range(axis.total_blocks):
        first = axis.first + number * axis.block
        fill = category(1).fill if first + axis.block > 0 and first < size else PAPER
        yield Rectangle(LEFT + number * block, top + 14, block, 22, fill, FRAME)
        yield Text(LEFT + (number + 0.5) * block, top + 29, str(number), 12, INK, "middle")
    for output in range(computed):
        x = LEFT + output // axis.per_block * block + output % axis.per_block * step
        fill = category(0).fill if output < kept else PAPER
        yield Rectangle(x, top + 46, step, 20, fill, FRAME)
    end = LEFT + axis.reach * block
    yield Lines((((LEFT, top + 72), (LEFT, top + 78), (end, top + 78), (end, top + 72)),), INK)
    last = axis.reach - 1
    yield _text(
        LEFT,
        top + 94,
        f"reach {axis.reach}: the {axis.per_block} outputs that begin in block 0 read blocks 0 to {last}",
    )
    yield _text(
        LEFT,
        top + 110,
        f"Blue: samples of the image; white: zeros. Yellow: {kept} outputs are kept of {computed}.",
    )


def _size(part: slice) -> int:
    return part.stop - part.start


def _range(part: slice) -> str:
    return f"{part.start} to {part.stop - 1}"


def main() -> None:
    """Write the picture."""
    drawing = draw(SPEC.stem, bank_layout(SPEC))
    PICTURE.write_text(svg_file(render_svg(drawing)), encoding="utf-8")


if __name__ == "__main__":
    main()
