"""Noise of a deviation that is drawn for each image."""

import torch
from torch import Tensor


class Noise:
    def __init__(self, most: float = 20.0) -> None:
        self.most = most

    def __call__(self, image: Tensor) -> Tensor:
        deviation = self.most * torch.rand(1)
        noisy = image + deviation * torch.randn(image.shape)
        return noisy.round().clamp(0, 255).to(torch.uint8)
