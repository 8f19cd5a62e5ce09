"""Define the labels of a spec; nothing that is built depends on them."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Annotated

from pydantic import Field

from wavetwin.compiler.schema.declared import DeferredChoice
from wavetwin.compiler.schema.model import SpecModel

# Rules look at compiled models and stand above the language, which finds them by name.
LintRuleName = Annotated[
    str, DeferredChoice(lambda: resolve_name("wavetwin.compiler.lint:LINT_RULES"))
]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class PublishedSpec(SpecModel):
    """Figures from the literature to compare with."""

    source: str = Field(min_length=1, max_length=500)
    """Where the figures are from."""
    parameters: int | None = Field(default=None, ge=1)
    """Trainable parameters."""
    top1_error: Fraction | None = None
    """One crop, test images, share of wrong top predictions."""
    top5_error: Fraction | None = None
    """One crop, test images, share of images whose class is not among the first five predictions."""
    ten_crops_top1_error: Fraction | None = None
    """Ten crops, test images, share of wrong top predictions."""
    ten_crops_top5_error: Fraction | None = None
    """Ten crops, test images, share of images whose class is not among the first five predictions."""


class LintAllowSpec(SpecModel):
    """A warning that the spec means to give rise to."""

    rule: LintRuleName
    """Name of the rule, the code of its warnings."""
    reason: str = Field(max_length=500)
    """Why it is meant."""


class LintSpec(SpecModel):
    """What the warnings of `wavetwin check` leave out; it changes nothing that is built."""

    allow: tuple[LintAllowSpec, ...] = Field(default=(), max_length=64, strict=False)
    """Rules that keep silent, each with a reason."""
