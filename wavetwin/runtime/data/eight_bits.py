"""Resize as Pillow does it: bilinear, antialiased, rounded to 8 bits after each of two passes.

The published scores of moved images were computed so.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["resize_in_8_bits"]

_MAXIMUM = 255
_MODES = {1: "L", 3: "RGB"}


def resize_in_8_bits(
    images: Tensor, height: int, width: int, box: tuple[float, float, float, float] | None = None
) -> Tensor:
    """Return images at another size, of values that 8 bits hold.

    Args:
        images: float (..., channels, rows, columns) in [0, 1], of 1 or 3 channels.
        height: of the result.
        width: of the result.
        box: left, top, right and bottom of what is resized alone, in pixels.
    """
    flat = images.reshape(-1, *images.shape[-3:])
    stored = flat.mul(_MAXIMUM).round().clamp(0, _MAXIMUM).to("cpu", torch.uint8)
    if box is not None or images.shape[-2:] != (height, width):
        stored = torch.stack([_resize(image, height, width, box) for image in stored])
    resized = stored.to(images.dtype).div(_MAXIMUM).to(images.device)
    return resized.reshape(*images.shape[:-2], height, width)


def _resize(
    image: Tensor, height: int, width: int, box: tuple[float, float, float, float] | None
) -> Tensor:
    mode = _MODES[len(image)]
    rows = image.permute(1, 2, 0).contiguous().numpy()
    given = Image.fromarray(rows[..., 0] if mode == "L" else rows, mode)
    resized = np.array(given.resize((width, height), Image.Resampling.BILINEAR, box=box))
    return torch.from_numpy(resized.reshape(height, width, -1)).permute(2, 0, 1)
