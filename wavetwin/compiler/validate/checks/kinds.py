"""Check sections that choose one of several kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from wavetwin.compiler.parse.suggest import join_texts
from wavetwin.compiler.schema.declared import KindModel, given, kind_of
from wavetwin.compiler.validate.checks.rule import CheckContext
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.section import Kind


def inapplicable(context: CheckContext, path: str, section: Kind) -> Iterator[Diagnostic]:
    """Report the fields that the chosen kind does not have."""
    kind = kind_of(section)
    kinds = cast("KindModel", section).kinds
    for name in given(section):
        with_field = kinds.with_field(name)
        if kind.kind_name() not in with_field:
            yield context.conflict(
                "field-does-not-apply",
                f"{name} is a field of {join_texts(with_field, 'and')}, not of {kind.kind_name()}",
                [f"{path}.{name}", f"{path}.{kinds.tag}"],
                help=f"remove {name}"
                if any(part.isdecimal() for part in path.split("."))
                else f"set {path}.{name} to null",
            )
