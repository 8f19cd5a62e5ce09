"""Networks for images that are not square agree with square ones on what both see."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.runtime.network.test_passes_function import filled, first_layers
from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.ir.image_sizes import ImageSizes, find_image_sizes
from wavetwin.ir.operations import Packets
from wavetwin.runtime.layers import check_images
from wavetwin.runtime.network.build import build_module
from wavetwin.runtime.network.kernels import resulting_kernel

GREY = "stem.wavelet.color_mixing=null"
TWINS = {
    # The trunk of AlexNet needs 63 pixels; a smaller first stride leaves it the positions.
    "AlexNet, RMax": ("alexnet/AwyI", (GREY, "stem.stride=2")),
    "AlexNet, CMod": ("alexnet/AwyI_mod", (GREY, "stem.stride=2")),
    "ResNet, RMax": ("resnet34/RwyI", (GREY,)),
    "ResNet, CMod": ("resnet34/RwyI_mod", (GREY,)),
    "ResNet, CMod beside blur": ("resnet34/Rzh3wyI_mod", (GREY,)),
}
HEIGHT, WIDTH, FIRST = 48, 80, 16
"""The square begins at column FIRST."""
STEP = 4
"""What all of these first layers subsample by."""


def networks(kind: str, size: str) -> tuple[Compiled, list[nn.Module]]:
    """The first layer and its pooling, as written and after the passes, with the same weights."""
    spec, overrides = TWINS[kind]
    data = f"data={{dataset: mnist, image_size: {size}}}"
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", data, *overrides)
    written, passed = (first_layers(graph) for graph in (compiled.graph, compiled.optimised_graph))
    passed.load_state_dict(filled(written).state_dict())
    return compiled, [written.eval(), passed.eval()]


@pytest.mark.parametrize("kind", TWINS)
def test_a_square_crop_has_the_maps_of_the_square_network(kind: str) -> None:
    compiled, wide = networks(kind, f"[{HEIGHT}, {WIDTH}]")
    _, square = networks(kind, str(HEIGHT))
    assert compiled.graph.input.output_shape == (1, HEIGHT, WIDTH)
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(2, 1, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    inside = slice(FIRST, FIRST + HEIGHT)
    packets = compiled.graph.find(Packets)
    assert packets is not None
    is_long = (packets.operation.taps or 0) > HEIGHT
    others = torch.randn(2, 1, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    others[..., inside] = images[..., inside]
    # What lies outside of images is black: packets then see the same everywhere.
    black = torch.zeros_like(images)
    black[..., inside] = images[..., inside]
    with torch.no_grad():
        for model, of_square in zip(wide, square, strict=True):
            of_square.load_state_dict(model.state_dict())
            alone = of_square(images[..., inside])
            rows, columns = alone.shape[2:]
            assert rows == columns
            maps = model(black)
            assert maps.shape[2:] == (rows, columns + (WIDTH - HEIGHT) // STEP)
            first = FIRST // STEP
            found = maps[..., first : first + columns]
            assert float(alone.std()) > 0.01
            # Poolings at the border of the square see its bias outside, or reflect.
            torch.testing.assert_close(found[..., 2:-2], alone[..., 2:-2], rtol=0, atol=1e-12)
            # What does not change with the pixels outside of the square sees none of them.
            maps = model(images)
            seen = (maps == model(others)).all(0).all(0).all(0).nonzero().flatten()
            assert len(seen) >= 2 or is_long
            torch.testing.assert_close(
                maps[..., seen], alone[..., seen - first], rtol=0, atol=1e-12
            )


@pytest.mark.parametrize("kind", ["AlexNet, RMax", "ResNet, RMax"])
def test_the_resulting_kernel_is_that_of_both_sides(kind: str) -> None:
    compiled, (written, _) = networks(kind, f"[{HEIGHT}, {WIDTH}]")
    stem = written.get_submodule("0")
    with torch.no_grad():
        kernel = resulting_kernel(stem, compiled.graph)
        images = torch.randn(1, 1, HEIGHT, WIDTH, dtype=torch.float64)
        maps: Tensor = stem(images)
        assert kernel.output_size == tuple(maps.shape[2:])
        torch.testing.assert_close(kernel(images), maps, rtol=0, atol=1e-10)


FIXED = """
wavetwin: 1
backbone: {arch: sequential, layers: [{conv: {channels: 4, stride: 2}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, stride: 2, kernel_size: 5, norm: batch}
data: {dataset: digits, image_size: [29, 45]}
"""


def test_a_linear_layer_counts_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "fixed.yaml"
    path.write_text(FIXED, encoding="utf-8")
    compiled = compile_spec(path, project=tmp_path)
    sizes = find_image_sizes(compiled.graph)
    assert sizes == find_image_sizes(compiled.optimised_graph) == ImageSizes((25, 41), (32, 48))
    model = build_module(compiled.graph).eval()
    for height, width in ((25, 41), (32, 48), (29, 45)):
        assert model(torch.zeros(1, 1, height, width)).shape == (1, 10)
    for height, width in ((24, 45), (29, 40), (33, 45), (29, 49), (45, 29)):
        with pytest.raises(
            ValueError, match="height 25 to 32 and width 41 to 48, made for 29 x 45"
        ):
            model(torch.zeros(1, 1, height, width))
    with pytest.raises(
        ValueError, match=r"too small .* height and width 8 or more, made for 9 x 12"
    ):
        check_images(torch.zeros(1, 1, 9, 7), (1, 9, 12), smallest=8)
