"""A lint rule that is added, as a person would add it.

Run as a program, it adds the rule before anything reads the table, compiles a spec that breaks it and one
that ignores it, and writes what is found.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wavetwin.compiler.lint import LINT_RULES
from wavetwin.compiler.lint.rule import LintContext, lint_rule
from wavetwin.diagnostics import Diagnostic


@lint_rule(
    "odd-batch",
    meaning="Batches are of an odd number of images.",
    cause="Two devices share a batch evenly only where its number is even.",
    cure="Another batch size.",
    number="Of 7 images one device has 4, the other 3.",
)
def odd_batch(context: LintContext) -> Iterator[Diagnostic]:
    """Two devices cannot share a batch evenly."""
    size = context.plan.batch_size
    if size % 2:
        yield context.warn(
            "odd-batch",
            f"batches of {size} images are not even",
            ["training.batch_size"],
            help=f"set training.batch_size to {size + 1}",
        )


SPEC = """\
wavetwin: 1
backbone: {arch: sequential, layers: [{flatten: {}}, {linear: {}}]}
stem: {free_channels: 4}
data: {dataset: digits}
training: {batch_size: 7}
"""


def main() -> None:
    """Add the rule and write what follows from it."""
    LINT_RULES[odd_batch.name] = odd_batch
    import wavetwin
    from wavetwin.commands import cli

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "odd.yaml"
        path.write_text(SPEC, encoding="utf-8")
        warned = wavetwin.compile(path).warnings
        silent = wavetwin.compile(path, ["lint.allow=[{rule: odd-batch, reason: alone}]"]).warnings
    sys.stdout.write(json.dumps([[each.code for each in some] for some in (warned, silent)]) + "\n")
    cli.main(["explain", "odd-batch"])


if __name__ == "__main__":
    main()
