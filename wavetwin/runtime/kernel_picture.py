"""A picture of resulting kernels, in space and in frequency, that grey printing leaves legible.

Every kernel is drawn in colour and, below, colour by colour in grey; spectra are grey throughout, so
that nothing is told by hue alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from wavetwin.compiler.graph import ModuleGraph
from wavetwin.compiler.plan import TrainingPlan
from wavetwin.runtime.build import Network, build_module, initialise
from wavetwin.runtime.checkpoint import load_free_channels, load_weights
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.kernels import ResultingKernel, resulting_kernel

__all__ = ["draw_kernels", "energy_window", "picture_kernels", "write_kernels"]

_PANEL = 72
"""Pixels of a panel, about: a whole multiple of the kernel's size, three times it or more, so that
each colour alone has a pixel a weight."""
_GAP, _MARGIN, _LINE = 8, 16, 15
_WIDTH = 1240
_ENERGY = 0.995
_PAPER, _INK, _FRAME = (255, 255, 255), (0, 0, 0), (150, 150, 150)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class _Tile:
    """One channel."""

    label: tuple[str, str]
    panels: tuple[Pixels, ...]
    """Kernels, (height, width, 3)."""
    strips: tuple[tuple[Pixels, ...], ...]
    """Below each panel its colours one by one, in grey; none for one colour."""
    spectrum: Pixels


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
    if checkpoint is None:
        # The trunk, most of the weights, is not drawn: every parameter has a stream of its own.
        nodes = tuple(node for node in graph if node.section in ("input", "stem"))
        first = replace(graph, nodes=nodes)
        model = build_module(first)
        initialise(model, first, plan.seed)
        if plan.initial_weights is not None:
            load_free_channels(model, plan.initial_weights, project)
        title = f"{plan.name}, initial weights, seed {plan.seed}"
    else:
        model = _empty(graph)
        load_weights(model, checkpoint)
        title = f"{plan.name}, weights of {checkpoint.name}"
    with torch.no_grad():
        kernel = resulting_kernel(model, graph)
    try:
        write_kernels(kernel, title, file)
    except OSError as error:
        raise RunError(f"{file} cannot be written: {error.strerror or error}") from error


def _empty(graph: ModuleGraph) -> Network:
    """Return a network with memory and no values yet."""
    with torch.device("meta"):
        model = build_module(graph)
    return model.to_empty(device="cpu")


def write_kernels(kernel: ResultingKernel, title: str, file: Path) -> None:
    """Write the picture as a PNG file."""
    draw_kernels(kernel, title).save(file, format="PNG", optimize=True)


def draw_kernels(kernel: ResultingKernel, title: str) -> Image.Image:
    """Return a picture of every channel.

    A real channel has its kernel and the modulus of its Fourier transform; a complex one the real
    part, the imaginary part and the modulus. Each is scaled to its own largest value.
    """
    top, left, side = energy_window(kernel)
    height, width = kernel.weight.shape[-2:]
    shown = kernel.weight.detach().cpu()[..., top : top + side, left : left + side]
    spectrum = kernel.spectrum().detach().cpu()
    frequencies = (kernel.centre_frequencies() / torch.pi).tolist()
    tiles = [
        _tile(kernel, channel, shown[channel], spectrum[channel], frequencies[channel])
        for channel in range(len(shown))
    ]
    lines = [
        title,
        f"{len(tiles)} channels; kernels of {height} x {width} pixels, {shown.shape[2]} x "
        f"{shown.shape[3]} of them shown: at least {100 * _ENERGY:g} % of each kernel's energy.",
        "Left: the weights, mid-grey is 0, each channel scaled to its largest weight"
        + (", real part then imaginary part of complex channels" * any(kernel.is_complex))
        + ("; below, its red, green and blue weights in grey." * (kernel.weight.shape[1] == 3)),
        "Right: modulus of the Fourier transform, all colours together, frequency 0 in the middle, "
        "edges at half a cycle per pixel; white is 0, black its largest value.",
        "Labels: number; where the spectrum is largest, (down, right), 1 being half a cycle per pixel.",
    ]
    return _lay_out(lines, _sections(kernel, tiles))


def energy_window(kernel: ResultingKernel) -> tuple[int, int, int]:
    """Return top, left and side of a square that holds nearly all energy of every channel."""
    energy = kernel.weight.detach().abs().square().sum(1).double().cpu()
    energy = energy / energy.sum((1, 2), keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    is_zero = energy.sum((1, 2)) == 0
    height, width = energy.shape[1:]
    rows = torch.arange(height, dtype=torch.float64)
    columns = torch.arange(width, dtype=torch.float64)
    mean = energy.mean(0) / energy.mean(0).sum().clamp_min(torch.finfo(torch.float64).tiny)
    centre = float((mean.sum(1) * rows).sum()), float((mean.sum(0) * columns).sum())
    for side in range(1, max(height, width) + 1):
        top = min(max(0, round(centre[0] - (side - 1) / 2)), max(0, height - side))
        left = min(max(0, round(centre[1] - (side - 1) / 2)), max(0, width - side))
        inside = energy[:, top : top + side, left : left + side].sum((1, 2))
        if bool(((inside >= _ENERGY) | is_zero).all()):
            return top, left, side
    return 0, 0, max(height, width)


def _tile(
    kernel: ResultingKernel,
    channel: int,
    weight: torch.Tensor,
    spectrum: torch.Tensor,
    frequency: Sequence[float],
) -> _Tile:
    parts = [weight.real, weight.imag] if kernel.is_complex[channel] else [weight]
    parts = [part.real if part.is_complex() else part for part in parts]
    largest = max(float(part.abs().max()) for part in parts)
    scaled = [_to_pixels(0.5 + 0.5 * part.numpy() / (largest or 1.0)) for part in parts]
    vertical, horizontal = frequency
    return _Tile(
        label=(f"{channel}", f"({vertical:+.2f}, {horizontal:.2f})"),
        panels=tuple(_in_colour(part) for part in scaled),
        strips=tuple(
            tuple(_grey(colour) for colour in part) if len(part) == 3 else () for part in scaled
        ),
        spectrum=_grey(_to_pixels(1 - (spectrum / (float(spectrum.max()) or 1.0)).numpy())),
    )


def _to_pixels(values: Any) -> Pixels:
    return np.clip(np.rint(255 * np.asarray(values, dtype=np.float64)), 0, 255).astype(np.uint8)


def _grey(values: Pixels) -> Pixels:
    return np.repeat(values[:, :, None], 3, axis=2)


def _in_colour(part: Pixels) -> Pixels:
    """Return (colours, height, width) as RGB, or as grey where there are not three colours."""
    if len(part) == 3:
        return part.transpose(1, 2, 0)
    return _grey(np.rint(part.mean(0)).astype(np.uint8))


def _sections(kernel: ResultingKernel, tiles: Sequence[_Tile]) -> list[tuple[str, list[_Tile]]]:
    """Group the channels by band, in their order."""
    sections: list[tuple[str, list[_Tile]]] = []
    last: object = ()
    for tile, band in zip(tiles, kernel.bands, strict=True):
        if band != last or not sections:
            name = "Free channels" if band is None else f"Wavelet channels, band {band}"
            sections.append((name, []))
            last = band
        sections[-1][1].append(tile)
    return sections


def _side(size: int) -> int:
    """Return a panel's pixels for a kernel of this size."""
    return size * max(3, round(_PANEL / size))


def _lay_out(lines: Sequence[str], sections: Sequence[tuple[str, list[_Tile]]]) -> Image.Image:
    title, font = ImageFont.load_default(18), ImageFont.load_default(12)
    first = sections[0][1][0]
    side = max(_side(tile.panels[0].shape[0]) for _, tiles in sections for tile in tiles)
    strip = side // 3 if first.strips[0] else 0
    rows: list[tuple[str, list[_Tile]]] = []
    for name, tiles in sections:
        panels = len(tiles[0].panels) + 1
        across = max(1, (_WIDTH - 2 * _MARGIN) // (panels * (side + 2) + 2 * _GAP))
        for start in range(0, len(tiles), across):
            rows.append((name if start == 0 else "", tiles[start : start + across]))
    row_height = 2 * _LINE + side + strip + 2 * _GAP
    head = _MARGIN + 26 + _LINE * (len(lines) - 1) + _GAP
    total = head + sum(row_height + (_LINE + _GAP if name else 0) for name, _ in rows) + _MARGIN
    picture = Image.new("RGB", (_WIDTH, total), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), lines[0], _INK, title)
    for number, line in enumerate(lines[1:]):
        draw.text((_MARGIN, _MARGIN + 26 + _LINE * number), line, _INK, font)
    y = head
    for name, tiles in rows:
        if name:
            draw.line((_MARGIN, y, _WIDTH - _MARGIN, y), _FRAME)
            draw.text((_MARGIN, y + 3), name, _INK, font)
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
    tile: _Tile,
    x: int,
    y: int,
    side: int,
    strip: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Draw a channel: two lines of text, kernels with their colours below, the spectrum."""
    draw.text((x, y), tile.label[0], _INK, font)
    draw.text((x, y + _LINE - 2), tile.label[1], _INK, font)
    y += 2 * _LINE
    for panel, colours in zip(tile.panels, tile.strips, strict=True):
        _paste(picture, draw, panel, (x, y, side), Image.Resampling.NEAREST)
        for number, colour in enumerate(colours):
            place = (x + number * strip, y + side, strip)
            _paste(picture, draw, colour, place, Image.Resampling.BOX)
        x += side + 2
    _paste(picture, draw, tile.spectrum, (x, y, side), Image.Resampling.LANCZOS)
    # Ticks where the axes meet the frame: they show frequency 0 and hide nothing.
    half = side // 2
    for start, stop in (
        ((half, side), (half, side + 3)),
        ((side, half), (side + 3, half)),
    ):
        draw.line((x + start[0], y + start[1], x + stop[0], y + stop[1]), _INK)


def _paste(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    pixels: Pixels,
    place: tuple[int, int, int],
    method: Image.Resampling,
) -> None:
    x, y, side = place
    picture.paste(Image.fromarray(pixels).resize((side, side), method), (x, y))
    draw.rectangle((x, y, x + side - 1, y + side - 1), outline=_FRAME)
