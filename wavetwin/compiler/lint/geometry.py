"""Warn of maps smaller than the filters that read them, and of samples that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.lint.rule import LintContext, and_more, lint_rule
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Conv2d, Packets, SlidingWindow

MOST_KERNELS_PER_PACKET = 8
"""In the published twins a packet's filter is 4.3 and 6 times as long as the free kernel."""


@lint_rule(
    "map-below-filter",
    meaning="A packet, blur or pooling filter is longer than the map that it reads.",
    cause="A filter is longer than the map that it reads, so that every output reaches beyond the border.",
    cure="A larger image, fewer levels, a shorter filter, or less subsampling before it.",
    number="The packets of qshift_a have 12, 30, 66 taps at one, two, three levels.",
)
def map_below_filter(context: LintContext) -> Iterator[Diagnostic]:
    """A packet, blur or pooling filter has more taps than the map that it reads has samples."""
    found: dict[tuple[int, int, int, tuple[str, ...]], list[str]] = {}
    for node in context.graph:
        taps = node.operation.taps
        if taps is None:
            continue
        height, width = context.graph.inputs_of(node)[0].output_shape[1:]
        if min(height, width) < taps:
            fields = tuple(_filter_fields(context, node))
            found.setdefault((height, width, taps, fields), []).append(node.id)
    for (height, width, taps, fields), ids in found.items():
        yield context.warn(
            "map-below-filter",
            f"{and_more(ids)}: a filter of {taps} taps reads a map of {height} x {width}, so that "
            "every output reaches beyond its border",
            [*fields, "data.image_size"],
            help=_larger_map(context, ids[0], taps),
        )


@lint_rule(
    "packets-above-kernel",
    meaning="A packet's filter is many times as long as the free kernel beside it.",
    cause="Packets see patches many times as large as the free channels beside them.",
    cure="Fewer levels, or shorter filters.",
    number="The published twins have 66 taps beside 11 and 30 beside 7; the rule speaks from 8 to 1 on.",
)
def packets_above_kernel(context: LintContext) -> Iterator[Diagnostic]:
    """A packet's filter is many times as long as the free channels' kernel beside it."""
    stem = context.spec.stem
    packets = context.graph.find(Packets)
    if packets is None or not stem.free_channels or not stem.kernel_size:
        return
    taps = packets.operation.taps
    if taps is None or taps <= MOST_KERNELS_PER_PACKET * stem.kernel_size:
        return
    yield context.warn(
        "packets-above-kernel",
        f"a packet's filter has {taps} taps and the free channels' kernel {stem.kernel_size}: wavelet and "
        f"free channels see patches of very different sizes ({taps / stem.kernel_size:.3g} to 1)",
        ["stem.wavelet.levels", "stem.wavelet.filters", "stem.kernel_size"],
        help="set stem.wavelet.levels to 1"
        if packets.operation.levels > 1
        else "choose shorter stem.wavelet.filters",
    )


def _larger_map(context: LintContext, node_id: str, taps: int) -> str:
    """Say what makes the map as large as its filter: exactly, where it is the image itself."""
    height, width = context.graph.inputs_of(context.graph.node(node_id))[0].output_shape[1:]
    others = "a shorter filter"
    if (height, width) == context.graph.input.output_shape[1:]:
        sides = "" if height == width else "both sides of "
        return f"set {sides}data.image_size to {taps} or more, or choose {others}"
    return f"choose a larger data.image_size, {others}, or less subsampling before it"


def _filter_fields(context: LintContext, node: Node) -> list[str]:
    if isinstance(node.operation, Packets):
        return ["stem.wavelet.levels", "stem.wavelet.filters"]
    return context.fields_of(node)


@lint_rule(
    "samples-dropped",
    meaning="Windows end before the last row or column of a map.",
    cause="The windows of a layer end before its map does.",
    cure="A padding, or an image size that comes out even.",
    number="A window of 2 at steps of 2 over 57 samples never reads the last one.",
)
def samples_dropped(context: LintContext) -> Iterator[Diagnostic]:
    """Windows that lie side by side or overlap end before the map does."""
    for node in context.graph:
        window = _window(node)
        if window is None:
            continue
        height, width = context.graph.inputs_of(node)[0].output_shape[1:]
        rows, columns = (window.unread(size) for size in (height, width))
        # Gaps between windows are subsampling, which drops samples on purpose.
        if window.kernel_size < window.stride or not rows + columns:
            continue
        yield context.warn(
            "samples-dropped",
            f"{node.id}: windows of {window.kernel_size} at steps of {window.stride} over a map of {height} x {width} "
            f"leave out {_last(rows, 'row')}{' and ' * bool(rows and columns)}"
            f"{_last(columns, 'column')}",
            [*context.fields_of(node), "data.image_size"],
            help=_repair(context, node, window, (height, width)),
        )


def _window(node: Node) -> SlidingWindow | None:
    """Return the window of a convolution or a pooling."""
    operation = node.operation
    if isinstance(operation, Conv2d):
        return operation.window
    return operation if isinstance(operation, SlidingWindow) else None


def _last(count: int, what: str) -> str:
    if count < 2:
        return f"the last {what}" if count else ""
    return f"the last {count} {what}s"


def _repair(context: LintContext, node: Node, window: SlidingWindow, sizes: tuple[int, ...]) -> str:
    """Say what leaves nothing out; the paddings of the named trunks are not the spec's to choose."""
    other = "choose a data.image_size that comes out even"
    enough = [
        more
        for more in range(window.padding + 1, window.kernel_size // 2 + 1)
        if not any(window.unread(size, more) for size in sizes)
    ]
    is_chosen = node.section == "stem" or context.architecture.lists_layers
    return f"set its padding to {enough[0]}, or {other}" if enough and is_chosen else other
