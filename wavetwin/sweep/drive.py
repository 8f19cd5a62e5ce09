"""Drive a sweep: start what its course asks for, until no point is left."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from wavetwin.compiler.sweep.members import CheckedPoint, CheckedSweep, RefusedPoint
from wavetwin.diagnostics import render_text
from wavetwin.ir.sweeps.objectives import OBJECTIVES
from wavetwin.ir.sweeps.schedulers import SCHEDULERS
from wavetwin.runtime.process.errors import RunError
from wavetwin.sweep.course import Course, Leg, Outcome
from wavetwin.sweep.engines import Engine
from wavetwin.sweep.judges import make_judge
from wavetwin.sweep.members import Member, Members
from wavetwin.sweep.results import Results, RunResult

__all__ = ["Driver", "make_course"]

_POLL_SECONDS = 0.1
MAX_KILLS = 3
"""Times in a row that a member may be killed by somebody else without an epoch between."""
_LOG_LINES = 12
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def make_course(
    checked: CheckedSweep,
    members: Members,
    results: Results,
    is_given_up: Callable[[Member], bool] | None = None,
) -> Course:
    """Return the course of a sweep by the results that run folders have.

    Args:
        checked: the sweep.
        members: of its points.
        results: of their runs.
        is_given_up: whether a run that failed counts as failed; None: each does.
    """
    spec = checked.file.spec
    scheduler = SCHEDULERS[spec.scheduler]

    def outcome(point: CheckedPoint, epoch: int) -> Outcome | None:
        runs: list[RunResult] = []
        for member in members.of(point):
            result = results.of(member)
            has_failed = result.has_failed and result.value_at(epoch) is None
            if has_failed and (is_given_up is None or is_given_up(member)):
                return Outcome((), has_failed=True)
            runs.append(result)
        values = [each.value_at(epoch) for each in runs]
        known = tuple(each for each in values if each is not None)
        if len(known) < len(values):
            return None
        is_over = all(each.epochs <= epoch and each.is_finished for each in runs)
        return Outcome(known, max(each.epochs for each in runs) if is_over else None)

    decides = scheduler.pauses or not checked.are_all_known
    return Course(
        make_judge(checked),
        spec.parallel if decides else checked.num_points,
        lambda point: scheduler.milestones(
            point.plan.epochs, spec.budget.grace_epochs, spec.budget.reduction
        ),
        outcome,
    )


@dataclass
class Driver:
    """Keeps an engine busy with what a course asks for."""

    checked: CheckedSweep
    members: Members
    engine: Engine
    say: Callable[[str], None]
    """Takes a line for the user."""
    retry: bool = False
    """Whether what failed before is tried again, once."""
    patience: float = 0.0
    """Seconds after which what the engine's members have written is seen here."""
    results: Results = field(init=False)
    _stopped_by: int = field(default=0, init=False)
    _told: int = field(default=0, init=False)
    """Points of the course that were looked through for those that do not compile."""
    _given_up: set[Path] = field(default_factory=set[Path], init=False)
    """Runs that failed in this session."""
    _tried_again: set[Path] = field(default_factory=set[Path], init=False)
    """Runs whose device had too little memory in this session, which others may have held."""
    _until: dict[Path, int] = field(default_factory=dict[Path, int], init=False)
    """The epoch that each run was last started for."""
    _sessions: dict[Path, int] = field(default_factory=dict[Path, int], init=False)
    """The sessions that each run had when it was last started."""
    _kills: dict[Path, tuple[int, int]] = field(
        default_factory=dict[Path, tuple[int, int]], init=False
    )
    """Of a run: its epochs when it was killed last, and how often it was since."""

    def __post_init__(self) -> None:
        self.results = Results(OBJECTIVES[self.checked.file.spec.objective])

    def run(self) -> tuple[Course, int]:
        """Train until nothing is left, or until a signal stops it.

        Returns:
            The course, and the number of the signal that stopped it; 0: nothing is left.

        Raises:
            RunError: a member could not be trained.
        """
        course = make_course(self.checked, self.members, self.results, self._is_given_up)
        with self._hearing():
            try:
                while not self._stopped_by:
                    legs = course.advance()
                    self._tell_refused(course)
                    if not legs:
                        break
                    self._wait(for_room=not self._start(legs))
            finally:
                self.engine.stop()
        return course, self._stopped_by

    def _tell_refused(self, course: Course) -> None:
        """Say which points that a search has asked for do not compile."""
        for each in course.points[self._told :]:
            if isinstance(each.point, RefusedPoint):
                self.say(f"{each.point.label}: does not compile, and the search goes on")
                self.say(render_text(each.point.diagnostics))
        self._told = len(course.points)

    def _is_given_up(self, member: Member) -> bool:
        return not self._is_tried_again(member) or member.run in self._given_up

    def _is_tried_again(self, member: Member) -> bool:
        return self.retry or member.run in self._tried_again

    def _start(self, legs: Sequence[Leg]) -> bool:
        """Start members of the legs, the first ones first; return whether there was room for all."""
        busy = {member.run for member in self.engine.running}
        for leg in legs:
            for member in self.members.of(leg.point):
                result = self.results.of(member)
                is_over = result.has_failed and self._is_given_up(member)
                if member.run in busy or is_over or result.value_at(leg.until) is not None:
                    continue
                if self._stopped_by or not self.engine.has_room:
                    return False
                self.say(f"{member.text}: trains to epoch {leg.until}")
                self._until[member.run] = leg.until
                self._sessions[member.run] = result.sessions
                busy.add(member.run)  # a search may ask for one point twice
                self.engine.start(member, self.members.folder(member), leg.until)
        return True

    def _wait(self, for_room: bool) -> None:
        """Wait until a member ends, a signal comes, or there is room that was lacking."""
        while not self._stopped_by and not (for_room and self.engine.has_room):
            ended = self.engine.ended()
            for member, code in ended:
                self._take(member, code)
            if ended:
                return
            time.sleep(_POLL_SECONDS)

    def _take(self, member: Member, code: int) -> None:
        """Take in how a member ended."""
        result = self._settled_result(member, code)
        if result is None:
            return
        if code == 0:
            until = self._until[member.run]
            if result.value_at(until) is None:
                raise RunError(
                    "file-damaged",
                    f"ends at epoch {result.epochs}, and was trained to epoch {until}",
                    "move the run away: it is trained again",
                    subject=member.run,
                )
            shown = OBJECTIVES[self.checked.file.spec.objective]
            self.say(
                f"{member.text}: epoch {result.epochs}, {shown.name} {shown.shown(result.values[-1])}"
            )
        elif code < 0 or code > 128:
            self._take_kill(member, code, result)
        elif (
            self._has_begun(member, result)
            and result.is_short_of_memory
            and (member.run not in self._tried_again)
        ):
            self._tried_again.add(member.run)
            self.say(
                f"{member.text}: its device has too little memory after epoch {result.epochs}, tried once "
                "more: others may have held it"
            )
        elif self._has_begun(member, result):
            self._given_up.add(member.run)
            self.say(
                f"{member.text}: failed after epoch {result.epochs} by {result.fault}, see "
                f"{self.engine.log(member)}"
            )
        else:
            raise RunError(
                "member-not-trained",
                f"{member.text} could not be trained: exit code {code}",
                "put right what its log says; the same command goes on",
                subject=self.engine.log(member),
                notes=_last_lines(self.engine.log(member)),
            )

    def _settled_result(self, member: Member, code: int) -> RunResult | None:
        """Return what a run has after a session, as soon as that can be all of it; None where a signal comes."""
        started = time.monotonic()
        has_said = False
        while True:
            result = self.results.of(member, anew=True)
            if code == 0:
                is_whole = result.value_at(self._until[member.run]) is not None
            else:
                is_whole = code < 0 or code > 128 or self._has_begun(member, result)
            if is_whole or time.monotonic() - started >= self.patience:
                return result
            if self._stopped_by:
                return None
            if not has_said:
                has_said = True
                self.say(
                    f"{member.text}: has ended by exit code {code}, and its run does not show it: waits "
                    f"{self.patience:.0f} s, as file systems of networks may show it late"
                )
            time.sleep(_POLL_SECONDS)

    def _has_begun(self, member: Member, result: RunResult) -> bool:
        """Whether the training itself has failed, now: a start that is refused leaves an older failure.

        What had failed before is started only to be tried again. Otherwise the failure is new, also where
        an earlier session of the sweep has started it.
        """
        is_new = not self._is_tried_again(member) or result.sessions > self._sessions[member.run]
        return result.has_failed and is_new

    def _take_kill(self, member: Member, code: int, result: RunResult) -> None:
        """Let a member that somebody else stopped be started again, unless it comes to nothing."""
        epochs, kills = self._kills.get(member.run, (-1, 0))
        kills = 1 if result.epochs > epochs else kills + 1
        self._kills[member.run] = result.epochs, kills
        number = -code if code < 0 else code - 128
        if kills > MAX_KILLS:
            raise RunError(
                "member-killed",
                f"{member.text} was ended by signal {number}, {kills} times without an epoch between",
                "often the memory does not suffice: train fewer members at once (--jobs); the same "
                "command goes on",
                subject=self.engine.log(member),
            )
        self.say(f"{member.text}: ended by signal {number} after epoch {result.epochs}, goes on")

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Note a signal that asks to stop."""

        def hear(number: int, frame: FrameType | None) -> None:
            self._stopped_by = number

        # A command like nohup has SIGHUP ignored, so that it changes nothing.
        heard = [each for each in _STOP_SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
        old: dict[int, Any] = {number: signal.signal(number, hear) for number in heard}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


def _last_lines(log: Path) -> tuple[str, ...]:
    """Return the last lines of a member's log, as notes."""
    if not log.is_file():
        return ()
    with log.open(encoding="utf-8", errors="replace") as stream:
        lines = deque(stream, _LOG_LINES)
    return tuple(f"log: {line.rstrip()}" for line in lines if line.strip())
