"""Give the native bank derivatives, and torch's compiler one operator, `wavetwin::native_packets`.

Eager mode may keep packets for the backward pass; the operator keeps its inputs only. A second derivative
is that of the same map in torch's operations, in eager mode as for the torch bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wavetwin.runtime.bank.compiled import INFO_SCHEMA, pack_info, unpack_info
from wavetwin.runtime.bank.derivative import mixed_maps
from wavetwin.runtime.bank.info import BankInfo
from wavetwin.runtime.bank.layout import make_layout
from wavetwin.runtime.bank.modulus import modulus
from wavetwin.runtime.bank.native.compute import (
    Kept,
    NativeGradients,
    apply_adjoint,
    apply_forward,
    kept_bytes,
)

__all__ = ["KEPT_BYTES", "native_packets"]

KEPT_BYTES = 1_250_000
"""Packets and units are kept for the backward pass where they take no more, an image."""


def native_packets(
    x: Tensor,
    weights: Tensor,
    colour: Tensor | None,
    bias: Tensor | None,
    info: BankInfo,
    is_channels_last: bool,
    most_bytes: int,
) -> Sequence[Tensor]:
    """Return the mixed packets per part, or their modulus, (batch, outputs, out_height, out_width).

    Args:
        x: (batch, colours, height, width), float32 or float64, on the CPU.
        weights: mixing weights of all bands, flattened and joined, of the type of x.
        colour: weights of the colours, or None for one channel.
        bias: (outputs,), added to every part, or None.
        info: what is computed.
        is_channels_last: how the result lies in memory.
        most_bytes: packets and units are kept where they take no more, an image.
    """
    if torch.compiler.is_compiling():
        packed = native_packets_op(
            x, weights, colour, bias, info.filters, *pack_info(info), is_channels_last
        )
        return packed.chunk(info.results, dim=0)
    result = NativePackets.apply(x, weights, colour, bias, info, is_channels_last, most_bytes)
    return result if isinstance(result, tuple) else (result,)


class NativePackets(torch.autograd.Function):
    """`native_packets` in eager mode; twice differentiable."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Tensor,
        colour: Tensor | None,
        bias: Tensor | None,
        info: BankInfo,
        is_channels_last: bool,
        most_bytes: int,
    ) -> Tensor | tuple[Tensor, ...]:
        """Compute the maps."""
        keeps = ctx.needs_input_grad[1] and kept_bytes(x, info) <= most_bytes
        parts, kept = apply_forward(x, weights, colour, bias, info, is_channels_last, keeps)
        ctx.info = info
        ctx.save_for_backward(x, weights, colour, bias, kept.packets, kept.units)
        return tuple(parts) if len(parts) > 1 else parts[0]

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients; those of a second derivative through torch's operations."""
        x, weights, colour, bias, *kept = ctx.saved_tensors
        needed: tuple[bool, ...] = tuple(ctx.needs_input_grad[:4])
        with torch.autocast(x.device.type, enabled=False):
            if torch.is_grad_enabled():
                found = _differentiable(gradient, (x, weights, colour, bias), ctx.info, needed)
            else:
                found = _in_order(
                    apply_adjoint(gradient, x, weights, colour, bias, ctx.info, Kept(*kept), needed)
                )
        return *found, None, None, None


def _differentiable(
    gradient: Sequence[Tensor],
    inputs: tuple[Tensor, Tensor, Tensor | None, Tensor | None],
    info: BankInfo,
    needed: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Return the gradients in operations that autograd follows."""
    # Views, so that the derivatives of inputs that depend on each other stay apart.
    views = [None if value is None else value.view_as(value) for value in inputs]
    x, weights, colour, bias = views
    assert x is not None, "only colours and bias may be missing"
    assert weights is not None, "only colours and bias may be missing"
    layout = make_layout(info, x.shape[2], x.shape[3], x.dtype, x.device)
    parts = [part.permute(0, 3, 1, 2) for part in mixed_maps(x, weights, colour, layout)]
    if bias is not None:
        parts = [part + bias[:, None, None] for part in parts]
    if info.has_modulus:
        parts = [modulus(parts[0], parts[1])]
    inputs_of: tuple[Any, ...] = tuple(views)
    wanted = [value for value, is_needed in zip(inputs_of, needed, strict=True) if is_needed]
    found = iter(torch.autograd.grad(parts, wanted, gradient, create_graph=True))
    return tuple(next(found) if is_needed else None for is_needed in needed)


def _in_order(found: NativeGradients) -> tuple[Tensor | None, ...]:
    return found.x, found.weights, found.colour, found.bias


@torch.library.custom_op(
    "wavetwin::native_packets",
    mutates_args=(),
    schema=f"(Tensor x, Tensor weights, Tensor? colour, Tensor? bias, {INFO_SCHEMA}, "
    "bool is_channels_last) -> Tensor",
)
def native_packets_op(
    x: Tensor,
    weights: Tensor,
    colour: Tensor | None,
    bias: Tensor | None,
    filters: str,
    packets: list[int],
    bands: list[int],
    numbers: list[int],
    is_channels_last: bool,
) -> Tensor:
    """Return (results * batch, outputs, out_height, out_width), the real parts first."""
    info = unpack_info(filters, packets, bands, numbers)
    parts, _ = apply_forward(x, weights, colour, bias, info, is_channels_last)
    return torch.cat(parts) if len(parts) > 1 else parts[0]


@native_packets_op.register_fake
def _(x: Tensor, *inputs: Any) -> Tensor:
    bands: list[int] = inputs[-3]
    numbers: list[int] = inputs[-2]
    layout = torch.channels_last if inputs[-1] else torch.contiguous_format
    results = 1 + numbers[6] - numbers[7]
    shape = (x.shape[0] * results, sum(bands[1::3]), numbers[4], numbers[5])
    return x.new_empty(shape).to(memory_format=layout)


@torch.library.custom_op(
    "wavetwin::native_packets_backward",
    mutates_args=(),
    schema="(Tensor gradient, Tensor x, Tensor weights, Tensor? colour, Tensor? bias, "
    f"{INFO_SCHEMA}, bool[] needed) -> Tensor[]",
)
def native_packets_backward_op(
    gradient: Tensor,
    x: Tensor,
    weights: Tensor,
    colour: Tensor | None,
    bias: Tensor | None,
    filters: str,
    packets: list[int],
    bands: list[int],
    numbers: list[int],
    needed: list[bool],
) -> list[Tensor]:
    """Return the gradients that are needed of x, weights, colour and bias, in this order."""
    info = unpack_info(filters, packets, bands, numbers)
    parts = gradient.chunk(info.results, dim=0)
    found = _in_order(apply_adjoint(parts, x, weights, colour, bias, info, Kept(), needed))
    return [value for value in found if value is not None]


@native_packets_backward_op.register_fake
def _(gradient: Tensor, *inputs: Any) -> list[Tensor]:
    x, weights, colour = inputs[:3]
    bands: list[int] = inputs[-3]
    needed: list[bool] = inputs[-1]
    shapes = [x.shape, weights.shape, None if colour is None else colour.shape, (sum(bands[1::3]),)]
    found = [
        x.new_empty(shape)
        for shape, is_needed in zip(shapes, needed, strict=True)
        if is_needed and shape is not None
    ]
    if needed[0]:
        found[0] = torch.empty_like(x)
    return found


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.info = inputs[4:8]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    needed = [bool(is_needed) for is_needed in ctx.needs_input_grad[:4]]
    found = iter(native_packets_backward_op(gradient, *ctx.saved_tensors, *ctx.info, needed))
    of_inputs = (next(found) if is_needed else None for is_needed in needed)
    return *of_inputs, None, None, None, None, None


native_packets_op.register_autograd(_backward, setup_context=_setup)
