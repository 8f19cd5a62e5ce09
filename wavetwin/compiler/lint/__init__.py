"""Warn about models that compile and may still not do what was meant (docs/lint.md).

A rule is a function of the compiled model to warnings, in the registry `LINT_RULES`: a rule for a
new layer is one more function, and its name with what it means in `LINT_CODES`. A spec ignores what it
means to do, with a reason: `lint: {allow: [{rule: static-gain, reason: "..."}]}`. Nothing here
changes what is built.
"""

from __future__ import annotations

from collections.abc import Mapping

from wavetwin.compiler.lint.bands import BAND_RULES
from wavetwin.compiler.lint.fitting import FITTING_RULES
from wavetwin.compiler.lint.gain import GAIN_RULES
from wavetwin.compiler.lint.geometry import GEOMETRY_RULES
from wavetwin.compiler.lint.inheritance import INHERITANCE_RULES
from wavetwin.compiler.lint.judging import JUDGING_RULES
from wavetwin.compiler.lint.rule import LintContext, LintRule
from wavetwin.compiler.lint.scattering import SCATTERING_RULES
from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.files.tensor_shapes import Shape
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan

__all__ = ["LINT_RULES", "LintContext", "LintRule", "lint"]

LINT_RULES: tuple[LintRule, ...] = (
    *GEOMETRY_RULES,
    *GAIN_RULES,
    *BAND_RULES,
    *FITTING_RULES,
    *JUDGING_RULES,
    *INHERITANCE_RULES,
    *SCATTERING_RULES,
)


def lint(
    loaded: LoadedSpec,
    spec: ExperimentSpec,
    graph: ModuleGraph,
    plan: TrainingPlan,
    tensors: Mapping[str, Shape] | None = None,
) -> tuple[Diagnostic, ...]:
    """Return the warnings of every rule that the spec does not suppress.

    Args:
        loaded: says where values were set.
        spec: with every value filled in.
        graph: as written.
        plan: of the training.
        tensors: of the file that the training starts from, where that is known.
    """
    context = LintContext(loaded, spec, graph, plan, tensors)
    found = [warning for rule in LINT_RULES for warning in rule.lint(context)]
    allowed = () if spec.lint is None else spec.lint.allow
    rules = {entry.rule for entry in allowed}
    kept = [warning for warning in found if warning.code not in rules]
    return (*kept, *_unused(loaded, spec, {warning.code for warning in found}))


def _unused(loaded: LoadedSpec, spec: ExperimentSpec, found: set[str]) -> list[Diagnostic]:
    """Return a warning for each suppression of the spec itself that nothing needs.

    What is inherited is left alone: a sibling may need it.
    """
    warnings: list[Diagnostic] = []
    waiting = set(found)
    for position, entry in enumerate(() if spec.lint is None else spec.lint.allow):
        path = f"lint.allow.{position}.rule"
        node = loaded.node(path)
        is_own = node is not None and (
            node.location.path == loaded.display_path or node.location.path.startswith("--set[")
        )
        if is_own and entry.rule not in waiting:
            again = "nothing more to report" if entry.rule in found else "nothing to report"
            warnings.append(
                conflict(
                    loaded,
                    "unused-suppression",
                    f"the rule {entry.rule} finds {again} in this spec",
                    [path],
                    help=f"remove lint.allow.{position}",
                    severity="warning",
                )
            )
        waiting.discard(entry.rule)
    return warnings
