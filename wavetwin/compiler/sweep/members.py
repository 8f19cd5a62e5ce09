"""Compile every point of a sweep before one is trained, or say at the sweep's lines what keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse.compose import SourceCache
from wavetwin.compiler.parse.nodes import SpecNode
from wavetwin.compiler.sweep.checks import check_ranges, check_settings, check_space
from wavetwin.compiler.sweep.document import SweepFile, read_sweep
from wavetwin.compiler.sweep.space import Point, Space, make_space
from wavetwin.compiler.validate.checks.images import has_validation_images
from wavetwin.diagnostics import CompileError, Diagnostic, Location
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.sweeps.schedulers import SCHEDULERS
from wavetwin.ir.sweeps.searches import SEARCHES

__all__ = ["CheckedPoint", "CheckedSweep", "RefusedPoint", "check_sweep"]


@frozen
class CheckedPoint:
    """A point that compiles."""

    point: Point
    name: str
    """Of the experiment: what its runs lie under."""
    overrides: tuple[str, ...]
    """The `--set` options that make its spec of the base, the number of epochs among them."""
    training_digest: str
    """With the first seed."""
    graph: ModuleGraph
    plan: TrainingPlan

    @property
    def label(self) -> str:
        """What varies, for a reader; of the base alone its name."""
        return self.point.label or self.name


@frozen
class RefusedPoint:
    """A point that a search has asked for and that does not compile."""

    point: Point
    diagnostics: tuple[Diagnostic, ...]

    @property
    def label(self) -> str:
        """What varies, for a reader."""
        return self.point.label


@dataclass
class CheckedSweep:
    """A sweep of which every point that is known beforehand compiles."""

    file: SweepFile
    space: Space
    points: tuple[CheckedPoint, ...]
    """In their order; where points depend on results: those that were checked in their place."""
    seeds: tuple[int, ...]
    warnings: tuple[Diagnostic, ...]
    repeated: int
    """Points that are the same training as an earlier one, and are left out."""
    cache: SourceCache
    own_seed: int
    """Of the base: a member with it needs no override."""
    _by_overrides: dict[tuple[str, ...], CheckedPoint | RefusedPoint] = field(
        default_factory=dict[tuple[str, ...], CheckedPoint | RefusedPoint]
    )

    @property
    def are_all_known(self) -> bool:
        """Whether no point depends on results."""
        return not SEARCHES[self.file.spec.search].follows_results

    @property
    def num_points(self) -> int:
        """Points that are trained."""
        wanted = self.file.spec.budget.points
        return len(self.points) if self.are_all_known or wanted is None else wanted

    def compile(self, point: Point) -> CheckedPoint | RefusedPoint:
        """Return a point with its graph and plan, or why it has none; each is compiled once."""
        known = self._by_overrides.get(point.overrides)
        if known is None:
            known = self._by_overrides[point.overrides] = self._compile(point)
        return known

    def _compile(self, point: Point) -> CheckedPoint | RefusedPoint:
        try:
            compiled = _compile(self.file, point, self.cache)
        except CompileError as error:
            return RefusedPoint(point, tuple(error.diagnostics))
        if refusals := tuple(_refusals(self.file, compiled)):
            return RefusedPoint(point, refusals)
        return _checked(self.file, point, compiled, compiled.graph)

    def seed_override(self, seed: int) -> tuple[str, ...]:
        """Return the option that a member with a seed has beside its point's."""
        return () if seed == self.own_seed else (f"training.seed={seed}",)


def check_sweep(path: Path, project: Path | None = None) -> CheckedSweep:
    """Read a sweep and compile all points that are known beforehand, or corners and a sample of them.

    What the points share is read and checked once. Passes are run where `training.kernels` needs them
    alone, and no torch is imported.

    Raises:
        CompileError: with everything that is wrong, at its line of the sweep or the base.
    """
    file = read_sweep(path, project)
    blocking, others = check_ranges(file), check_settings(file)
    if blocking:
        raise CompileError(_ordered(file, [*blocking, *others]))
    space = make_space(file)
    blocking = check_space(file, space)
    if blocking:
        raise CompileError(_ordered(file, [*blocking, *others]))
    cache = SourceCache(file.project)
    points = _points(file, space)
    found = _Findings(len(points), space.interval_locations)
    checked: dict[str, CheckedPoint] = {}
    graphs: dict[str, ModuleGraph] = {}
    own_seed = 0
    for point in points:
        try:
            compiled = _compile(file, point, cache)
            found.add(point, (*_refusals(file, compiled), *compiled.warnings))
        except CompileError as error:
            found.add(point, error.diagnostics)
            continue
        own_seed = compiled.plan.seed
        # Points of one network keep one graph, whatever else varies.
        graph = graphs.setdefault(compiled.model_digest, compiled.graph)
        checked.setdefault(compiled.training_digest, _checked(file, point, compiled, graph))
    diagnostics = [*others, *found.diagnostics()]
    if any(each.severity == "error" for each in diagnostics):
        raise CompileError(_ordered(file, diagnostics))
    return CheckedSweep(
        file,
        space,
        tuple(checked.values()),
        file.spec.seeds or (own_seed,),
        tuple(diagnostics),
        len(points) - len(checked),
        cache,
        own_seed,
        {each.point.overrides: each for each in checked.values()},
    )


def _points(file: SweepFile, space: Space) -> Sequence[Point]:
    """Return the points to compile: all that are known, or those that stand for them."""
    search, wanted = SEARCHES[file.spec.search], file.spec.budget.points
    if not search.draws:
        return tuple(space.grid())
    assert wanted is not None
    if search.follows_results:
        return space.probes(file.spec.search_seed)
    return space.draw(wanted, file.spec.search_seed)


def _compile(file: SweepFile, point: Point, cache: SourceCache) -> Compiled:
    more: list[tuple[str, SpecNode]] = []
    epochs = file.node("budget", "max_epochs")
    if epochs is not None:
        more.append(("training.epochs", epochs))
    layer = point.layer(file.parsed.source, more)
    return compile_spec(file.base, project=file.project, cache=cache, optimise=None, laid=layer)


def _checked(file: SweepFile, point: Point, compiled: Compiled, graph: ModuleGraph) -> CheckedPoint:
    epochs = file.spec.budget.max_epochs
    overrides = (
        point.overrides if epochs is None else (*point.overrides, f"training.epochs={epochs}")
    )
    return CheckedPoint(
        point, compiled.name, overrides, compiled.training_digest, graph, compiled.plan
    )


def _refusals(file: SweepFile, compiled: Compiled) -> Iterable[Diagnostic]:
    """Yield why a point that compiles cannot be compared."""
    spec = file.spec
    if not has_validation_images(compiled.spec):
        origin = compiled.loaded.origin("data.validation")
        yield file.fault(
            "no-validation-images",
            f"points are compared by {spec.objective}, and no images are held out",
            "objective",
            help=f"set data.validation above 0 in {spec.base}",
            notes=(
                f"from: data.validation {compiled.plan.data.validation} ({origin or 'default'})",
            ),
        )
    scheduler = SCHEDULERS[spec.scheduler]
    if scheduler.pauses and spec.budget.grace_epochs >= compiled.plan.epochs:
        yield file.fault(
            "grace-above-epochs",
            f"scheduler: {scheduler.name} looks at points after {spec.budget.grace_epochs} epochs, and "
            f"they have {compiled.plan.epochs}",
            "budget",
            "grace_epochs",
            help="set grace_epochs below the number of epochs, or choose scheduler: none",
        )


@dataclass
class _Findings:
    """What points have in common is said once, with the first point where not all have it."""

    num_points: int
    intervals: frozenset[Location]
    """Where numbers are drawn from: each of them has a headline of its own, and the first one is enough."""
    found: dict[tuple[object, ...], tuple[Diagnostic, list[str]]] = field(
        default_factory=dict[tuple[object, ...], tuple[Diagnostic, list[str]]]
    )

    def add(self, point: Point, diagnostics: Iterable[Diagnostic]) -> None:
        """Take in what was found of a point."""
        for each in dict.fromkeys(diagnostics):
            is_drawn = each.location in self.intervals
            key = each.code, "" if is_drawn else each.headline, each.location, each.subject
            self.found.setdefault(key, (each, []))[1].append(point.label)

    def diagnostics(self) -> list[Diagnostic]:
        """Return everything that was found."""
        return [
            each
            if len(labels) == self.num_points
            else replace(each, notes=(*each.notes, _of_points(labels, self.num_points)))
            for each, labels in self.found.values()
        ]


def _of_points(labels: Sequence[str], count: int) -> str:
    if len(labels) == 1:
        return f"in: 1 of {count} points, {labels[0]}"
    return f"in: {len(labels)} of {count} points, the first {labels[0]}"


def _ordered(file: SweepFile, diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return diagnostics by file, the sweep's last, and by line."""

    def key(each: Diagnostic) -> tuple[bool, str, int, int]:
        at = each.location
        return (
            (False, "", 0, 0)
            if at is None
            else (at.path == file.shown, at.path, at.line, at.column)
        )

    return sorted(diagnostics, key=key)
