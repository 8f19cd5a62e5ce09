"""Describe what a packet bank computes, for every image size, batch and weight."""

from __future__ import annotations

from dataclasses import dataclass

from wavetwin.runtime.bank.filters import QSHIFT_FILTERS, check_bank


@dataclass(frozen=True)
class BankInfo:
    """Kept, mixed and subsampled dual-tree packets of one channel; hashable.

    Raises:
        ValueError: levels, filters, packets or bands are not those of a packet bank, or there is no
            output sample.
    """

    levels: int
    """Stages of the cascade, 1 to 4."""
    filters: str
    """A name of `wavetwin.runtime.bank.filters.QSHIFT_FILTERS`."""
    packets: tuple[int, ...]
    """The kept packets, in order, numbered as in arXiv:2212.00394."""
    bands: tuple[tuple[int, int, int], ...]
    """(inputs, outputs, groups) of each band of the packet mixing; the inputs add up to the packets."""
    step: int
    """Input samples between output samples: stride of the bank times the subsampling after it."""
    start: int | tuple[int, int]
    """Input index of the first tap of output sample 0, negative within the zero padding.

    With a bank of stride s and padding p whose output is cropped from sample c on: s * c - p. A pair is
    vertical, horizontal.
    """
    out_height: int
    out_width: int
    is_complex: bool
    """Whether real and imaginary parts are computed, or the real parts alone."""
    has_modulus: bool = False
    """Whether the modulus of both parts is given in their place."""

    def __post_init__(self) -> None:
        check_bank(self.levels, 1)
        if self.filters not in QSHIFT_FILTERS:
            raise ValueError(
                f"no q-shift filters {self.filters!r}: one of {', '.join(QSHIFT_FILTERS)}"
            )
        last = 2 * 4**self.levels - 1
        if not self.packets or min(self.packets) < 0 or max(self.packets) > last:
            raise ValueError(f"packets {self.packets}: 0 to {last} are there")
        if sum(inputs for inputs, _, _ in self.bands) != len(self.packets):
            raise ValueError(f"bands {self.bands} do not take {len(self.packets)} packets")
        if any(inputs % groups or outputs % groups for inputs, outputs, groups in self.bands):
            raise ValueError(f"bands {self.bands}: groups do not divide inputs and outputs")
        if min(self.step, self.out_height, self.out_width) < 1:
            raise ValueError("step, out_height and out_width are 1 or more")
        if self.has_modulus and not self.is_complex:
            raise ValueError("the modulus is that of both parts, and one of them is computed")

    @property
    def outputs(self) -> int:
        """Number of mixed maps, complex ones where the packets are."""
        return sum(outputs for _, outputs, _ in self.bands)

    @property
    def parts(self) -> int:
        """2 where imaginary parts are computed, else 1."""
        return 2 if self.is_complex else 1

    @property
    def results(self) -> int:
        """2 where both parts are given, else 1."""
        return 1 if self.has_modulus else self.parts

    @property
    def starts(self) -> tuple[int, int]:
        """First taps' index, vertical and horizontal."""
        return (self.start, self.start) if isinstance(self.start, int) else self.start
