"""Warn of wavelet poolings, and of filters meant as such, that lose or mix what was to be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wavetwin.compiler.lint.rule import LintContext, and_more, lint_rule
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Conv2d, Dropout, Relu, WaveletPool
from wavetwin.ir.wavelets import filter_length

_HAAR_TAPS = 2
"""Of two taps, a low-pass of sum sqrt(2) and a high-pass of sum 0 are Haar's."""


def _pools(
    context: LintContext, condition: Callable[[WaveletPool], bool]
) -> Iterator[tuple[WaveletPool, list[Node], list[str]]]:
    """Yield the wavelet poolings that a condition holds of: equal ones together, with their fields."""
    found: dict[WaveletPool, list[Node]] = {}
    for each in context.graph.all_of(WaveletPool):
        if condition(each.operation):
            found.setdefault(each.operation, []).append(each.node)
    for pool, nodes in found.items():
        # In a named backbone one section describes them all.
        yield pool, nodes, list(dict.fromkeys(context.fields_of(node)[-1] for node in nodes))


def _ids(nodes: list[Node]) -> str:
    return and_more([node.id for node in nodes])


@lint_rule(
    "haar-is-average",
    meaning="The low band of Haar alone is an average pooling.",
    cause="The low-pass of Haar has two equal taps: its band is a mean, up to the gain, and nothing of a "
    "wavelet is left where the details are dropped.",
    cure="Say so with an average pooling, take a longer wavelet, or keep details.",
    number="LL of Haar less 2 times the mean of 2 x 2 is 0.0, exactly.",
)
def haar_is_average(context: LintContext) -> Iterator[Diagnostic]:
    """The approximation alone of a wavelet of two taps is a mean of 2 x 2."""
    poolings = _pools(
        context,
        lambda pool: pool.bands == "ll" and filter_length("wpt", pool.wavelet) == _HAAR_TAPS,
    )
    for pool, nodes, fields in poolings:
        gain = pool.constant_gain
        times = "" if gain == 1 else f"{gain:g} times "
        side = 2**pool.levels
        yield context.warn(
            "haar-is-average",
            f"{_ids(nodes)}: ll of {pool.wavelet} is exactly {times}the mean of {side} x {side} pixels, an "
            "average pooling",
            fields,
            help="take an average pooling, a longer wavelet (bior2.2, db2), or bands: mix",
        )


@lint_rule(
    "bands-discarded",
    meaning="A wavelet pooling keeps the low band alone.",
    cause="Of four bands only the approximation goes on: edges and texture end here. That is a choice, as "
    "in every average pooling.",
    cure="bands: mix keeps the widths and begins as ll; all, modulus and energy keep more channels.",
    number="Of the energy without the mean, details are 4, 6 and 10 % on photographs at levels one to "
    "three, and 13 to 35 % in the maps inside the untrained `specs/wavelet_pooling/posted.yaml`. Feature maps that are clipped to "
    "[0, 1] when shown lose more: 41, 67 and 88 % of the pixels at a gain of 2 a pooling, none at "
    "dc gain (docs/wavelet-pooling.md).",
)
def bands_discarded(context: LintContext) -> Iterator[Diagnostic]:
    """Only the approximation is kept."""
    for _, nodes, fields in _pools(context, lambda pool: pool.bands == "ll"):
        count = len(nodes)
        yield context.warn(
            "bands-discarded",
            f"{_ids(nodes)}: {'keeps' if count == 1 else 'keep'} 1 band of 4; nothing reads the details",
            fields,
            help="keep them (bands: mix"
            + (", all, modulus or energy)" if context.architecture.lists_layers else ")")
            + "; `wavetwin explain bands-discarded` says how much they are",
        )


@lint_rule(
    "details-into-relu",
    meaning="Signed detail bands go into a ReLU.",
    cause="Detail coefficients have both signs alike, and a ReLU keeps one.",
    cure="A convolution between them, or bands mix, modulus or energy.",
    number="About 50 % of the coefficients become 0.",
)
def details_into_relu(context: LintContext) -> Iterator[Diagnostic]:
    """Signed detail bands are read by a ReLU, which drops the negative half."""
    for each in context.graph.all_of(WaveletPool):
        relu = None if each.operation.bands != "all" else _first_relu(each.node, context.graph)
        if relu is not None:
            yield context.warn(
                "details-into-relu",
                f"{relu.id} reads the detail bands of {each.node.id}, which are signed: it drops about "
                "half of them",
                context.fields_of(each.node)[-1:],
                help="put a convolution between them, or set bands to mix, modulus or energy",
            )


def _first_relu(node: Node, graph: ModuleGraph) -> Node | None:
    """Return a ReLU that reads a node's output as it is, or but for a norm or a dropout."""
    for reader in graph.users[node.id]:
        if isinstance(reader.operation, Relu):
            return reader
        if reader.operation.is_norm or isinstance(reader.operation, Dropout):
            found = _first_relu(reader, graph)
            if found is not None:
                return found
    return None


@lint_rule(
    "lengthened-bands",
    meaning="A wavelet pooling gives more than half the samples.",
    cause="PyWavelets' bands are longer than half in all modes but periodization: filters run over the "
    "border.",
    cure="size: half, which cuts the same bands evenly.",
    number="db4 gives 17 samples of 28, not 14.",
)
def lengthened_bands(context: LintContext) -> Iterator[Diagnostic]:
    """PyWavelets' own length is more than half, for every mode but one."""
    for pool, nodes, fields in _pools(context, lambda pool: pool.size == "full"):
        node = nodes[0]
        _, *before = context.graph.inputs_of(node)[0].output_shape
        after = list(node.output_shape[1:])
        halved = [-(-size // pool.subsampling) for size in before]
        if after == halved:
            continue
        yield context.warn(
            "lengthened-bands",
            f"{_ids(nodes)}: {pool.mode} and {pool.wavelet} of size full give {_by(after)} of "
            f"{_by(before)}, not {_by(halved)}",
            fields,
            help="set size to half, or mode to periodization",
        )


def _by(size: list[int]) -> str:
    return " x ".join(map(str, size))


@lint_rule(
    "band-filter-mixes",
    meaning="A fixed filter that is meant as a band's mixes channels.",
    cause="A fixed filter was given all channels to sum, where a wavelet filters each alone. Code that "
    "lost `groups=in_channels` does so.",
    cure="As many groups as channels, or the layer wavelet_pool, whose filters are constants.",
    number="With the same taps for all, every one of 64 output channels is the same map, from 16,384 "
    "weights instead of 256.",
)
def band_filter_mixes(context: LintContext) -> Iterator[Diagnostic]:
    """A fixed filter side by side with itself, as a band filter is, sums over channels."""
    for each in context.graph.all_of(Conv2d, "trunk"):
        conv = each.operation
        channels = context.graph.inputs_of(each.node)[0].output_shape[0]
        is_band_filter = conv.frozen and not conv.bias and 1 < conv.kernel_size == conv.stride
        if not is_band_filter or conv.groups == channels:
            continue
        yield context.warn(
            "band-filter-mixes",
            f"{each.node.id}: a frozen {conv.kernel_size} x {conv.kernel_size} filter at a stride of "
            f"{conv.stride} mixes channels, groups {conv.groups} of {channels}; a band filter is of each "
            "channel alone",
            context.fields_of(each.node),
            help=f"set groups to {channels}, or list a wavelet_pool",
        )
