"""Warn of fixed nodes that change the scale of what they pass on, where no norm sets it right."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.lint.rule import LintContext, and_more, lint_rule
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.blurring import BLUR_DOWNSAMPLING
from wavetwin.ir.node import Node
from wavetwin.ir.operations import (
    AdaptiveBlur,
    ColourMixing,
    KeepPackets,
    Packets,
    RealPart,
    WaveletPool,
)
from wavetwin.ir.packets import packet_info
from wavetwin.ir.poolings import MAX_BLUR

LEAST_GAIN = 4.0
"""Of a constant image, from which on the initial outputs are far from even."""


def low_pass_gain(transform: str, levels: int) -> float:
    """Return what a constant image of ones becomes in a low-pass packet, in modulus.

    The low-pass taps of a tree add up to sqrt(2), so that each stage doubles a constant in two
    dimensions; each part of a dual-tree packet is the sum of two pairs of trees.
    """
    return 2.0**levels * (2.0 if transform == "dtcwpt" else 1.0)


@lint_rule(
    "static-gain",
    meaning="A low-pass packet or band enlarges constants, and no norm follows.",
    cause="The low-pass taps of every wavelet add up to sqrt(2) in each direction, so that a constant "
    "doubles at each level; without a norm on the way the logits are as much larger.",
    cure="normalise: dc in a wavelet_pool, packets without the low-pass, or a norm.",
    number="Three poolings make 8: logits exactly 8 times as large, and on crops of photographs a first "
    "loss of 6.7 where dc gain gives 2.1 and ln(7) is 1.9. It narrows the rates that train: by SGD at .01 an "
    "eighth as wide a net stays at 23 %, and reaches 71 % at dc gain. It makes no gap between training "
    "and validation (docs/wavelet-pooling.md).",
)
def static_gain(context: LintContext) -> Iterator[Diagnostic]:
    """A kept low-pass packet or band enlarges constants up to the output; trained maps count as 1."""
    gains: dict[str, float | None] = {}
    """Largest gain on a path that went through a low-pass packet or band since the last norm."""
    colour = 1.0
    low: list[int] = []
    pools: list[Node] = []
    for node in context.graph:
        operation = node.operation
        before = [gain for source in node.inputs if (gain := gains[source]) is not None]
        gain = max(before) if before and not operation.is_norm else None
        if isinstance(operation, ColourMixing):
            colour = abs(sum(operation.initial))
        elif isinstance(operation, KeepPackets):
            low, each = _low_pass_of(context, node, operation)
            gain = colour * each if low else None
        elif isinstance(operation, WaveletPool) and operation.constant_gain != 1:
            gain = (1.0 if gain is None else gain) * operation.constant_gain
            pools.append(node)
        elif gain is not None and isinstance(operation, AdaptiveBlur):
            gain *= operation.constant_gain
        gains[node.id] = gain
    reached = gains[context.graph.output.id]
    if reached is None or reached < LEAST_GAIN:
        return
    if pools:
        yield from _gain_of_pools(context, pools, reached)
    if not low:
        return
    yield context.warn(
        "static-gain",
        f"a low-pass packet is kept and a path from it to the output has no norm: a constant image "
        f"arrives {reached:.3g} times as large; expect a first loss above ln(classes)",
        ["stem.wavelet.keep", "stem.wavelet.exclude"],
        help=f"leave {_packets_text(low)} out of keep, or "
        + (
            "set stem.norm to batch"
            if context.architecture.lists_layers
            else "choose an architecture with norms"
        ),
    )


def _gain_of_pools(context: LintContext, pools: list[Node], reached: float) -> Iterator[Diagnostic]:
    """Yield the warning of low-pass bands that enlarge constants."""
    each = [
        found.constant_gain for node in pools if isinstance(found := node.operation, WaveletPool)
    ]
    gains = " x ".join(f"{gain:g}" for gain in each)
    fields = dict.fromkeys(context.fields_of(node)[-1] for node in pools)
    yield context.warn(
        "static-gain",
        f"{and_more([node.id for node in pools])}: low bands multiply a constant by {gains}, and a path "
        f"from there to the output has no norm: it arrives {reached:.3g} times as large; expect a first "
        "loss above ln(classes)",
        list(fields),
        help="set normalise to dc, or put a norm after each; `wavetwin explain static-gain` says what "
        "it does",
    )


def _packets_text(numbers: list[int]) -> str:
    return f"packet{'s' * (len(numbers) > 1)} {' and '.join(map(str, numbers))}"


def _low_pass_of(context: LintContext, node: Node, keep: KeepPackets) -> tuple[list[int], float]:
    """Return the low-pass packets that are kept and pass constants, and the gain of each.

    Of half A's, both trees' real parts cancel: a constant is in the imaginary part alone, which
    RMax does not read.
    """
    packets = context.graph.inputs_of(node)[0].operation
    assert isinstance(packets, Packets), node.id
    transform, levels = packets.transform, packets.levels
    low = [number for number in keep.packets if packet_info(transform, levels, number).is_lowpass]
    if any(isinstance(other.operation, RealPart) for other in context.graph):
        low = [number for number in low if number >= 4**levels]
    return low, low_pass_gain(transform, levels)


@lint_rule(
    "joint-blur-without-norm",
    meaning="A joint adaptive blur divides the signal, and no norm follows.",
    cause="One softmax over the taps of all groups makes each group's taps add up to 1/groups.",
    cure="A binomial blur, or a norm behind it.",
    number="With 8 groups a constant comes out at an eighth.",
)
def joint_blur_without_norm(context: LintContext) -> Iterator[Diagnostic]:
    """A softmax over all groups' taps divides the signal by the groups."""
    found: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for node in context.graph:
        blur = node.operation
        if not isinstance(blur, AdaptiveBlur) or node.id not in context.reaches_output_unnormed:
            continue
        groups = round(1 / blur.constant_gain)
        if groups > 1:
            found.setdefault((groups, tuple(context.fields_of(node))), []).append(node.id)
    for (groups, fields), ids in found.items():
        yield context.warn(
            "joint-blur-without-norm",
            f"{and_more(ids)}: the softmax of this adaptive blur is over {groups} groups together, so "
            f"that a constant comes out 1/{groups}, and no norm follows",
            [*fields, "backbone.arch"],
            help=f"set {_adaptive_fields(context, fields[0])}, or "
            + (
                "let backbone.layers begin with a norm"
                if context.architecture.lists_layers
                else "choose an architecture with norms"
            ),
        )


def _adaptive_fields(context: LintContext, field: str) -> str:
    """Return which fields to set to a blur that keeps constants, and to which."""
    if field == "backbone.downsampling":
        return f"{field} to {BLUR_DOWNSAMPLING.name}"
    # Where both are written, channels are pooled together and each field asks for the blur.
    both = context.spec.pooling.wavelet == context.spec.pooling.free
    other = " and pooling.wavelet" if both and context.loaded.has("pooling.wavelet") else ""
    return f"{field}{other} to {MAX_BLUR.name}"
