"""Fitting: more parameters than the images can tell apart, and nothing that holds them back."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.lint.rule import NORMS, LintFacts, LintRule, lint_rule
from wavetwin.diagnostics import Diagnostic

MOST_PARAMETERS_PER_IMAGE = 50
"""The design's threshold (WT019); with fewer, the rule has nothing to say."""


@lint_rule("no-regularisation", "WT019")
def no_regularisation(facts: LintFacts) -> Iterator[Diagnostic]:
    """No norm, dropout, weight decay, augmentation or penalty, and few images."""
    images = facts.plan.data.training_images
    parameters = facts.graph.parameters.trainable
    if not images or parameters <= MOST_PARAMETERS_PER_IMAGE * images or _is_held_back(facts):
        return
    yield facts.warn(
        "no-regularisation",
        f"{parameters:,} trainable parameters for {images:,} training images "
        f"({parameters / images:.0f} for each), and no norm, dropout, weight decay or augmentation: "
        "expect a gap between training and test",
        ["training.optimizer.weight_decay", "data.augmentation", "data.dataset"],
        help="set training.optimizer.weight_decay or data.augmentation, or add norms or dropout",
    )


def _is_held_back(facts: LintFacts) -> bool:
    plan = facts.plan
    penalty = plan.regularisation is not None and any(plan.regularisation.lambdas)
    return (
        plan.optimizer.weight_decay > 0
        or plan.data.augmentation != "none"
        or penalty
        or any(
            node.op in NORMS
            or (node.op == "dropout" and float(str(node.attributes["probability"])) > 0)
            for node in facts.graph
        )
    )


FITTING_RULES: tuple[LintRule, ...] = (no_regularisation,)
