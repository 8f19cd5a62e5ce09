"""Mix an image's packets at the positions that are kept: the linear part of a wavelet stem."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.runtime.bank.compiled import mixed_packets_op, pack_info
from wavetwin.runtime.bank.derivative import KEPT_BYTES, MixedMaps, mixed_maps
from wavetwin.runtime.bank.eager import (
    is_dispatch_watched,
    is_eager,
    is_plain_tensor,
    plain_shape,
)
from wavetwin.runtime.bank.info import BankInfo
from wavetwin.runtime.bank.layout import make_layout
from wavetwin.runtime.bank.modulus import modulus
from wavetwin.runtime.bank.native.operator import KEPT_BYTES as NATIVE_KEPT_BYTES
from wavetwin.runtime.bank.native.operator import native_packets
from wavetwin.runtime.bank.shapes import Float

__all__ = ["is_for_kernel", "mixed_packets"]


def mixed_packets(
    x: Float[Tensor, "batch colours height width"],
    weights: Sequence[Tensor],
    info: BankInfo,
    colour: Float[Tensor, "1 colours 1 1"] | None = None,
    bias: Float[Tensor, " outputs"] | None = None,
    *,
    saves_memory: bool = False,
    native: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Return mixed packets, (batch, outputs, out_height, out_width): real parts, both parts, or the modulus.

    The same as `ColourMixing`, `DualTreePacketMaps`, `KeepPackets` and `PacketMixing` one after the
    other, sampled where the info says; samples outside the image are zeros. Differentiable, in eager
    mode twice, in `x`, `weights` and `colour`. In half precision and under autocast everything
    is computed in float32 and the result rounded. It is channels-last where `x` is.

    Eager mode keeps at most 1 MB an image for the backward pass; `torch.func`'s transformations and
    forward-mode derivatives get the operations themselves. Under `torch.compile` the bank is one
    operator, which keeps its inputs only; `torch.export` gets the operations themselves, for the
    example's height and width. The native kernel takes the place of eager mode's operations and of the
    operator, on a CPU; it gives other last bits.

    Args:
        x: the image; one channel where `colour` is None.
        weights: per band (outputs, inputs / groups, 1, 1), of the type of `x` or of float32.
        info: what is computed; `out_height` and `out_width` fit the image.
        colour: weights of the colours in the luminance.
        bias: added to each output, to both of its parts.
        saves_memory: keep only the inputs for the backward pass and compute the rest again.
        native: compute by the native kernel (`wavetwin.runtime.bank.native`) where all is on a CPU, and
            no dispatch mode of torch's follows the operations.

    Raises:
        NoLibraryError: the native kernel is wanted and cannot be built.
        ValueError: there are several channels and no weights for them, or the weights are not those
            of the bands, or what the info would read lies outside the image.
    """
    channels = 1 if colour is None else colour.numel()
    if plain_shape(x)[1] != channels:
        raise ValueError(f"{x.shape[1]} channels, and weights for {channels}")
    expected = [(out, inputs // groups) for inputs, out, groups in info.bands]
    if [plain_shape(weight)[:2] for weight in weights] != expected:
        raise ValueError(
            f"mixing weights {[tuple(weight.shape) for weight in weights]}: {expected}"
        )
    device = x.device.type
    result_type, wide = x.dtype, torch.float64 if x.dtype == torch.float64 else torch.float32
    if wide == torch.float32 and torch.is_autocast_enabled(device):
        result_type = torch.get_autocast_dtype(device)
    is_channels_last = _is_channels_last(x)
    with torch.autocast(device, enabled=False):
        flat = torch.cat([weight.flatten() for weight in weights]).to(wide)
        inputs = x.to(wide), flat, None if colour is None else colour.to(wide)
        wide_bias = None if bias is None else bias.to(wide)
        if native and is_for_kernel(*inputs, wide_bias):
            images = native_packets(
                *inputs, wide_bias, info, is_channels_last,
                0 if saves_memory or not torch.is_grad_enabled() else NATIVE_KEPT_BYTES,
            )  # fmt: skip
            images = [image.to(result_type) for image in images]
            return (images[0], images[1]) if info.results == 2 else images[0]
        parts = _parts(*inputs, info, saves_memory)
    images = [part.permute(0, 3, 1, 2).to(result_type) for part in parts]
    if not is_channels_last:
        images = [image.contiguous() for image in images]
    if bias is not None:
        images = [image + bias.to(image.dtype)[:, None, None] for image in images]
    if info.has_modulus:
        return modulus(images[0], images[1])
    return (images[0], images[1]) if info.is_complex else images[0]


def is_for_kernel(x: Tensor, *others: Tensor | None) -> bool:
    """Return whether the native kernel takes an image and what weighs it.

    They are on a CPU and hold their values themselves, and nobody follows the operations: the kernel
    reads and writes memory, which derivatives of torch's own, dispatch modes (traces of `make_fx`,
    counters of operations) and kinds of tensors that only look like tensors know nothing of.
    """
    values = [x, *(other for other in others if other is not None)]
    if any(value.device.type != "cpu" for value in values):
        return False
    if plain_shape(x)[0] == 0 or torch.compiler.is_exporting():
        return False
    if torch.compiler.is_compiling():
        return True
    return is_eager() and not is_dispatch_watched() and all(map(is_plain_tensor, values))


def _is_channels_last(x: Tensor) -> bool:
    if x.shape[1] == 1:
        return False
    if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
        # Inside of vmap a tensor does not know its layout.
        return False
    return x.is_contiguous(memory_format=torch.channels_last)


def _parts(
    x: Tensor, weights: Tensor, colour: Tensor | None, info: BankInfo, saves_memory: bool
) -> Sequence[Tensor]:
    """Return one or two of (batch, out_height, out_width, outputs), in the type of `x`."""
    batch, _, height, width = plain_shape(x)
    if batch == 0:
        # An image of zeros is computed and left out: without any, weights would have no derivative.
        one = F.pad(x, (0, 0, 0, 0, 0, 0, 0, 1))
        return [part[:0] for part in _parts(one, weights, colour, info, saves_memory)]
    if torch.compiler.is_exporting():
        layout = make_layout(info, height, width, x.dtype, torch.device(x.device))
        return mixed_maps(x, weights, colour, layout)
    if torch.compiler.is_compiling():
        packed = mixed_packets_op(x, weights, colour, info.filters, *pack_info(info))
        return packed.chunk(info.parts, dim=3)
    layout = make_layout(info, height, width, x.dtype, x.device)
    if not is_eager():
        return mixed_maps(x, weights, colour, layout)
    keeps = torch.is_grad_enabled() and not saves_memory
    result = MixedMaps.apply(x, weights, colour, layout, KEPT_BYTES if keeps else 0)
    return result if isinstance(result, tuple) else (result,)
