"""Define how the weights of a listed layer begin: a class each."""

from __future__ import annotations

from typing import ClassVar, Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations import KAIMING, XAVIER
from wavetwin.ir.section import Kind, Kinds, declare

__all__ = ["INITIAL_LAWS", "DefaultLaw", "InitialLaw", "KaimingLaw", "XavierLaw"]


@frozen(kw_only=True)
class InitialLaw(Kind):
    """How weights begin."""

    tag = "name"
    name: ClassVar[str]

    @property
    def scale(self) -> float:
        """What the law's own bound or deviation is multiplied by."""
        return 1.0


@frozen(kw_only=True)
class DefaultLaw(InitialLaw):
    """As torch's layers do: weights and biases uniform, by fan in."""

    name = "default"


@frozen(kw_only=True)
class KaimingLaw(InitialLaw):
    """Normal with a variance of 2 by fan out, biases 0."""

    name = KAIMING


@frozen(kw_only=True)
class XavierLaw(InitialLaw):
    """Uniform between plus and minus gain times the root of 6 by fan in and fan out, biases 0."""

    name = XAVIER

    gain: float = declare(1.0, gt=0.0, le=1000.0)
    """What the bound is multiplied by."""
    fan_in: Literal["maps", "channels"] = declare("maps", later=True)
    """Of an invariant layer: its 7 maps of each channel, as the published program does, or its channels,
    as the thesis' formula reads; elsewhere the two are one."""

    @property
    def scale(self) -> float:
        """The gain."""
        return self.gain


INITIAL_LAWS = Kinds[InitialLaw](DefaultLaw, KaimingLaw, XavierLaw)
"""By the name in a spec."""
