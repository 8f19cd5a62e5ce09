"""Define who ends the training of a sweep's points early."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen

__all__ = ["SCHEDULERS", "Scheduler"]


@frozen
class Scheduler:
    """A rule by which points are paused."""

    name: str
    text: str
    """What it does, as a clause."""
    reads: tuple[str, ...] = ()
    """Fields of `budget` that mean something to it."""
    grows: bool = False
    """Whether a point is looked at after `grace_epochs` times powers of `reduction`; otherwise, where it
    is looked at, after each `grace_epochs`."""

    @property
    def pauses(self) -> bool:
        """Whether it pauses points at all."""
        return bool(self.reads)

    def milestones(self, epochs: int, grace_epochs: int, reduction: int) -> tuple[int, ...]:
        """Return the epochs after which a point is looked at, the last one among them."""
        found: list[int] = []
        epoch = grace_epochs
        while self.pauses and epoch < epochs:
            found.append(epoch)
            epoch = epoch * reduction if self.grows else epoch + grace_epochs
        return (*found, epochs)


SCHEDULERS = {
    each.name: each
    for each in (
        Scheduler("none", "every point is trained to the end"),
        Scheduler(
            "asha",
            "asynchronous successive halving: the best share goes on at each milestone",
            reads=("grace_epochs", "reduction"),
            grows=True,
        ),
        Scheduler(
            "median",
            "a point goes on while it is not worse than the median of the others at that epoch",
            reads=("grace_epochs",),
        ),
    )
}
"""The rules, by name."""
