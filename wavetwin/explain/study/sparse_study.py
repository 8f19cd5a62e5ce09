"""Run `sparse`: first layers by the number of their trained weights, and error curves of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.parse.project import expand_specs
from wavetwin.explain.pictures.line_plot import LinePlot, Look, Series, draw_plot
from wavetwin.explain.report.overview import curve_of
from wavetwin.explain.report.runs import Run, is_source, read_run
from wavetwin.explain.study.result import Picture, Result
from wavetwin.explain.study.rows import Table
from wavetwin.explain.study.sparse import layer_of, sparse_table
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.run_names import trial_mark

__all__ = ["study_sparse"]


def study_sparse(specs: Sequence[Path], runs: Sequence[Path], with_trials: bool = False) -> Result:
    """Count the first layers of specs, and draw the errors of runs against the epoch.

    Args:
        specs: files, or folders of them; reductions are of the first one of an
            architecture that has no packets, or of all, the standard network.
        runs: run folders; the curves are of the validation images. Other folders are left out.
        with_trials: draw runs over a few batches, too.

    Raises:
        CompileError: a spec is at fault.
        RunError: a folder is no run, or has no validation errors.
    """
    compiled = [compile_spec(spec) for spec in expand_specs(specs)]
    named = [folder for folder in runs if is_source(folder)] or list(runs)
    read = [read_run(folder) for folder in named]
    trials = [] if with_trials else [run for run in read if trial_mark(run.manifest)]
    read = [run for run in read if run not in trials]
    left_out = [f"{folder.name} is no run" for folder in runs if folder not in named]
    left_out += [f"{run.label}; --trials takes it in" for run in trials]
    return Result(
        study="sparse",
        title="First layers and their trained weights",
        notes=(
            "The first layer is everything before the first pooling's norm and activation. A frozen "
            "layer keeps its initial weights, or those of `stem.initial_weights` or `weights`: two "
            "questions, which a study asks apart.",
            *(f"Left out: {caption}" for caption in left_out),
        ),
        summaries=[
            sparse_table([layer_of(each.graph, each.spec.backbone.arch) for each in compiled])
        ],
        tables=[_curves_table(read)] if read else [],
        pictures=[_curves(read)] if read else [],
        protocol={"sizes": "per image, of the graph as written"},
        inputs=[
            *({"spec": each.spec_path, "model_digest": each.model_digest} for each in compiled),
            *({"run": run.label, "digest": run.manifest["digest"]} for run in read),
        ],
    )


def _points(run: Run) -> list[tuple[float, float]]:
    points = curve_of(run, "validation", "top1_error")
    if not points:
        raise RunError(
            "scores-missing",
            "has no errors on validation images",
            "train with data.validation above 0, or leave the run out",
            subject=run.folder,
        )
    return points


def _curves_table(runs: Sequence[Run]) -> Table:
    rows = tuple((run.label, int(epoch), error) for run in runs for epoch, error in _points(run))
    return Table("errors", "Validation error", ("run", "epoch", "top1_error"), rows)


def _curves(runs: Sequence[Run]) -> Picture:
    series = [Series(run.label, _points(run), Look(number)) for number, run in enumerate(runs)]
    title = "Top-1 error on the validation images"
    plot = LinePlot(title, "epoch", "top-1 error", series, is_rate=True)
    labels = ", ".join(f"{number}: {each.name}" for number, each in enumerate(series, start=1))
    return Picture(f"{title}, in the order of the marks: {labels}", draw_plot(plot))
