"""Give the filters of the packet transforms: taps, equivalent filters of cascades, what they select.

Everything here is float64 on the CPU, whatever the default type and device, except where taps are
handed in. Filtering is torch's cross-correlation: no filter is reversed. Sources: Kingsbury 2001
(doi:10.1006/acha.2000.0343) and 2003 for the q-shift taps; Bayram and Selesnick 2008
(doi:10.1109/TSP.2007.916129) for the dual-tree packets; the published twins (arXiv:2212.00394) for the node types.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from wavetwin.ir import wavelet_taps as ir_taps
from wavetwin.runtime.bank.shapes import Complex, Float

MAX_LEVELS = 4

_QSHIFT_DUAL_LOW_PASS: dict[str, tuple[float, ...]] = {
    "qshift_06": (
        0.03516383657149474,
        0.0,
        -0.08832942445107285,
        0.23389032060723564,
        0.7602723690661257,
        0.5875182977235605,
        0.0,
        -0.11430183714424873,
        0.0,
        0.0,
    ),
    "qshift_a": (
        0.051130405283831656,
        -0.013975370246888838,
        -0.10983605166597087,
        0.26383956105893763,
        0.7666284677930372,
        0.5636557101270515,
        0.0008736226952170968,
        -0.1002312195074762,
        -0.0016896812725281543,
        -0.006181881892116438,
    ),
    "qshift_b": (
        0.003253142763653182,
        -0.00388321199915849,
        0.03466034684485349,
        -0.03887280126882779,
        -0.11720388769911527,
        0.27529538466888204,
        0.7561456438925225,
        0.5688104207121227,
        0.011866092033797,
        -0.1067118046866654,
        0.023825384794920298,
        0.01702522388155399,
        -0.005439475937274115,
        -0.004556895628475491,
    ),
    "qshift_c": (
        -0.0047616119384559135,
        -0.00044602278926228516,
        -7.144197327965012e-05,
        0.034914612306842195,
        -0.03727389579989796,
        -0.11591145742744076,
        0.2763686431330317,
        0.7563937651990367,
        0.567134484100133,
        0.01463740596447335,
        -0.11255888425752203,
        0.02228926326692271,
        0.018498682724156248,
        -0.0072026778782583465,
        -0.0002276522058977718,
        0.002430349945148675,
    ),
    "qshift_d": (
        -0.002284127440270531,
        0.0012098941630734423,
        -0.011834794515430786,
        0.0012834569993443994,
        0.044365221606616996,
        -0.05327610880304726,
        -0.1133058863621428,
        0.2809028632221865,
        0.7528160380878561,
        0.5658080673964587,
        0.024550152433666563,
        -0.12018854471079482,
        0.018156493945546453,
        0.03152637712208465,
        -0.006628794612430063,
        -0.0025761743066007948,
        0.0012775586538069982,
        0.002411869456666278,
    ),
}
"""Dual low-pass taps, `h0a` in the dtcwt package's naming, as published. The other three filters of
a set follow from them: the primal low-pass is the reverse, each high-pass its tree's quadrature
mirror. All of them sum to sqrt(2)."""

QSHIFT_FILTERS: tuple[str, ...] = tuple(_QSHIFT_DUAL_LOW_PASS)
"""Names that the dual-tree transform takes."""


class Taps(NamedTuple):
    """Analysis taps of every tree, float64: row 0 of the primal tree, row 1 of the dual."""

    low: Float[Tensor, "trees taps"]
    high: Float[Tensor, "trees taps"]


def qshift_taps(name: str) -> Taps:
    """Return the taps of both trees, (2, n): `h0b`, `h0a` and `h1b`, `h1a` of the dtcwt package.

    Raises:
        ValueError: there are no q-shift filters of this name.
    """
    if name not in _QSHIFT_DUAL_LOW_PASS:
        raise ValueError(f"no q-shift filters {name!r}: one of {', '.join(QSHIFT_FILTERS)}")
    dual = torch.tensor(_QSHIFT_DUAL_LOW_PASS[name], dtype=torch.float64, device="cpu")
    primal = dual.flip(0)
    signs = torch.ones_like(dual)
    signs[1::2] = -1
    dual_high = primal * signs
    return Taps(torch.stack((primal, dual)), torch.stack((dual_high.flip(0), dual_high)))


def wavelet_taps(name: str) -> Taps:
    """Return the decomposition filters of a wavelet by PyWavelets' name, (1, n).

    Raises:
        ValueError: there is no discrete wavelet of this name.
    """
    published = ir_taps.wavelet_taps(name)
    low, high = (
        torch.tensor([taps], dtype=torch.float64, device="cpu")
        for taps in (published.analysis_low, published.analysis_high)
    )
    return Taps(low, high)


def equivalent_length(num_taps: int, levels: int, num_trees: int) -> int:
    """Return the taps of a packet's equivalent filter; two trees add two taps to the first stage."""
    first = num_taps + 2 if num_trees == 2 else num_taps
    return first + (num_taps - 1) * (2**levels - 2)


def bank_padding(num_taps: int, levels: int, stride: int, num_trees: int) -> int:
    """Return the zeros on each side of the image, from the reference's rule (arXiv:2212.00394).

    Raises:
        ValueError: `levels` or `stride` is out of range (see `check_bank`).
    """
    check_bank(levels, stride)
    strided_stages = stride.bit_length() - 1
    total, step, dilation = 0, 1, 1
    for stage in range(levels):
        length = num_taps + 2 if stage == 0 and num_trees == 2 else num_taps
        stage_stride = 2 if stage < strided_stages else 1
        total += step * (dilation * (length - 1) + 1 - stage_stride + 1)
        step *= stage_stride
        dilation *= 3 - stage_stride
    return total // 2 // 2 * 2


def check_bank(levels: int, stride: int) -> None:
    """Check the sizes of a packet bank.

    Raises:
        ValueError: `levels` is not 1 to 4, or `stride` not a power of two up to 2**levels.
    """
    if not 1 <= levels <= MAX_LEVELS:
        raise ValueError(f"{levels} levels: 1 to {MAX_LEVELS} are supported")
    if stride < 1 or stride & (stride - 1) or stride > 2**levels:
        raise ValueError(f"stride {stride}: a power of two up to 2**levels = {2**levels} is needed")


def equivalent_filters(
    low: Float[Tensor, "trees taps"], high: Float[Tensor, "trees taps"], levels: int
) -> Float[Tensor, "trees paths length"]:
    """Return the one-dimensional filter of every path of every tree, differentiable in the taps.

    Two trees: the dual-tree cascade, whose first stage takes the primal filters in both trees, one
    sample apart, and whose later stages take the primal or the dual pair as the node's type says.
    One tree: the plain packet cascade. The number of a path has its steps as binary digits, the
    first stage's first, 1 the high-pass.
    """
    num_trees, num_taps = low.shape
    if num_trees == 2:
        bank = torch.stack(
            (
                F.pad(low[0], (2, 0)),
                F.pad(high[0], (0, 2)),
                F.pad(low[0], (1, 1)),
                F.pad(-high[0], (1, 1)),
            )
        )
        children = ["primal", "dual", "dual", "primal"]
    else:
        bank = torch.cat((low, high))
        children = ["only", "only"]
    for stage in range(1, levels):
        dilation = 2**stage
        taps: list[Tensor] = []
        grandchildren: list[str] = []
        for kind in children:
            row = 1 if kind == "dual" else 0
            taps += [low[row], high[row]]
            # Below a high-pass of a later stage both trees go on with the primal pair.
            grandchildren += [kind, kind if kind == "only" else "primal_for_good"]
        children = grandchildren
        bank = F.conv1d(
            bank.repeat_interleave(2, dim=0),
            torch.stack(taps).flip(1).unsqueeze(1),
            padding=(num_taps - 1) * dilation,
            dilation=dilation,
            groups=len(taps),
        )
    return bank.reshape(num_trees, 2**levels, -1)


@functools.cache
def fixed_filters(transform: str, name: str, levels: int) -> Float[Tensor, "trees paths length"]:
    """Return the equivalent filters of named taps, float64; shared, not to be written to.

    Args:
        transform: `dtcwpt` (q-shift names) or `wpt` (PyWavelets names).
        name: the filters.
        levels: stages of the cascade.
    """
    with torch.device("cpu"), torch.inference_mode(False), torch.no_grad():
        taps = qshift_taps(name) if transform == "dtcwpt" else wavelet_taps(name)
        return equivalent_filters(taps.low, taps.high, levels)


def analytic_signs(filters: Float[Tensor, "2 paths length"]) -> Float[Tensor, " paths"]:
    """Return per path the sign of the frequencies where `f_a + i f_b` has most of its energy.

    Measured on the DFT of the kernel, not reversed, without frequency 0 and the highest one.
    """
    spectrum = _energy(torch.complex(filters[0], filters[1]))
    half = spectrum.shape[-1] // 2
    positive, negative = spectrum[:, 1:half].sum(1), spectrum[:, half + 1 :].sum(1)
    return torch.where(positive >= negative, 1.0, -1.0).to(torch.float64)


def conjugation_signs(filters: Float[Tensor, "2 paths length"]) -> Float[Tensor, " packets"]:
    """Return what each packet's imaginary part is multiplied by, +1 or -1, in packet order.

    -1 where the packet's kernel has most of its energy at negative horizontal frequencies.
    """
    horizontal = packet_paths(round(math.log2(filters.shape[1])))[1]
    first_half = analytic_signs(filters)[horizontal]
    return torch.cat((first_half, -first_half))


def packet_paths(levels: int) -> tuple[Tensor, Tensor]:
    """Return the vertical and the horizontal path number of each of the 4**levels packets of a half.

    A packet's number has base-4 digits, the first stage's first: 2 * vertical bit + horizontal bit.
    """
    packet = torch.arange(4**levels, device="cpu")
    vertical, horizontal = torch.zeros_like(packet), torch.zeros_like(packet)
    for stage in range(levels):
        vertical |= (packet >> (2 * stage + 1) & 1) << stage
        horizontal |= (packet >> 2 * stage & 1) << stage
    return vertical, horizontal


def packet_kernels(
    levels: int, filters: str = "qshift_a"
) -> Complex[Tensor, "packets height width"]:
    """Return the 2-D correlation kernel of every dual-tree packet, complex128, in packet order.

    `conv2d` of a padded image with a kernel's real and imaginary parts gives the packet's.
    """
    bank = fixed_filters("dtcwpt", filters, levels)
    return kernels_of_bank(bank, conjugation_signs(bank))


def kernels_of_bank(
    bank: Float[Tensor, "trees paths length"], signs: Float[Tensor, " packets"] | None
) -> Tensor:
    """Return the 2-D correlation kernel of every packet, (packets, height, width), in packet order.

    Differentiable in the filters.

    Args:
        bank: equivalent filters; two trees give complex kernels, one tree real ones.
        signs: what the imaginary parts are multiplied by; None for one tree.
    """
    vertical, horizontal = packet_paths(round(math.log2(bank.shape[1])))
    if signs is None:
        return torch.einsum("py,px->pyx", bank[0, vertical], bank[0, horizontal])
    rows = torch.complex(bank[0], bank[1])
    halves = [
        torch.einsum("py,px->pyx", rows[vertical], columns[horizontal])
        for columns in (rows, rows.conj())
    ]
    kernels = torch.cat(halves)
    return torch.complex(kernels.real, kernels.imag * signs[:, None, None])


def packet_frequencies(levels: int, filters: str = "qshift_a") -> Float[Tensor, "packets 2"]:
    """Return every dual-tree packet's centre, (vertical, horizontal) in radians per sample.

    Measured: the centroid of each one-dimensional filter's energy over the half axis that the packet
    keeps, so that the horizontal frequency is between 0 and pi and the vertical between -pi and pi.
    """
    bank = fixed_filters("dtcwpt", filters, levels)
    signs = analytic_signs(bank)
    spectrum = _energy(torch.complex(bank[0], bank[1] * signs[:, None]))
    half = spectrum.shape[-1] // 2
    kept = spectrum[:, 1:half]
    steps = torch.arange(1, half, dtype=torch.float64, device="cpu") * (math.pi / half)
    centre = (kept * steps).sum(1) / kept.sum(1)
    vertical, horizontal = packet_paths(levels)
    relative = signs[vertical] * signs[horizontal]
    return torch.stack(
        (
            torch.cat((relative, -relative)) * centre[vertical].repeat(2),
            centre[horizontal].repeat(2),
        ),
        dim=1,
    )


def packet_orientations(levels: int, filters: str = "qshift_a") -> Float[Tensor, " packets"]:
    """Return the direction of every dual-tree packet's wave vector in degrees, -90 to 90.

    0 for waves that travel along the rows; positive where the phase grows down and to the right.
    """
    frequencies = packet_frequencies(levels, filters)
    return torch.rad2deg(torch.atan2(frequencies[:, 0], frequencies[:, 1]))


def _energy(kernels: Complex[Tensor, "kernels length"]) -> Float[Tensor, "kernels points"]:
    """Return |DFT|^2 on at least four points a tap."""
    points = 2 ** math.ceil(math.log2(4 * kernels.shape[-1]))
    return torch.fft.fft(kernels, n=points).abs().square()
