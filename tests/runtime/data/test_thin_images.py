"""Very thin images: their crops cost no more memory than other images', and are the same pixels."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from wavetwin.runtime.data.transforms import augment, fit, five_crops, resize


class LargestTensor(TorchDispatchMode):
    """Keeps the number of elements of the largest tensor that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            # A view keeps all of its storage alive, but makes no new one.
            self.elements = max(self.elements, result.numel())
        return result


def thin(height: int, width: int) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(height + width))


@pytest.mark.parametrize("shape", [(1, 4000), (4000, 1), (3, 60000), (60000, 2)])
@pytest.mark.parametrize("name", ["fit", "ten_crops", "crop_flip", "pad_crop_flip", "none"])
def test_a_thin_image_costs_what_its_crop_costs(shape: tuple[int, int], name: str):
    image = thin(*shape)
    with LargestTensor() as largest:
        if name == "fit":
            result = fit(image, 224)
        elif name == "ten_crops":
            result = five_crops(image, 256, 224)[0]
        else:
            result = augment(image, name, 224, Random(1))
    assert result.shape == (3, 224, 224)
    assert largest.elements <= max(image.numel(), 5 * result.numel())


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 40), 32),
        ((40, 1), 33),
        ((3, 70), 64),
        ((1001, 7), 32),
        ((300, 4000), 33),
        ((900, 90), 9),
    ],
)
def test_crops_of_thin_images_are_those_of_the_whole(shape: tuple[int, int], size: int):
    image = thin(*shape)
    short = min(shape)
    height, width = (size * side // short for side in shape)
    whole = resize(image, height, width)
    top, left = round((height - size) / 2), round((width - size) / 2)
    expected = whole[..., top : top + size, left : left + size]
    # Sums of positive weights that add up to 1, in another order: some roundings of values below 1.
    torch.testing.assert_close(fit(image, size), expected, rtol=0, atol=6e-7)
    small = size - 2
    corners = five_crops(image, size, small)
    ends = [
        whole[..., :small, :small],
        whole[..., :small, width - small :],
        whole[..., height - small :, :small],
        whole[..., height - small :, width - small :],
    ]
    torch.testing.assert_close(corners[:4], torch.stack(ends), rtol=0, atol=6e-7)


@pytest.mark.parametrize("shape", [(10, 80), (80, 10), (37, 53)])
def test_images_up_to_eight_times_as_long_keep_their_bits(shape: tuple[int, int]):
    image = thin(*shape)
    short = min(shape)
    height, width = (int(16 * side / short) for side in shape)
    top, left = round((height - 16) / 2), round((width - 16) / 2)
    expected = resize(image, height, width)[..., top : top + 16, left : left + 16]
    assert torch.equal(fit(image, 16), expected)


def test_the_crop_of_a_thin_image_does_not_depend_on_threads():
    image, threads = thin(3, 700), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = fit(image, 96)
        torch.set_num_threads(4)
        assert torch.equal(fit(image, 96), alone)
    finally:
        torch.set_num_threads(threads)
