import pytest

from wavetwin.ir.packets import dyadic_band, excluded, num_packets, packet_info
from wavetwin.ir.wavelets import (
    PYWAVELETS_LENGTHS,
    QSHIFT_LENGTHS,
    equivalent_length,
    output_size,
    padding,
)

# Bands as arXiv:2212.00394 prints them, from the published models.
ALEXNET_BANDS = (
    "1 2 67 65 66 3",
    "4 5 70 71 8 10 73 75 76 77 78 79 6 7 68 69 9 11 72 74 12 13 14 15",
    "17 18 20 21 24 26 80 83 86 87 89 91 92 93 94 95 33 34 36 37 40 42 96 99 102 103 105 107 108 "
    "109 110 111 16 19 22 23 25 27 28 29 30 31 81 82 84 85 88 90 32 35 38 39 41 43 44 45 46 47 97 "
    "98 100 101 104 106",
)
RESNET_BANDS = (
    "1 2 19 17 18 3",
    "5 6 20 23 9 10 24 27 13 14 28 31 4 7 21 22 8 11 25 26 12 15 29 30",
)
RESNET_WITHOUT_EDGES = "1 2 19 17 18 3 5 23 10 27 31 7 21 11 26 15"


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


@pytest.mark.parametrize("band", [1, 2, 3])
def test_dyadic_bands_are_the_published_alexnets(band: int) -> None:
    left_out = excluded("dtcwpt", 3, ("lowpass", "diagonal"))
    kept = tuple(number for number in dyadic_band("dtcwpt", 3, band) if number not in left_out)
    assert kept == numbers(ALEXNET_BANDS[band - 1])


@pytest.mark.parametrize("band", [1, 2])
def test_dyadic_bands_are_the_published_resnets(band: int) -> None:
    assert dyadic_band("dtcwpt", 2, band) == numbers(RESNET_BANDS[band - 1])


def test_edges_are_the_fourteen_that_the_published_resnets_leave_out() -> None:
    edges = excluded("dtcwpt", 2, ("edges",))
    assert len(edges) == 14
    rest = set(range(32)) - edges - excluded("dtcwpt", 2, ("lowpass",))
    assert rest == set(numbers(RESNET_WITHOUT_EDGES))


@pytest.mark.parametrize("transform", ["dtcwpt", "wpt"])
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_bands_and_lowpass_are_all_packets_once(transform: str, levels: int) -> None:
    found = [n for band in range(1, levels + 1) for n in dyadic_band(transform, levels, band)]
    found += excluded(transform, levels, ("lowpass",))
    assert sorted(found) == list(range(num_packets(transform, levels)))


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_packets_fill_every_cell_of_the_half_plane_once(levels: int) -> None:
    cells = [
        (info.vertical_cell * info.vertical_sign, info.horizontal_cell, info.vertical_sign)
        for number in range(num_packets("dtcwpt", levels))
        for info in (packet_info("dtcwpt", levels, number),)
    ]
    assert len(set(cells)) == len(cells)


def test_packet_numbers_end() -> None:
    with pytest.raises(ValueError, match="no packet 32"):
        packet_info("dtcwpt", 2, 32)


def test_filter_lengths_are_pywavelets() -> None:
    pywt = pytest.importorskip("pywt")
    expected = {name: pywt.Wavelet(name).dec_len for name in pywt.wavelist(kind="discrete")}
    assert expected == PYWAVELETS_LENGTHS


def test_paddings_and_lengths_of_numerics_page() -> None:
    assert [equivalent_length("dtcwpt", levels, "qshift_a") for levels in (1, 2, 3)] == [12, 30, 66]
    cases = {(2, 2): 14, (2, 4): 14, (3, 2): 34, (3, 4): 34, (3, 8): 32}
    for (levels, stride), expected in cases.items():
        assert padding("dtcwpt", levels, "qshift_a", stride) == expected
    assert output_size(224, "dtcwpt", 3, "qshift_a", 4) == 57
    assert output_size(224, "dtcwpt", 2, "qshift_a", 2) == 112
    assert QSHIFT_LENGTHS["qshift_d"] == 18
    with pytest.raises(ValueError, match="power of two"):
        padding("dtcwpt", 2, "qshift_a", 3)
