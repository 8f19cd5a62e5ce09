"""Register the bank as one operator of torch's compiler, `wavetwin::mixed_packets`.

A trace then holds neither its loops nor its constants, which depend on the image's size and device.
It keeps nothing but its inputs for the backward pass.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from wavetwin.runtime.bank.derivative import compute, gradients
from wavetwin.runtime.bank.info import BankInfo
from wavetwin.runtime.bank.layout import make_layout


def pack_info(info: BankInfo) -> tuple[list[int], list[int], list[int]]:
    """Return the info, without the filters' name, as an operator takes them: see `unpack_info`."""
    bands = [number for band in info.bands for number in band]
    numbers = [info.levels, info.step, *info.starts, info.out_height, info.out_width]
    return list(info.packets), bands, [*numbers, int(info.is_complex), int(info.has_modulus)]


def unpack_info(filters: str, packets: list[int], bands: list[int], numbers: list[int]) -> BankInfo:
    """Return the info that `pack_info` packed."""
    levels, step, top, left, height, width, is_complex, has_modulus = numbers
    triples = zip(bands[0::3], bands[1::3], bands[2::3], strict=True)
    return BankInfo(
        levels, filters, tuple(packets), tuple(triples), step, (top, left), height, width,
        bool(is_complex), bool(has_modulus),
    )  # fmt: skip


# Schemas are written out: torch infers none from annotations that a test's hook wraps.
INFO_SCHEMA = "str filters, int[] packets, int[] bands, int[] numbers"
"""An info, as `pack_info` gives it and its filters, among the arguments of an operator."""


@torch.library.custom_op(
    "wavetwin::mixed_packets",
    mutates_args=(),
    schema=f"(Tensor x, Tensor weights, Tensor? colour, {INFO_SCHEMA}) -> Tensor",
)
def mixed_packets_op(
    x: Tensor,
    weights: Tensor,
    colour: Tensor | None,
    filters: str,
    packets: list[int],
    bands: list[int],
    numbers: list[int],
) -> Tensor:
    """Return (batch, out_height, out_width, parts * outputs); a modulus is left to who calls."""
    info = unpack_info(filters, packets, bands, numbers)
    layout = make_layout(info, x.shape[2], x.shape[3], x.dtype, x.device)
    return torch.cat(compute(x, weights, colour, layout, ())[0], dim=3)


@mixed_packets_op.register_fake
def _(x: Tensor, *inputs: Any) -> Tensor:
    bands: list[int] = inputs[-2]
    numbers: list[int] = inputs[-1]
    maps = sum(bands[1::3]) * (1 + numbers[6])
    return x.new_empty(x.shape[0], numbers[4], numbers[5], maps)


@torch.library.custom_op(
    "wavetwin::mixed_packets_backward",
    mutates_args=(),
    schema=f"(Tensor gradient, Tensor x, Tensor weights, Tensor? colour, {INFO_SCHEMA}, bool[] needed) "
    "-> Tensor[]",
)
def mixed_packets_backward_op(
    gradient: Tensor,
    x: Tensor,
    weights: Tensor,
    colour: Tensor | None,
    filters: str,
    packets: list[int],
    bands: list[int],
    numbers: list[int],
    needed: list[bool],
) -> list[Tensor]:
    """Return the gradients that are needed of x, weights and colour, in this order."""
    info = unpack_info(filters, packets, bands, numbers)
    layout = make_layout(info, x.shape[2], x.shape[3], x.dtype, x.device)
    of_x, of_weights, of_colour = needed
    nothing: list[dict[Hashable, Tensor]] = [{} for _ in range(layout.chunks(x.shape[0]))]
    found = gradients(
        gradient.chunk(info.parts, dim=3), x, weights, colour, layout, nothing, (of_x, of_weights, of_colour)
    )  # fmt: skip
    wanted = zip(found, needed, strict=True)
    return [value for value, is_needed in wanted if is_needed and value is not None]


@mixed_packets_backward_op.register_fake
def _(gradient: Tensor, *inputs: Any) -> list[Tensor]:
    tensors: tuple[Tensor | None, ...] = inputs[:3]
    needed: list[bool] = inputs[-1]
    wanted = zip(tensors, needed, strict=True)
    return [
        value.new_empty(value.shape)
        for value, is_needed in wanted
        if is_needed and value is not None
    ]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.info = inputs[3:]


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    needed = [bool(is_needed) for is_needed in ctx.needs_input_grad[:3]]
    found = iter(mixed_packets_backward_op(gradient, *ctx.saved_tensors, *ctx.info, needed))
    return *(next(found) if is_needed else None for is_needed in needed), None, None, None, None


mixed_packets_op.register_autograd(_backward, setup_context=_setup)
