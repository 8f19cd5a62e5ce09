"""Images that are not square: crops, augmentation and evaluation, each side by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.photographs import piece
from tests.support.plans import make_plan, shifts
from wavetwin.ir.evaluations import OneCrop, TenCrops
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.sides import height_and_width, image_size, size_text
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.batch_augment import BatchAugment, random_windows, resample_windows
from wavetwin.runtime.data.transforms import augment, fit, five_crops, resize
from wavetwin.runtime.evaluation.entries import evaluate_entry

CPU = torch.device("cpu")
WIDE = make_plan(image_size=(10, 14), normalise="none", mean=(0.0,), std=(1.0,), batch_size=100)


def photograph(height: int, width: int) -> Tensor:
    pixels = np.asarray(piece(3, 80))[:height, :width]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


def test_one_form_of_a_size() -> None:
    assert image_size(48, 80) == (48, 80)
    assert image_size(48, 48) == 48
    assert height_and_width(48) == (48, 48)
    assert (size_text(48), size_text((48, 80))) == ("48", "48 x 80")


def test_plans_of_both_forms_are_read_back() -> None:
    for size, written in ((12, 12), ((10, 14), [10, 14])):
        plan = make_plan(image_size=size)
        assert plan.to_json()["data"]["image_size"] == written
        assert TrainingPlan.from_json(plan.to_json()).data == plan.data


@pytest.mark.parametrize(("height", "width"), [(60, 80), (80, 60), (50, 79), (31, 80), (24, 40)])
@pytest.mark.parametrize("size", [(24, 40), (40, 24), (30, 31)])
def test_one_crop_covers_both_sides(height: int, width: int, size: tuple[int, int]) -> None:
    from wavetwin.runtime.process.torchvision_compat import import_torchvision

    import_torchvision()
    from torchvision.transforms.v2 import functional as reference

    image = photograph(height, width)
    scale = max(size[0] / height, size[1] / width)
    whole = [int(scale * height + 1e-9), int(scale * width + 1e-9)]
    resized = reference.resize(image, whole, antialias=True)
    expected = reference.center_crop(resized, list(size))
    torch.testing.assert_close(fit(image, size), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("how", ["float", "pil"])
def test_rows_are_as_columns(how: str) -> None:
    """What is done along the height is what is done along the width of the turned image."""
    image = photograph(60, 75)
    turned = image.transpose(-1, -2)
    tolerance = 1.01 / 255 if how == "pil" else 1e-6
    for size, other in (((24, 40), (40, 24)), ((40, 24), (24, 40))):
        found = fit(turned, other, how).transpose(-1, -2)
        torch.testing.assert_close(fit(image, size, how), found, rtol=0, atol=tolerance)
        larger, other_larger = (tuple(8 * side // 7 for side in each) for each in (size, other))
        crops = five_crops(image, larger, size, how)
        found = five_crops(turned, other_larger, other, how).transpose(-1, -2)
        torch.testing.assert_close(crops, found[[0, 2, 1, 3, 4]], rtol=0, atol=tolerance)


def test_the_middle_of_a_thin_image_is_that_of_the_whole_one() -> None:
    image = photograph(80, 6).repeat(1, 8, 1)
    whole = resize(image, int(32 * 640 / 6), 32)
    top = round((whole.shape[1] - 20) / 2)
    torch.testing.assert_close(fit(image, (20, 32)), whole[:, top : top + 20], rtol=0, atol=1e-5)


def test_padded_crops_move_by_an_eighth_of_each_side() -> None:
    image = torch.zeros(1, 16, 40)
    image[0, 8, 20] = 1
    seeds = range(400)
    moved = [augment(image, "pad_crop", (16, 40), Random(seed)).nonzero()[0, 1:] for seed in seeds]
    rows, columns = torch.stack(moved).unbind(1)
    assert set(rows.tolist()) == set(range(6, 11))
    assert set(columns.tolist()) == set(range(15, 26))
    change = BatchAugment("pad_crop", (16, 40), 7, 0, 400)
    stored = (255 * image).to(torch.uint8).expand(400, -1, -1, -1)
    batch = change(stored, torch.arange(400), 255)
    assert batch.shape == (400, 1, 16, 40)
    rows, columns = batch[:, 0].nonzero()[:, 1:].unbind(1)
    assert set(rows.tolist()) == set(range(6, 11))
    assert set(columns.tolist()) == set(range(15, 26))


def test_random_windows_are_stretched_no_more_than_on_squares() -> None:
    generator = torch.Generator().manual_seed(3)
    uniform = torch.rand(500, 40, generator=generator, dtype=torch.float64)
    _, _, heights, widths = random_windows(480, 800, uniform, aspect=80 / 48).unbind(1)
    stretch = (widths / heights) / (80 / 48)
    assert 0.74 < float(stretch.min()) < 0.8 < 1.25 < float(stretch.max()) < 1.35
    squares = random_windows(480, 480, uniform)
    shares = [float(x.double().mean()) for x in (heights / 480, widths / 800)]
    of_squares = [float(x.double().mean()) / 480 for x in squares.unbind(1)[2:]]
    assert shares == pytest.approx(of_squares, abs=0.01)
    long = torch.zeros(1, 40, dtype=torch.float64)  # the ratio 3/4 and 8 %: too high for these
    assert random_windows(10, 4000, long, aspect=2.0).tolist() == [[0, 1986, 10, 27]]


def test_windows_are_resampled_to_both_sides() -> None:
    images = torch.stack([photograph(60, 80), photograph(60, 80).flip(-1)])
    windows = torch.tensor([[3, 5, 40, 60], [0, 0, 60, 80]])
    expected = [
        resize(image[:, t : t + h, left : left + w], 12, 20)
        for image, (t, left, h, w) in zip(images, windows.tolist(), strict=True)
    ]
    found = resample_windows(images, windows, (12, 20))
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-5)
    assert augment(images[0], "crop_flip", (12, 20), Random(1)).shape == (3, 12, 20)
    change = BatchAugment("crop_flip", (12, 20), 7, 0, 2)
    assert change((255 * images).byte(), torch.arange(2), 255).shape == (2, 3, 12, 20)


class Corners(nn.Module):
    """Logits of pixels at all four ends, which only windows of the right sides have."""

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[-2:] == (10, 14)
        ends = (images[:, 0, row, column] for row in (2, 4, 5, 6, -3) for column in (1, 5))
        return torch.stack([*ends], 1) * 5


@pytest.mark.parametrize("divide", [1, 2])
def test_shifts_move_windows_of_both_sides(divide: int) -> None:
    data = load_data(WIDE)
    frames: list[Tensor] = []
    for shift in range(2 * divide + 1):
        logits: list[Tensor] = []
        for index in range(60):
            image = data.test.source.load([index])[0].float() / 16
            large = fit(image, (divide * 12, divide * 16))
            window = large[:, shift : shift + 10 * divide, shift : shift + 14 * divide]
            logits.append(Corners()(resize(window, 10, 14).unsqueeze(0)))
        frames.append(torch.cat(logits).argmax(1))
    few = replace(data, test=replace(data.test, indices=torch.arange(60)))
    entry = shifts("diagonal", "flip_rate", 2, divide)
    classes = evaluate_entry(entry, Corners(), few, CPU).per_image["classes"]
    assert torch.equal(classes.flatten(1), torch.stack(frames, 1).int())


def test_crops_are_of_both_sides() -> None:
    data = load_data(WIDE)
    images = data.test.source.load(range(360)).float() / 16
    one = evaluate_entry(OneCrop(), Corners(), data, CPU).per_image
    assert torch.equal(one["classes"], Corners()(fit(images, (10, 14))).argmax(1).int())
    ten = evaluate_entry(TenCrops(), Corners(), data, CPU).per_image
    five = five_crops(images, (11, 16), (10, 14))
    crops = [crop for each in five.unbind(-4) for crop in (each, each.flip(-1))]
    chances = torch.stack([Corners()(crop).softmax(-1) for crop in crops]).mean(0)
    assert torch.equal(ten["classes"], chances.argmax(1).int())


def test_training_batches_of_files_and_of_memory(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number in range(6):
            file = tmp_path / split / str(number % 2) / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            piece(number).save(file)
    files = make_plan(
        dataset="folder", channels=3, num_classes=2, image_size=(10, 14), validation=1,
        validation_per_class=True, training_images=None, mean=None, std=None,
    )  # fmt: skip
    kept = tmp_path / "mean.json"
    of_memory, of_files = (
        load_data(plan, data_root=tmp_path, workers=0, statistics_file=kept)
        for plan in (WIDE, files)
    )
    for data, channels in ((of_memory, 1), (of_files, 3)):
        batch = next(iter(data.training_batches(0)))
        assert batch.images.shape[1:] == (channels, 10, 14)
    # The next start measures nothing: what was kept is of this size.
    kept.write_text(kept.read_text().replace(str(of_files.mean[0]), "0.5"))
    again = load_data(files, data_root=tmp_path, workers=0, statistics_file=kept)
    assert again.mean == (0.5, *of_files.mean[1:])
