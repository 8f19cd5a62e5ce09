"""Compute the resulting kernel: the one convolution that a whole stem amounts to.

Everything before the first pooling is linear: colour mixing, packets, selection, mixing, crops. Its
composition is a convolution of the image with larger kernels, which can be looked at and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.ir import operations as ops
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.runtime.bank.filters import (
    bank_padding,
    conjugation_signs,
    equivalent_filters,
    fixed_filters,
    kernels_of_bank,
)
from wavetwin.runtime.network.build import GraphError
from wavetwin.runtime.network.linear_maps import Combination, Maps, Piece
from wavetwin.runtime.network.resulting_kernel import ResultingKernel

__all__ = ["ResultingKernel", "resulting_kernel"]


def resulting_kernel(
    model: nn.Module | Mapping[str, Tensor],
    graph: ModuleGraph,
    image_size: tuple[int, int] | None = None,
) -> ResultingKernel:
    """Return the convolution that a model's stem amounts to.

    Made from the weights and the graph alone, in the weights' type and on their device, and
    differentiable in them (wrap the call in `torch.no_grad()` to look only). Where two branches are
    cropped to one size, the crop depends on the image's size, and so does the branches' alignment.

    Args:
        model: a whole network, its stem, or the state dict of either.
        graph: of its spec, as written; the model may have been built from the optimised one, whose
            stem no longer is one convolution.
        image_size: height and width; default: the graph's.

    Raises:
        GraphError: the stem is not linear in the image, or the weights are not the graph's.
    """
    if isinstance(model, nn.Module):
        state: Mapping[str, Tensor] = dict(model.named_parameters())
    else:
        state = model
    composer = _Composer(graph, state, image_size or _size(graph.input.output_shape))
    return composer.compose()


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[1], shape[2]


class _Composer:
    """Follows the nodes of one stem."""

    def __init__(
        self, graph: ModuleGraph, state: Mapping[str, Tensor], image_size: tuple[int, int]
    ) -> None:
        self.graph = graph
        self.image_size = image_size
        self.colours = graph.input.output_shape[0]
        whole = any(name.startswith("stem.") for name in state)
        self.state = state if whole else {f"stem.{name}": value for name, value in state.items()}
        own = [value for name, value in self.state.items() if name.startswith("stem.")]
        if not own:
            raise GraphError("these weights have no stem")
        self.like = own[0]
        self.crops: dict[str, tuple[int, int]] = {}
        self.values: dict[str, Combination | Maps] = {graph.input.id: self._image()}

    def compose(self) -> ResultingKernel:
        """Return the kernel of the last node."""
        nodes = [node for node in self.graph if node.section == "stem"]
        for node in nodes:
            step = _STEPS.get(type(node.operation))
            if step is None:
                raise GraphError(f"{node.id}: a stem with {node.op!r} is no convolution")
            self.values[node.id] = step(self, node, node.operation)
        output = self._maps(nodes[-1].id)
        top = min(piece.top for piece in output.pieces)
        left = min(piece.left for piece in output.pieces)
        height = max(piece.top + piece.weight.shape[2] for piece in output.pieces) - top
        width = max(piece.left + piece.weight.shape[3] for piece in output.pieces) - left
        is_complex = [
            piece.weight.is_complex() for piece in output.pieces for _ in range(len(piece.bias))
        ]
        weights: list[Tensor] = []
        for piece in output.pieces:
            above, before = piece.top - top, piece.left - left
            below, after = (
                height - above - piece.weight.shape[2],
                width - before - piece.weight.shape[3],
            )
            weights.append(F.pad(piece.weight, (before, after, above, below)))
        image_height, image_width = self.image_size
        return ResultingKernel(
            weight=torch.cat(_of_one_type(weights)),
            bias=torch.cat(_of_one_type([piece.bias for piece in output.pieces])),
            stride=output.stride,
            padding=(
                -left,
                (output.width - 1) * output.stride + width + left - image_width,
                -top,
                (output.height - 1) * output.stride + height + top - image_height,
            ),
            image_size=self.image_size,
            output_size=(output.height, output.width),
            is_complex=tuple(is_complex),
            bands=tuple(band for piece in output.pieces for band in piece.bands),
            crops=self.crops,
        )

    def _image(self) -> Combination:
        height, width = self.image_size
        return Combination(
            coefficients=torch.eye(
                self.colours, dtype=self.like.dtype, device=self.like.device
            ).unsqueeze(2),
            kernels=self.like.new_ones(1, 1, 1),
            bias=self.like.new_zeros(self.colours),
            padding=0,
            stride=1,
            height=height,
            width=width,
            bands=(None,) * self.colours,
        )

    def _parameter(self, node: Node, name: str) -> Tensor:
        full = f"{node.id}.{name}"
        if full not in self.state:
            raise GraphError(f"the weights have no {full}: they are of another model")
        return self.state[full]

    def _combination(self, node: Node) -> Combination:
        value = self.values[node.inputs[0]]
        if not isinstance(value, Combination):
            raise GraphError(f"{node.id}: a {node.op} of joined maps is not supported")
        return value

    def _pointwise(self, node: Node) -> Combination:
        value = self._combination(node)
        if not value.is_pointwise:
            raise GraphError(f"{node.id}: a {node.op} of filtered maps is not supported")
        return value

    def _maps(self, node_id: str) -> Maps:
        value = self.values[node_id]
        return value.written_out() if isinstance(value, Combination) else value

    # One method an operation.

    def conv2d(self, node: Node, operation: ops.Conv2d) -> Maps:
        if operation.groups != 1:
            raise GraphError(f"{node.id}: a grouped convolution is not supported")
        source = self._pointwise(node)
        own = self._parameter(node, "weight")
        colours = source.coefficients[:, :, 0] * source.kernels[0]
        weight = torch.einsum("oihw,ic->ochw", own, colours)
        bias = self._parameter(node, "bias") if operation.bias else own.new_zeros(own.shape[0])
        padding, stride = operation.padding, operation.stride
        height, width = (
            (size + 2 * padding - own.shape[axis]) // stride + 1
            for axis, size in ((2, source.height), (3, source.width))
        )
        piece = Piece(weight, bias, -padding, -padding, (None,) * own.shape[0])
        return Maps((piece,), stride, height, width)

    def colour_mixing(self, node: Node, operation: ops.ColourMixing) -> Combination:
        source = self._pointwise(node)
        weight = self._parameter(node, "weight")[:, :, 0, 0]
        return replace(
            source,
            coefficients=torch.einsum("oi,ick->ock", weight, source.coefficients),
            bias=weight.new_zeros(weight.shape[0]),
            bands=(None,) * weight.shape[0],
        )

    def packets(self, node: Node, operation: ops.Packets) -> Combination:
        source = self._pointwise(node)
        transform, name = operation.transform, operation.filters
        levels, stride = operation.levels, operation.stride
        named = fixed_filters(transform, name, levels)
        num_taps = self._num_taps(named.shape[2], levels, named.shape[0])
        if operation.trainable_filters:
            low, high = self._parameter(node, "low"), self._parameter(node, "high")
            bank = equivalent_filters(low, high, levels)
        else:
            bank = named.to(device=self.like.device, dtype=self.like.dtype)
        signs = conjugation_signs(named).to(bank) if transform == "dtcwpt" else None
        kernels = kernels_of_bank(bank, signs)
        padding = bank_padding(num_taps, levels, stride, bank.shape[0])
        number = kernels.shape[0]
        identity = torch.eye(number, dtype=self.like.dtype, device=self.like.device)
        colours = source.coefficients[:, :, 0] * source.kernels[0, 0, 0]
        return Combination(
            coefficients=torch.einsum("nc,pk->npck", colours, identity).flatten(0, 1),
            kernels=kernels,
            bias=bank.new_zeros(colours.shape[0] * number),
            padding=padding,
            stride=stride,
            height=(source.height + 2 * padding - bank.shape[2]) // stride + 1,
            width=(source.width + 2 * padding - bank.shape[2]) // stride + 1,
            bands=(None,) * (colours.shape[0] * number),
        )

    @staticmethod
    def _num_taps(length: int, levels: int, num_trees: int) -> int:
        """Return the taps whose cascade has this length (`filters.equivalent_length`)."""
        return (length - (2 if num_trees == 2 else 0) - 1) // (2**levels - 1) + 1

    def keep_packets(self, node: Node, operation: ops.KeepPackets) -> Combination:
        source = self._combination(node)
        by_colour = len(source.bias) // operation.colours
        kept = torch.tensor(
            [
                colour * by_colour + packet
                for colour in range(operation.colours)
                for packet in operation.packets
            ],
            device=source.bias.device,
        )
        return replace(
            source,
            coefficients=source.coefficients[kept],
            bias=source.bias[kept],
            bands=(None,) * len(kept),
        )

    def packet_mixing(self, node: Node, operation: ops.PacketMixing) -> Combination:
        source = self._combination(node)
        blocks: list[Tensor] = []
        biases: list[Tensor] = []
        bands: list[int] = []
        for band, (_, outputs, groups) in enumerate(operation.bands):
            weight = self._parameter(node, f"{band}.weight")
            blocks += weight.flatten(1).unflatten(0, (groups, outputs // groups)).unbind(0)
            bias = operation.bias
            biases.append(
                self._parameter(node, f"{band}.bias") if bias else weight.new_zeros(outputs)
            )
            bands += [band] * outputs
        matrix = torch.block_diag(*blocks)
        colours = operation.colours
        packets = source.coefficients.unflatten(0, (colours, matrix.shape[1]))
        mixed_bias = source.bias.unflatten(0, (colours, matrix.shape[1])) @ matrix.T
        return replace(
            source,
            coefficients=torch.einsum("oi,nick->nock", matrix, packets).flatten(0, 1),
            bias=(mixed_bias + torch.cat(biases)).flatten(),
            bands=tuple(bands) * colours,
        )

    def colour_mixing_after(self, node: Node, operation: ops.ColourMixingAfter) -> Combination:
        source = self._combination(node)
        weight = self._parameter(node, "weight")[:, :, 0, 0]
        outputs, colours = weight.shape
        by_colour = source.coefficients.unflatten(0, (colours, outputs))
        bias = source.bias.unflatten(0, (colours, outputs))
        return replace(
            source,
            coefficients=torch.einsum("on,nock->ock", weight, by_colour),
            bias=(weight.T * bias).sum(0),
            bands=source.bands[:outputs],
        )

    def real_part(self, node: Node, operation: ops.RealPart) -> Combination:
        source = self._combination(node)
        kernels = source.kernels
        return replace(source, kernels=kernels.real if kernels.is_complex() else kernels)

    def interleave(self, node: Node, operation: ops.Interleave) -> Maps:
        # A complex channel stays one channel; `convolution` takes it apart.
        return self._maps(node.inputs[0])

    def bias(self, node: Node, operation: ops.Bias) -> Maps:
        source = self._maps(node.inputs[0])
        own, start = self._parameter(node, "bias"), 0
        pieces: list[Piece] = []
        for piece in source.pieces:
            channels = len(piece.bias)
            if piece.weight.is_complex():
                pairs = own[start : start + 2 * channels].unflatten(0, (channels, 2)).contiguous()
                added, start = torch.view_as_complex(pairs), start + 2 * channels
            else:
                added, start = own[start : start + channels], start + channels
            pieces.append(replace(piece, bias=piece.bias + added))
        return replace(source, pieces=tuple(pieces))

    def crop(self, node: Node, operation: ops.Crop) -> Maps:
        sources = [self._maps(source) for source in node.inputs]
        height = min(source.height for source in sources)
        width = min(source.width for source in sources)
        cropped, self.crops[node.id] = sources[0].cropped(height, width)
        return cropped

    def concat(self, node: Node, operation: ops.Concat) -> Maps:
        sources = [self._maps(source) for source in node.inputs]
        first = sources[0]
        for source in sources:
            if (source.stride, source.height, source.width) != (
                first.stride,
                first.height,
                first.width,
            ):
                raise GraphError(f"{node.id} joins maps of different strides or sizes")
        return replace(first, pieces=tuple(p for source in sources for p in source.pieces))


_STEPS: Mapping[type[ops.Operation], Callable[[_Composer, Node, Any], Combination | Maps]] = {
    ops.Conv2d: _Composer.conv2d,
    ops.ColourMixing: _Composer.colour_mixing,
    ops.Packets: _Composer.packets,
    ops.KeepPackets: _Composer.keep_packets,
    ops.PacketMixing: _Composer.packet_mixing,
    ops.ColourMixingAfter: _Composer.colour_mixing_after,
    ops.RealPart: _Composer.real_part,
    ops.Interleave: _Composer.interleave,
    ops.Bias: _Composer.bias,
    ops.Crop: _Composer.crop,
    ops.Concat: _Composer.concat,
}


def _of_one_type(tensors: list[Tensor]) -> list[Tensor]:
    """Make all complex where one is."""
    if not any(tensor.is_complex() for tensor in tensors):
        return tensors
    return [
        tensor if tensor.is_complex() else torch.complex(tensor, torch.zeros_like(tensor))
        for tensor in tensors
    ]
