"""Warn about models that compile and may still not do what was meant (docs/lint.md).

A rule is a function of the compiled model to warnings, known by being in a module of this package; its
decorator says what it means. A spec ignores what it means to do, with a reason:
`lint: {allow: [{rule: static-gain, reason: "..."}]}`. Nothing here changes what is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from wavetwin.compiler.lint.rule import LintContext, LintRule
from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan

if TYPE_CHECKING:
    from wavetwin.files.tensor_shapes import Shape

__all__ = ["LINT_RULES", "LintContext", "LintRule", "lint"]


def _find() -> Iterator[tuple[str, LintRule]]:
    """Yield the rules of the package's modules, by their names."""
    for module in sorted(each.name for each in iter_modules(__path__)):
        for value in vars(import_module(f"{__name__}.{module}")).values():
            if isinstance(value, LintRule):
                yield value.name, value


LINT_RULES: dict[str, LintRule] = dict(_find())
"""By the names that a spec ignores them by."""


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
    found = [warning for rule in LINT_RULES.values() for warning in rule.lint(context)]
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
