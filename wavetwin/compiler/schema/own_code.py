"""Define the fields that name code of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from wavetwin.compiler.schema.declared import model_of
from wavetwin.compiler.schema.model import LATER
from wavetwin.ir.own_code import OwnCode

__all__ = ["OPTIONAL", "OwnCodeSpec"]

if TYPE_CHECKING:
    OwnCodeSpec = OwnCode
    OPTIONAL: tuple[Any, Any]
else:
    OwnCodeSpec = model_of("OwnCodeSpec", OwnCode)
    OPTIONAL = (Annotated[OwnCodeSpec | None, LATER], Field(default=None))
    """Type and field of a section that need not be there."""
