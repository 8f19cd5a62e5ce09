"""DualTreePackets2d and its inverse: the packets that exist, at positions that lose nothing."""

import pytest
import torch
import torch.nn.functional as F

from tests.transforms.reference import image, relative_error
from wavetwin.runtime import DualTreePackets
from wavetwin.runtime.bank.filters import QSHIFT_FILTERS
from wavetwin.transforms import DualTreePackets2d, IDualTreePackets2d
from wavetwin.transforms.packets import Border


def test_packets_are_those_of_the_twins() -> None:
    """Where both are: `full` begins earlier, at 0 of the padding that both take as zeros."""
    x = image(2, 3, 20, 23)
    published = DualTreePackets(2, 2).double()
    assert torch.equal(DualTreePackets2d(2, 2, border="published").double()(x), published(x))
    full = DualTreePackets2d(2, 2)
    assert (full.offset, published.padding) == (29, 14)
    # An odd distance: the twins' packets are every second one of those at stride 1.
    every = DualTreePackets2d(2, 1).double()(x)[..., 15::2, 15::2]
    found = published(x)
    assert relative_error(every[..., : found.shape[3], : found.shape[4]].real, found.real) < 1e-12
    # Periodic packets of a map are those of the map repeated, at the twins' positions.
    x = image(1, 1, 16, 24)
    wide = DualTreePackets(2, 4).double()(x.repeat(1, 1, 5, 5))[..., 8:12, 12:18]
    periodic = DualTreePackets2d(2, 4, border="periodic").double()(x)
    assert relative_error(torch.view_as_real(periodic), torch.view_as_real(wide)) < 1e-12


def _round_trip(
    levels: int, stride: int, filters: str, border: Border, size: tuple[int, int]
) -> None:
    x = image(1, 2, *size)
    transform = DualTreePackets2d(levels, stride, filters, border).double()
    packets = transform(x)
    back = transform.inverse()(packets, size)
    assert relative_error(back, x) < 1e-12, (levels, stride, filters, border, size)
    bound = 8 * (2**levels / stride) ** 2
    energy = packets.abs().square().sum() / x.square().sum()
    assert energy.item() == pytest.approx(bound, rel=1e-12)


def test_every_size_is_reconstructed() -> None:
    for n in range(1, 34, 2):
        _round_trip(2, 4, "qshift_a", "full", (n, 34 - n))
        _round_trip(1, 2, "qshift_a", "full", (n + 1, 34 - n))
    for stride in (2, 8):
        _round_trip(3, stride, "qshift_b", "full", (9, 14))
        _round_trip(3, stride, "qshift_b", "periodic", (8, 24))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("filters", QSHIFT_FILTERS)
def test_every_depth_and_stride_is_reconstructed(filters: str) -> None:
    for levels in (1, 2, 3):
        for stride in (2**k for k in range(levels + 1)):
            for n in range(1, 34, 1 if stride == 2**levels else 8):
                _round_trip(levels, stride, filters, "full", (n, 6))
            _round_trip(levels, stride, filters, "periodic", (8, 16))
    _round_trip(4, 16, filters, "full", (20, 33))
    _round_trip(4, 16, filters, "periodic", (32, 16))


def test_derivatives_types_and_vmap() -> None:
    transform = DualTreePackets2d(1).double()
    inverse = transform.inverse()
    x = image(1, 1, 4, 5).requires_grad_()

    def product_and_back(x: torch.Tensor) -> torch.Tensor:
        real, imaginary = transform.parts(x)
        return inverse((real * imaginary, imaginary), (4, 5))

    assert torch.autograd.gradcheck(product_and_back, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(product_and_back, x, fast_mode=True)
    x = image(3, 2, 4, 6)
    back = torch.func.vmap(lambda one: inverse(transform.parts(one), (4, 6)))(x[:, None])[:, 0]
    assert relative_error(back, x) < 1e-12
    single = DualTreePackets2d(2)
    last = x.float().contiguous(memory_format=torch.channels_last)
    back = single.inverse()(single.parts(last), (4, 6))
    assert relative_error(back.double(), x) < 1e-5
    with torch.autocast("cpu", torch.bfloat16):
        narrow = single.inverse()(single.parts(last.bfloat16()), (4, 6))
    assert narrow.dtype == torch.bfloat16
    assert relative_error(narrow.double(), x) < 3e-2


def test_sizes_and_arguments() -> None:
    transform = DualTreePackets2d(2).double()
    for size in (8, 12):
        x = F.pad(image(1, 1, 5, 5), (0, size - 5, 0, size - 5))
        assert relative_error(transform.inverse()(transform(x)), x) < 1e-12
    periodic = DualTreePackets2d(2, border="periodic").double()
    x = image(1, 1, 8, 12)
    assert relative_error(periodic.inverse()(periodic(x)), x) < 1e-12
    with pytest.raises(ValueError, match="8x10 maps are no multiple of 4: use border='full'"):
        periodic(image(1, 1, 8, 10))
    with pytest.raises(ValueError, match="border 'zero': one of full, periodic, published"):
        DualTreePackets2d(2, border="zero")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="border 'published' cuts packets off"):
        IDualTreePackets2d(2, border="published")
    with pytest.raises(ValueError, match="5 levels"):
        DualTreePackets2d(5)
