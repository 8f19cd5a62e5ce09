"""Put a report together and write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wavetwin.explain.report.against_published import (
    published_remarks,
    published_sections,
    seed_tables,
)
from wavetwin.explain.report.baseline import Baseline, read_baseline
from wavetwin.explain.report.class_files import write_class_files
from wavetwin.explain.report.html_report import CompilerParts, html_report
from wavetwin.explain.report.overview import overview, seeds_section
from wavetwin.explain.report.page import Section, as_markdown
from wavetwin.explain.report.paired import paired_section, pairs_of
from wavetwin.explain.report.paired_classes import (
    ClassDifference,
    class_differences,
    paired_classes_sections,
)
from wavetwin.explain.report.predicted import read_predictions
from wavetwin.explain.report.run_labels import label_runs
from wavetwin.explain.report.runs import Run, build_of, graph_of, is_source, read_source
from wavetwin.files.atomic import write_file
from wavetwin.runtime.process.errors import RunError, write_code
from wavetwin.runtime.training.run_names import trial_mark

__all__ = ["ReportMaterial", "ReportOptions", "read_report", "report", "write_report", "write_text"]


@dataclass(frozen=True)
class ReportOptions:
    """What a report has beside the table of runs."""

    published: bool = False
    """The published figures of the same models and data sets (the page always has the models')."""
    baseline: str | None = None
    """A run folder, a scores file, or `published:NAME`: mean flip rates in percent of its."""
    paired: tuple[str, str] | None = None
    """Two experiments: the second's scores minus the first's, seed by seed."""
    trials: bool = False
    """Compare runs over a few batches, too, which are left out otherwise."""
    csv: Path | None = None
    """A folder for the tables of classes and bins, whole, as CSV files."""
    labels: tuple[str, ...] = ()
    """`ID=NAME` of runs that are to be called so."""


def report(runs: Sequence[Path], options: ReportOptions | None = None) -> str:
    """Return the report as Markdown; the same files give the same text.

    Args:
        runs: run folders, or scores files of weights without a run.
        options: what it has beside the table of runs.

    Raises:
        RunError: a source is neither, a file of it is damaged, or an option does not fit.
    """
    return as_markdown(read_report(runs, options).sections())


def write_report(
    runs: Sequence[Path],
    output: Path,
    options: ReportOptions | None = None,
    compiler: CompilerParts | None = None,
) -> str:
    """Write the report and return it as Markdown.

    Args:
        runs: as for `report`.
        output: `FILE.md` gets the Markdown, any other file one HTML page.
        options: as for `report`.
        compiler: what the page shows of specs and packets; None: neither.

    Raises:
        RunError: as `report`, or the files cannot be written.
    """
    return read_report(runs, options).write(output, compiler)


def write_text(file: Path, content: str) -> None:
    """Write a file of a report.

    Raises:
        RunError: the disk refuses.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            write_code(error),
            f"cannot be written: {reason}",
            "make room, or name another file",
            subject=file,
        ) from error


@dataclass(frozen=True)
class ReportMaterial:
    """The runs that were read, and what is compared."""

    runs: list[Run]
    options: ReportOptions
    baseline: Baseline | None
    compared: list[Section]
    """Means over seeds, paired differences."""

    left_out: list[str]
    """What was named and is not shown, and why."""

    damaged: list[str]
    """Tables of predictions that cannot be read, and why."""
    differences: list[ClassDifference]
    """Of the paired experiments, class by class; none where none are paired."""

    def write(self, output: Path, compiler: CompilerParts | None = None) -> str:
        """Write the report and return it as Markdown; see `write_report`."""
        text = as_markdown(self.sections())
        write_text(output, text if output.suffix == ".md" else self.page(compiler))
        if self.options.csv is not None:
            write_class_files(self.options.csv, self.runs, self.differences)
        return text

    def sections(self) -> list[Section]:
        """Return the report's tables and remarks."""
        sections = [overview(self.runs, self.baseline), *self.compared, *self._remarks()]
        if self.damaged:
            sections.append(Section("Predictions that cannot be read", remarks=self.damaged))
        if self.options.published:
            remarks = published_remarks(self.runs)
            sections.append(Section("Against the published figures", remarks=remarks))
            sections += [*published_sections(self.runs), *seed_tables(self.runs)]
        return sections

    def page(self, compiler: CompilerParts | None) -> str:
        """Return the report as one HTML page."""
        published = self.options.published
        return html_report(
            self.runs,
            [*self.compared, *self._remarks()],
            self.baseline,
            published=published,
            compiler=compiler,
        )

    def _remarks(self) -> list[Section]:
        return [Section("Left out", remarks=self.left_out)] if self.left_out else []


def read_report(paths: Sequence[Path], options: ReportOptions | None = None) -> ReportMaterial:
    """Read the runs of a report; arguments and faults as of `report`."""
    options = options or ReportOptions()
    named = [path for path in paths if is_source(path)]
    left_out = [f"{_named(path)} is no run" for path in paths if path not in named]
    if not named:
        named, left_out = list(paths), []
    runs = _read_whole(named, left_out)
    baseline = None if options.baseline is None else read_baseline(options.baseline)
    trials = [] if options.trials else [run for run in runs if trial_mark(run.manifest)]
    whole = [run for run in runs if run not in trials]
    if trials and (options.paired is not None or _is_trial(baseline)) and not whole:
        raise RunError(
            "not-comparable",
            "is not compared with others",
            "train without --limit-batches, or take trials in with --trials",
            subject=trials[0].label,
        )
    if _is_trial(baseline) and not options.trials:
        raise RunError(
            "not-comparable",
            f"the baseline {options.baseline} is a run over a few batches",
            "name a whole run, or take trials in with --trials",
        )
    if whole:
        left_out += [f"{run.label}; --trials takes it in" for run in trials]
        runs = whole
    runs = label_runs(runs, options.labels)
    whole = runs if whole else []
    # The page names these beside what it shows of classes; here for those who read the Markdown alone.
    damaged = [f"{error.headline}; {error.remedy}" for error in read_predictions(runs)[1]]
    compared: list[Section] = []
    over_seeds = seeds_section(whole, baseline)
    if over_seeds is not None:
        compared.append(over_seeds)
    differences: list[ClassDifference] = []
    if options.paired is not None:
        compared.append(paired_section(whole, *options.paired))
        by_entry = class_differences(pairs_of(whole, *options.paired)[0])
        compared += paired_classes_sections(by_entry, *options.paired)
        differences = [row for rows in by_entry for row in rows]
    return ReportMaterial(runs, options, baseline, compared, left_out, damaged, differences)


def _read_whole(paths: Sequence[Path], left_out: list[str]) -> list[Run]:
    """Return the runs that can be read; what is wrong with the others is added to what is left out.

    Raises:
        RunError: no one can be read: of the first.
    """
    runs: list[Run] = []
    faults: list[RunError] = []
    for path in paths:
        try:
            run = read_source(path)
            # Pages read them later: what is damaged is found here, where the run can be left out.
            graph_of(run)
            build_of(run)
        except RunError as error:
            faults.append(error)
            left_out.append(f"{_named(path)}: {error.headline}; {error.remedy or 'copy it again'}")
        else:
            runs.append(run)
    if not runs:
        raise faults[0]
    return runs


def _is_trial(baseline: Baseline | None) -> bool:
    source = None if baseline is None else baseline.source
    return isinstance(source, Run) and bool(trial_mark(source.manifest))


def _named(path: Path) -> str:
    """Return the end of a path: a report does not depend on where its runs lie."""
    return "/".join(path.parts[-2:])
