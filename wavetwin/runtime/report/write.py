"""Put a report together and write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wavetwin.runtime.errors import RunError
from wavetwin.runtime.report.against_published import published_curves, published_sections
from wavetwin.runtime.report.baseline import read_baseline
from wavetwin.runtime.report.overview import colour_of, overview, seeds_section
from wavetwin.runtime.report.page import Section, as_html, as_markdown
from wavetwin.runtime.report.paired import paired_section
from wavetwin.runtime.report.runs import read_run

__all__ = ["ReportOptions", "report", "write_report"]


@dataclass(frozen=True)
class ReportOptions:
    """What a report has beside the table of runs."""

    published: bool = False
    """The published figures of the same models and data sets."""
    baseline: str | None = None
    """A run folder or `published:NAME`: mean flip rates in percent of its."""
    paired: tuple[str, str] | None = None
    """Two experiments: the second's scores minus the first's, seed by seed."""


def report(run_folders: Sequence[Path], options: ReportOptions | None = None) -> str:
    """Return the report as Markdown; the same run folders give the same text.

    Raises:
        RunError: a folder is not a run, a file in it is damaged, or an option does not fit the runs.
    """
    return as_markdown(_sections(run_folders, options or ReportOptions()))


def write_report(
    run_folders: Sequence[Path], output: Path, options: ReportOptions | None = None
) -> str:
    """Write the report as one HTML file and as Markdown beside it; return the Markdown.

    Raises:
        RunError: as `report`, or the files cannot be written.
    """
    markdown = output.with_suffix(".md")
    if markdown == output:
        raise RunError(
            f"{output} is where the Markdown goes: the HTML would be written over it",
            f"name the HTML file, such as {output.with_suffix('.html')}",
        )
    sections = _sections(run_folders, options or ReportOptions())
    text = as_markdown(sections)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(as_html("Runs", sections), encoding="utf-8")
        markdown.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(
            f"{output} cannot be written: {reason}", "name another file with -o"
        ) from error
    return text


def _sections(run_folders: Sequence[Path], options: ReportOptions) -> list[Section]:
    runs = [read_run(folder) for folder in run_folders]
    baseline = None if options.baseline is None else read_baseline(options.baseline)
    colours = [colour_of(number) for number in range(len(runs))]
    dashed = published_curves(runs, colours) if options.published else {}
    sections = [overview(runs, baseline, dashed)]
    over_seeds = seeds_section(runs, baseline)
    if over_seeds is not None:
        sections.append(over_seeds)
    if options.paired is not None:
        sections.append(paired_section(runs, *options.paired))
    if options.published:
        sections += published_sections(runs)
    return sections
