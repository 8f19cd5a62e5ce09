"""Define what computes the packets of a first layer on a CPU: one row each."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen

__all__ = ["KERNELS", "Kernels"]


@frozen
class Kernels:
    """Who computes mixed packets."""

    name: str
    is_native: bool
    """Whether wavetwin's own C++ kernel does, built on the machine; else torch's operations do."""


KERNELS: dict[str, Kernels] = {
    row.name: row for row in (Kernels("torch", is_native=False), Kernels("native", is_native=True))
}
"""By the name in a spec."""
