"""Pooling a few images at a time, at the kept positions only, is pooling written plainly."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tests.support.naive_pooling import EverywhereBlur, PlainBlur, PlainMaxBlur
from tests.support.paths import ROOT
from wavetwin.runtime.layers import pieces
from wavetwin.runtime.layers.adaptive_blur import AdaptiveBlur
from wavetwin.runtime.layers.blur import BlurPool, adjoint_blur, blur_at_kept
from wavetwin.runtime.layers.max_blur import MaxBlurPool

LAYOUTS = {"first": torch.contiguous_format, "last": torch.channels_last}
WINDOWS = [(3, 1), (3, 0), (2, 0), (2, 1), (5, 2), (1, 0)]
SHAPES = [(11, 14), (14, 11), (12, 16)]
EXACT = {torch.float64: 1e-13, torch.float32: 1e-6}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small maps are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _seed(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    # What is made for large maps, tried on small ones.
    monkeypatch.setattr(pieces, "SMALL_BYTES", 0)


@pytest.fixture(params=["whole", "pieces", "small"])
def _images_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Five images are one piece, or several, the last of them smaller; or too small to matter."""
    if request.param == "small":
        monkeypatch.setattr(pieces, "SMALL_BYTES", 1 << 40)
    if request.param == "pieces":
        monkeypatch.setattr(pieces, "PIECE_BYTES", 1)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


in_pieces = pytest.mark.usefixtures("_images_at_once")


def _maps(*shape: int, layout: str = "first", dtype: torch.dtype = torch.float64) -> Tensor:
    """Return seeded maps with many equal values, zeros above all."""
    maps = (2 * torch.randn(shape, dtype=dtype)).round() / 2
    return maps.relu().contiguous(memory_format=LAYOUTS[layout])


def _layout(x: Tensor) -> str:
    return "first" if x.is_contiguous() else "last"


def _derivatives(layer: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the output and the derivatives of a random combination of it."""
    leaf = x.clone().requires_grad_()
    output = layer(leaf)
    along = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    gradients = torch.autograd.grad(output, [leaf, *layer.parameters()], along)
    return output.detach(), list(gradients)


def _assert_same(layer: nn.Module, plain: nn.Module, x: Tensor) -> None:
    """Compare values, derivatives and memory layout."""
    tolerance = EXACT[x.dtype]
    expected, expected_gradients = _derivatives(plain, x)
    output, gradients = _derivatives(layer, x)
    assert output.dtype == x.dtype
    for value in (output, gradients[0]):
        assert _layout(value) == _layout(x)
    for value, wanted in zip((output, *gradients), (expected, *expected_gradients), strict=True):
        scale = max(1.0, float(wanted.abs().max()))
        assert float((value - wanted).abs().max()) <= tolerance * scale
    with torch.inference_mode():
        assert torch.equal(layer(x), layer(x.clone()))


@in_pieces
@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window", WINDOWS)
def test_max_and_blur_are_the_plain_layers(
    window: tuple[int, int], layout: str, dtype: torch.dtype
):
    for size, shape in zip((2, 3, 4, 5, 6, 7), 2 * SHAPES, strict=True):
        x = _maps(5, 4, *shape, layout=layout, dtype=dtype)
        plain = PlainMaxBlur(4, *window, size)
        _assert_same(MaxBlurPool(*window, size).to(dtype), plain, x)


@in_pieces
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_blur_is_the_plain_layer(stride: int, layout: str):
    for size in range(2, 8):
        x = _maps(5, 3, *SHAPES[size % 3], layout=layout)
        _assert_same(BlurPool(size, stride).double(), PlainBlur(3, size, stride), x)


@in_pieces
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("unfolds", [True, False], ids=["unfolded", "by tap"])
@pytest.mark.parametrize("is_training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("normalise", ["joint", "per_group"])
def test_adaptive_blur_is_computed_everywhere_and_subsampled(
    normalise: str, is_training: bool, unfolds: bool, layout: str
):
    for size, stride, (dtype, tolerance) in (
        (3, 2, (torch.float64, 1e-13)),
        (2, 2, (torch.float64, 1e-13)),
        (4, 3, (torch.float64, 1e-13)),
        (3, 2, (torch.float32, 1e-6)),
    ):
        layer, plain = _adaptive_blurs(size, stride, normalise, unfolds, dtype)
        layer.train(is_training)
        plain.train(is_training)
        x = _maps(5, 6, 11, 14, layout=layout, dtype=dtype)
        expected, expected_gradients = _derivatives(plain, x)
        output, gradients = _derivatives(layer, x)
        assert _layout(output) == layout
        assert float((output - expected).abs().max()) <= tolerance * float(expected.abs().max())
        # Sums over all pixels, of either sign.
        largest = max(float(g.abs().max()) for g in expected_gradients)
        for value, wanted in zip(gradients, expected_gradients, strict=True):
            assert float((value - wanted).abs().max()) <= 10 * tolerance * largest
        for name, value in layer.norm.state_dict().items():
            torch.testing.assert_close(value, plain.norm.state_dict()[name])
        with torch.no_grad():
            again = layer.eval()(x)
            wanted = plain.eval()(x)
        assert float((again - wanted).abs().max()) <= tolerance * float(wanted.abs().max())


def _adaptive_blurs(
    size: int, stride: int, normalise: str, unfolds: bool, dtype: torch.dtype
) -> tuple[AdaptiveBlur, EverywhereBlur]:
    layer = AdaptiveBlur(6, size, stride, 2, normalise).to(dtype)
    with torch.no_grad():
        for value in (layer.norm.running_mean, layer.norm.bias):
            assert value is not None
            value.normal_()
        for value in (layer.norm.running_var, layer.norm.weight):
            assert value is not None
            value.uniform_(0.5, 2)
    plain = EverywhereBlur(6, size, stride, 2, normalise, unfolds=unfolds).to(dtype)
    plain.load_state_dict(layer.state_dict())
    return layer, plain


def test_the_adjoint_of_the_blur():
    for size in range(2, 8):
        for stride, shape in zip((1, 2, 3), SHAPES, strict=True):
            taps = torch.rand(size, dtype=torch.float64)
            x = torch.randn(2, 3, *shape, dtype=torch.float64)
            blurred = blur_at_kept(x, taps, stride)
            y = torch.randn_like(blurred)
            torch.testing.assert_close(
                (blurred * y).sum(), (x * adjoint_blur(y, taps, stride, *shape)).sum()
            )


LAYERS = {
    "max and blur": lambda: MaxBlurPool(3, 1, 3),
    "max without padding, blur 4": lambda: MaxBlurPool(2, 0, 4),
    "blur": lambda: BlurPool(3),
    "adaptive blur": lambda: AdaptiveBlur(4, groups=2),
    "adaptive blur, fixed": lambda: AdaptiveBlur(4, 2, groups=2, normalise="per_group").eval(),
}


@in_pieces
@pytest.mark.parametrize("name", LAYERS)
def test_first_and_second_derivatives(name: str):
    layer = LAYERS[name]().double()
    names = [parameter for parameter, _ in layer.named_parameters()]
    x = torch.randn(3, 4, 5, 4, dtype=torch.float64, requires_grad=True)
    leaves = (x, *(p.detach().clone().requires_grad_() for p in layer.parameters()))

    def function(x: Tensor, *values: Tensor) -> Tensor:
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, parameters, (x,))

    assert torch.autograd.gradcheck(function, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_transformations_of_torch_func(name: str):
    layer = LAYERS[name]().double().eval().requires_grad_(False)
    x = torch.randn(2, 3, 4, 6, 5, dtype=torch.float64)
    expected = torch.stack([layer(part) for part in x])
    torch.testing.assert_close(torch.func.vmap(layer)(x), expected)
    along = torch.randn_like(x[0])
    forward = torch.func.jvp(layer, (x[0],), (along,))[1]
    leaf = x[0].clone().requires_grad_()
    output = layer(leaf)
    (backward,) = torch.autograd.grad(output, leaf, torch.ones_like(output))
    torch.testing.assert_close(forward.sum(), (backward * along).sum())


def test_nothing_needless_is_kept_for_the_backward():
    x = _maps(5, 4, 12, 16)
    for layer, kept in (
        (MaxBlurPool().double(), {x.untyped_storage().data_ptr(): x.nbytes}),
        (BlurPool().double(), {}),
    ):
        saved: dict[int, int] = {}

        def note(tensor: Tensor, saved: dict[int, int] = saved) -> Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        leaf = x.detach().requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            layer(leaf)
        taps = layer.get_buffer("blur.taps" if isinstance(layer, MaxBlurPool) else "taps")
        assert saved == {**kept, taps.data_ptr(): taps.nbytes}


def test_kernels_are_predicted_at_kept_positions_in_evaluation():
    layer = AdaptiveBlur(8, groups=2)
    x = torch.randn(2, 8, 12, 16)
    macs: dict[bool, int] = {}
    for is_training in (True, False):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            layer.train(is_training)(x)
        macs[is_training] = counter.get_total_flops()
    assert macs[True] == 4 * macs[False]


@in_pieces
@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16_autocast(name: str):
    layer = LAYERS[name]()
    expected = layer(x := torch.randn(5, 4, 12, 14)).detach()
    for image in (x, x.bfloat16()):
        leaf = image.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            output = layer(leaf)
        assert float((output.detach().float() - expected).abs().max()) <= 3e-2 * float(
            expected.abs().max()
        )
        output.float().sum().backward()
        assert leaf.grad is not None
        assert leaf.grad.dtype == image.dtype
        assert bool(leaf.grad.isfinite().all())


@pytest.mark.parametrize("name", LAYERS)
def test_batches_without_images(name: str):
    layer = LAYERS[name]().eval()
    assert layer(torch.zeros(0, 4, 8, 8)).shape == (0, 4, 4, 4)


def test_what_is_out_of_range():
    for layer in (MaxBlurPool(3, 0, 3), BlurPool(5)):
        with pytest.raises(RuntimeError, match="Padding size should be less"):
            layer(
                torch.zeros(1, 2, 3, 3)
                if isinstance(layer, MaxBlurPool)
                else torch.zeros(1, 1, 2, 2)
            )
    with pytest.raises(ValueError, match="padding 2 of a window of 3"):
        MaxBlurPool(3, 2)
    with pytest.raises(ValueError, match="blur size 8"):
        MaxBlurPool(3, 1, 8)
    assert not MaxBlurPool().state_dict()


def test_a_replaced_maximum_is_called():
    layer = MaxBlurPool()
    layer.max = nn.Identity()
    x = torch.randn(1, 2, 8, 8)
    assert torch.equal(layer(x), BlurPool()(x))


TRACE = """
import torch
from wavetwin.runtime.layers.max_blur import MaxBlurPool

class Both(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.MaxPool2d(3, 1, 1), MaxBlurPool()

    def forward(self, x):
        return self.second(self.first(x))

layer = Both()
x = torch.randn(3, 4, 12, 14)
along = torch.randn(3, 4, 6, 7)

def run(function):
    leaf = x.clone().requires_grad_()
    output = function(leaf)
    return output, *torch.autograd.grad(output, leaf, along)

compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
torch.testing.assert_close(run(compiled), run(layer), rtol=1e-5, atol=1e-5)
dynamic = {name: torch.export.Dim(name, min=2 if name == "batch" else 8) for name in ("batch", "height", "width")}
program = torch.export.export(
    layer.eval(), (x,), dynamic_shapes=(dict(zip((0, 2, 3), dynamic.values())),)
)
other = torch.randn(2, 4, 9, 15)
torch.testing.assert_close(program.module()(other), layer(other))
"""


@pytest.mark.slow
def test_compiled_and_exported():
    """In a process of its own, where the annotations are not executed: they cannot be traced."""
    subprocess.run([sys.executable, "-c", TRACE], cwd=ROOT, check=True, timeout=240)
