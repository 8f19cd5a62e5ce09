"""Resizing as the published scores were computed: Pillow's, then crops as torchvision takes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.support.photographs import piece
from tests.support.plans import make_plan, shifts
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.transforms import fit, five_crops
from wavetwin.runtime.evaluation.entries import evaluate_entry
from wavetwin.runtime.evaluation.scores_file import entry_key


def tensor_of(image: Image.Image) -> Tensor:
    rows = np.array(image, dtype=np.float32) / 255
    return torch.from_numpy(rows.reshape(*rows.shape[:2], -1)).permute(2, 0, 1)


def short_side_at(image: Image.Image, size: int) -> Image.Image:
    """By hand: what the published code's Resize(size) does."""
    width, height = image.size
    if width <= height:
        return image.resize((size, int(size * height / width)), Image.Resampling.BILINEAR)
    return image.resize((int(size * width / height), size), Image.Resampling.BILINEAR)


def middle(image: Image.Image, size: int) -> Image.Image:
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


@pytest.mark.parametrize("size", [24, 32, 57, 80])
@pytest.mark.parametrize("box", [(0, 0, 40, 40), (0, 0, 40, 29), (3, 1, 20, 38)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_crops_are_pillows_to_the_bit(size: int, box: tuple[int, int, int, int], mode: str):
    image = piece(3).crop(box).convert(mode)
    expected = tensor_of(middle(short_side_at(image, size), size))
    assert torch.equal(fit(tensor_of(image), size, "pil"), expected)
    if size > 24:
        large = short_side_at(image, size)
        right, bottom = large.width - 24, large.height - 24
        corners = [(0, 0), (right, 0), (0, bottom), (right, bottom)]
        crops = [large.crop((x, y, x + 24, y + 24)) for x, y in corners]
        five = torch.stack([tensor_of(crop) for crop in [*crops, middle(large, 24)]])
        assert torch.equal(five_crops(tensor_of(image), size, 24, "pil"), five)
    # In floating point the same crop is another one, by half a step or more.
    difference = (fit(tensor_of(image), size) - expected).abs().max()
    assert difference <= 1.5 / 255
    if size != min(image.size):
        assert difference > 0.4 / 255


def test_a_very_thin_image_is_cropped_without_being_made_whole():
    thin = piece(5, 40).crop((0, 0, 40, 4)).resize((3000, 4))
    expected = tensor_of(middle(short_side_at(thin, 16), 16))
    found = fit(tensor_of(thin), 16, "pil")
    assert (found - expected).abs().max() <= 1.01 / 255


class Middle(nn.Module):
    """Logits of a few pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 3:9, 4:6].flatten(1) * 3


@pytest.mark.parametrize("divide", [1, 2])
def test_moved_images_are_resized_as_in_the_published_code(divide: int):
    data = load_data(make_plan(batch_size=100))
    size, moves, side = 12, 3 * divide, 12 * divide
    frames: list[list[Tensor]] = [[] for _ in range(moves + 1)]
    for index in range(360):
        stored = (data.test.source.load([index])[0, 0].float() / 16 * 255).round().to(torch.uint8)
        large = Image.fromarray(stored.numpy())
        large = middle(short_side_at(large, divide * (size + 3)), divide * (size + 3))
        for move in range(moves + 1):
            crop = large.crop((move, 0, move + side, side))
            frames[move].append(tensor_of(short_side_at(crop, size)))
    logits = [Middle()(torch.stack(frame)).double() for frame in frames]
    expected = [
        float(
            (logits[0].softmax(1) * (logits[0].log_softmax(1) - each.log_softmax(1))).sum(1).mean()
        )
        for each in logits
    ]
    entry = replace(shifts("horizontal", "kl_divergence", 3, divide), normalise=False)
    found = evaluate_entry(replace(entry, resize="pil"), Middle(), data, torch.device("cpu"))
    assert found.scores["kl_divergence"] == pytest.approx(expected, rel=2e-6, abs=1e-9)
    other = evaluate_entry(entry, Middle(), data, torch.device("cpu"))
    assert other.scores["kl_divergence"] != pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_records_of_before_the_field_are_named_alike():
    entry = shifts("horizontal", "kl_divergence")
    assert "resize" not in entry_key(entry)
    assert entry_key(replace(entry, resize="pil"))["resize"] == "pil"
