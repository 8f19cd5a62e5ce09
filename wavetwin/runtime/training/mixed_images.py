"""Mix the images of a batch and their labels: mixup and cutmix.

Each image meets the one before it in its batch, the first meets the last; the order of an epoch is
random. Under several processes, each mixes within its share of the batch, all by the same draw.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.random_streams import mixing_random
from wavetwin.runtime.training.training_batches import TrainingBatch

__all__ = ["cutmix", "mix_images", "mixup"]


def mix_images(batch: TrainingBatch, plan: TrainingPlan, epoch: int, step: int) -> TrainingBatch:
    """Return a batch whose images are mixed by the draw of this step of this epoch, both from 0.

    `targets` has the classes' shares of each image, `labels` the class of the larger one. The draw
    depends on the plan's seed and the position alone.
    """
    draw = mixing_random(plan.seed, epoch, step)
    if plan.cutmix is None or (plan.mixup is not None and draw.random() < 0.5):
        assert plan.mixup is not None
        images, share = mixup(batch.images, draw.betavariate(plan.mixup, plan.mixup))
    else:
        share = draw.betavariate(plan.cutmix, plan.cutmix)
        images, share = cutmix(batch.images, share, draw.random(), draw.random())
    own = functional.one_hot(batch.labels, plan.data.num_classes).float()
    targets = own.roll(1, 0).mul_(1 - share).add_(own.mul(share))
    return replace(batch, images=images, targets=targets, labels=targets.argmax(1))


def mixup(images: Tensor, share: float) -> tuple[Tensor, float]:
    """Return share * image + (1 - share) * the image before, and the share.

    Source: Zhang et al. 2018, arXiv:1710.09412; as torchvision's `v2.MixUp`.

    Args:
        images: (images, channels, height, width).
        share: of each image itself, from 0 to 1.
    """
    return images.roll(1, 0).mul_(1 - share).add_(images.mul(share)), share


def cutmix(images: Tensor, share: float, x: float, y: float) -> tuple[Tensor, float]:
    """Return images with a rectangle of the image before, and the share of itself that each keeps.

    The rectangle has the images' ratio and is cut at their edge, which leaves a larger share.

    Source: Yun et al. 2019, arXiv:1905.04899; as torchvision's `v2.CutMix`.

    Args:
        images: (images, channels, height, width).
        share: of each image itself that is aimed at, from 0 to 1.
        x: middle of the rectangle, as a share of the width, from 0 to below 1.
        y: the same of the height.
    """
    height, width = images.shape[-2:]
    half = 0.5 * math.sqrt(1 - share)
    middle_x, middle_y = int(x * width), int(y * height)
    half_width, half_height = int(half * width), int(half * height)
    left, right = max(0, middle_x - half_width), min(width, middle_x + half_width)
    top, bottom = max(0, middle_y - half_height), min(height, middle_y + half_height)
    mixed = images.clone(memory_format=torch.preserve_format)
    mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
    return mixed, 1 - (right - left) * (bottom - top) / (width * height)
