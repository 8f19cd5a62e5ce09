"""What a network says of an input that it cannot take: build_model's and model.py's alike."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wavetwin
from tests.compiler.render.test_model_py import load_compiled
from tests.support.paths import ROOT
from wavetwin.compiler.compiled import Compiled
from wavetwin.ir.image_sizes import ImageSizes, find_image_sizes
from wavetwin.runtime.network.build import build_module

FIXED = """
wavetwin: 1
backbone: {arch: sequential, layers: [{conv: {channels: 4, stride: 2}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, stride: 2, kernel_size: 5, WAVELET}
data: {dataset: digits, image_size: 29}
"""
PACKETS = "wavelet: {levels: 2, keep: [{packets: [1, 2, 19], channels: 6, groups: 3}]}"
KINDS = {
    "CNN": "digits/cnn",
    "RMax": "digits/twin",
    "AlexNet": "alexnet/AwyI",
    "ResNet, blur": "cifar10/R18zh3wyC_mod",
}


@cache
def networks(kind: str) -> tuple[Compiled, tuple[nn.Module, ...]]:
    """As written, after the passes, and model.py's, without weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fixed.yaml")
        if kind in KINDS:
            path = ROOT / "specs" / f"{KINDS[kind]}.yaml"
        else:
            wavelet = PACKETS if kind == "twin, fixed linear layer" else "norm: batch"
            path.write_text(FIXED.replace("WAVELET", wavelet), encoding="utf-8")
        of = wavetwin.compile(path)
        with torch.device("meta"):
            models = [build_module(of.graph, 2), build_module(of.optimised_graph, 2)]
            models.append(load_compiled(of).build_model(2))
    return of, tuple(model.eval() for model in models)


def takes(model: Any, size: int, channels: int) -> bool:
    """Whether the layers alone, without the check, have an output."""
    try:
        image = torch.empty(1, channels, size, size, device="meta")
        model.trunk(model.pool(model.stem(image)))
    except (RuntimeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("kind", [*KINDS, "CNN, fixed linear layer", "twin, fixed linear layer"])
def test_the_bounds_are_those_of_the_layers(kind: str) -> None:
    of, models = networks(kind)
    channels, planned, _ = of.graph.input.output_shape
    sizes = find_image_sizes(of.graph)
    assert sizes == find_image_sizes(of.optimised_graph)
    assert (sizes.largest is not None) == ("fixed" in kind)
    inside = {sizes.smallest, planned, sizes.largest or 2 * planned + 1}
    outside = {sizes.smallest - 1, *([sizes.largest + 1] if sizes.largest else [])}
    for model in models:
        for size in inside | outside:
            image = torch.empty(1, channels, size, size, device="meta")
            assert takes(model, size, channels) == (size in inside), size
            if size in inside:
                assert model(image).shape == (1, 2)
                continue
            with pytest.raises(ValueError, match=re.escape(str(tuple(image.shape)))) as caught:
                model(image)
            needed = (
                f"(batch, {channels}, height, width) is needed, height and width {sizes.smallest}"
            )
            assert needed in str(caught.value)


def test_a_linear_layer_says_which_sizes_it_counts() -> None:
    of, (*_, model) = networks("CNN, fixed linear layer")
    assert find_image_sizes(of.graph) == ImageSizes(25, 32)
    with pytest.raises(
        ValueError, match=r"height and width 25 to 32, made for 29 x 29; .*\(29, 29\)"
    ):
        model(torch.empty(2, 1, 33, 29, device="meta"))


WRONG = {
    "one image": ("RMax", (1, 32, 32)),
    "one image, channels last": ("ResNet, blur", (32, 40, 3)),
    "one map": ("RMax", (32, 32)),
    "maps": ("RMax", (5, 32, 32)),
    "channels last": ("ResNet, blur", (2, 32, 40, 3)),
    "grey": ("ResNet, blur", (2, 1, 32, 32)),
    "transparency": ("ResNet, blur", (2, 4, 32, 32)),
    "too small": ("RMax", (2, 1, 5, 32)),
    "of no size": ("ResNet, blur", (2, 3, 0, 0)),
}


@pytest.mark.parametrize("name", WRONG)
def test_remedies_followed(name: str) -> None:
    kind, shape = WRONG[name]
    model = networks(kind)[1][2]
    images = torch.zeros(shape, device="meta")
    with pytest.raises(ValueError, match=re.escape(f"images of shape {shape} ")) as caught:
        model(images)
    remedy = re.search(r"(nn\.functional\S.*\)|images[.\[].*)", str(caught.value).split("; ")[1])
    assert remedy
    if name == "of no size":
        return  # torch interpolates nothing
    mended: Tensor = eval(remedy[1].removesuffix(" resizes them"), {"nn": nn, "images": images})
    assert model(mended).shape[1:] == (2,)


def test_colours_for_grey_images_and_integers() -> None:
    for model in networks("RMax")[1]:
        with pytest.raises(ValueError, match=r"have 3 channels: .*convert\('L'\)"):
            model(torch.zeros(2, 3, 32, 32, device="meta"))
        with pytest.raises(ValueError, match="have 5 dimensions, not 4"):
            model(torch.zeros(1, 2, 1, 32, 32, device="meta"))
        with pytest.raises(TypeError, match=r"hold torch\.uint8: floating-point numbers"):
            model(torch.zeros(2, 1, 32, 32, dtype=torch.uint8, device="meta"))
        assert model(torch.zeros(0, 1, 32, 32, device="meta")).shape == (0, 2)
