"""Name the wavelet filters, with their lengths; taps are in `wavelet_taps`, packets' in the runtime."""

from __future__ import annotations

QSHIFT_LENGTHS: dict[str, int] = {
    "qshift_06": 10,
    "qshift_a": 10,
    "qshift_b": 14,
    "qshift_c": 16,
    "qshift_d": 18,
}
"""Kingsbury's q-shift filters (2001, 2003) and their numbers of taps."""

_BIORTHOGONAL = [
    "1.1",
    "1.3",
    "1.5",
    "2.2",
    "2.4",
    "2.6",
    "2.8",
    "3.1",
    "3.3",
    "3.5",
    "3.7",
    "3.9",
    "4.4",
    "5.5",
    "6.8",
]  # orders in PyWavelets


def _pywavelets_lengths() -> dict[str, int]:
    """Return PyWavelets' discrete wavelets and the lengths of their decomposition filters."""
    lengths = {"haar": 2, "dmey": 62}
    lengths |= {f"db{order}": 2 * order for order in range(1, 39)}
    lengths |= {f"sym{order}": 2 * order for order in range(2, 21)}
    lengths |= {f"coif{order}": 6 * order for order in range(1, 18)}
    for orders in _BIORTHOGONAL:
        first, second = map(int, orders.split("."))
        length = 2 * second + (0 if first == 1 else 2)
        lengths |= {f"bior{orders}": length, f"rbio{orders}": length}
    return lengths


PYWAVELETS_LENGTHS: dict[str, int] = _pywavelets_lengths()


BOUNDARY_MODES: dict[str, str] = {
    "zero": "Zeros.",
    "constant": "The outermost sample, again and again.",
    "symmetric": "The map mirrored, its border twice.",
    "periodic": "The map again.",
    "smooth": "A line through the two outermost samples.",
    "periodization": "The map again, with the smallest number of coefficients.",
    "reflect": "The map mirrored, its border once.",
    "antisymmetric": "The map mirrored with its sign changed, its border twice.",
    "antireflect": "The map turned about its outermost sample.",
}
"""How a map goes on beyond its border, by PyWavelets' names. All give (n + taps - 1) // 2 samples of n
in each band, `periodization` alone ceil(n / 2)."""


def known_filters(transform: str) -> tuple[str, ...]:
    """Return the filters' names that a transform takes."""
    return tuple(QSHIFT_LENGTHS if transform == "dtcwpt" else PYWAVELETS_LENGTHS)


def filter_length(transform: str, name: str) -> int:
    """Return the number of taps.

    Raises:
        KeyError: the transform has no such filters.
    """
    return (QSHIFT_LENGTHS if transform == "dtcwpt" else PYWAVELETS_LENGTHS)[name]


def equivalent_length(transform: str, levels: int, name: str) -> int:
    """Return the length of a packet's equivalent one-dimensional filter (arXiv:2212.00394)."""
    taps = filter_length(transform, name)
    first = taps + 2 if transform == "dtcwpt" else taps
    return first + (taps - 1) * (2**levels - 2)


def padding(transform: str, levels: int, name: str, stride: int) -> int:
    """Return the zeros added on each side of the image (arXiv:2212.00394).

    Raises:
        ValueError: the stride is not a power of two.
    """
    if stride < 1 or stride & (stride - 1):
        raise ValueError(f"stride {stride} is not a power of two")
    taps = filter_length(transform, name)
    strided_stages = stride.bit_length() - 1
    total, step, dilation = 0, 1, 1
    for stage in range(levels):
        length = taps + 2 if stage == 0 and transform == "dtcwpt" else taps
        stage_stride = 2 if stage < strided_stages else 1
        total += step * (dilation * (length - 1) + 1 - stage_stride + 1)
        step *= stage_stride
        if stage_stride == 1:
            dilation *= 2
    return total // 2 // 2 * 2


def output_size(size: int, transform: str, levels: int, name: str, stride: int) -> int:
    """Return the height or width of the packets of an image of this height or width."""
    length = equivalent_length(transform, levels, name)
    return (size + 2 * padding(transform, levels, name, stride) - length) // stride + 1
