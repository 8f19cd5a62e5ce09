"""The resulting kernel against the stem itself, for every variant; its picture and its command."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import wavetwin
from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.commands import cli
from wavetwin.compiler.compiled import Compiled
from wavetwin.explain.show.kernel_picture import draw_kernels
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import Relu
from wavetwin.runtime import resulting_kernel
from wavetwin.runtime.bank.filters import packet_frequencies, packet_kernels
from wavetwin.runtime.network.build import GraphError, build_module

AFTER = "stem.wavelet.color_mixing=after"
WPT = (
    "stem.wavelet.transform=wpt",
    "stem.wavelet.filters=db3",
    "stem.wavelet.exclude=[]",
    "stem.wavelet.keep=[{packets: [1, 2, 3], channels: 6, groups: 3}, "
    "{packets: [5, 6], channels: 10, groups: 2}]",
)
ONLY_WAVELETS = (
    "stem.free_channels=0",
    "stem.wavelet.keep=[{band: 1, channels: 6, groups: 6}, {band: 2, channels: 26, groups: 2}]",
)
DEEP = (
    "stem.wavelet.keep=[{band: 2, channels: 10, groups: 2}, {band: 4, channels: 6, groups: 2}]",
)

VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "AlexNet": ("alexnet/AI", ()),
    "ResNet": ("resnet34/RI", ()),
    "AlexNet RMax": ("alexnet/AwyI", ()),
    "AlexNet CMod": ("alexnet/AwyI_mod", ()),
    "AlexNet CMod beside blur": ("alexnet/Azh3wyI_mod", ()),
    "AlexNet RMax, colours after": ("alexnet/AwyI", (AFTER,)),
    "AlexNet CMod, colours after": ("alexnet/AwyI_mod", (AFTER,)),
    "ResNet RMax": ("resnet34/RwyI", ()),
    "ResNet CMod": ("resnet34/RwyI_mod", ()),
    "ResNet, all packets": ("resnet34/Rwy0I", ()),
    "ResNet, ablation": ("resnet34/Rzh3wyI_abl", ()),
    "trained filters": (
        "cifar10/R18wyC_mod",
        ("stem.wavelet.trainable_filters=true", "stem.wavelet.filters=qshift_06"),
    ),
    "trained filters, colours after": (
        "cifar10/R18wyC",
        ("stem.wavelet.trainable_filters=true", AFTER),
    ),
    "frozen": ("cifar10/R18wyC_mod", ("stem.frozen=true", "stem.wavelet.filters=qshift_d")),
    "grey images": ("digits/twin", ()),
    "grey images, CMod": ("digits/twin_mod", ()),
    "stride 1": ("digits/twin_mod", ("stem.stride=1",)),
    "stride 4": ("digits/twin", ("stem.stride=4", "stem.kernel_size=5", "data.image_size=64")),
    "four levels": (
        "digits/twin_mod",
        ("stem.wavelet.levels=4", "stem.stride=8", "data.image_size=64", *DEEP),
    ),
    "one level": (
        "digits/twin_mod",
        (
            "stem.wavelet.levels=1",
            "stem.wavelet.keep=[{packets: [1, 2, 5, 6], channels: 16, groups: 2}]",
            "stem.wavelet.exclude=[]",
        ),
    ),
    "without free channels": ("digits/twin", ONLY_WAVELETS),
    "without free channels, CMod": ("digits/twin_mod", ONLY_WAVELETS),
    "both parts, bias": ("sparse/alexnet_j2", ()),
    "separable packets": ("digits/twin", WPT),
    "separable packets, trained": ("digits/twin", (*WPT, "stem.wavelet.trainable_filters=true")),
}


def _compiled(variant: str) -> Compiled:
    spec, overrides = VARIANTS[variant]
    return compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)


def _stem(graph: ModuleGraph) -> nn.Module:
    """Build the first layer in float64, with biases that are not zero."""
    nodes = tuple(node for node in graph if node.section in ("input", "stem"))
    torch.manual_seed(0)
    with torch.device("cpu"):
        network = build_module(dataclasses.replace(graph, nodes=nodes)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            # Trained taps are not the named ones any more.
            parameter += 0.05 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_kernel_is_the_stem(variant: str):
    graph = _compiled(variant).graph
    network = _stem(graph)
    channels = graph.input.output_shape[0]
    for size in ((41, 54), (63, 31)):
        kernel = resulting_kernel(network, graph, size)
        images = torch.randn(1, channels, *size, dtype=torch.float64)
        expected = network.get_submodule("stem")(images)
        weight, bias = kernel.convolution()
        output = F.conv2d(F.pad(images, kernel.padding), weight, bias, stride=kernel.stride)
        # Sums of up to 4356 products in another order.
        largest = float(expected.detach().abs().max())
        torch.testing.assert_close(output, expected, rtol=0, atol=1e-12 * largest)
        assert torch.equal(kernel(images), output)
        assert kernel.output_size == tuple(expected.shape[2:])
        assert len(kernel.bands) == len(kernel.is_complex) == len(kernel.weight)
        assert len(kernel.weight) + sum(kernel.is_complex) == expected.shape[1]


def test_every_branch_of_the_language_has_a_variant():
    ops = {
        type(node.operation)
        for variant in VARIANTS
        for node in _compiled(variant).graph.section("stem")
    }
    from wavetwin.runtime.network import kernels

    assert ops == set(kernels._STEPS)


def test_shapes_and_offsets_of_alexnets_twin():
    compiled = _compiled("AlexNet CMod")
    kernel = resulting_kernel(_stem(compiled.graph), compiled.graph)
    assert kernel.weight.shape == (64, 3, 66, 66)
    assert kernel.image_size == (224, 224)
    assert kernel.output_size == (55, 55)
    assert kernel.stride == 4
    # Packets are padded by 34 and cropped by one sample: the first tap lies 30 pixels outside.
    assert kernel.crops == {"stem.crop_free": (0, 0), "stem.crop_wavelet": (1, 1)}
    assert kernel.padding == (30, 28, 30, 28)
    assert kernel.is_complex == (False,) * 32 + (True,) * 32
    assert kernel.bands == (None,) * 32 + (0,) * 6 + (1,) * 18 + (2,) * 8
    assert not kernel.weight[:32].imag.any()
    # The free kernels, padded by 2, lie 28 pixels inside, and nothing is around them.
    free = kernel.weight[:32].real.detach().clone()
    assert free[..., 28:39, 28:39].abs().amin() > 0
    free[..., 28:39, 28:39] = 0
    assert not free.any()


def test_whole_networks_stems_and_state_dicts_give_the_same():
    compiled = _compiled("grey images, CMod")
    network = build_module(compiled.graph).double()
    expected = resulting_kernel(network, compiled.graph)
    for model in (
        network.stem,
        network.state_dict(),
        build_module(compiled.optimised_graph).double(),
    ):
        if isinstance(model, nn.Module) and hasattr(model, "trunk"):
            model.load_state_dict(network.state_dict())
        kernel = resulting_kernel(model, compiled.graph)
        assert torch.equal(kernel.weight, expected.weight)
    assert resulting_kernel(network.float(), compiled.graph).weight.dtype == torch.complex64


def test_kernels_are_differentiable():
    compiled = _compiled("trained filters")
    network = _stem(compiled.graph)
    resulting_kernel(network, compiled.graph).weight.abs().square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0


def test_centre_frequencies_are_the_packets():
    graph = _compiled("grey images, CMod").graph
    network = _stem(graph)
    mixing = network.get_submodule("stem.wavelet.mixing")
    packets = graph.node("stem.wavelet.keep").attributes["packets"]
    kernel = resulting_kernel(network, graph)
    # One packet an output here: groups are as many as channels.
    assert len(list(mixing.parameters())) == 2
    assert isinstance(packets, tuple)
    expected = packet_frequencies(2)[torch.tensor(packets)]
    # Peaks and centroids of one packet lie in one cell, pi / 4 wide.
    assert (kernel.centre_frequencies()[8:] - expected).abs().max() < torch.pi / 8
    measured = kernel.weight[8].detach()
    packet = packet_kernels(2)[packets[0]]
    assert abs(complex((measured[0].conj() * packet).sum())) == pytest.approx(
        float(measured.norm() * packet.norm()), rel=1e-9
    )


def test_weights_of_another_model_are_refused():
    twin, cnn = _compiled("grey images"), compiled_once(ROOT / "specs/digits/cnn.yaml")
    with pytest.raises(GraphError, match=r"have no stem.wavelet.mixing.0.weight"):
        resulting_kernel(build_module(cnn.graph), twin.graph)
    with pytest.raises(GraphError, match="no stem"):
        resulting_kernel({}, twin.graph)
    relu = dataclasses.replace(twin.graph.node("stem.free"), operation=Relu())
    nodes = tuple(relu if node.id == relu.id else node for node in twin.graph)
    with pytest.raises(GraphError, match="a stem with 'relu' is no convolution"):
        resulting_kernel(build_module(twin.graph), dataclasses.replace(twin.graph, nodes=nodes))


# The picture


@pytest.mark.parametrize("variant", ["ResNet RMax", "grey images, CMod"])
def test_pictures_show_the_energy(variant: str):
    graph = _compiled(variant).graph
    with torch.no_grad():
        kernel = resulting_kernel(_stem(graph), graph)
    top, left, side = kernel.energy_window()
    energy = kernel.weight.detach().abs().square().sum(1)
    inside = energy[:, top : top + side, left : left + side].sum((1, 2))
    assert (inside >= 0.995 * energy.sum((1, 2))).all()
    assert side < max(kernel.weight.shape[2:])
    picture = draw_kernels(kernel, variant)
    assert picture.mode == "RGB"
    levels = picture.convert("L").histogram()
    # Paper, ink and mid-grey: zeros of the kernels, whatever the colours.
    assert min(levels[0], levels[255]) > 1000
    assert sum(levels[126:130]) > 10000
    assert picture.tobytes() == draw_kernels(kernel, variant).tobytes()


def _show(*arguments: str) -> int:
    return cli.main(["show", str(ROOT / "specs/digits/twin_mod.yaml"), *arguments])


def test_show_draws_kernels(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    first = tmp_path / "initial.png"
    assert _show("--kernels", str(first)) == 0
    printed = capsys.readouterr()
    assert f"kernels: {first}" in printed.err
    assert "    packets  " in printed.out
    with Image.open(first) as picture:
        assert picture.format == "PNG"
    compiled = compiled_once(ROOT / "specs/digits/twin_mod.yaml")
    model = wavetwin.build_model(compiled)
    weights = tmp_path / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights)
    second = tmp_path / "trained.PNG"
    assert _show("--kernels", str(second), "--checkpoint", str(weights)) == 0
    with Image.open(first) as picture, Image.open(second) as other:
        # The same weights; another title.
        below = (0, 60, *picture.size)
        assert picture.crop(below).tobytes() == other.crop(below).tobytes()


def test_show_refuses_what_it_cannot_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert _show("--kernels", str(tmp_path / "kernels.jpg")) == 2
    assert (
        "error: picture-not-svg-png-or-pdf: kernels are drawn as a PNG" in capsys.readouterr().err
    )
    assert _show("--kernels", str(tmp_path / "none/kernels.png")) == 2
    assert "error: picture-folder-missing: the folder" in capsys.readouterr().err
    assert _show("--checkpoint", "weights.safetensors") == 2
    assert "error: checkpoint-without-kernels: " in capsys.readouterr().err
    picture = tmp_path / "kernels.png"
    assert _show("--kernels", str(picture), "--checkpoint", str(tmp_path / "no")) == 2
    assert "is not there" in capsys.readouterr().err
    other = wavetwin.build_model(compiled_once(ROOT / "specs/digits/cnn.yaml"))
    weights = tmp_path / "other.safetensors"
    save_file({k: v.contiguous() for k, v in other.state_dict().items()}, weights)
    assert _show("--kernels", str(picture), "--checkpoint", str(weights)) == 2
    assert "is of another model; missing: " in capsys.readouterr().err
    assert not picture.exists()
    folder = tmp_path / "folder.png"
    folder.mkdir()
    assert _show("--kernels", str(folder)) == 2
    assert "cannot be written" in capsys.readouterr().err
