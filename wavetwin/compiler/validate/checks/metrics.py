"""Check the metrics of the project's own that entries of the evaluation have."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.schema.declared import kind_of
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.evaluations import CropsEvaluation


@reads("evaluation", "evaluation.*.mode", "evaluation.*.metrics", "evaluation.*.metrics.*.name")
def check_metric_names(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """No two scores of an entry have one name."""
    for position, entry in enumerate(spec.evaluation):
        kind, first = kind_of(entry), dict[str, int]()
        taken = kind().scores_form.__annotations__ if issubclass(kind, CropsEvaluation) else ()
        for number, metric in enumerate(getattr(entry, "metrics", None) or ()):
            name, listed = metric.name, f"evaluation.{position}.metrics"
            if name in taken:
                yield context.conflict(
                    "score-name-taken",
                    f"the entry has a score '{name}' already",
                    [f"{listed}.{number}.name"],
                    help=f"call the metric something else, such as own_{name}",
                )
            elif name in first:
                yield context.conflict(
                    "score-name-taken",
                    f"two metrics of the entry are called '{name}'",
                    [f"{listed}.{first[name]}.name", f"{listed}.{number}.name"],
                    help=f"call one of them something else, such as {name}_2",
                )
            first.setdefault(name, number)


METRIC_RULES: tuple[Rule, ...] = (check_metric_names,)
