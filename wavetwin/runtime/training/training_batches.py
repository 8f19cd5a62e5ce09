"""What goes through the network in a training step: its place, its batches and their parts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError

_PLACEHOLDER_IMAGES = 2
"""In a part: of one image a batch norm may have no variance."""


def memory_format(plan: TrainingPlan) -> torch.memory_format:
    """Return how weights and images lie in memory."""
    return torch.channels_last if plan.memory_format == "channels_last" else torch.contiguous_format


def place(model: nn.Module, plan: TrainingPlan, device: torch.device) -> nn.Module:
    """Move a model to its device, in the plan's memory format."""
    model.to(device)
    if plan.memory_format == "channels_last":
        # torch's annotations know this argument on tensors only.
        model.to(memory_format=memory_format(plan))  # pyright: ignore[reportCallIssue]
    return model


def autocast(plan: TrainingPlan, device: torch.device) -> torch.autocast:
    """Return the context of the forward pass: bfloat16 where the plan says so, else float32."""
    enabled = plan.precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """This process's share of a batch, on the device."""

    images: Tensor
    """Normalised, (images, channels, height, width)."""
    labels: Tensor
    total: int
    """Images of the whole batch, over all processes."""
    is_placeholder: bool = False
    """There was no image for this process: it goes along with black ones that count nothing."""


@dataclass(frozen=True, slots=True)
class Part:
    """What goes through the network at once."""

    images: Tensor
    labels: Tensor
    weight: float
    """Factor of its mean loss, such that the gradients of all parts and processes average to the
    gradient of the whole batch's mean loss."""
    is_placeholder: bool


def placeholder_images(plan: TrainingPlan) -> tuple[Tensor, Tensor]:
    """Return black images and labels for a process that has none of a batch, some for each part."""
    size, number = plan.data.image_size, _PLACEHOLDER_IMAGES * plan.accumulate
    images = torch.zeros(number, plan.data.channels, size, size)
    return images, torch.zeros(number, dtype=torch.int64)


def check_parts(plan: TrainingPlan, graph: ModuleGraph, images: int, processes: int) -> None:
    """Refuse parts of one image where a batch norm has one value per channel of it.

    Args:
        plan: says how large batches are, and in how many parts.
        graph: the network.
        images: in the training split.
        processes: that share each batch.

    Raises:
        RunError: some process would get such a part.
    """
    norm = next(
        (
            node.id
            for node in graph
            if node.operation.is_batch_norm and node.output_shape[1:] in ((), (1, 1))
        ),
        None,
    )
    if norm is None or plan.epochs == 0:
        return
    size = plan.batch_size
    for batch in {min(size, images), images % size or size}:
        shares = {len(share) for share in torch.arange(batch).tensor_split(processes)} - {0}
        parts = [p for s in shares for p in torch.arange(s).chunk(plan.accumulate)]
        if any(len(part) == 1 for part in parts):
            raise RunError(
                f"a batch of {batch} images over {processes} processes leaves one image by itself, of "
                f"which {norm} has one value per channel and no variance",
                "start another number of processes, or change batch_size or accumulate",
            )


def check_lambdas(plan: TrainingPlan, model: nn.Module) -> None:
    """Refuse a network without the lambdas that the plan regularises with.

    Raises:
        RunError: model.py gives its packet mixing none.
    """
    if plan.regularisation is None:
        return
    mixing = model.get_submodule(plan.regularisation.node)
    if getattr(mixing, "lambdas", None) is None:
        raise RunError(
            f"the plan regularises {plan.regularisation.node}, and model.py gives it no lambdas",
            "build again, or take the regularisation out of the spec",
        )
