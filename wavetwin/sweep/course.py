"""Put the decisions of a sweep into one order, which depends on its results and on nothing else.

Whoever decides (a sampler, a pruner) knows what was reported before: the order of reports is a part of
every decision. Here it is that of a clock of epochs. As many lanes as `parallel` says train points, an
epoch of any point takes one tick on every seed at once, and a lane that is free takes the next point at
once; reports at one tick come by the number of the point. Which machine trains what, how fast, and what
was killed meanwhile changes when a result is there, never who is asked about it: a result that comes
early waits for those before it. Read again from run folders, the same results give the same course.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from wavetwin.compiler.sweep.members import CheckedPoint, RefusedPoint
from wavetwin.sweep.judges import Judge

__all__ = ["Course", "Leg", "Outcome", "Progress"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a point stands after an epoch."""

    values: tuple[float, ...]
    """Of the objective, one a seed."""
    over_after: int | None = None
    """The last epoch, where its trainings ended at that epoch or before it by themselves."""
    has_failed: bool = False

    @property
    def mean(self) -> float:
        """What points are compared by."""
        return sum(self.values) / len(self.values)


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a point's training, up to the next milestone."""

    point: CheckedPoint
    until: int
    """The epoch at its end."""


@dataclass
class Progress:
    """How far a point is in the course."""

    number: int
    """From 1, in the order of the search."""
    point: CheckedPoint | RefusedPoint
    milestones: tuple[int, ...]
    state: Literal["training", "paused", "complete", "failed", "refused"] = "training"
    epoch: int = 0
    """The last one that the course knows."""
    outcome: Outcome | None = None
    """At that epoch."""

    @property
    def until(self) -> int:
        """The next milestone."""
        return next(each for each in self.milestones if each > self.epoch)


@dataclass
class Course:
    """The course of a sweep, as far as results are there."""

    judge: Judge
    lanes: int
    milestones: Callable[[CheckedPoint], tuple[int, ...]]
    outcome: Callable[[CheckedPoint, int], Outcome | None]
    """Of a point after an epoch; None: it is not there yet."""
    points: list[Progress] = field(default_factory=list[Progress])
    _running: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Ticks at which legs end, and the numbers of their points: a heap."""
    _has_begun: bool = False

    def advance(self) -> list[Leg]:
        """Take in all results that are there in their order; return the legs that are to be trained.

        None is left where every point is complete, paused, failed or refused. The first leg is the one
        that the course waits for.
        """
        if not self._has_begun:
            self._has_begun = True
            for _ in range(self.lanes):
                self._take_next(0)
        while self._running:
            tick, number = self._running[0]
            progress = self.points[number - 1]
            outcome = self.outcome(self._trained(number), progress.until)
            if outcome is None:
                break
            heapq.heappop(self._running)
            self._decide(progress, outcome, tick)
        return [
            Leg(self._trained(number), self.points[number - 1].until)
            for _, number in sorted(self._running)
        ]

    def _decide(self, progress: Progress, outcome: Outcome, tick: int) -> None:
        progress.outcome = outcome
        number = progress.number - 1
        if outcome.has_failed:
            progress.state = "failed"
            self.judge.end(number, None)
            self._take_next(tick)
            return
        ended = outcome.over_after
        progress.epoch = progress.until if ended is None else ended
        if ended is not None or progress.epoch == progress.milestones[-1]:
            progress.state = "complete"
            self.judge.end(number, outcome.mean)
        elif self.judge.goes_on(number, progress.epoch, outcome.mean):
            end = tick + progress.until - progress.epoch
            heapq.heappush(self._running, (end, progress.number))
            return
        else:
            progress.state = "paused"
        self._take_next(tick)

    def _take_next(self, tick: int) -> None:
        """Let a free lane take the next point that compiles."""
        while isinstance(point := self.judge.next_point(), RefusedPoint):
            refused = Progress(len(self.points) + 1, point, (), "refused")
            refused.outcome = Outcome((), has_failed=True)
            self.points.append(refused)
        if point is None:
            return
        progress = Progress(len(self.points) + 1, point, self.milestones(point))
        self.points.append(progress)
        heapq.heappush(self._running, (tick + progress.until, progress.number))

    def _trained(self, number: int) -> CheckedPoint:
        point = self.points[number - 1].point
        assert isinstance(point, CheckedPoint)
        return point

    def ranked(self) -> Sequence[Progress]:
        """Return all points that have a value: complete ones first, the best of them first.

        Others follow by how far they were trained, then by their value; points that failed or do not
        compile come last.
        """
        return sorted(
            (each for each in self.points if each.outcome is not None),
            key=lambda each: (
                each.state in ("failed", "refused"),
                each.state != "complete",
                0 if each.state == "complete" else -each.epoch,
                float("inf")
                if each.outcome is None or not each.outcome.values
                else each.outcome.mean,
                each.number,
            ),
        )
