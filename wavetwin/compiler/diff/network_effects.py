"""Effects of changes of the network around the wavelets: images, backbone, first convolution."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.diff.effects import (
    TWIN_PAPER,
    Effect,
    Pair,
    Rule,
    macs_below,
    parameters_below,
)
from wavetwin.compiler.diff.wording import change, plural, shape_text
from wavetwin.compiler.schema import InitialWeightsSpec


def _images(pair: Pair) -> Iterator[Effect]:
    before, after = pair.before.graph, pair.after.graph
    if before.input.output_shape != after.input.output_shape:
        yield Effect(
            "image size",
            "Maps change their size, and a shift of one pixel is another part of the image.",
            f"The network sees {shape_text(before.input.output_shape)} -> "
            f"{shape_text(after.input.output_shape)} and takes {change(before.macs, after.macs)} MACs.",
            "",
            ("data.image_size", "data.dataset"),
        )
    if before.output.output_shape != after.output.output_shape:
        classes = before.output.output_shape[0], after.output.output_shape[0]
        counts = (
            parameters_below(pair.before, before.output.id),
            parameters_below(pair.after, after.output.id),
        )
        yield Effect(
            "classes",
            "With other classes, error rates and flip rates of the two answer different questions.",
            f"{classes[0]:,} -> {classes[1]:,} classes; the last layer has {change(*counts)} "
            "parameters.",
            "",
            ("data.num_classes", "data.dataset"),
        )
    elif pair.differs("data.dataset"):
        yield Effect(
            "data set",
            "The network sees other images: scores of the two answer different questions.",
            f"{pair.before.spec.data.dataset} -> {pair.after.spec.data.dataset}, of as many classes.",
            "",
            ("data.dataset",),
        )


def _backbone(pair: Pair) -> Iterator[Effect]:
    archs = pair.before.spec.backbone.arch, pair.after.spec.backbone.arch
    trunks = parameters_below(pair.before, "trunk"), parameters_below(pair.after, "trunk")
    macs = macs_below(pair.before, "trunk"), macs_below(pair.after, "trunk")
    costs = f"The trunk has {change(*trunks)} parameters and takes {change(*macs)} MACs."
    if archs[0] != archs[1]:
        yield Effect(
            f"{archs[0]} -> {archs[1]}",
            "Shift stability differs for many reasons at once between architectures; two of one "
            "architecture show a reason by itself.",
            costs,
            "",
            ("backbone.arch", "backbone.layers", "stem.norm"),
        )
    elif pair.differs("backbone.layers"):
        yield Effect(
            "layers",
            "The lists of layers differ; each layer that subsamples can alias.",
            costs,
            "",
            ("backbone.layers",),
        )


def _first_convolution(pair: Pair) -> Iterator[Effect]:
    before, after = pair.before.spec.stem, pair.after.spec.stem
    macs = macs_below(pair.before, "stem"), macs_below(pair.after, "stem")
    if before.stride != after.stride:
        yield Effect(
            "first stride",
            "A shift that is no multiple of the first layer's stride changes what it sees; a larger "
            "stride lets more of the image alias.",
            f"Stride {before.stride} -> {after.stride}: maps of {_positions(pair.before)} -> "
            f"{_positions(pair.after)}, {change(*macs)} MACs in the first layer.",
            "",
            ("stem.stride",),
        )
    if pair.differs("stem.kernel_size", "stem.padding"):
        yield Effect(
            "first kernel",
            "A longer kernel can be narrower in frequency, which keeps what is pooled stable under "
            "shifts.",
            f"{before.kernel_size} x {before.kernel_size} -> {after.kernel_size} x "
            f"{after.kernel_size} with a margin of {before.padding} -> {after.padding}: "
            f"{change(*macs)} MACs in the first layer.",
            "",
            ("stem.kernel_size", "stem.padding"),
        )


def _free_channels(pair: Pair) -> Iterator[Effect]:
    is_twin = pair.twins is not None
    if not pair.differs("stem.free_channels") or (not is_twin and any(pair.wavelets)):
        return
    before, after = pair.before.spec.stem, pair.after.spec.stem
    counts = parameters_below(pair.before, "stem"), parameters_below(pair.after, "stem")
    yield Effect(
        "free channels",
        "Only wavelet channels can be pooled by the modulus: what freely trained ones alias stays."
        if is_twin
        else "What freely trained channels alias is left to training.",
        f"{before.free_channels} -> {after.free_channels} free channels; the first layer has "
        f"{change(*counts)} parameters.",
        TWIN_PAPER if is_twin else "",
        ("stem.free_channels",),
    )


def _norm(pair: Pair) -> Iterator[Effect]:
    norms = pair.before.spec.stem.norm, pair.after.spec.stem.norm
    if norms[0] != norms[1] and None not in norms:
        counts = (
            parameters_below(pair.before, "stem", "pool"),
            parameters_below(pair.after, "stem", "pool"),
        )
        yield Effect(
            "first norm",
            "A norm, or the biases in its place, scales maps and leaves their stability as it is.",
            f"{norms[0]} -> {norms[1]}: {change(*counts)} parameters up to the trunk.",
            "",
            ("stem.norm",),
        )


def _fixed_weights(pair: Pair) -> Iterator[Effect]:
    before, after = pair.before.spec.stem, pair.after.spec.stem
    if before.frozen != after.frozen:
        counts = [compiled.graph.parameters.trainable for compiled in (pair.before, pair.after)]
        yield Effect(
            "frozen first layer" if after.frozen else "trained first layer",
            "A frozen first layer stays as stable under shifts as its initial weights are.",
            f"{change(counts[0], counts[1])} parameters are trained; freezing changes no forward cost.",
            "",
            ("stem.frozen",),
        )
    if pair.differs("stem.initial_weights"):
        yield Effect(
            "initial weights",
            "The free channels start elsewhere; training decides what becomes of their stability.",
            f"{_start(before.initial_weights)} -> {_start(after.initial_weights)}; this changes no "
            "number of parameters and no cost.",
            "",
            ("stem.initial_weights",),
        )


def _positions(compiled: Compiled) -> str:
    stem = [node for node in compiled.graph if node.section == "stem"]
    return shape_text(stem[-1].output_shape[1:])


def _start(initial: InitialWeightsSpec | None) -> str:
    if initial is None:
        return "random values"
    return f"{plural(len(initial.channels or ()), 'channel')} of {initial.checkpoint}"


NETWORK_RULES: tuple[Rule, ...] = (
    _images,
    _backbone,
    _first_convolution,
    _free_channels,
    _norm,
    _fixed_weights,
)
