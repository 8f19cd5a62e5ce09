"""The packet bank against the layers that it stands for, and its derivatives."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from tests.support.tree_packets import TreePackets
from wavetwin.runtime.bank import BankInfo, mixed_packets
from wavetwin.runtime.bank.derivative import MixedMaps, mixed_maps
from wavetwin.runtime.bank.filters import bank_padding
from wavetwin.runtime.bank.layout import build_layout, make_layout
from wavetwin.runtime.layers import DualTreePacketMaps, KeepPackets, center_crop_window

pytestmark = pytest.mark.usefixtures("one_thread")

PUBLISHED = (
    "alexnet/AwyI", "alexnet/AwyI_mod", "alexnet/Azh3wyI", "alexnet/Azh3wyI_mod",
    "resnet34/RwyI", "resnet34/RwyI_mod",
)  # fmt: skip
CPU = torch.device("cpu")
SMALL = BankInfo(2, "qshift_06", (1, 19, 2, 7), ((2, 3, 1), (2, 2, 2)), 2, -14, 4, 4, False)


@dataclass(frozen=True)
class Stem:
    """The linear part of a stem: the bank's facts, and how the layers compute the same."""

    info: BankInfo
    stride: int
    subsample: int
    crops: tuple[int, int]

    def layers(self, x: Tensor, weights: Sequence[Tensor], colour: Tensor | None) -> list[Tensor]:
        """Return the parts, all packets computed and then cropped and subsampled."""
        info = self.info
        y = x if colour is None else F.conv2d(x, colour)
        packets = DualTreePacketMaps(
            info.levels, self.stride, info.filters, imaginary=info.is_complex
        )
        kept = KeepPackets(info.packets)(packets.to(x.dtype)(y))
        return [self._mix(part, weights) for part in (kept if info.is_complex else (kept,))]

    def _mix(self, part: Tensor, weights: Sequence[Tensor]) -> Tensor:
        info = self.info
        bands = part.split([inputs for inputs, _, _ in info.bands], dim=1)
        mixed = torch.cat(
            [
                F.conv2d(band, weight, groups=groups)
                for band, weight, (_, _, groups) in zip(bands, weights, info.bands, strict=True)
            ],
            dim=1,
        )
        top, left = self.crops
        mixed = mixed[..., top :: self.subsample, left :: self.subsample]
        return mixed[..., : info.out_height, : info.out_width]


def stem_of(
    info: BankInfo, stride: int, subsample: int, image: tuple[int, int], beside: tuple[int, int]
) -> Stem:
    """Return a stem whose packets are cropped to maps of a size beside them."""
    taps = 14 if info.filters in ("qshift_b",) else 10
    padding = bank_padding(taps, info.levels, stride, 2)
    length = taps + 2 + (taps - 1) * (2**info.levels - 2)
    sizes = [(size + 2 * padding - length) // stride + 1 for size in image]
    windows = [min(pair) for pair in zip(sizes, beside, strict=True)]
    crops = [center_crop_window(*pair) for pair in zip(sizes, windows, strict=True)]
    starts = [stride * crop - padding for crop in crops]
    height, width = (-(-window // subsample) for window in windows)
    info = replace(
        info, step=stride * subsample, start=(starts[0], starts[1]), out_height=height,
        out_width=width,
    )  # fmt: skip
    return Stem(info, stride, subsample, (crops[0], crops[1]))


def published_stem(spec: str, height: int, width: int) -> Stem:
    """Return a published twin's stem, from its graph as written, for an image of any size."""
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml")
    nodes = {node.id: node.attributes for node in compiled.graph.nodes}
    packets, free = nodes["stem.wavelet.packets"], nodes["stem.free"]
    is_complex = "pool.wavelet.modulus" in nodes
    info = BankInfo(
        packets["levels"], packets["filters"], nodes["stem.wavelet.keep"]["packets"],
        nodes["stem.wavelet.mixing"]["bands"], 1, 0, 1, 1, is_complex,
    )  # fmt: skip
    beside = [
        (size + 2 * free["padding"] - free["kernel_size"]) // free["stride"] + 1
        for size in (height, width)
    ]
    subsample = nodes["pool.wavelet.subsample"]["step"] if is_complex else 1
    return stem_of(info, packets["stride"], subsample, (height, width), (beside[0], beside[1]))


def tensors(
    info: BankInfo, image: tuple[int, int], dtype: torch.dtype, batch: int = 2, colours: int = 3
) -> tuple[Tensor, list[Tensor], Tensor | None]:
    """Return an image, mixing weights and colours' weights, the same every time."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    weights = [draw(out, inputs // groups, 1, 1) for inputs, out, groups in info.bands]
    colour = draw(1, colours, 1, 1) if colours > 1 else None
    return draw(batch, colours, *image), weights, colour


def as_list(maps: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return list(maps) if isinstance(maps, tuple) else [maps]


def assert_close(values: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    for value, other in zip(values, expected, strict=True):
        assert value.shape == other.shape
        scale = other.abs().max()
        assert scale > 0
        assert (value - other).abs().max() <= tolerance * scale


def info_of(levels: int, is_complex: bool, filters: str = "qshift_06") -> BankInfo:
    """Return facts with packets of both halves, in no order, in two bands."""
    last = 2 * 4**levels - 1
    packets = (last, 1, 4**levels + 2, 2, 3, 4**levels - 1)
    return BankInfo(
        levels, filters, packets, ((4, 4, 2), (2, 3, 1)), 1, 0, 1, 1, is_complex
    )  # fmt: skip


# The function.


@pytest.mark.parametrize("spec", PUBLISHED)
@pytest.mark.parametrize("image", [(224, 224), (225, 225), (67, 96)])
def test_published_stems_equal_the_layers(spec: str, image: tuple[int, int]):
    stem = published_stem(spec, *image)
    # Sums of 66 x 66 x 64 terms: float64 roundings of 1e-16 add up to a few of them.
    for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 1e-6)):
        if dtype == torch.float64 and image[0] == 225 and "_mod" not in spec:
            continue  # a second each, and 224 is there
        x, weights, colour = tensors(stem.info, image, dtype, batch=1)
        with torch.no_grad():
            result = mixed_packets(x, weights, stem.info, colour)
            expected = stem.layers(x, weights, colour)
        assert_close(as_list(result), expected, tolerance)


@pytest.mark.parametrize(("levels", "stride"), [(1, 1), (1, 2), (2, 1), (2, 4), (3, 2), (3, 8)])
@pytest.mark.parametrize("is_complex", [False, True])
def test_any_size_level_and_stride(levels: int, stride: int, is_complex: bool):
    for image, subsample in (((8, 8), 1), ((9, 20), 2), ((19, 16), 1), ((33, 16), 3)):
        stem = stem_of(info_of(levels, is_complex), stride, subsample, image, image)
        x, weights, colour = tensors(stem.info, image, torch.float64)
        expected = stem.layers(x, weights, colour)
        assert_close(as_list(mixed_packets(x, weights, stem.info, colour)), expected, 1e-13)
        # The way of other devices, on this one.
        layout = build_layout(stem.info, *image, torch.float64, CPU, False)
        flat = torch.cat([weight.flatten() for weight in weights])
        dense = [part.permute(0, 3, 1, 2) for part in mixed_maps(x, flat, colour, layout)]
        assert_close(dense, expected, 1e-13)


@pytest.mark.parametrize("filters", ["qshift_a", "qshift_b"])
def test_gray_images_and_windows(filters: str):
    image = (30, 41)
    stem = stem_of(info_of(2, True, filters), 2, 1, image, (9, 10))
    x, weights, _ = tensors(stem.info, image, torch.float64, colours=1)
    assert (stem.info.out_height, stem.info.out_width) == (9, 10)
    expected = stem.layers(x, weights, None)
    assert_close(as_list(mixed_packets(x, weights, stem.info)), expected, 1e-13)


def test_chunks_of_a_batch_do_not_matter():
    stem = published_stem("alexnet/AwyI", 64, 64)
    x, weights, colour = tensors(stem.info, (64, 64), torch.float64, batch=200)
    layout = make_layout(stem.info, 64, 64, torch.float64, CPU)
    assert layout.chunks(200) > 1
    single = mixed_packets(x[-1:], weights, stem.info, colour)
    assert_close([mixed_packets(x, weights, stem.info, colour)[-1:]], [single], 1e-14)
    leaves = [weight.requires_grad_() for weight in weights]
    whole = torch.autograd.grad(mixed_packets(x, leaves, stem.info, colour).square().sum(), leaves)
    pieces = [
        torch.autograd.grad(mixed_packets(part, leaves, stem.info, colour).square().sum(), leaves)
        for part in x.split(50)
    ]
    assert_close(whole, [torch.stack(each).sum(0) for each in zip(*pieces, strict=True)], 1e-13)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("imaginary", [False, True])
def test_the_tree_equals_the_layers(stride: int, imaginary: bool):
    levels = 3 if stride > 1 else 2
    x = torch.randn(2, 2, 21, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tree = TreePackets(levels, stride, imaginary=imaginary).double()
    # The tree's buffers went through float32 before.
    exact = DualTreePacketMaps(levels, stride, imaginary=imaginary).double()
    assert_close(as_list(tree(x)), as_list(exact(x)), 1e-6)


# Derivatives.


def leaves_of(info: BankInfo, image: tuple[int, int], batch: int = 1) -> tuple[Tensor, ...]:
    x, weights, colour = tensors(info, image, torch.float64, batch=batch)
    assert colour is not None
    return tuple(leaf.requires_grad_() for leaf in (x, colour, *weights))


def bank_of(info: BankInfo, saves_memory: bool = False) -> Callable[..., Tensor]:
    def function(x: Tensor, colour: Tensor, *weights: Tensor) -> Tensor:
        parts = mixed_packets(x, weights, info, colour, saves_memory=saves_memory)
        return torch.stack(as_list(parts))

    return function


@pytest.mark.parametrize("spec", ["alexnet/AwyI", "alexnet/Azh3wyI_mod", "resnet34/RwyI_mod"])
@pytest.mark.parametrize("saves_memory", [False, True])
def test_gradients_equal_the_layers(spec: str, saves_memory: bool):
    image = (65, 84)
    stem = published_stem(spec, *image)
    leaves = leaves_of(stem.info, image, batch=2)
    result = bank_of(stem.info, saves_memory)(*leaves)
    direction = torch.randn(
        result.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    expected = torch.stack(stem.layers(leaves[0], leaves[2:], leaves[1]))
    assert_close(
        torch.autograd.grad(result, leaves, direction),
        torch.autograd.grad(expected, leaves, direction),
        1e-12,
    )


SIZES = [
    (levels, stride, is_complex, image)
    for (levels, stride), is_complex, image in itertools.product(
        [(1, 2), (2, 1), (3, 4)], [False, True], [(6, 7), (8, 8)]
    )
]


@pytest.mark.parametrize("is_banded", [True, False])
@pytest.mark.parametrize(("levels", "stride", "is_complex", "image"), SIZES)
def test_adjoint_identity(levels, stride, is_complex, image, is_banded):
    stem = stem_of(info_of(levels, is_complex), stride, 1, image, image)
    layout = build_layout(stem.info, *image, torch.float64, CPU, is_banded)
    x, weights, colour = tensors(stem.info, image, torch.float64)
    assert colour is not None
    flat = torch.cat([weight.flatten() for weight in weights]).requires_grad_()
    leaves = (x.requires_grad_(), flat, colour.requires_grad_())
    for kept_bytes in (0, layout.lane_values * 8, 10**9):
        result = torch.stack(as_list(MixedMaps.apply(*leaves, layout, kept_bytes)))
        direction = torch.randn(
            result.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
        )
        product = (result * direction).sum()
        # Linear in each of the three: <f(x), g> = <x, f*(g)>.
        for leaf, gradient in zip(leaves, torch.autograd.grad(product, leaves), strict=True):
            assert torch.isclose((leaf * gradient).sum(), product, rtol=1e-11, atol=0)


@pytest.mark.parametrize(("levels", "stride", "is_complex", "image"), SIZES)
def test_first_and_second_derivatives(levels, stride, is_complex, image):
    stem = stem_of(info_of(levels, is_complex), stride, 2, image, image)
    leaves = leaves_of(stem.info, image)
    for saves_memory in (False, True):
        bank = bank_of(stem.info, saves_memory)
        assert torch.autograd.gradcheck(bank, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(bank_of(stem.info), leaves, fast_mode=True)


@pytest.mark.parametrize("spec", ["alexnet/AwyI", "alexnet/AwyI_mod"])
def test_quadrants_of_the_first_stage(spec: str):
    stem = published_stem(spec, 64, 65)
    for is_banded in (True, False):
        layout = build_layout(stem.info, 64, 65, torch.float64, CPU, is_banded)
        assert [tile.outputs for tile in layout.tiles] == [
            slice(0, 24), slice(26, 32), slice(24, 30)
        ]  # fmt: skip
        x, weights, colour = tensors(stem.info, (64, 65), torch.float64)
        assert colour is not None
        flat = torch.cat([weight.flatten() for weight in weights])
        leaves = [leaf.requires_grad_() for leaf in (x, flat, colour)]
        parts = mixed_maps(*leaves, layout)
        direction = [part.detach().cos() for part in parts]
        expected = torch.autograd.grad(parts, leaves, direction)
        values = as_list(MixedMaps.apply(*leaves, layout, 10**5))
        assert_close(values, parts, 1e-13)
        assert_close(torch.autograd.grad(values, leaves, direction), expected, 1e-12)
    info = replace(stem.info, out_height=2, out_width=3)
    assert torch.autograd.gradgradcheck(bank_of(info), leaves_of(info, (5, 6)), fast_mode=True)


def test_every_entry_of_the_derivatives():
    info = replace(SMALL, out_height=3, out_width=2, start=(-6, -4))
    assert torch.autograd.gradcheck(bank_of(info), leaves_of(info, (2, 3)))


@pytest.mark.parametrize("wanted", [(0,), (1,), (2, 3), (0, 2, 3), (1, 2, 3)])
def test_only_some_gradients(wanted: tuple[int, ...]):
    leaves = leaves_of(SMALL, (9, 8))
    full = torch.autograd.grad(bank_of(SMALL)(*leaves).square().sum(), leaves)
    some = [leaf.detach().requires_grad_(k in wanted) for k, leaf in enumerate(leaves)]
    bank_of(SMALL)(*some).square().sum().backward()
    for k, leaf in enumerate(some):
        if k in wanted:
            assert_close([leaf.grad], [full[k]], 1e-14)
        else:
            assert leaf.grad is None


def test_two_uses_in_one_graph():
    (x, colour, *weights), other = leaves_of(SMALL, (9, 8)), leaves_of(SMALL, (9, 8))[0] * 2 + 1
    bank = bank_of(SMALL)
    both = torch.autograd.grad((bank(x, colour, *weights) * bank(other, colour, *weights)).sum(), x)
    apart = torch.autograd.grad(
        (bank(x, colour, *weights) * bank(other, colour, *weights).detach()).sum(), x
    )
    assert_close(both, apart, 1e-14)
    shared = torch.autograd.grad(
        (bank(x, colour, *weights) * bank(other, colour, *weights)).sum(), weights
    )
    stem = Stem(SMALL, 2, 1, (0, 0))
    expected = torch.autograd.grad(
        (stem.layers(x, weights, colour)[0] * stem.layers(other, weights, colour)[0])[
            ..., :4, :4
        ].sum(),
        weights,
    )
    assert_close(shared, expected, 1e-12)


# What is kept, types and memory formats.


def kept_bytes(info: BankInfo, saves_memory: bool) -> int:
    """Return the bytes of the storages kept for the backward pass, the inputs' left out."""
    x, weights, colour = tensors(info, (224, 224), torch.float32, batch=1)
    assert colour is not None
    leaves = [leaf.requires_grad_() for leaf in (colour, *weights)]
    inputs = {leaf.untyped_storage().data_ptr() for leaf in (x, *leaves)}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = mixed_packets(x, weights, info, colour, saves_memory=saves_memory)
    assert as_list(result)[0].requires_grad
    assert inputs & storages.keys()
    return sum(size for pointer, size in storages.items() if pointer not in inputs)


@pytest.mark.parametrize("spec", PUBLISHED)
def test_bytes_kept_for_the_backward_pass(spec: str):
    info = published_stem(spec, 224, 224).info
    assert kept_bytes(info, saves_memory=False) <= 1e6
    assert kept_bytes(info, saves_memory=True) <= 1e5


@pytest.mark.parametrize("is_complex", [False, True])
def test_types_and_autocast(is_complex: bool):
    info = replace(SMALL, is_complex=is_complex)
    leaves = leaves_of(info, (16, 16))
    exact = bank_of(info)(*leaves)
    single = [leaf.detach().float().requires_grad_() for leaf in leaves]
    rounded_once = bank_of(info)(*single).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = bank_of(info)(*single)
        result.float().square().sum().backward()
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, rounded_once)
    expected = torch.autograd.grad(exact.square().sum(), leaves)
    for leaf, gradient in zip(single, expected, strict=True):
        assert leaf.grad is not None
        assert leaf.grad.dtype == torch.float32
        assert_close([leaf.grad.double()], [gradient], 2e-2)
    half = bank_of(info)(*(leaf.bfloat16() for leaf in single))
    assert half.dtype == torch.bfloat16
    assert_close([half.double()], [exact], 3e-2)


def test_memory_format_is_kept():
    info = replace(SMALL, is_complex=True)
    x, weights, colour = tensors(info, (16, 18), torch.float32)
    contiguous = mixed_packets(x, weights, info, colour)
    last = mixed_packets(x.to(memory_format=torch.channels_last), weights, info, colour)
    for one, other in zip(contiguous, last, strict=True):
        assert one.is_contiguous()
        assert other.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(one, other, atol=1e-5)


def test_a_first_call_in_inference_mode():
    info = replace(SMALL, out_width=5)
    x, weights, colour = tensors(info, (11, 13), torch.float64)
    with torch.inference_mode():
        first = mixed_packets(x, weights, info, colour)
    weights = [weight.requires_grad_() for weight in weights]
    second = mixed_packets(x, weights, info, colour)
    second.sum().backward()
    assert torch.equal(first.clone(), second.detach())


@pytest.mark.parametrize("is_complex", [False, True])
def test_a_batch_of_no_image(is_complex: bool):
    info = replace(SMALL, is_complex=is_complex)
    x, weights, colour = tensors(info, (11, 13), torch.float64, batch=0)
    weights = [weight.requires_grad_() for weight in weights]
    parts = as_list(mixed_packets(x, weights, info, colour))
    assert [part.shape for part in parts] == [(0, 5, 4, 4)] * info.parts
    torch.stack(parts).sum().backward()
    for weight in weights:
        assert weight.grad is not None
        assert not weight.grad.any()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_transformations_of_torch_func():
    info = replace(SMALL, is_complex=True)
    leaves = leaves_of(info, (11, 13), batch=2)
    bank = bank_of(info)
    build_layout.cache_clear()
    with torch.no_grad():
        along = torch.func.jvp(bank, leaves, tuple(map(torch.ones_like, leaves)))[1]
    x, *others = leaves
    one_image = torch.func.vmap(lambda image: bank(image[None], *others)[:, 0], out_dims=1)
    by_image = one_image(x)
    assert_close([by_image], [bank(*leaves)], 1e-13)
    backward = torch.autograd.grad(bank(*leaves).sum(), leaves)
    assert torch.allclose(along.sum(), torch.stack([g.sum() for g in backward]).sum())
    by_func = torch.func.grad(lambda *values: bank(*values).sum(), argnums=(0, 1, 2))(*leaves)
    assert_close(by_func, backward[:3], 1e-13)


def test_second_derivatives_where_weights_depend_on_the_image():
    x, weights, colour = tensors(SMALL, (11, 13), torch.float64)
    x.requires_grad_()

    def loss() -> Tensor:
        scaled = [weight * x.mean() for weight in weights]
        return as_list(mixed_packets(x, scaled, SMALL, colour))[0].square().sum()

    (once,) = torch.autograd.grad(loss(), x)
    (differentiable,) = torch.autograd.grad(loss(), x, create_graph=True)
    assert_close([differentiable], [once], 1e-13)


def test_nothing_is_kept_where_nothing_is_differentiated(monkeypatch: pytest.MonkeyPatch):
    kept: list[int] = []

    def note(layout: object, room: int) -> list[Hashable]:
        kept.append(room)
        return []

    monkeypatch.setattr("wavetwin.runtime.bank.derivative.worth_keeping", note)
    x, weights, colour = tensors(SMALL, (11, 13), torch.float64)
    weights = [weight.requires_grad_() for weight in weights]
    with torch.no_grad():
        mixed_packets(x, weights, SMALL, colour)
    mixed_packets(x, weights, SMALL, colour)
    assert kept == [0, 10**6]


def test_faults():
    x, weights, colour = tensors(SMALL, (8, 8), torch.float32)
    with pytest.raises(ValueError, match="3 channels, and weights for 1"):
        mixed_packets(x, weights, SMALL)
    with pytest.raises(ValueError, match="mixing weights"):
        mixed_packets(x, weights[::-1], SMALL, colour)
    for start in ((-60, 0), (0, 60)):
        with pytest.raises(ValueError, match="none of the image"):
            mixed_packets(x, weights, replace(SMALL, start=start), colour)
    for change, message in (
        ({"filters": "haar"}, "no q-shift filters 'haar'"),
        ({"levels": 5}, "5 levels"),
        ({"packets": (1, 2, 3, 32)}, "0 to 31"),
        ({"bands": ((2, 3, 1),)}, "do not take 4 packets"),
        ({"bands": ((4, 3, 2),)}, "groups do not divide"),
        ({"step": 0}, "1 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(SMALL, **change)


# Tracing.


class Bank(nn.Module):
    """The bank as a module with parameters."""

    def __init__(self, info: BankInfo) -> None:
        super().__init__()
        _, weights, colour = tensors(info, (8, 8), torch.float32)
        assert colour is not None
        self.info = info
        self.colour = nn.Parameter(colour)
        self.weights = nn.ParameterList(weights)

    def forward(self, x: Tensor) -> Tensor:
        parts = mixed_packets(x, list(self.weights), self.info, self.colour)
        return torch.stack(as_list(parts))


COMPILED = """
import torch
from tests.runtime.bank.test_bank import SMALL, Bank
from dataclasses import replace
for is_complex, needs_x in ((True, False), (False, True)):
    bank = Bank(replace(SMALL, is_complex=is_complex))
    compiled = torch.compile(bank, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 3, 12, 9, requires_grad=needs_x)
    leaves = [*bank.parameters(), *([x] if needs_x else [])]
    results = [module(x) for module in (bank, compiled)]
    torch.testing.assert_close(*results)
    torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), leaves) for y in results))
from wavetwin.runtime.bank.compiled import mixed_packets_op, pack_info
from tests.runtime.bank.test_bank import tensors
info = replace(SMALL, is_complex=True)
x, weights, colour = tensors(info, (9, 8), torch.float32)
flat = torch.cat([weight.flatten() for weight in weights]).requires_grad_()
arguments = (x, flat, colour.requires_grad_(), info.filters, *pack_info(info))
torch.library.opcheck(mixed_packets_op, arguments)
print("equal")
"""


@pytest.mark.slow  # starts torch's compiler
def test_compiled_in_one_graph():
    """In a process without the annotations that the tests execute: they cannot be traced."""
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests/support'}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMPILED],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["equal"], done.stderr[-3000:]


@pytest.mark.slow  # seconds of tracing
@pytest.mark.parametrize("is_complex", [False, True])
def test_exported(is_complex: bool):
    info = replace(SMALL, is_complex=is_complex, out_height=3)
    bank = Bank(info)
    x = torch.randn(2, 3, 10, 9, generator=torch.Generator().manual_seed(0))
    build_layout.cache_clear()
    program = torch.export.export(bank, (x,), dynamic_shapes={"x": {0: torch.export.Dim("batch")}})
    operations = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not any("wavetwin" in name for name in operations)
    for batch in (x, x[:1]):
        torch.testing.assert_close(program.module()(batch), bank(batch))
