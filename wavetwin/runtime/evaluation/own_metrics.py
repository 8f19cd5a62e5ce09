"""Compute the metrics of the project's own that an entry of the evaluation asks for."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from wavetwin.ir.evaluations import CropsEvaluation
from wavetwin.ir.own_code import package_of
from wavetwin.ir.own_metric import OwnMetric
from wavetwin.ir.plan import stream_seed
from wavetwin.runtime.evaluation.per_image import Evaluation
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.own_code import exception_text, load_named, locate_fault
from wavetwin.runtime.process.own_metric import MetricError, call_metric, make_metric

__all__ = ["check_own_metrics", "own_metrics"]


def check_own_metrics(run: Evaluation) -> None:
    """Make the metrics of an entry once, so that one that cannot be made costs no evaluation.

    Raises:
        RunError: one raises an exception; on all processes alike.
    """
    for number, metric in enumerate(_metrics_of(run)):
        run.on_all(partial(_guarded, run, number, metric, partial(_make, metric)))


def own_metrics(run: Evaluation, logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the number of each metric of an entry, by its name; the first process computes them.

    Args:
        run: has the entry.
        logits: of all images in the order of the split, float32 (images, classes), on the CPU.
        labels: alike, (images,).

    Raises:
        RunError: one raises an exception, or gives no finite number; on all processes alike.
    """

    def compute() -> dict[str, float]:
        if not run.processes.is_first:
            return {}
        found: dict[str, float] = {}
        for number, metric in enumerate(_metrics_of(run)):
            seed = stream_seed(run.data.plan.seed, f"metric:{metric.name}")
            call = partial(call_metric, partial(_make, metric), logits, labels.long(), seed)
            found[metric.name] = _guarded(run, number, metric, call)
        return found

    return run.together(compute)[0]


def _metrics_of(run: Evaluation) -> tuple[OwnMetric, ...]:
    assert isinstance(run.entry, CropsEvaluation), run.entry
    return run.entry.metrics


def _make(metric: OwnMetric) -> Any:
    code = metric.module
    return make_metric(load_named(code.file, code.name), code.keywords)


def _guarded(run: Evaluation, number: int, metric: OwnMetric, work: Any) -> Any:
    """Return what the work gives; what the metric raises meanwhile is its fault, named with its line."""
    code = metric.module
    subject = f"metric {metric.name} ({code.name} of {code.file})"
    where = f"from: evaluation.{run.data.plan.evaluation.index(run.entry)}.metrics.{number}.module"
    try:
        return work()
    except MetricError as error:
        raise RunError(
            "own-code-does-not-fit", str(error), error.help, subject=subject, notes=[where]
        ) from error
    except ModuleNotFoundError as error:
        raise RunError(
            "package-missing",
            f"imports {error.name}, which is not installed here",
            f"pip install {package_of(error.name or '') or error.name}",
            subject=subject,
        ) from error
    except Exception as error:
        at = locate_fault(error)
        raise RunError(
            "own-code-failed",
            f"raises {exception_text(error)}",
            "mend it and build again: the run stays as it is",
            subject=subject,
            notes=[*([] if at is None else [f"raised at: {at}"]), where],
        ) from error
