"""Prepare what a training step needs: the model's device, its batches and micro-batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.layers import use_native_kernel
from wavetwin.runtime.process.errors import RunError

_PLACEHOLDER_IMAGES = 2
"""In a micro-batch: of one image a batch norm may have no variance."""


def memory_format(plan: TrainingPlan) -> torch.memory_format:
    """Return how weights and images lie in memory."""
    return torch.channels_last if plan.memory_format == "channels_last" else torch.contiguous_format


def place(model: nn.Module, plan: TrainingPlan, device: torch.device) -> nn.Module:
    """Move a model to its device, in the plan's memory format, where the plan's kernels compute."""
    model.to(device)
    if plan.packet_kernels.is_native and device.type == "cpu":
        use_native_kernel(model)
    if plan.memory_format == "channels_last":
        # torch's annotations know this argument on tensors only.
        model.to(memory_format=memory_format(plan))  # pyright: ignore[reportCallIssue]
    return model


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """This process's share of a batch on the device, or what of it goes through at once."""

    images: Tensor
    """Normalised, (images, channels, height, width)."""
    labels: Tensor
    targets: Tensor
    """What the loss is taken to: the labels, or shares of the classes (images, classes)."""
    weight: float
    """Factor of its mean loss, such that the gradients of all micro-batches and processes average to
    the gradient of the whole batch's mean loss: 1 where one process has the batch at once."""
    total: int
    """Images of the whole batch, over all processes."""
    is_placeholder: bool
    """There was no image for this process: it goes along with black ones that count nothing."""


class KeptBuffers:
    """A model's buffers from before a placeholder batch: black images leave no trace in them."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._values: list[Tensor] = []

    def keep(self) -> None:
        """Note the values."""
        self._values = [buffer.clone() for buffer in self._model.buffers()]

    def restore(self) -> None:
        """Bring back the values that were noted since the last call, if they were."""
        for buffer, value in zip(self._model.buffers(), self._values, strict=bool(self._values)):
            buffer.copy_(value)
        self._values = []


def prepare_batch(
    images: Tensor,
    labels: Tensor,
    total: int,
    data: ExperimentData,
    device: torch.device,
    processes: int,
) -> TrainingBatch:
    """Move a process's share of a batch to the device, normalised; black images where it is empty.

    Args:
        images: (images, channels, height, width).
        labels: (images,).
        total: images of the whole batch, over all processes.
        data: the experiment's.
        device: where the network is.
        processes: that share the batch.
    """
    is_placeholder = len(labels) == 0
    if is_placeholder:
        images, labels = _placeholder_images(data.plan)
    images = data.normalise(images.to(device, non_blocking=True))
    labels = labels.to(device, non_blocking=True)
    return TrainingBatch(
        images.contiguous(memory_format=memory_format(data.plan)),
        labels,
        labels,
        0.0 if is_placeholder else len(labels) / total * processes,
        total,
        is_placeholder,
    )


def split_batch(batch: TrainingBatch, number: int, processes: int) -> list[TrainingBatch]:
    """Return the micro-batches of a process's share of a batch, at most so many."""
    tensors = (batch.images, batch.labels, batch.targets)
    pieces = zip(*(each.chunk(number) for each in tensors), strict=True)
    return [
        replace(
            batch,
            images=images,
            labels=labels,
            targets=targets,
            weight=0.0 if batch.is_placeholder else len(labels) / batch.total * processes,
        )
        for images, labels, targets in pieces
    ]


def check_micro_batches(
    plan: TrainingPlan, graph: ModuleGraph, images: int, processes: int
) -> None:
    """Refuse micro-batches of one image where a batch norm has one value per channel of it.

    Args:
        plan: says how large batches are, and into how many micro-batches they are split.
        graph: the network.
        images: in the training split.
        processes: that share each batch.

    Raises:
        RunError: some process would get such a micro-batch.
    """
    norm = next(
        (node.id for node in graph if node.operation.needs_several_images(node.output_shape)),
        None,
    )
    if norm is None or plan.epochs == 0:
        return
    size = plan.batch_size
    for batch in {min(size, images), images % size or size}:
        shares = {len(share) for share in torch.arange(batch).tensor_split(processes)} - {0}
        sizes = [len(p) for s in shares for p in torch.arange(s).chunk(plan.accumulate)]
        if 1 in sizes:
            raise RunError(
                "batch-of-one",
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
            "script-modified",
            f"the plan regularises {plan.regularisation.node}, and model.py gives it no lambdas",
            "build again, or take the regularisation out of the spec",
        )


def _placeholder_images(plan: TrainingPlan) -> tuple[Tensor, Tensor]:
    """Return black images and labels for a process that has none of a batch, some for each micro-batch."""
    number = _PLACEHOLDER_IMAGES * plan.accumulate
    images = torch.zeros(number, plan.data.channels, *plan.data.sides)
    return images, torch.zeros(number, dtype=torch.int64)
