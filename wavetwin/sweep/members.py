"""Make the members of a sweep: each point with each seed, an ordinary spec, build and run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.build import BuildOptions, build_compiled
from wavetwin.compiler.sweep.members import CheckedPoint, CheckedSweep
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.training.run_names import find_runs, run_stem

__all__ = ["Member", "Members"]


@dataclass(frozen=True, slots=True)
class Member:
    """A point with a seed."""

    label: str
    """What varies, for a reader: `lr=0.1,momentum=0.9`."""
    seed: int
    plan: TrainingPlan
    run: Path
    """Its run folder: the last one, as its script finds it; maybe not there yet."""

    @property
    def text(self) -> str:
        """Label and seed."""
        return f"{self.label} seed {self.seed}"


class Members:
    """The members of each point of a sweep, compiled once; built where they are to be trained."""

    def __init__(
        self, checked: CheckedSweep, runs: Path | None = None, options: BuildOptions | None = None
    ) -> None:
        """Begin with no member.

        Args:
            checked: the sweep.
            runs: where runs are kept; None: the project's `runs/`.
            options: of builds, without overrides; None: nothing is built.
        """
        self._checked = checked
        self._runs = checked.file.project / "runs" if runs is None else runs
        self._options = options
        self._members: dict[str, tuple[Member, ...]] = {}
        self._folders: dict[str, Path] = {}
        """Of built members, by their training digest."""

    def of(self, point: CheckedPoint) -> tuple[Member, ...]:
        """Return the members of a point, one a seed, in the order of the sweep's seeds."""
        if point.training_digest not in self._members:
            self.prepare([point])
        return self._members[point.training_digest]

    def prepare(self, points: Iterable[CheckedPoint]) -> None:
        """Compile the members of points, and build those that are to be trained, all or none.

        Raises:
            CompileError: an input is dirty, or a built folder was edited by hand.
        """
        made: dict[str, Mapping[int, Compiled]] = {
            point.training_digest: {
                seed: self._compile(point, seed) for seed in self._checked.seeds
            }
            for point in points
        }
        if self._options is not None:
            compiled = [each for by_seed in made.values() for each in by_seed.values()]
            built = build_compiled(compiled, replace(self._options, overrides=()))
            self._folders |= {each.compiled.training_digest: each.folder for each in built}
        for point in points:
            self._members[point.training_digest] = tuple(
                Member(point.label, seed, compiled.plan, self._run(compiled.plan))
                for seed, compiled in made[point.training_digest].items()
            )

    def folder(self, member: Member) -> Path:
        """Return the built folder of a member."""
        return self._folders[member.plan.training_digest]

    def _run(self, plan: TrainingPlan) -> Path:
        parent = self._runs / plan.name
        found = find_runs(parent, plan, limit_batches=None)
        return found[-1] if found else parent / run_stem(plan, None)

    def _compile(self, point: CheckedPoint, seed: int) -> Compiled:
        """Compile a member by the options that `wavetwin run` would take for it."""
        checked = self._checked
        return compile_spec(
            checked.file.base,
            (*point.overrides, *checked.seed_override(seed)),
            checked.file.project,
            checked.cache,
            optimise=None if self._options is None else self._options.optimise,
        )
