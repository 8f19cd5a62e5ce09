from __future__ import annotations

import math

import pytest
import pywt
import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.ir.wavelets import output_size
from wavetwin.runtime.bank import filters as f
from wavetwin.runtime.layers import (
    AdaptiveBlur,
    BlurPool,
    CenterCropConcat,
    ChannelBias,
    ColourMixing,
    ColourMixingAfter,
    Deinterleave,
    DualTreePacketMaps,
    DualTreePackets,
    EnergyNorm,
    Interleave,
    KeepPackets,
    Modulus,
    PacketMixing,
    RealPart,
    SeparablePackets,
    SliceChannels,
    Subsample,
    center_crop_window,
    modulus,
)

DOUBLE = {"dtype": torch.float64}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _image(*shape: int) -> Tensor:
    return torch.randn(*shape, **DOUBLE)


# Packets


@pytest.mark.parametrize(("levels", "stride"), [(1, 1), (1, 2), (2, 1), (2, 2), (2, 4), (3, 8)])
@pytest.mark.parametrize("name", ["qshift_a", "qshift_b"])
def test_packets_are_a_convolution_with_their_kernels(levels: int, stride: int, name: str):
    packets = DualTreePackets(levels, stride, name).double()
    image = _image(2, 3, 21, 16)  # neither square nor even
    output = packets(image)
    kernels = f.packet_kernels(levels, name)[:, None]
    by_colour = image.reshape(6, 1, 21, 16)
    for part, kernel in ((output.real, kernels.real), (output.imag, kernels.imag)):
        direct = F.conv2d(by_colour, kernel, stride=stride, padding=packets.padding)
        torch.testing.assert_close(part, direct.unflatten(0, (2, 3)), rtol=0, atol=1e-12)


def test_packets_of_four_levels():
    packets = DualTreePackets(4, 16).double()
    image = _image(1, 1, 20, 33)
    kernels = f.packet_kernels(4)[::37, None]
    direct = F.conv2d(image, kernels.real, stride=16, padding=packets.padding)
    torch.testing.assert_close(packets(image).real[:, 0, ::37], direct, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(31, 67), (45, 32)])
@pytest.mark.parametrize("levels", [1, 2, 3, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", f.QSHIFT_FILTERS)
def test_any_filters_depth_stride_and_size(name: str, levels: int, size: tuple[int, int]):
    """Every packet where they are few, some of the many, are convolutions with their kernels."""
    chosen = torch.arange(0, 2 * 4**levels, {1: 1, 2: 3, 3: 31, 4: 173}[levels])
    image = _image(1, 1, *size)
    kernels = f.packet_kernels(levels, name)[chosen, None]
    # Four levels at small strides take seconds: the default filters have them below.
    for stride in (2**k for k in range(3 if levels == 4 else 0, levels + 1)):
        packets = DualTreePackets(levels, stride, name).double()
        output = packets(image)[:, 0, chosen]
        for part, kernel in ((output.real, kernels.real), (output.imag, kernels.imag)):
            direct = F.conv2d(image, kernel, stride=stride, padding=packets.padding)
            torch.testing.assert_close(part, direct, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(31, 67), (52, 45)])
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_every_stride_samples_the_same_packets(levels: int, size: tuple[int, int]):
    image = _image(1, 1, *size)
    finest = DualTreePackets(levels, 1).double()
    for stride in (2**k for k in range(1, levels + 1)):
        packets = DualTreePackets(levels, stride).double()
        # Where the paddings differ, so do the first samples' places; the image lies in zeros.
        more = max(0, packets.padding - finest.padding)
        everywhere = finest(F.pad(image, (more,) * 4))
        start = finest.padding + more - packets.padding
        output = packets(image)
        height, width = output.shape[3:]
        sampled = everywhere[..., start::stride, start::stride][..., :height, :width]
        torch.testing.assert_close(output, sampled, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(8, 8), (7, 12), (2, 5), (33, 18)])
@pytest.mark.parametrize(("levels", "stride"), [(2, 2), (2, 4), (3, 2), (3, 4), (3, 8)])
def test_sizes_are_the_compilers(size: tuple[int, int], levels: int, stride: int):
    expected = [output_size(s, "dtcwpt", levels, "qshift_a", stride) for s in size]
    output = DualTreePackets(levels, stride)(torch.randn(1, 1, *size))
    assert output.shape == (1, 1, 2 * 4**levels, *expected)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_stride_samples_the_packets_of_stride_one(levels: int):
    image = _image(1, 1, 24, 20)
    kernels = f.packet_kernels(levels)[:, None]
    for k in range(levels + 1):
        packets = DualTreePackets(levels, 2**k).double()
        everywhere = F.conv2d(image, kernels.real, padding=packets.padding)
        sampled = everywhere[..., :: 2**k, :: 2**k]
        torch.testing.assert_close(packets(image)[:, 0].real, sampled, rtol=0, atol=1e-12)


def test_packets_tile_energy():
    """A tight frame: fully decimated, all packets together have eight times the image's energy.

    Four orthonormal banks; sums and differences of two of them double the energy.
    """
    image = F.pad(_image(1, 1, 8, 8), (40, 40, 40, 40))
    energy = DualTreePackets(2, 4).double()(image).abs().square().sum()
    # The published taps are orthonormal to a few 1e-7.
    assert energy.item() == pytest.approx(8 * image.square().sum().item(), rel=1e-5)


def test_real_parts_alone_are_the_same():
    image = _image(2, 2, 17, 20)
    packets = DualTreePackets(2, 2).double()
    torch.testing.assert_close(packets.real(image), packets(image).real, rtol=0, atol=1e-14)


def test_maps_are_the_packets_colour_by_colour():
    image = _image(2, 3, 16, 16)
    output = DualTreePackets(2, 4).double()(image).flatten(1, 2)
    real, imaginary = DualTreePacketMaps(2, 4).double()(image)
    assert torch.equal(real, output.real)
    assert torch.equal(imaginary, output.imag)
    alone = DualTreePacketMaps(2, 4, imaginary=False).double()(image)
    torch.testing.assert_close(alone, real, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "make", [lambda: DualTreePackets(2, 2), lambda: SeparablePackets(2, 2, "db2")]
)
def test_filters_are_exact_in_float64_however_they_got_there(make):
    torch.set_default_dtype(torch.float64)
    try:
        exact = make().filters
    finally:
        torch.set_default_dtype(torch.float32)
    module = make()
    assert module.filters.dtype == torch.float32
    assert torch.equal(module.double().filters, exact)
    assert torch.equal(module.bfloat16().to(torch.float64).filters, exact)
    with torch.device("meta"):
        module = make()
    assert module.filters.is_meta
    assert torch.equal(module.to_empty(device="cpu").double().filters, exact)
    assert not module.state_dict()


def test_trained_filters_begin_with_the_named_ones():
    image = _image(1, 2, 16, 16)
    torch.set_default_dtype(torch.float64)
    try:
        trained = DualTreePackets(3, 2, trainable=True)
    finally:
        torch.set_default_dtype(torch.float32)
    assert sorted(trained.state_dict()) == ["high", "low"]
    assert trained.low.shape == trained.high.shape == (2, 10)
    fixed = DualTreePackets(3, 2).double()
    torch.testing.assert_close(trained(image), fixed(image), rtol=0, atol=1e-12)
    trained(image).abs().sum().backward()
    assert trained.low.grad is not None
    assert trained.low.grad.abs().min() > 0


@pytest.mark.parametrize(("levels", "stride"), [(1, 2), (2, 4)])
def test_gradients_of_packets(levels: int, stride: int):
    packets = DualTreePackets(levels, stride, "qshift_06").double()
    image = _image(1, 1, 5, 4).requires_grad_()

    def function(x: Tensor) -> Tensor:
        return modulus(*packets.parts(x)).square()

    assert torch.autograd.gradcheck(function, image)
    assert torch.autograd.gradgradcheck(function, image)


@pytest.mark.parametrize("trainable", [False, True])
def test_packets_under_bfloat16_autocast(trainable: bool):
    image = torch.randn(2, 1, 32, 32)
    packets = DualTreePackets(2, 2, trainable=trainable)
    expected, _ = packets.parts(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        real, imaginary = packets.parts(image)
        moduli = modulus(real, imaginary)
    assert real.dtype == imaginary.dtype == moduli.dtype == torch.bfloat16
    # bfloat16 keeps eight bits; nothing before the result is rounded.
    assert (real - expected).abs().max() <= 2**-8 * expected.abs().max()
    assert torch.equal(real, expected.bfloat16())
    if trainable:
        moduli.sum().backward()
        assert packets.low.grad is not None


def test_empty_batches():
    assert DualTreePackets(2, 2)(torch.zeros(0, 3, 16, 16)).shape == (0, 3, 32, 8, 8)


# Separable packets


@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior2.2"])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_separable_packets_are_pywavelets(wavelet: str, levels: int):
    """On the image turned by 180 degrees, since PyWavelets convolves and these correlate."""
    stride = 2**levels
    packets = SeparablePackets(levels, stride, wavelet).double()
    image = F.pad(_image(1, 1, 16, 16), (stride * pywt.Wavelet(wavelet).dec_len,) * 4)
    # PyWavelets' samples are at multiples of the stride, these at multiples minus the padding.
    offset = packets.padding % stride
    output = packets(image[..., offset:, offset:])[0]
    tree = pywt.WaveletPacket2D(
        image[0, 0].flip(0, 1).numpy(), wavelet, mode="zero", maxlevel=levels
    )
    # digit 2 * vertical + horizontal; in PyWavelets' names h is high along the columns.
    names = "ahvd"
    for number in range(4**levels):
        digits = [number >> 2 * (levels - 1 - stage) & 3 for stage in range(levels)]
        path = "".join(names[{0: 0, 1: 2, 2: 1, 3: 3}[d]] for d in digits)
        expected = torch.from_numpy(tree[path].data).flip(0, 1)
        # The image lies in zeros, of which the two keep different numbers.
        assert _same_but_for_zeros(output[number], expected), path


def _same_but_for_zeros(first: Tensor, second: Tensor) -> bool:
    """Whether two maps are equal to rounding, without the zeros around them."""
    windows = []
    for x in (first, second):
        rows, columns = (x.abs() > 1e-12).nonzero(as_tuple=True)
        windows.append(x[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    return windows[0].shape == windows[1].shape and torch.allclose(*windows, rtol=0, atol=1e-10)


def test_separable_packets_reconstruct_energy():
    image = F.pad(_image(1, 2, 8, 8), (24,) * 4)
    output = SeparablePackets(2, 4, "db3").double()(image)
    assert output.shape[1] == 2 * 16
    assert output.square().sum().item() == pytest.approx(image.square().sum().item(), rel=1e-9)


def test_trained_separable_filters():
    packets = SeparablePackets(2, 2, "db2", trainable=True)
    assert packets.low.shape == packets.high.shape == (1, 4)
    image = torch.randn(1, 1, 9, 8)
    torch.testing.assert_close(packets(image), SeparablePackets(2, 2, "db2")(image))


# Selection and mixing


def test_keep_packets_selects_each_colours():
    x = torch.arange(2 * 3 * 4.0).reshape(2, 12, 1, 1)
    kept = KeepPackets([3, 0], colours=3)(x)
    assert kept[0, :, 0, 0].tolist() == [3, 0, 7, 4, 11, 8]
    real, imaginary = KeepPackets([1], colours=3)((x, -x))
    assert torch.equal(imaginary, -real)
    z = torch.complex(x, x + 1)
    assert torch.equal(KeepPackets([3, 0], colours=3)(z).real, kept)
    with torch.device("meta"):
        keep = KeepPackets([3, 0], colours=3)
    assert torch.equal(keep.to_empty(device="cpu")(x), kept)


def test_packet_mixing_is_a_block_matrix():
    bands = [(4, 2, 2), (3, 6, 3)]
    mixing = PacketMixing(bands, bias=True, colours=2).double()
    assert list(mixing.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    z = torch.complex(_image(2, 14, 3, 5), _image(2, 14, 3, 5))
    blocks = []
    for conv, (inputs, outputs, groups) in zip(mixing, bands, strict=True):
        weight = conv.get_parameter("weight")
        assert weight.shape == (outputs, inputs // groups, 1, 1)
        blocks += list(weight.flatten(1).unflatten(0, (groups, outputs // groups)))
    matrix = torch.block_diag(*blocks).to(z.dtype)
    bias = torch.cat([conv.get_parameter("bias") for conv in mixing])
    expected = torch.einsum("oi,nciyx->ncoyx", matrix, z.unflatten(1, (2, 7)))
    expected = expected + torch.complex(bias, bias)[:, None, None]  # added to both parts
    torch.testing.assert_close(mixing(z), expected.flatten(1, 2), rtol=0, atol=1e-12)
    real, imaginary = mixing((z.real, z.imag))
    assert torch.equal(torch.complex(real, imaginary), mixing(z))
    assert torch.equal(mixing(z.real.contiguous()), real)


def test_colour_mixing():
    before = ColourMixing((0.5, 1.0, 0.25)).double()
    x = _image(2, 3, 4, 5)
    expected = 0.5 * x[:, :1] + x[:, 1:2] + 0.25 * x[:, 2:]
    torch.testing.assert_close(before(x), expected)
    after = ColourMixingAfter(4).double()
    z = torch.complex(_image(2, 12, 3, 3), _image(2, 12, 3, 3))
    weight = after.weight[:, :, 0, 0].to(z.dtype)
    expected = torch.einsum("oc,ncoyx->noyx", weight, z.unflatten(1, (3, 4)))
    torch.testing.assert_close(after(z), expected)


def test_interleave_and_back():
    real, imaginary = torch.randn(2, 2, 3, 4, 5).unbind(0)
    flat = Interleave()((real, imaginary))
    assert torch.equal(flat[:, ::2], real)
    assert torch.equal(flat, Interleave()(torch.complex(real, imaginary)))
    back = Deinterleave()(flat)
    assert torch.equal(back[0], real)
    assert torch.equal(back[1], imaginary)
    for x in (real, (real, imaginary), torch.complex(real, imaginary)):
        assert torch.equal(RealPart()(x), real)


# Modulus and norm


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_modulus_of_a_black_image_has_gradient_zero(dtype: torch.dtype):
    real = torch.tensor([0.0, 3.0, 1e-30, 1e-40], dtype=dtype, requires_grad=True)
    imaginary = torch.tensor([0.0, -4.0, 0.0, 0.0], dtype=dtype, requires_grad=True)
    output = modulus(real, imaginary)
    assert output.dtype == dtype
    assert output[:2].tolist() == [0.0, 5.0]
    output.sum().backward()
    assert real.grad is not None
    assert imaginary.grad is not None
    assert real.grad[0] == imaginary.grad[0] == 0
    assert torch.isfinite(real.grad).all()
    assert torch.isfinite(imaginary.grad).all()


def test_gradients_of_the_modulus():
    real, imaginary = (_image(1, 2, 3, 3).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(modulus, (real, imaginary))
    assert torch.autograd.gradgradcheck(modulus, (real, imaginary))
    z = torch.complex(real, imaginary)
    torch.testing.assert_close(Modulus()(z), z.abs())
    assert torch.equal(Modulus()((real, imaginary)), Modulus()(z))
    zero = torch.zeros(1, 1, 2, 2, **DOUBLE, requires_grad=True)
    (slope,) = torch.autograd.grad(modulus(zero, zero).sum(), zero, create_graph=True)
    slope.sum().backward()
    assert zero.grad is not None
    assert not zero.grad.any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_smooth_modulus(dtype: torch.dtype):
    bias = 0.01
    real, imaginary = (_image(2, 3, 4, 4).to(dtype).requires_grad_() for _ in range(2))
    output = Modulus(bias)((real, imaginary))
    assert output.dtype == dtype
    exact = (real.double().square() + imaginary.double().square() + bias**2).sqrt() - bias
    tolerance = {torch.float64: 1e-14, torch.float32: 1e-6, torch.bfloat16: 2**-8}[dtype]
    torch.testing.assert_close(output.double(), exact, rtol=tolerance, atol=0)
    # About 0 it is the square over twice the bias, not a difference of nearly equal numbers.
    small = torch.tensor([0.0, 1e-7], dtype=dtype, requires_grad=True)
    output = modulus(small, torch.zeros_like(small), bias)
    assert output.tolist() == pytest.approx([0, 0.5e-12], rel=0.01)
    output.sum().backward()
    assert small.grad is not None
    assert small.grad.tolist() == pytest.approx([0, 1e-5], rel=0.01)
    assert repr(Modulus(bias)) == "Modulus(bias=0.01)"
    with pytest.raises(ValueError, match=r"bias -0\.1: 0 or more"):
        Modulus(-0.1)


def test_complex_maps_under_autocast():
    z = torch.complex(torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 3))
    mixing = PacketMixing([(4, 2, 1)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, packets = mixing(z), DualTreePackets(1, 2)(torch.randn(1, 1, 8, 8))
    # There are no complex numbers of bfloat16.
    assert mixed.dtype == packets.dtype == torch.complex64
    assert (mixed - mixing(z)).abs().max() < 0.02 * mixed.abs().max()


def test_energy_norm():
    norm = EnergyNorm(3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
        norm.bias.copy_(torch.tensor([0.0, 0.1, -1.0]))
    x = _image(4, 3, 5, 5).abs()
    energy = x.square().mean((0, 2, 3))
    scale = torch.tensor([1.0, 2.0, 0.5], **DOUBLE)[:, None, None]
    bias = norm.bias[:, None, None]
    expected = x / (energy / 2 + 1e-5).sqrt()[:, None, None] * scale + bias
    torch.testing.assert_close(norm(x), expected)
    running = 0.9 + 0.1 * energy
    torch.testing.assert_close(norm.running_var, running)
    assert norm.num_batches_tracked == 1
    assert not norm.running_mean.any()
    norm.eval()
    expected = x / (running / 2 + 1e-5).sqrt()[:, None, None] * scale + bias
    torch.testing.assert_close(norm(x), expected)
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(norm.state_dict()) == names


def test_energy_norm_normalises_complex_gaussians():
    z = torch.complex(_image(8, 2, 32, 32), _image(8, 2, 32, 32)) * 7
    normalised = EnergyNorm(2).double()(z.abs())
    # The parts have variance one then, so the modulus has mean square two.
    assert normalised.square().mean().item() == pytest.approx(2, rel=1e-5)


def test_channel_bias():
    layer = ChannelBias(2)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, -1.0]))
    assert layer(torch.zeros(1, 2, 1, 1)).flatten().tolist() == [1.0, -1.0]


# Blur


def _reflected(i: int, size: int) -> int:
    return -i if i < 0 else 2 * (size - 1) - i if i >= size else i


@pytest.mark.parametrize("size", range(2, 8))
@pytest.mark.parametrize("shape", [(8, 8), (7, 10)])
def test_blur_pool_is_the_binomial_filter(size: int, shape: tuple[int, int]):
    x = _image(1, 2, *shape)
    output = BlurPool(size).double()(x)
    row = [math.comb(size - 1, k) for k in range(size)]
    height, width = shape
    assert output.shape == (1, 2, -(-height // 2), -(-width // 2))
    for y, column in ((0, 0), (1, 2), (output.shape[2] - 1, output.shape[3] - 1)):
        expected = sum(
            row[i]
            * row[j]
            * x[
                0,
                :,
                _reflected(2 * y + i - (size - 1) // 2, height),
                _reflected(2 * column + j - (size - 1) // 2, width),
            ]
            for i in range(size)
            for j in range(size)
        )
        torch.testing.assert_close(output[0, :, y, column], expected / 4 ** (size - 1))


def test_blur_pool_keeps_constants():
    blur = BlurPool(5).double()
    torch.testing.assert_close(
        blur(torch.ones(1, 3, 6, 6, **DOUBLE)), torch.ones(1, 3, 3, 3, **DOUBLE)
    )
    assert not blur.state_dict()
    with pytest.raises(ValueError, match="blur size 8"):
        BlurPool(8)


@pytest.mark.parametrize("normalise", ["joint", "per_group"])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_adaptive_blur_is_the_naive_loop(normalise: str, size: int):
    groups, channels = 2, 4
    blur = AdaptiveBlur(channels, size, 2, groups, normalise).double().eval()
    with torch.no_grad():
        blur.norm.running_mean.normal_()
        blur.norm.running_var.uniform_(0.5, 2)
    x = _image(1, channels, 6, 7)
    output = blur(x)
    before, after = (size - 1) // 2, size // 2
    padded = F.pad(x, (before, after, before, after), mode="reflect")[0]
    assert output.shape == (1, channels, 3, 4)
    for y in range(3):
        for column in range(4):
            patch = padded[:, 2 * y : 2 * y + size, 2 * column : 2 * column + size]
            raw = (blur.conv.weight * patch).sum((1, 2, 3))
            raw = (raw - blur.norm.running_mean) / (blur.norm.running_var + 1e-5).sqrt()
            if normalise == "joint":
                weights = raw.softmax(0).reshape(groups, size, size)
            else:
                weights = raw.reshape(groups, -1).softmax(1).reshape(groups, size, size)
            for channel in range(channels):
                expected = (weights[channel // 2] * patch[channel]).sum()
                torch.testing.assert_close(output[0, channel, y, column], expected)


def test_adaptive_blur_of_a_constant():
    x = torch.ones(2, 8, 6, 6, **DOUBLE)
    joint = AdaptiveBlur(8, groups=4).double()(x)
    torch.testing.assert_close(joint.sum(1), torch.full((2, 3, 3), 2.0, **DOUBLE))
    alone = AdaptiveBlur(8, groups=4, normalise="per_group").double()(x)
    torch.testing.assert_close(alone, torch.ones(2, 8, 3, 3, **DOUBLE))


def test_adaptive_blur_names():
    blur = AdaptiveBlur(2, groups=1)
    assert [name for name, _ in blur.named_parameters()] == [
        "conv.weight",
        "norm.weight",
        "norm.bias",
    ]
    with pytest.raises(ValueError, match="3 groups do not divide 4 channels"):
        AdaptiveBlur(4, groups=3)
    with pytest.raises(ValueError, match="normalise 'both'"):
        AdaptiveBlur(4, groups=2, normalise="both")


# Shapes


def test_crop_offsets_round_half_to_even_as_torchvision_does():
    for difference in range(40):
        assert center_crop_window(100 + difference, 100) == round(difference / 2)


def test_center_crop_concat():
    a, b = torch.randn(2, 3, 9, 4), torch.randn(2, 1, 6, 5)
    joined = CenterCropConcat()(a, b)
    assert torch.equal(joined[:, :3], a[:, :, 2:8])
    assert torch.equal(joined[:, 3:], b[..., :4])


def test_the_gradient_of_a_crop_lies_as_the_maps_do():
    a = torch.randn(2, 3, 9, 4, dtype=torch.float64).to(memory_format=torch.channels_last)
    b = torch.randn(2, 1, 6, 5, dtype=torch.float64)
    direction = torch.randn(2, 4, 6, 4, dtype=torch.float64).to(memory_format=torch.channels_last)
    a.requires_grad_()
    b.requires_grad_()
    (of_a,) = torch.autograd.grad(CenterCropConcat()(a, b), a, direction)
    assert of_a.is_contiguous(memory_format=torch.channels_last)
    expected = torch.zeros_like(a)
    expected[:, :, 2:8] = direction[:, :3]
    assert torch.equal(of_a, expected)
    assert torch.autograd.gradgradcheck(CenterCropConcat(), (a, b))


def test_subsample_and_slice():
    z = torch.complex(torch.randn(1, 4, 5, 6), torch.randn(1, 4, 5, 6))
    assert torch.equal(Subsample(2)(z), z[..., ::2, ::2])
    assert torch.equal(SliceChannels(1, 3)(z), z[:, 1:3])
