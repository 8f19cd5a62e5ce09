import itertools
import json
import math

import pytest
import torch

from tests.support.golden_weights import GOLDEN
from wavetwin.ir.packets import packet_info
from wavetwin.ir.wavelets import PYWAVELETS_LENGTHS, QSHIFT_LENGTHS
from wavetwin.ir.wavelets import equivalent_length as compiled_length
from wavetwin.ir.wavelets import padding as compiled_padding
from wavetwin.runtime.bank import filters as f

LEVELS = [1, 2, 3, 4]


def test_taps_are_the_published_ones():
    published = json.loads((GOLDEN / "filters.json").read_text(encoding="utf-8"))
    for name in f.QSHIFT_FILTERS:
        taps = f.qshift_taps(name)
        assert taps.low.tolist() == [published[name]["h0b"], published[name]["h0a"]]
        assert taps.high.tolist() == [published[name]["h1b"], published[name]["h1a"]]


def test_the_compiler_knows_the_same_filters():
    assert {name: f.qshift_taps(name).low.shape[1] for name in f.QSHIFT_FILTERS} == QSHIFT_LENGTHS
    import pywt

    discrete = set(pywt.wavelist(kind="discrete"))
    assert PYWAVELETS_LENGTHS.keys() <= discrete
    for name, length in PYWAVELETS_LENGTHS.items():
        assert pywt.Wavelet(name).dec_len == length, name


def test_unknown_filters_are_refused():
    with pytest.raises(ValueError, match="no q-shift filters 'qshift_z': one of qshift_06, "):
        f.qshift_taps("qshift_z")
    with pytest.raises(ValueError, match="no discrete wavelet 'morl'"):
        f.wavelet_taps("morl")


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize(
    ("transform", "name"), [("dtcwpt", "qshift_a"), ("dtcwpt", "qshift_d"), ("wpt", "db3")]
)
def test_lengths_and_padding_agree_with_the_compiler(transform: str, name: str, levels: int):
    bank = f.fixed_filters(transform, name, levels)
    trees = 2 if transform == "dtcwpt" else 1
    taps = (f.qshift_taps(name) if trees == 2 else f.wavelet_taps(name)).low.shape[1]
    assert bank.shape == (trees, 2**levels, f.equivalent_length(taps, levels, trees))
    assert bank.shape[2] == compiled_length(transform, levels, name)
    for k in range(levels + 1):
        expected = compiled_padding(transform, levels, name, 2**k)
        assert f.bank_padding(taps, levels, 2**k, trees) == expected


def test_padding_of_the_published_twins():
    # arXiv:2212.00394 states these.
    assert [f.bank_padding(10, 2, s, 2) for s in (2, 4)] == [14, 14]
    assert [f.bank_padding(10, 3, s, 2) for s in (2, 4, 8)] == [34, 34, 32]
    assert [f.equivalent_length(10, levels, 2) for levels in (1, 2, 3)] == [12, 30, 66]


@pytest.mark.parametrize(
    ("levels", "stride", "message"),
    [
        (0, 1, "0 levels"),
        (5, 2, "5 levels"),
        (2, 3, "stride 3"),
        (2, 8, "stride 8"),
        (2, 0, "stride 0"),
    ],
)
def test_sizes_out_of_range_are_refused(levels: int, stride: int, message: str):
    with pytest.raises(ValueError, match=message):
        f.check_bank(levels, stride)


def _cascade(name: str, tree: str, path: tuple[int, ...]) -> torch.Tensor:
    """The cascade as arXiv:2212.00394 words it, one path at a time, by polynomial products."""
    (h0b, h0a), (h1b, h1a) = (taps.tolist() for taps in f.qshift_taps(name))
    if tree == "a":
        filters = {0: ([0, 0, *h0b], "a-lo1"), 1: ([*h1b, 0, 0], "a-hi1")}
    else:
        filters = {0: ([0, *h0b, 0], "b-lo1"), 1: ([0, *(-x for x in h1b), 0], "b-hi1")}
    children = {
        "a-lo1": ("a-lo", "a-hi"),
        "a-hi1": ("b-lo", "b-hi"),
        "b-lo1": ("b-lo", "b-hi"),
        "b-hi1": ("a-lo", "a-hi"),
        "a-lo": ("a-lo", "a-hi"),
        "b-lo": ("b-lo", "b-hi"),
        **dict.fromkeys(("a-hi", "b-hi", "p-lo", "p-hi"), ("p-lo", "p-hi")),
    }
    taps = {"a-lo": h0b, "a-hi": h1b, "b-lo": h0a, "b-hi": h1a, "p-lo": h0b, "p-hi": h1b}
    kernel, kind = filters[path[0]]
    for stage, step in enumerate(path[1:], start=1):
        kind = children[kind][step]
        product = [0.0] * (len(kernel) + (len(taps[kind]) - 1) * 2**stage)
        for i, x in enumerate(kernel):
            for k, y in enumerate(taps[kind]):
                product[i + k * 2**stage] += x * y
        kernel = product
    return torch.tensor(kernel, dtype=torch.float64)


@pytest.mark.parametrize("levels", LEVELS)
def test_equivalent_filters_are_the_cascade_of_their_stages(levels: int):
    bank = f.fixed_filters("dtcwpt", "qshift_b", levels)
    for number, path in enumerate(itertools.product((0, 1), repeat=levels)):
        for row, tree in enumerate("ab"):
            # Sums of a few products of numbers below one: rounding alone.
            torch.testing.assert_close(
                bank[row, number], _cascade("qshift_b", tree, path), rtol=0, atol=1e-14
            )


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", f.QSHIFT_FILTERS)
def test_each_tree_is_orthonormal(name: str, levels: int):
    """Perfect reconstruction: paths and their shifts by 2**levels are an orthonormal system."""
    bank = f.fixed_filters("dtcwpt", name, levels)
    step, length = 2**levels, bank.shape[2]
    for tree in bank:
        shifts = range(0, length, step)
        shifted = torch.stack([torch.nn.functional.pad(tree, (s, length - s)) for s in shifts])
        # The published taps are orthonormal to 1e-6 at best (their last digits).
        gram = torch.einsum("pn,sqn->spq", shifted[0], shifted)
        identity = torch.zeros_like(gram)
        identity[0] = torch.eye(2**levels, dtype=torch.float64)
        torch.testing.assert_close(gram, identity, rtol=0, atol=2e-6)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", f.QSHIFT_FILTERS)
def test_negative_frequencies_hold_little_energy(name: str, levels: int):
    bank = f.fixed_filters("dtcwpt", name, levels)
    spectrum = torch.fft.fft(torch.complex(bank[0], bank[1]), n=2048).abs().square()
    positive, negative = spectrum[:, 1:1024].sum(1), spectrum[:, 1025:].sum(1)
    imbalance = (positive - negative).abs() / (positive + negative)
    assert (imbalance > 0.6).all()  # arXiv:2212.00394: every packet is clear
    if levels > 1:
        # Paths that took a high-pass after the first stage are analytic but for a percent.
        inner = torch.arange(2**levels) % 2 ** (levels - 1) != 0
        assert (imbalance[inner] > 0.985).all()


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", f.QSHIFT_FILTERS)
def test_the_compilers_packet_facts_are_the_filters(name: str, levels: int):
    """Cells and signs that the compiler has from the digits alone, measured."""
    frequencies = f.packet_frequencies(levels, name) * (2**levels / math.pi)
    info = [packet_info("dtcwpt", levels, number) for number in range(2 * 4**levels)]
    vertical = torch.tensor([p.vertical_sign * (p.vertical_cell + 0.5) for p in info])
    horizontal = torch.tensor([p.horizontal_cell + 0.5 for p in info])
    # Centroids lie within half a cell of the cell's centre.
    assert (frequencies[:, 0] - vertical).abs().max() < 0.5
    assert (frequencies[:, 1] - horizontal).abs().max() < 0.5


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        # A gigabyte of kernels; each filter's own frequencies are compared above.
        pytest.param(
            name,
            levels,
            marks=[pytest.mark.slow] if levels == LEVELS[-1] and name != "qshift_a" else [],
        )
        for name in f.QSHIFT_FILTERS
        for levels in LEVELS
    ],
)
def test_kernels_keep_positive_horizontal_frequencies(name: str, levels: int):
    kernels = f.packet_kernels(levels, name)[:: {3: 5, 4: 37}.get(levels, 1)]
    spectrum = torch.fft.fft(kernels, n=512).abs().square().sum(1)
    positive, negative = spectrum[:, 1:256].sum(1), spectrum[:, 257:].sum(1)
    assert ((positive - negative) / (positive + negative) > 0.6).all()


def test_orientations_of_the_first_packets():
    orientations = f.packet_orientations(2)
    # Packets 1, 2, 19, 17, 18, 3: the six orientations of a dual-tree transform, in order.
    assert [round(v) for v in orientations[[1, 2, 3, 17, 18, 19]].tolist()] == pytest.approx(
        [-20, -70, 45, 20, 70, -45], abs=2
    )


def test_trained_filters_have_gradients():
    low, high = (taps.clone().requires_grad_() for taps in f.qshift_taps("qshift_a"))
    for levels in (1, 2):
        assert torch.autograd.gradcheck(
            lambda *taps, levels=levels: f.equivalent_filters(*taps, levels), (low, high)
        )
    assert torch.autograd.gradgradcheck(
        lambda *taps: f.equivalent_filters(*taps, 2), (low, high), fast_mode=True
    )
