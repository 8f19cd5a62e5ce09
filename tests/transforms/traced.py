"""The transforms under torch's compiler and exporter, in a process of its own.

`python -m tests.transforms.traced WHAT NAMES` where WHAT is `compile`, `inductor` or `export`; other
processes may execute annotations, which neither can trace.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from tests.transforms.reference import flat, image
from wavetwin.ir.wavelets import BOUNDARY_MODES
from wavetwin.transforms import (
    BlurPool2d,
    DTCWT2d,
    DualTreePackets2d,
    DWT2d,
    Scattering2d,
    SWT2d,
    WaveletPool2d,
)


class RoundTrip(nn.Module):
    """A transform and its inverse: coefficients and maps."""

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform
        self.inverse = transform.inverse()  # pyright: ignore[reportCallIssue]
        self.takes_size = not isinstance(transform, SWT2d)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        parts = getattr(self.transform, "parts", self.transform)(x)
        size = (x.shape[2], x.shape[3])
        maps = self.inverse(parts, size) if self.takes_size else self.inverse(parts)
        return maps, *flat(parts)


class Alone(nn.Module):
    """One of the other modules."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.module(x),)


MODULES: dict[str, Callable[[], nn.Module]] = {
    **{
        f"dwt_{mode}": lambda mode=mode: RoundTrip(DWT2d("db2", 2, mode)) for mode in BOUNDARY_MODES
    },
    "swt": lambda: RoundTrip(SWT2d("bior2.2", 2)),
    "dtcwt": lambda: RoundTrip(DTCWT2d(3)),
    "packets": lambda: RoundTrip(DualTreePackets2d(2)),
    "packets_periodic": lambda: RoundTrip(DualTreePackets2d(2, border="periodic")),
    "scattering": lambda: Alone(Scattering2d(2, 2)),
    "scattering_order_1": lambda: Alone(Scattering2d(2, 1)),
    "pool": lambda: Alone(WaveletPool2d("db2", "all", 2)),
    "pool_lattice": lambda: Alone(
        WaveletPool2d("db3", "mix", mode="symmetric", learn="lattice", channels=3)
    ),
    "pool_energy": lambda: Alone(WaveletPool2d("sym4", "energy", mode="reflect", size="full")),
    "blur": lambda: Alone(BlurPool2d(5)),
    "blur_constant": lambda: Alone(BlurPool2d(4, 3, "constant")),
}
"""Everything that must be traceable, by a name for the command line."""


class Together(nn.Module):
    """Several of them, as one graph."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.parts = nn.ModuleList([MODULES[name]() for name in names])

    def forward(self, x: Tensor) -> list[Tensor]:
        return [output for part in self.parts for output in part(x)]


def _outputs_and_gradient(function: Callable[[Tensor], list[Tensor]], x: Tensor) -> list[Tensor]:
    leaf = x.clone().requires_grad_()
    outputs = function(leaf)
    total = torch.stack([output.square().mean() for output in outputs]).sum()
    (gradient,) = torch.autograd.grad(total, leaf)
    return [*outputs, gradient]


def check_compiled(names: list[str], backend: str) -> None:
    """Compile without a graph break; outputs and gradients are those of eager mode."""
    eager = Together(names)
    compiled = torch.compile(eager, fullgraph=True, backend=backend)
    x = image(2, 3, 12, 16, dtype=torch.float32)
    for found, expected in zip(
        _outputs_and_gradient(compiled, x), _outputs_and_gradient(eager, x), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def check_exported(names: list[str]) -> None:
    """Export with batch, height and width free; one program for odd and even sizes."""
    for name in names:
        module = Together([name]).eval()
        x = image(2, 3, 12, 16, dtype=torch.float32)
        # A periodic map of packets has sizes that 4 divides: that is its program's condition.
        step = 4 if name == "packets_periodic" else 1
        free = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
        program = torch.export.export(module, (x,), dynamic_shapes=({**free},)).module()
        for height, width in ((9, 14), (16, 11), (21, 33)):
            other = image(3, 3, height * step, width * step, dtype=torch.float32)
            torch.testing.assert_close(program(other), module(other), rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, *chosen = sys.argv[1:]
    chosen = chosen or list(MODULES)
    if what == "export":
        check_exported(chosen)
    else:
        check_compiled(chosen, {"compile": "aot_eager"}.get(what, what))
