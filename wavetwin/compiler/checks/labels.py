"""Labels: rules about what a spec says of itself and what changes nothing that is built."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.checks.rule import Facts, Rule, reads
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.diagnostics import Diagnostic


@reads("lint", "lint.allow", "lint.allow.*", "lint.allow.*.reason")
def check_reasons(spec: ExperimentSpec, facts: Facts) -> Iterator[Diagnostic]:
    """A warning is allowed for a reason."""
    for position, entry in enumerate(() if spec.lint is None else spec.lint.allow):
        if not entry.reason.strip():
            yield facts.clash(
                "reason-is-empty",
                f"the rule {entry.rule} is allowed without a reason",
                [f"lint.allow.{position}.reason"],
                help="say why the spec means it",
            )


LABEL_RULES: tuple[Rule, ...] = (check_reasons,)
