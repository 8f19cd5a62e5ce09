"""Explain changes of the network around the wavelets: images, backbone, first convolution."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.schema import InitialWeightsSpec, read_law
from wavetwin.diagnostics.listing import plural
from wavetwin.explain.diff.effects import (
    Effect,
    Pair,
    Rule,
    macs_below,
    parameters_below,
    where_both_have_stems,
)
from wavetwin.explain.diff.network_info import (
    count_layers,
    has_complex_packets,
    has_free_channels,
    is_trained,
    nodes_below,
)
from wavetwin.explain.diff.wording import change, shape_text
from wavetwin.ir.node import Node
from wavetwin.ir.operations import BatchNorm
from wavetwin.ir.papers import TWIN_PAPER

FREE = "stem.free"
"""Id of the free convolution."""


def _images(pair: Pair) -> Iterator[Effect]:
    before, after = pair.before.graph, pair.after.graph
    ours, theirs = before.input.output_shape, after.input.output_shape
    numbers = (
        f"The network sees {shape_text(ours)} -> {shape_text(theirs)} and takes "
        f"{change(before.macs, after.macs)} MACs."
    )
    if ours[1:] != theirs[1:]:
        yield Effect(
            "image size",
            "A shift of one pixel is another part of the image, so that shift scores of the two "
            "answer different questions.",
            numbers,
            "",
            ("data.image_size", "data.dataset"),
        )
    if ours[0] != theirs[0]:
        yield Effect(
            "colours",
            "Images of one channel have no colours to mix.",
            numbers,
            "",
            ("data.dataset", "data.channels", "stem.wavelet.color_mixing"),
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
            ("data.num_classes", *_IMAGES),
        )
    elif pair.differs(*_IMAGES):
        yield Effect(
            "data set",
            "The network sees other images: scores of the two answer different questions.",
            f"{_images_of(pair.before)} -> {_images_of(pair.after)}, of as many classes.",
            "",
            _IMAGES,
        )


_IMAGES = ("data.dataset", "data.folder", "data.file", "data.split_list", "data.lock")


def _images_of(compiled: Compiled) -> str:
    """Return which images a spec is about."""
    data = compiled.spec.data
    parts = [each for each in (data.dataset, data.folder, data.file) if each is not None]
    parts += [] if data.split_list is None else [f"by {data.split_list}"]
    parts += [] if data.lock is None else [f"locked as {data.locked.sha256[:8]}"]
    return " ".join(parts)


def _backbone(pair: Pair) -> Iterator[Effect]:
    archs = pair.before.spec.backbone.arch, pair.after.spec.backbone.arch
    trunks = parameters_below(pair.before, "trunk"), parameters_below(pair.after, "trunk")
    macs = macs_below(pair.before, "trunk"), macs_below(pair.after, "trunk")
    costs = f"The trunk has {change(*trunks)} parameters and takes {change(*macs)} MACs."
    if archs[0] != archs[1]:
        yield Effect(
            f"{archs[0]} -> {archs[1]}",
            "Shift stability differs for many reasons at once between architectures; two of one "
            "architecture that differ in one field show what that field does.",
            costs,
            "",
            ("backbone.arch", "backbone.layers", "stem.norm"),
        )
    elif pair.differs(*_LAYERS):
        steps = [sum(map(_subsamples, nodes_below(each.graph, "trunk"))) for each in pair.sides]
        yield Effect(
            "layers",
            "A layer that subsamples can alias; one that does not leaves stability under shifts to "
            "the others.",
            f"{steps[0]} -> {steps[1]} of the trunk's layers subsample. {costs}",
            "",
            _LAYERS,
        )
    if pair.differs("backbone.initial"):
        laws = [_law(each) for each in pair.sides]
        yield Effect(
            "initial weights of the layers",
            "Listed layers that do not say how their weights begin begin otherwise: training sets out "
            "from other values, of another scale.",
            f"{laws[0]} -> {laws[1]}; this changes no number of parameters and no cost.",
            "",
            ("backbone.initial",),
        )


_LAYERS = ("backbone.layers", "backbone.replace", "backbone.norm")


def _law(compiled: Compiled) -> str:
    law = read_law(compiled.spec.backbone.initial)
    if law is None:
        return "torch's own law"
    return law.name if law.scale == 1.0 else f"{law.name} times {law.scale:g}"


def _subsamples(node: Node) -> bool:
    return node.operation.subsampling > 1


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
    if not pair.differs("stem.kernel_size", "stem.padding"):
        return
    fields = ("stem.kernel_size", "stem.padding")
    sizes = (
        f"{before.kernel_size} x {before.kernel_size} -> {after.kernel_size} x "
        f"{after.kernel_size} with a margin of {before.padding} -> {after.padding}"
    )
    if not any(map(has_free_channels, pair.sides)):
        yield Effect(
            "first kernel (no free channels)",
            "The kernel is that of the free channels, and there are none: it changes nothing here.",
            f"{sizes}; no layer has it.",
            "",
            fields,
        )
    elif before.kernel_size != after.kernel_size:
        yield Effect(
            "first kernel",
            "A longer kernel can be narrower in frequency, so that less of what it lets through "
            "aliases; whether it becomes so is left to its weights.",
            f"{sizes}: {change(*macs)} MACs in the first layer.",
            "",
            fields,
        )
    else:
        yield Effect(
            "first padding",
            "A margin of zeros moves the positions at which the free channels look, and lets those at "
            "the border see less of the image; what they alias stays as it is.",
            f"{sizes}: maps of {_positions(pair.before)} -> {_positions(pair.after)}, "
            f"{change(*macs)} MACs in the first layer.",
            "",
            fields,
        )


def _free_channels(pair: Pair) -> Iterator[Effect]:
    is_twin = pair.twins is not None
    if not pair.differs("stem.free_channels") or (not is_twin and any(pair.wavelets)):
        return
    before, after = pair.before.spec.stem, pair.after.spec.stem
    counts = parameters_below(pair.before, "stem"), parameters_below(pair.after, "stem")
    trained = any(is_trained(each, FREE) for each in pair.sides if has_free_channels(each))
    statement = (
        "What free channels alias is left to training"
        if trained
        else "Free channels keep their initial weights, and what these alias"
    )
    if is_twin and any(map(has_complex_packets, pair.sides)):
        statement += "; only wavelet channels can be pooled by the modulus"
    yield Effect(
        "free channels",
        f"{statement}.",
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
        numbers = [count_layers(each, BatchNorm, below=("pool",)) for each in pair.sides]
        yield Effect(
            "first norm",
            "Once trained, a norm scales each map and adds a constant, a bias in its place adds one: up "
            "to that scale, a shift changes what arrives at the ReLU as before.",
            f"{numbers[0]} -> {plural(numbers[1], 'norm')} in the first pooling; {change(*counts)} "
            "parameters up to the trunk.",
            "",
            ("stem.norm",),
        )


def _fixed_weights(pair: Pair) -> Iterator[Effect]:
    before, after = pair.before.spec.stem, pair.after.spec.stem
    if before.frozen != after.frozen:
        counts = [compiled.graph.parameters.trainable for compiled in pair.sides]
        yield Effect(
            "frozen first layer" if after.frozen else "trained first layer",
            "A frozen first layer stays as stable under shifts, by any measure of its maps, as its "
            "initial weights are.",
            f"{change(counts[0], counts[1])} parameters are trained; freezing changes no forward cost.",
            "",
            ("stem.frozen",),
        )
    if pair.differs("stem.initial_weights"):
        kept = [not is_trained(each, FREE) for each in pair.sides]
        yield Effect(
            "initial weights",
            "The free channels start elsewhere, "
            + (
                "and stay there: their stability is that of these weights."
                if all(kept)
                else "and training decides what becomes of their stability."
                if not any(kept)
                else f"and the {'second' if kept[1] else 'first'}'s stay there."
            ),
            f"{_start(before.initial_weights)} -> {_start(after.initial_weights)}; this changes no "
            "number of parameters and no cost.",
            "",
            ("stem.initial_weights",),
        )


def _positions(compiled: Compiled) -> str:
    return shape_text(compiled.graph.section("stem")[-1].output_shape[1:])


def _start(initial: InitialWeightsSpec | None) -> str:
    if initial is None:
        return "random values"
    return f"{plural(len(initial.channels or ()), 'channel')} of {initial.checkpoint}"


def _input(pair: Pair) -> Iterator[Effect]:
    """Tell what only one of both has: a first layer and its pooling."""
    has_stem = [each.graph.has_stem for each in pair.sides]
    if has_stem[0] == has_stem[1]:
        return
    which = "first" if has_stem[0] else "second"
    counts = [parameters_below(each, "stem", "pool") for each in pair.sides]
    yield Effect(
        "input of the layers",
        "Where a first layer and its pooling come before the listed layers, these see its maps; else "
        "they see the image, and the first of them decides what aliases.",
        f"The {which} has a first layer, of {plural(max(counts), 'parameter')} with its pooling.",
        "",
        ("backbone.input", "stem", "pooling"),
    )


NETWORK_RULES: tuple[Rule, ...] = (
    _images,
    _backbone,
    _input,
    *map(where_both_have_stems, (_first_convolution, _free_channels, _norm, _fixed_weights)),
)
