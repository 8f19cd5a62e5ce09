"""Mix colours to luminance, and packets to feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavetwin.runtime.bank.shapes import Float
from wavetwin.runtime.layers.parts import Maps, map_parts
from wavetwin.runtime.layers.traced import Layer


class ColourMixing(Layer):
    """Colours to one luminance map, trainable, no bias: (batch, 3, H, W) to (batch, 1, H, W).

    Args:
        initial: one weight a colour; its length is the number of input channels.
    """

    def __init__(self, initial: Sequence[float]) -> None:
        super().__init__()
        self.initial = tuple(initial)
        self.weight = nn.Parameter(torch.empty(1, len(self.initial), 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weights to the initial ones."""
        with torch.no_grad():
            for channel, value in enumerate(self.initial):
                self.weight[:, channel] = value

    def forward(
        self, x: Float[Tensor, "batch colours height width"]
    ) -> Float[Tensor, "batch 1 height width"]:
        """Return the weighted sum of the colours."""
        return F.conv2d(x, self.weight)

    def extra_repr(self) -> str:
        """Return the initial weights."""
        return f"initial={self.initial}"


class PacketMixing(Layer, nn.ModuleList):
    """Bands of packets to feature maps: per band a grouped 1x1 convolution with real weights.

    `(batch, colours * inputs, height, width)` to `(batch, colours * outputs, height, width)`, real,
    complex or a pair; the same weights for real and imaginary part and for every colour. A bias is
    added to both parts. The bands are the module's children: `mixing[b].weight` is
    (out, in / groups, 1, 1).

    Args:
        bands: per band its number of input packets, of output maps, and of groups.
        bias: whether every output map has a bias.
        colours: channels that were transformed.
    """

    lambdas: tuple[float, ...] | None
    """Weights of the bands in the L1/Linf penalty (`wavetwin.runtime.training.losses`); None: no penalty."""

    def __init__(
        self,
        bands: Sequence[tuple[int, int, int]],
        bias: bool = False,
        colours: int = 1,
        lambdas: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 1, groups=groups, bias=bias)
            for inputs, outputs, groups in bands
        )
        self.sizes = [inputs for inputs, _, _ in bands]
        self.colours = colours
        self.lambdas = lambdas

    def tensors(self, name: str) -> list[Tensor]:
        """Return the bands' `weight` or `bias`, also where `functional_call` has other tensors.

        Raises:
            TypeError: what stands in a band's place has no such tensor.
        """
        for band, conv in enumerate(self):
            if not isinstance(getattr(conv, name, None), Tensor):
                raise TypeError(
                    f"band {band} of a packet mixing is of {type(conv).__name__}, which has no tensor "
                    f"'{name}': give it one that computes what the band computes (a property does), "
                    "or set the mixing's `lambdas` to None, so that no penalty asks for it"
                )
        return [getattr(conv, name) for conv in self]

    def forward(self, x: Maps) -> Maps:
        """Return the mixed maps, colour by colour."""
        return map_parts(self._mix, x)

    def _mix(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        if self.colours != 1:
            x = x.reshape(batch * self.colours, channels // self.colours, height, width)
        bands = x.split(self.sizes, dim=1)
        mixed = torch.cat([conv(band) for conv, band in zip(self, bands, strict=True)], dim=1)
        if self.colours == 1:
            return mixed
        return mixed.unflatten(0, (batch, self.colours)).flatten(1, 2)


class ColourMixingAfter(Layer):
    """Mixed packets of several colours to feature maps: `y[o] = sum_c weight[o, c] x[c, o]`.

    `(batch, colours * outputs, height, width)`, colour by colour, to
    `(batch, outputs, height, width)`; real, complex or a pair, the same weights for both parts.
    """

    def __init__(self, outputs: int, colours: int = 3) -> None:
        super().__init__()
        self.outputs = outputs
        self.colours = colours
        self.weight = nn.Parameter(torch.empty(outputs, colours, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as a convolution's."""
        bound = self.colours**-0.5
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Maps) -> Maps:
        """Return the mixed maps."""
        return map_parts(self._mix, x)

    def _mix(self, x: Tensor) -> Tensor:
        by_output = x.unflatten(1, (self.colours, self.outputs)).transpose(1, 2).flatten(1, 2)
        return F.conv2d(by_output, self.weight, groups=self.outputs)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.outputs}, colours={self.colours}"
