"""Define normalisations: of a batch, of its energy, of groups of channels."""

from __future__ import annotations

from math import prod
from typing import ClassVar, Self

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.operation import Call, Operation, Shape, UnfitError


@frozen(kw_only=True)
class BatchNorm(Operation, op="batch_norm"):
    """Batch normalisation."""

    works_channel_by_channel = True
    is_norm = True
    is_written_around = True
    is_batch_norm = True
    kind: ClassVar[str] = "nn.BatchNorm2d"

    channels: int
    eps: float
    momentum: float
    frozen: bool

    @classmethod
    def of(cls, channels: int) -> Self:
        """Return the norm of so many channels, trained, with torch's settings."""
        return cls(channels=channels, eps=1e-5, momentum=0.1, frozen=False)

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return scale and shift."""
        return {"weight": (self.channels,), "bias": (self.channels,)}

    def statistics(self, x: Shape) -> dict[str, Shape]:
        """Return the running statistics and the number of batches."""
        of_channels = dict.fromkeys(("running_mean", "running_var"), (self.channels,))
        return {**of_channels, "num_batches_tracked": ()}

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return a multiplication and an addition a value."""
        return 2 * prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        return Call.of(self.kind, self.channels, **self._changed(eps=1e-5, momentum=0.1))


@frozen(kw_only=True)
class EnergyNorm(BatchNorm, op="energy_norm"):
    """A batch norm that divides by the root of the mean square and takes no mean off."""

    is_batch_norm = False
    kind = "EnergyNorm"
    later = frozenset({"relu"})

    relu: bool = False
    """Whether positive parts are given."""

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the layer."""
        options = self._changed(eps=1e-5, momentum=0.1, relu=False)
        return Call.of(self.kind, self.channels, **options)


@frozen(kw_only=True)
class GroupNorm(Operation, op="group_norm"):
    """Normalisation of an image's positions and a group of channels."""

    is_norm = True
    is_written_around = True

    channels: int
    groups: int

    def output(self, *shapes: Shape) -> Shape:
        """Return the input's shape."""
        if shapes[0][0] % self.groups:
            raise UnfitError(f"{self.groups} groups do not divide {shapes[0][0]} channels")
        return shapes[0]

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return scale and shift."""
        return {"weight": (self.channels,), "bias": (self.channels,)}

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return the sums of values and squares, a multiplication and an addition a value."""
        return 4 * prod(out)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return torch's layer."""
        return Call.of("nn.GroupNorm", self.groups, self.channels)
