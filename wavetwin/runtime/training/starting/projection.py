"""Fit a twin's first layer to that of a trained CNN, and keep the rest of the CNN.

Which of the CNN's channels become wavelet channels is decided by what packets can say of them: the
kernels of wavelet channels are linear in the mixing weights, so that the nearest ones to each of
the CNN's kernels are found by least squares, and the channels are assigned so that the sum of the
squared relative errors is least. All other channels are copied. The CNN's channels are then put
into the twin's order through the whole network, which changes nothing that it computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import Bias, EnergyNorm, PacketMixing
from wavetwin.runtime.network.kernels import ResultingKernel, resulting_kernel
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.starting.assignment import assign_rows
from wavetwin.runtime.training.starting.channel_order import reorder_channels
from wavetwin.runtime.training.starting.plain_network import first_layer_widths
from wavetwin.runtime.training.starting.start_record import ProjectedChannel

__all__ = ["Projection", "project_weights"]

_FREE = "stem.free"


@dataclass(frozen=True, slots=True)
class Projection:
    """A twin's weights that follow from a CNN's."""

    state: dict[str, Tensor]
    """By the twin's names: what the CNN has nothing for is missing."""
    order: tuple[int, ...]
    """For each channel of the twin's first layer the CNN's."""
    channels: tuple[ProjectedChannel, ...]


def project_weights(
    twin: ModuleGraph,
    plain: ModuleGraph,
    state: Mapping[str, Tensor],
    initial: Mapping[str, Tensor],
) -> Projection:
    """Return the weights of a twin that come nearest to a CNN's.

    Of a modulus' complex channels the real part is fitted: what a kernel and a maximum of its positive
    responses say of an oscillation, the modulus of an analytic kernel with that real part says
    without its phase. Norms keep the CNN's statistics, those of the modulus as far as they go
    (`_energy_norm`).

    Args:
        twin: as written.
        plain: the CNN beside it (`plain_network`).
        state: the CNN's weights by our names; those of the first layer have to be there.
        initial: the twin's first layer as it begins: colour mixing and filters stay so.

    Raises:
        RunError: both first layers give maps of other sizes or steps, or the trunk does not take its
            channels in any order.
    """
    num_free, num_wavelet = first_layer_widths(twin)
    initial = {name: value.double() for name, value in initial.items()}
    own = {name: value for name, value in state.items() if name.startswith(f"{_FREE}.")}
    target = resulting_kernel({name: value.double() for name, value in own.items()}, plain)
    (mixing,) = twin.all_of(PacketMixing, "stem")
    found = _fit(twin, mixing.node, mixing.operation, initial, target)
    sources = assign_rows(found.errors.square())
    rest = (channel for channel in range(num_free + num_wavelet) if channel not in sources)
    order = (*rest, *sources)
    permuted = reorder_channels(plain, state, order)
    result = dict(_copied(twin, permuted, num_free))
    result |= _mixing_weights(mixing.node, mixing.operation, found.solutions, sources)
    result |= _biases(twin, mixing.node, mixing.operation, permuted, num_free)
    return Projection(
        result,
        order,
        tuple(
            ProjectedChannel(num_free + row, source, float(found.errors[row, source]))
            for row, source in enumerate(sources)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Fitted:
    errors: Tensor
    """(wavelet channels, the CNN's channels): relative L2 errors."""
    solutions: list[Tensor]
    """For each wavelet channel (packets of its group, the CNN's channels)."""


def _fit(
    twin: ModuleGraph,
    node: Node,
    operation: PacketMixing,
    initial: Mapping[str, Tensor],
    target: ResultingKernel,
) -> _Fitted:
    """Fit every wavelet channel to every channel of the CNN, in float64."""
    names = [f"{node.id}.{band}.weight" for band in range(len(operation.bands))]
    basis = [
        resulting_kernel({**initial, **_one_packet(initial, names, packet)}, twin)
        for packet in range(max(initial[name].shape[1] for name in names))
    ]
    first = basis[0]
    if (first.stride, first.output_size) != (target.stride, target.output_size):
        raise RunError(
            "projection-does-not-apply",
            f"the twin's first layer gives {_grid(first)}, and the CNN's {_grid(target)}",
            "remove weights.stem, or give the twin's first layer the CNN's stride and padding",
            subject=twin.name,
        )
    kernels, wanted = _aligned(basis, target)
    size = wanted.square().sum(1).sqrt()
    errors: list[Tensor] = []
    solutions: list[Tensor] = []
    channel = 0
    for (_, outputs, groups), name in zip(operation.bands, names, strict=True):
        for _ in range(groups):
            # All channels of a group see the same packets.
            matrix = kernels[: initial[name].shape[1], channel].T
            solution = torch.linalg.lstsq(matrix, wanted.T).solution
            left = (matrix @ solution - wanted.T).square().sum(0).sqrt()
            error = torch.where(size > 0, left / size.where(size > 0, torch.ones_like(size)), 0.0)
            number = outputs // groups
            errors += [error] * number
            solutions += [solution] * number
            channel += number
    return _Fitted(torch.stack(errors), solutions)


def _one_packet(initial: Mapping[str, Tensor], names: list[str], packet: int) -> dict[str, Tensor]:
    """Return mixing weights that take one packet of each group, by its number in the group."""
    chosen: dict[str, Tensor] = {}
    for name in names:
        chosen[name] = torch.zeros_like(initial[name])
        if packet < initial[name].shape[1]:
            chosen[name][:, packet] = 1.0
    return chosen


def _aligned(basis: list[ResultingKernel], target: ResultingKernel) -> tuple[Tensor, Tensor]:
    """Return kernels in one window, true to their positions, with the pixels in one dimension.

    Returns (packets of a group, wavelet channels, pixels) and (the CNN's channels, pixels).
    """
    first = basis[0]
    is_wavelet = torch.tensor([band is not None for band in first.bands])
    tops = [-kernel.padding[2] for kernel in (first, target)]
    lefts = [-kernel.padding[0] for kernel in (first, target)]
    sizes = [kernel.weight.shape[2:] for kernel in (first, target)]
    bottom = max(top + height for top, (height, _) in zip(tops, sizes, strict=True))
    right = max(left + width for left, (_, width) in zip(lefts, sizes, strict=True))

    def place(weight: Tensor, top: int, left: int) -> Tensor:
        above, before = top - min(tops), left - min(lefts)
        below = bottom - min(tops) - above - weight.shape[2]
        after = right - min(lefts) - before - weight.shape[3]
        return F.pad(weight, (before, after, above, below)).flatten(1)

    kernels = [
        place(
            (each.weight.real if each.weight.is_complex() else each.weight)[is_wavelet],
            tops[0],
            lefts[0],
        )
        for each in basis
    ]
    return torch.stack(kernels), place(target.weight, tops[1], lefts[1])


def _grid(kernel: ResultingKernel) -> str:
    height, width = kernel.output_size
    return f"{height} x {width} positions at steps of {kernel.stride}"


def _mixing_weights(
    node: Node, operation: PacketMixing, solutions: list[Tensor], sources: list[int]
) -> dict[str, Tensor]:
    """Return the mixing weights of the channels that were assigned."""
    result: dict[str, Tensor] = {}
    start = 0
    for band, (_, outputs, _) in enumerate(operation.bands):
        rows = [solutions[row][:, sources[row]] for row in range(start, start + outputs)]
        result[f"{node.id}.{band}.weight"] = torch.stack(rows)[:, :, None, None]
        start += outputs
    return result


def _biases(
    twin: ModuleGraph,
    node: Node,
    operation: PacketMixing,
    permuted: Mapping[str, Tensor],
    num_free: int,
) -> dict[str, Tensor]:
    """Return the wavelet channels' biases: in the mixing, or behind a modulus in the pooling."""
    bias = permuted.get(f"{_FREE}.bias")
    if bias is None:
        return {}
    own = bias[num_free:]
    if operation.bias:
        parts = own.split([outputs for _, outputs, _ in operation.bands])
        return {f"{node.id}.{band}.bias": part for band, part in enumerate(parts)}
    return {f"{found.node.id}.bias": own for found in twin.all_of(Bias, "pool")}


def _copied(
    twin: ModuleGraph, permuted: Mapping[str, Tensor], num_free: int
) -> Iterator[tuple[str, Tensor]]:
    """Yield what the twin has of the CNN: free kernels, norms of its pooling, the trunk."""
    for name, value in permuted.items():
        if name.startswith(f"{_FREE}.") and num_free:
            yield name, value[:num_free]
        elif name.startswith("trunk."):
            yield name, value
    for node in twin.section("pool"):
        _, branch, label = ("pool", "", node.id.removeprefix("pool."))
        if label.startswith(("free.", "wavelet.")):
            branch, label = label.split(".", 1)
        own = {
            name.removeprefix(f"pool.{label}."): _of_branch(value, branch, num_free)
            for name, value in permuted.items()
            if name.startswith(f"pool.{label}.")
        }
        if isinstance(node.operation, EnergyNorm):
            own = _energy_norm(own, node.operation)
        for name, value in own.items():
            yield f"{node.id}.{name}", value


def _of_branch(value: Tensor, branch: str, num_free: int) -> Tensor:
    if not value.ndim or not branch:
        return value
    return value[:num_free] if branch == "free" else value[num_free:]


def _energy_norm(own: Mapping[str, Tensor], operation: EnergyNorm) -> dict[str, Tensor]:
    """Return a modulus' norm from the batch norm of its real part.

    Half the mean square of a modulus is that of its real part, variance and squared mean; the mean
    that the batch norm takes off goes into the bias.
    """
    names = ("weight", "bias", "running_mean", "running_var")
    if not all(name in own for name in names):
        return {}
    weight, bias, mean, variance = (own[name] for name in names)
    deviation = (variance + operation.eps).sqrt()
    return {
        **own,
        "bias": bias - weight * mean / deviation,
        "running_mean": torch.zeros_like(mean),
        "running_var": 2 * (variance + mean.square()),
    }
