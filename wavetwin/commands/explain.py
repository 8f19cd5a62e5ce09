"""`wavetwin explain`: say what a field of a spec or a sweep is, or what a message's code means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse

    from wavetwin.diagnostics import Diagnostic

_MANY = 4
"""Fields of one name that are explained all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="a field: training.optimizer.lr, or the end of its path, of a sweep sweep.space; or a "
        "message's code: static-gain",
    )
    parser.set_defaults(execute=execute, strict=False)


def execute(options: argparse.Namespace) -> int:
    """Print what each name means.

    Raises:
        DiagnosticError: there is no such code and no such field, or there are many.
    """
    from wavetwin.compiler.lint import LINT_RULES
    from wavetwin.diagnostics import CompileError
    from wavetwin.diagnostics.codes import DESCRIPTIONS

    texts: list[str] = []
    faults: list[Diagnostic] = []
    for name in options.names:
        if name in LINT_RULES:
            texts.append(LINT_RULES[name].explanation)
        elif name in DESCRIPTIONS:
            texts.append(f"{name}: {DESCRIPTIONS[name]}\n")
        else:
            found, fault = _fields(name)
            texts += found
            faults += fault
    if faults:
        raise CompileError(faults)
    say("\n".join(texts))
    return FINE


def _fields(name: str) -> tuple[list[str], list[Diagnostic]]:
    """Return the explanations of the fields of a name, or why there are none."""
    from wavetwin.compiler.parse.suggest import suggest
    from wavetwin.diagnostics import Diagnostic
    from wavetwin.diagnostics.codes import DESCRIPTIONS
    from wavetwin.diagnostics.listing import list_some
    from wavetwin.explain.field_text import explain_field, fields_named, spec_fields
    from wavetwin.explain.sweep_fields import explain_sweep_field, sweep_fields, sweep_fields_named

    found = fields_named(name)
    if not found and (of_sweeps := sweep_fields_named(name)):
        return [explain_sweep_field(each) for each in of_sweeps], []
    if 0 < len(found) <= _MANY:
        return [explain_field(each) for each in found], []
    if found:
        headline = f"{len(found)} fields have this name"
        help_text = f"name one by its path: {list_some([each.label for each in found])}"
        return [], [Diagnostic("name-ambiguous", headline, subject=name, help=help_text)]
    labels = [each.label for each in (*spec_fields(), *sweep_fields())]
    last = {label.rpartition(".")[2]: None for label in labels}
    help_text = suggest(name, [*DESCRIPTIONS, *labels, *last])
    return [], [
        Diagnostic(
            "unknown-name",
            f"no field and no message's code is {name!r}",
            help=help_text
            or "a field has its path, training.optimizer.lr; a message its code between two colons, static-gain",
        )
    ]
