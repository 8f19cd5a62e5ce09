"""Define the model that every section of a spec is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from wavetwin.ir.section import NAME_PATTERN, Section, declaration_of, declared_fields

__all__ = ["LATER", "NAME_PATTERN", "NAME_RULE", "SpecModel", "scalar_or_list", "with_defaults"]

S = TypeVar("S")

NAME_RULE = "a name has up to 64 letters, digits, '.', '_' and '-', the first a letter or digit"


class _Later:
    """Mark of a field that the language got after the first digests."""


LATER = _Later()
"""Beside a field's type: the digests leave it out at its default."""


class SpecModel(BaseModel):
    """Base of every part of a spec: closed, strict, frozen."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,
    )

    declared: ClassVar[tuple[type[Section], ...]] = ()
    """What `ir` declares the fields as, where it does: one section, or one of each kind."""

    field_texts: ClassVar[Mapping[str, str]] = {}
    """What fields are, where no docstring below them says it."""

    def later_defaults(self) -> Mapping[str, Any]:
        """Return the default of each field that the language got after the first digests."""
        return {
            name: each.default
            for name, each in type(self).model_fields.items()
            if LATER in each.metadata
        }

    @classmethod
    def locations(cls) -> frozenset[str]:
        """Return the fields that say where a file lies, which no digest has."""
        return frozenset(
            each.name
            for section in cls.declared
            for each in declared_fields(section)
            if declaration_of(each).is_location
        )


def with_defaults(section: type[S], **values: Any) -> S:
    """Return a section with some values, which are known to be right, and the defaults of the others.

    No validator is made for it.
    """
    return cast("Any", section).model_construct(**values)


def scalar_or_list(value: object) -> str:
    """Return the branch of a value that may be written without a list."""
    return "list" if isinstance(value, list | tuple) else "scalar"
