"""Draw resulting kernels, in space and in frequency, so that grey printing leaves them legible."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from wavetwin.explain.no_stem import require_stem
from wavetwin.explain.show.kernel_tiles import (
    FRAME,
    INK,
    PAPER,
    KernelTile,
    draw_panels,
    kernel_tiles,
    tile_side,
)
from wavetwin.files.atomic import write_file
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.network.build import Network, build_module
from wavetwin.runtime.network.kernels import ResultingKernel, resulting_kernel
from wavetwin.runtime.network.resulting_kernel import ENERGY
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.training.checkpoint import load_weights
from wavetwin.runtime.training.starting.initial_stem import initial_stem

__all__ = ["draw_kernels", "experiment_kernel", "picture_kernels", "write_kernels"]

_GAP, _MARGIN, _LINE = 8, 16, 15
_WIDTH = 1240


def picture_kernels(
    graph: ModuleGraph, plan: TrainingPlan, project: Path, file: Path, checkpoint: Path | None
) -> None:
    """Write the picture of an experiment's first layer.

    Args:
        graph: of the model, as written.
        plan: says how the weights begin, where no checkpoint is given.
        project: what the plan's paths are relative to.
        file: the PNG file.
        checkpoint: weights of the whole model, a safetensors file.

    Raises:
        RunError: the weights cannot be read or are of another model, or the picture not written.
    """
    kernel, title = experiment_kernel(graph, plan, project, checkpoint)
    try:
        write_kernels(kernel, title, file)
    except OSError as error:
        raise RunError(
            write_code(error), f"cannot be written: {error.strerror or error}", subject=file
        ) from error


def experiment_kernel(
    graph: ModuleGraph, plan: TrainingPlan, project: Path, checkpoint: Path | None
) -> tuple[ResultingKernel, str]:
    """Return an experiment's resulting kernel and whose weights it has; arguments as above.

    Raises:
        RunError: the weights cannot be read or are of another model.
    """
    require_stem(graph)
    if checkpoint is None:
        model = initial_stem(graph, plan, project)
        title = f"{plan.name}, initial weights, seed {plan.seed}"
    else:
        model = _empty(graph)
        load_weights(model, checkpoint)
        title = f"{plan.name}, weights of {checkpoint.name}"
    with torch.no_grad():
        return resulting_kernel(model, graph), title


def _empty(graph: ModuleGraph) -> Network:
    """Return a network with memory and no values yet."""
    with torch.device("meta"):
        model = build_module(graph)
    return model.to_empty(device="cpu")


def write_kernels(kernel: ResultingKernel, title: str, file: Path) -> None:
    """Write the picture as a PNG file."""
    content = io.BytesIO()
    draw_kernels(kernel, title).save(content, format="PNG", optimize=True)
    write_file(file, content.getvalue())


def draw_kernels(kernel: ResultingKernel, title: str) -> Image.Image:
    """Return a picture of every channel.

    A real channel has its kernel and the modulus of its Fourier transform; a complex one the real
    part, the imaginary part and the modulus. Each is scaled to its own largest value.
    """
    height, width = kernel.weight.shape[-2:]
    sections = kernel_tiles(kernel)
    tiles = [tile for _, group in sections for tile in group]
    rows, columns, _ = tiles[0].panels[0].shape
    lines = [
        title,
        f"{len(tiles)} channels; kernels of {height} x {width} pixels, {rows} x "
        f"{columns} of them shown: at least {100 * ENERGY:g} % of each kernel's energy.",
        "Left: the weights, mid-grey is 0, each channel scaled to its largest weight"
        + (", real part then imaginary part of complex channels" * any(kernel.is_complex))
        + ("; below, its red, green and blue weights in grey." * (kernel.weight.shape[1] == 3)),
        "Right: modulus of the Fourier transform, all colours together, frequency 0 in the middle, "
        "edges at pi radians a pixel; white is 0, black its largest value.",
        "Labels: number; where the spectrum is largest, (down, right), in radians a pixel.",
        *(
            ["Bands are the items of `keep`, counted from 1, as in `wavetwin show --packets`."]
            if set(kernel.bands) - {None}
            else []
        ),
    ]
    return _lay_out(lines, sections)


def _lay_out(lines: Sequence[str], sections: Sequence[tuple[str, list[KernelTile]]]) -> Image.Image:
    title, font = ImageFont.load_default(18), ImageFont.load_default(12)
    first = sections[0][1][0]
    side = max(tile_side(tile.panels[0].shape[0]) for _, tiles in sections for tile in tiles)
    strip = side // 3 if first.strips[0] else 0
    rows: list[tuple[str, list[KernelTile]]] = []
    for name, tiles in sections:
        panels = len(tiles[0].panels) + 1
        across = max(1, (_WIDTH - 2 * _MARGIN) // (panels * (side + 2) + 2 * _GAP))
        for start in range(0, len(tiles), across):
            rows.append((name if start == 0 else "", tiles[start : start + across]))
    row_height = 2 * _LINE + side + strip + 2 * _GAP
    head = _MARGIN + 26 + _LINE * (len(lines) - 1) + _GAP
    total = head + sum(row_height + (_LINE + _GAP if name else 0) for name, _ in rows) + _MARGIN
    picture = Image.new("RGB", (_WIDTH, total), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), lines[0], INK, title)
    for number, line in enumerate(lines[1:]):
        draw.text((_MARGIN, _MARGIN + 26 + _LINE * number), line, INK, font)
    y = head
    for name, tiles in rows:
        if name:
            draw.line((_MARGIN, y, _WIDTH - _MARGIN, y), FRAME)
            draw.text((_MARGIN, y + 3), name, INK, font)
            y += _LINE + _GAP
        x = _MARGIN
        for tile in tiles:
            _draw_tile(picture, draw, tile, x, y, side, strip, font)
            x += (len(tile.panels) + 1) * (side + 2) + 2 * _GAP
        y += row_height
    return picture


def _draw_tile(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    tile: KernelTile,
    x: int,
    y: int,
    side: int,
    strip: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Draw a channel: two lines of text, then what `draw_tile` shows."""
    draw.text((x, y), tile.label[0], INK, font)
    draw.text((x, y + _LINE - 2), tile.label[1], INK, font)
    draw_panels(picture, draw, tile, (x, y + 2 * _LINE), side, strip)
