"""Weigh the cross-entropy by classes, and add penalties to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from wavetwin.ir.own_code import OwnCode
from wavetwin.ir.plan import stream_seed
from wavetwin.runtime.layers.mixing import PacketMixing
from wavetwin.runtime.process.own_code import load_named
from wavetwin.runtime.process.random_streams import seeded

__all__ = [
    "build_loss",
    "l1_linf_penalty",
    "regularisation",
    "row_gradients",
    "weighted_cross_entropy",
]


def weighted_cross_entropy(
    logits: Tensor, targets: Tensor, class_weights: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Return the mean over the images of their weighted cross-entropies, a scalar.

    torch divides by the sum of the images' weights where targets are classes: the mean of a batch's
    parts would then not be the batch's. By the number of images it is, whatever the targets are.

    Args:
        logits: (images, classes).
        targets: classes (images,), or their probabilities (images, classes).
        class_weights: a factor of each class's part, (classes,).
        label_smoothing: share of each target that is spread evenly over all classes.
    """
    total = functional.cross_entropy(
        logits, targets, class_weights, reduction="sum", label_smoothing=label_smoothing
    )
    return total / len(logits)


def build_loss(
    code: OwnCode, seed: int, device: torch.device
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a loss of the project's own: from logits and targets to the mean over the images, a scalar.

    A class is constructed under the seed, on the CPU, and moved to the device.

    Args:
        code: names it; its copy is what is loaded.
        seed: the plan's.
        device: of the logits.
    """
    made = load_named(code.file, code.name)
    if not isinstance(made, type):
        return partial(made, **code.keywords)
    with seeded(stream_seed(seed, "init:loss")), torch.device("cpu"):
        loss = made(**code.keywords)
    return loss.to(device) if isinstance(loss, nn.Module) else loss


def l1_linf_penalty(weights: Iterable[Tensor], lambdas: Sequence[float]) -> Tensor:
    """Return sum over bands b of lambda_b * sum over rows w of (|w|_1 / |w|_inf - 1), a scalar.

    It favours rows of one packet: 0 where every row has one non-zero weight, and for rows of zeros.

    Source: arXiv:2212.00394.

    Args:
        weights: per band the mixing weights, a row an output map: (outputs, inputs / groups, ...).
        lambdas: one weight a band; bands of weight 0 are left out.

    Raises:
        ValueError: there are not as many bands as lambdas, or none.
    """
    bands = list(weights)
    if len(bands) != len(lambdas) or not bands:
        raise ValueError(f"{len(bands)} bands of weights, {len(lambdas)} lambdas")
    total = bands[0].new_zeros(())
    for weight, factor in zip(bands, lambdas, strict=True):
        if factor == 0:
            continue
        sizes = weight.flatten(1).abs()
        largest = sizes.amax(dim=1)
        is_zero = largest == 0
        ratio = sizes.sum(dim=1) / torch.where(is_zero, 1.0, largest)
        total = total + factor * torch.where(is_zero, 0.0, ratio - 1).sum()
    return total


def regularisation(model: nn.Module) -> Tensor:
    """Return the penalty of every packet mixing in a model that has lambdas, a scalar.

    `build_module(graph, plan=plan)` sets them; `PacketMixing(..., lambdas=...)` does, too. Zero for a
    model without any, so that it may always be added to the loss.
    """
    terms = [
        l1_linf_penalty(module.tensors("weight"), module.lambdas)
        for module in model.modules()
        if isinstance(module, PacketMixing) and module.lambdas is not None
    ]
    if terms:
        return torch.stack(terms).sum()
    parameter = next(model.parameters(), None)
    return torch.zeros(()) if parameter is None else parameter.new_zeros(())


def row_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Return the largest absolute gradient of each row of mixing weights, (outputs,) by their name."""
    return {
        f"{path}.{name}": parameter.grad.detach().abs().flatten(1).amax(1)
        for path, module in model.named_modules()
        if isinstance(module, PacketMixing)
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and name.endswith("weight")
    }
