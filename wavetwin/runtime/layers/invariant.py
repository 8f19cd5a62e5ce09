"""Mix smoothed moduli of dual-tree wavelets by learned weights: the learnable ScatterNet's layer."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.ir.mixings import MIXINGS, Mixing
from wavetwin.ir.operations import NUM_BANDS
from wavetwin.runtime.bank.eager import is_eager
from wavetwin.runtime.bank.rounding import rounded_once
from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers import upsampling
from wavetwin.runtime.layers.by_kernel import ByKernel
from wavetwin.runtime.layers.constants import ConstantBuffers
from wavetwin.runtime.layers.moduli import Level1, split_moduli
from wavetwin.runtime.layers.pieces import keep_layout
from wavetwin.runtime.wavelets import dual_tree

Generators = Callable[[str], torch.Generator | None]
"""From the name of a parameter or buffer to what it draws from."""


class Invariant(ByKernel, ConstantBuffers):
    """Mixes each channel's smoothed map and six moduli with everybody's: `y = A z + b`.

    Real `(batch, channels, height, width)` to `(batch, outputs, height / 2, width / 2)`, sizes rounded
    up (an odd map repeats its last line), or with a stride of 1 up-sampled to the size of the input.
    z has 7 * channels maps: the low band of one dual-tree level, averaged in 2x2 windows, of all
    channels; then the moduli at 15, 45, 75, 105, 135 and 165 degrees, channel index band * channels +
    channel. A is 1x1 or 3x3, the latter zero padded by 1:

    | mixing | A | learned | fixed |
    |---|---|---|---|
    | `pointwise` | 1x1 | 7 C F | |
    | `shifted_impulse` | 1x1 times a 3x3 with a single 1, at any position | 7 C F | 63 C F |
    | `shifted_gaussian` | 1x1 times a Gaussian moved by up to a sample each way | 7 C F | 63 C F |
    | `random` | 1x1 times a 3x3 of Glorot's uniform law | 7 C F | 63 C F |
    | `learned` | 3x3 | 63 C F | |
    | `dct` | three 1x1 times the mean, horizontal and vertical differences of 3x3 | 21 C F | 27 |

    Fixed kernels of the three options that draw them are one for each output and each of the 7 C maps;
    they are in the state dict. `shifted_gaussian` has all kernels of an output together of norm 1, so
    that their gain depends on the number of channels.

    Source: Cotter and Kingsbury 2019, arXiv:1903.03137; Cotter's thesis, 2020, chapter 5. Where its
    text and its program differ, this does what the program did.

    Args:
        channels: of the input.
        outputs: maps.
        mixing: a name of `wavetwin.ir.mixings.MIXINGS`.
        stride: 2, or 1 for a bilinear up-sampling after the mixing.
        bias: whether every output has a bias.
        gain: of the initial weights, uniform between -r and r, r = gain * sqrt(6 / ((7 * channels +
            outputs) * kernel area)), the area of `dct` being 1; None: 1.5, or 1 for `dct`.
        smoothing: of the modulus: sqrt(|z|^2 + smoothing^2) - smoothing; 0 has gradient 0 at 0.
        level1: filters, a name of `wavetwin.ir.level1_taps.LEVEL1_FILTERS`.
        mode: of the border, a name of `wavetwin.ir.wavelets.BOUNDARY_MODES`; published are symmetric
            and zero.

    Raises:
        ValueError: an argument is out of range.
    """

    filters: Tensor
    kernels: Tensor
    bias: nn.Parameter | None

    def __init__(
        self,
        channels: int,
        outputs: int,
        mixing: str = "pointwise",
        stride: int = 2,
        bias: bool = True,
        gain: float | None = None,
        smoothing: float = 1e-2,
        level1: str = "near_sym_a",
        mode: str = "symmetric",
    ) -> None:
        super().__init__()
        if mixing not in MIXINGS:
            raise ValueError(f"mixing {mixing!r}: one of {', '.join(MIXINGS)}")
        if stride not in (1, 2):
            raise ValueError(f"stride {stride}: 1 or 2")
        if channels < 1 or outputs < 1:
            raise ValueError(f"{channels} channels, {outputs} outputs: 1 or more are needed")
        self.channels = channels
        self.outputs = outputs
        self.mixing = mixing
        self.stride = stride
        self.gain = gain
        self.level = Level1(level1, mode, smoothing)
        self.register_constant("filters", dual_tree.level1_filters(level1)[0])
        self.weight = nn.Parameter(torch.empty(self._row.weight_shape(self.inputs, outputs)))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        shape = self._row.kernel_shape(self.inputs, outputs)
        if self._row.fixed == "drawn":
            assert shape is not None
            self.register_buffer("kernels", torch.empty(shape))
        elif shape is not None:
            self.register_constant("kernels", cosine_kernels())
        self.reset_parameters()

    @property
    def _row(self) -> Mixing:
        return MIXINGS[self.mixing]

    @property
    def inputs(self) -> int:
        """Maps that are mixed."""
        return NUM_BANDS * self.channels

    def reset_parameters(self, generators: Generators = lambda name: None) -> None:
        """Draw the weights and, where they are drawn, the fixed kernels; set the biases to 0.

        Args:
            generators: from the name of a parameter or buffer to what it draws from, in float32; None
                for torch's default one.
        """
        bound = self._row.bound(self.inputs, self.outputs, self.gain)
        with torch.no_grad():
            if not self.weight.is_meta:
                self.weight.copy_(_uniform(self.weight, bound, generators("weight")))
            if self.bias is not None:
                self.bias.zero_()
            if self._row.fixed == "drawn" and not self.kernels.is_meta:
                draw = _DRAWN[self.mixing]
                self.kernels.copy_(draw(self.outputs, self.inputs, generators("kernels")))

    def kernel(self) -> Float[Tensor, "outputs inputs size size"]:
        """Return the weights that the moduli are convolved with."""
        if self._row.fixed == "none":
            return self.weight
        if self._row.fixed == "drawn":
            return self.weight * self.kernels
        return (self.weight * self.kernels[:, None, None]).sum(0)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch outputs out_height out_width"]:
        """Return the mixed maps."""
        moduli = rounded_once(self._split, x, self.filters).flatten(1, 2)
        y = self._mix(moduli, self.kernel())
        if self.stride == 1:
            y = upsampling.double(y, x.shape[2], x.shape[3])
        return keep_layout(x, y)

    def _mix(self, moduli: Tensor, kernel: Tensor) -> Tensor:
        if not self._mixes_pixels(moduli, kernel):
            return F.conv2d(moduli, kernel, self.bias, padding=kernel.shape[2] // 2)
        pixels = moduli.flatten(2)
        weights = kernel.flatten(1).expand(len(pixels), -1, -1)
        if self.bias is None:
            mixed = torch.bmm(weights, pixels)
        else:
            mixed = torch.baddbmm(self.bias[:, None], weights, pixels)
        return mixed.unflatten(2, moduli.shape[2:])

    def _mixes_pixels(self, moduli: Tensor, kernel: Tensor) -> bool:
        """Return whether products of matrices are to be taken, twice as fast on a CPU as torch's convolution."""
        return (
            self.native
            and kernel.shape[2] == 1
            and moduli.device.type == "cpu"
            and is_eager()
            and not torch.is_autocast_enabled("cpu")
        )

    def _split(self, x: Tensor, filters: Tensor) -> Tensor:
        return split_moduli(x, filters, self.level, self.native)

    def extra_repr(self) -> str:
        """Return what the constructor was given."""
        return (
            f"{self.channels}, {self.outputs}, {self.mixing}, stride={self.stride}, "
            f"bias={self.bias is not None}, smoothing={self.level.bias}, {self.level.filters}, "
            f"mode={self.level.mode!r}"
        )


def cosine_kernels() -> Float[Tensor, "3 3 3"]:
    """Return the mean, the horizontal and the vertical difference, each of norm 1, float64."""
    flat = torch.full((3,), 3**-0.5, dtype=torch.float64, device="cpu")
    slope = torch.tensor((0.5**0.5, 0.0, -(0.5**0.5)), dtype=torch.float64, device="cpu")
    return torch.stack((flat.outer(flat), flat.outer(slope), slope.outer(flat)))


def _uniform(like: Tensor, bound: float, generator: torch.Generator | None) -> Tensor:
    device = like.device if generator is None else generator.device
    values = torch.empty(like.shape, dtype=torch.float32, device=device)
    return values.uniform_(-bound, bound, generator=generator)


def _impulses(outputs: int, inputs: int, generator: torch.Generator | None) -> Tensor:
    """Return kernels with a single 1, at all nine positions with one probability."""
    positions = torch.randint(9, (outputs, inputs), generator=generator, device=_device(generator))
    return F.one_hot(positions, 9).view(outputs, inputs, 3, 3)


def _gaussians(outputs: int, inputs: int, generator: torch.Generator | None) -> Tensor:
    """Return exp(-x^2) moved by -1, 0 or 1 each way, all kernels of an output together of norm 1."""
    shifts = torch.randint(3, (2, outputs, inputs), generator=generator, device=_device(generator))
    moved = torch.tensor(
        [[math.exp(-((at - shift) ** 2)) for at in (-1, 0, 1)] for shift in (-1, 0, 1)],
        device=shifts.device,
    )
    kernels = moved[shifts[0]].unsqueeze(3) * moved[shifts[1]].unsqueeze(2)
    return kernels / kernels.square().sum((1, 2, 3), keepdim=True).sqrt()


def _glorot(outputs: int, inputs: int, generator: torch.Generator | None) -> Tensor:
    """Return kernels of Glorot's uniform law, as of a 3x3 convolution."""
    bound = math.sqrt(6 / (9 * (inputs + outputs)))
    shape = (outputs, inputs, 3, 3)
    return torch.empty(shape, dtype=torch.float32, device=_device(generator)).uniform_(
        -bound, bound, generator=generator
    )


def _device(generator: torch.Generator | None) -> torch.device:
    return torch.get_default_device() if generator is None else generator.device


_DRAWN: dict[str, Callable[[int, int, torch.Generator | None], Tensor]] = {
    "shifted_impulse": _impulses,
    "shifted_gaussian": _gaussians,
    "random": _glorot,
}
assert list(_DRAWN) == [row.name for row in MIXINGS.values() if row.fixed == "drawn"]
