"""Listed transforms: torchvision's own, called by hand with the same seed, give the same images."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.plans import make_plan
from tests.support.scripted import build_folder, only_run, run_here
from wavetwin.ir.augmentations import ListedTransforms
from wavetwin.ir.image_transforms import ImageTransform, TransformedImages, known_transforms
from wavetwin.ir.plan import TrainingPlan, stream_seed
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.listed_transforms import ImageChange
from wavetwin.runtime.data.torchvision_transforms import make
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.torchvision_compat import import_torchvision

import_torchvision()
from torchvision.transforms import v2  # noqa: E402 - torchvision cannot be imported otherwise

SIZE = (24, 28)
BILINEAR = v2.InterpolationMode.BILINEAR
ORACLES: dict[str, tuple[dict[str, Any], Callable[[], Callable[[Tensor], Tensor]]]] = {
    "aug_mix": ({"severity": 5}, lambda: v2.AugMix(severity=5)),
    "auto_augment": (
        {"policy": "svhn"},
        lambda: v2.AutoAugment(v2.AutoAugmentPolicy.SVHN),
    ),
    "color_jitter": (
        {"brightness": 0.4, "contrast": 0.3, "saturation": 0.2, "hue": 0.1},
        lambda: v2.ColorJitter(0.4, 0.3, 0.2, 0.1),
    ),
    "elastic_transform": (
        {"alpha": 30.0, "sigma": 2.0},
        lambda: v2.ElasticTransform(30.0, 2.0),
    ),
    "gaussian_blur": ({"kernel_size": 5}, lambda: v2.GaussianBlur(5)),
    "gaussian_noise": ({"sigma": 0.2}, lambda: v2.GaussianNoise(sigma=0.2)),
    "grayscale": ({}, lambda: v2.Grayscale(3)),
    "rand_augment": ({"magnitude": 12}, lambda: v2.RandAugment(magnitude=12)),
    "random_adjust_sharpness": (
        {"sharpness_factor": 3.0},
        lambda: v2.RandomAdjustSharpness(3.0),
    ),
    "random_affine": (
        {"degrees": 20.0, "translate": (0.2, 0.1), "scale": (0.8, 1.2), "shear": 5.0},
        lambda: v2.RandomAffine(20, (0.2, 0.1), (0.8, 1.2), 5),
    ),
    "random_autocontrast": ({}, lambda: v2.RandomAutocontrast()),
    "random_channel_permutation": ({}, lambda: v2.RandomChannelPermutation()),
    "random_crop": (
        {"padding": 3, "fill": 9},
        lambda: v2.RandomCrop(SIZE, padding=3, fill=9),
    ),
    "random_equalize": ({}, lambda: v2.RandomEqualize()),
    "random_grayscale": ({"p": 0.5}, lambda: v2.RandomGrayscale(0.5)),
    "random_horizontal_flip": ({}, lambda: v2.RandomHorizontalFlip()),
    "random_invert": ({}, lambda: v2.RandomInvert()),
    "random_perspective": ({"p": 0.7, "fill": 77}, lambda: v2.RandomPerspective(p=0.7, fill=77)),
    "random_photometric_distort": ({}, lambda: v2.RandomPhotometricDistort()),
    "random_posterize": ({"bits": 2}, lambda: v2.RandomPosterize(2)),
    "random_resized_crop": (
        {"scale": (0.2, 0.9)},
        lambda: v2.RandomResizedCrop(SIZE, scale=(0.2, 0.9)),
    ),
    "random_rotation": (
        {"degrees": 30.0, "interpolation": "bilinear"},
        lambda: v2.RandomRotation(30, BILINEAR),
    ),
    "random_solarize": ({"threshold": 100}, lambda: v2.RandomSolarize(100)),
    "random_vertical_flip": ({}, lambda: v2.RandomVerticalFlip()),
    "resize": ({"size": 26}, lambda: v2.Resize(26)),
    "trivial_augment_wide": ({}, lambda: v2.TrivialAugmentWide()),
}
"""Fields of a kind, and torchvision's transform that they mean."""
THEIRS = [key for key, kind in known_transforms().items() if kind.torchvision_class]
COLOUR = TransformedImages(SIZE, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


def a_photograph(number: int, height: int = 30, width: int = 34) -> Tensor:
    """A smooth colour image with some noise, so that every operation has something to change."""
    generator = torch.Generator().manual_seed(number)
    coarse = torch.rand(1, 3, 5, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    noise = torch.rand(3, height, width, generator=generator)
    return smooth.mul(230).add(noise * 20).clamp(0, 255).to(torch.uint8)


def seed_of(seed: int, epoch: int, index: int) -> int:
    """The seed of an image's draws, as docs/data.md says it."""
    text = f"{stream_seed(seed, 'augmentation', epoch)},{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def listed(*transforms: ImageTransform) -> ListedTransforms:
    return ListedTransforms(transforms)


@pytest.mark.parametrize("key", sorted({*THEIRS} - {"random_erasing"}))
def test_a_transform_is_torchvisions(key: str):
    given, made = ORACLES[key]
    kind = known_transforms()[key](**given)
    # Where images are fitted first, these are of the size already.
    height, width = (30, 34) if kind.takes_any_size else SIZE
    change, theirs = ImageChange(listed(kind), COLOUR, 7, 3), made()
    changed = 0
    for index in range(12):
        image = a_photograph(index, height, width)
        torch.manual_seed(seed_of(7, 3, index))
        expected = theirs(image)
        result = change(image, 255, index)
        assert result.dtype == torch.float32
        assert torch.equal(result, expected.float() / 255)
        changed += expected.shape != image.shape or not torch.equal(expected, image)
    assert changed > 2


def test_erasing_comes_after_normalisation():
    """0 is 0 to the last bit, other values up to rounding."""
    mean, std = (torch.tensor(each).reshape(3, 1, 1) for each in (COLOUR.mean, COLOUR.std))
    for value in (0.0, 1.5):
        kind = known_transforms()["random_erasing"](p=0.7, value=value)
        change, theirs = ImageChange(listed(kind), COLOUR, 7, 3), v2.RandomErasing(0.7, value=value)
        erased = 0
        for index in range(8):
            image = a_photograph(index, *SIZE)
            torch.manual_seed(seed_of(7, 3, index))
            before = (image.float() / 255 - mean) / std
            expected = theirs(before)
            result = (change(image, 255, index) - mean) / std
            tolerance = 1e-6 if value else 0.0
            torch.testing.assert_close(result, expected, rtol=0, atol=tolerance)
            erased += not torch.equal(expected, before)
        assert 2 < erased < 8


def test_the_order_is_the_lists():
    flip, crop = (
        known_transforms()["random_horizontal_flip"](),
        known_transforms()["random_resized_crop"](),
    )
    erase = known_transforms()["random_erasing"](p=1.0)
    for transforms in ((crop, flip, erase), (flip, crop, erase)):
        change = ImageChange(listed(*transforms), COLOUR, 7, 0)
        for index in range(4):
            image = a_photograph(index)
            torch.manual_seed(seed_of(7, 0, index))
            for each in transforms[:2]:
                image = make(each, COLOUR)(image)
            expected = v2.RandomErasing(1.0, value=list(COLOUR.mean))(image.float() / 255)
            assert torch.equal(change(a_photograph(index), 255, index), expected)


def test_images_are_fitted_first_and_bytes_stretched():
    """Digits have values to 16; a list that resizes sees images as they are stored."""
    kind = known_transforms()["random_vertical_flip"](p=1.0)
    image = torch.arange(17, dtype=torch.uint8).reshape(1, 1, 17).expand(1, 4, 17)
    grey = TransformedImages((4, 17), 1)
    result = ImageChange(listed(kind), grey, 0, 0)(image, 16, 0)
    assert (result * 255).round()[0, 0].tolist() == [round(each * 255 / 16) for each in range(17)]
    stored = a_photograph(0, 40, 40)
    fitted = ImageChange(listed(kind), TransformedImages((20, 20), 3), 0, 0)(stored, 255, 0)
    means = stored.float().reshape(3, 20, 2, 20, 2).mean((2, 4)).flip(1) / 255
    assert (fitted - means).abs().max() < 0.1
    assert listed(kind).fits_first
    assert not listed(kind, known_transforms()["random_resized_crop"]()).fits_first


def test_the_global_stream_and_the_threads_stay():
    change = ImageChange(listed(known_transforms()["rand_augment"]()), COLOUR, 7, 0)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        before = torch.get_rng_state()
        first = change(a_photograph(1, *SIZE), 255, 5)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    torch.manual_seed(4)
    assert torch.equal(change(a_photograph(1, *SIZE), 255, 5), first)


@pytest.mark.parametrize("key", THEIRS)
def test_names_and_defaults_are_torchvisions(key: str):
    kind = known_transforms()[key]
    assert re.sub(r"(?<!^)(?=[A-Z])", "_", kind.torchvision_class).lower() == key
    signature = inspect.signature(getattr(v2, kind.torchvision_class)).parameters
    for each in fields(kind):
        default = getattr(signature[each.name].default, "value", signature[each.name].default)
        if each.default is MISSING:
            assert default is inspect.Parameter.empty, each.name
        elif default is not None:
            assert each.default == (tuple(default) if isinstance(default, list) else default)
        else:
            assert each.default in (None, 0), each.name


def test_without_torchvision_it_is_said(monkeypatch: pytest.MonkeyPatch):
    def fail() -> None:
        raise ImportError("torchvision is not installed: pip install torchvision")

    monkeypatch.setattr("wavetwin.runtime.data.torchvision_transforms.import_torchvision", fail)
    with pytest.raises(RunError, match=r"data\.augmentation lists transforms of torchvision: "):
        make(known_transforms()["random_invert"](), COLOUR)


def test_a_list_is_in_the_plan_and_its_packages_in_the_run(tmp_path: Path):
    transforms = (
        known_transforms()["random_crop"](padding=2),
        known_transforms()["trivial_augment_wide"](),
        known_transforms()["random_erasing"](p=0.25),
    )
    plan = make_plan(epochs=1, augmentation=transforms)
    assert TrainingPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.packages == ("torchvision",)
    folder = build_folder(tmp_path, plan)
    arguments = ("--device", "cpu", "--allow-drift", "--workers", "0", "--limit-batches", "2")
    assert run_here(folder / "train.py", *arguments) == 0
    manifest = json.loads((only_run(tmp_path) / "manifest.json").read_text())
    assert manifest["lives"][0]["machine"]["torchvision"] == version("torchvision")
    # In memory or not, images are changed one after the other: by as many processes as asked for.
    assert load_data(plan, workers=2).workers == 2
