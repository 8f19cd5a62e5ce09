"""Cross-entropy that counts images less that are predicted well already."""

import torch
from torch import Tensor
from torch.nn import functional


def focal(logits: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    """Mean over the images; Lin et al. 2017, arXiv:1708.02002."""
    each = functional.cross_entropy(logits, targets, reduction="none")
    return ((1 - torch.exp(-each)) ** gamma * each).mean()
