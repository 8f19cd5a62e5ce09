"""Check the labels of a spec, which change nothing that is built."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wavetwin.compiler.schema import NAME_PATTERN, NAME_RULE, ExperimentSpec
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic


@reads("lint", "lint.allow", "lint.allow.*", "lint.allow.*.reason")
def check_reasons(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A warning is suppressed for a reason."""
    for position, entry in enumerate(() if spec.lint is None else spec.lint.allow):
        if not entry.reason.strip():
            yield context.conflict(
                "reason-is-empty",
                f"the rule {entry.rule} is suppressed without a reason",
                [f"lint.allow.{position}.reason"],
                help="say why the spec means it",
            )


@reads("name")
def check_name_of_file(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """A spec that writes no name takes its file's, which has to be one."""
    stem = context.loaded.path.stem
    if spec.name is not None or re.fullmatch(NAME_PATTERN, stem):
        return
    legal = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem)[:56].lstrip("_.-").rstrip("-")
    if not legal[:1].isalpha() or legal.lower() in ("null", "true", "false"):
        # YAML would read it as something else than text.
        legal = f"spec-{legal}".rstrip("-")
    yield Diagnostic(
        "bad-name",
        f"the spec writes no name, and its file's, {stem!r}, cannot be one",
        subject=context.loaded.display_path,
        help=f"write `name: {legal}` in it, or rename the file; {NAME_RULE}",
    )


LABEL_RULES: tuple[Rule, ...] = (check_name_of_file, check_reasons)
