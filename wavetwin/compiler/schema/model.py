"""Model: what every part of a spec is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
NAME_RULE = "a name has up to 64 letters, digits, '.', '_' and '-', the first a letter or digit"


class SpecModel(BaseModel):
    """Base of every part of a spec: closed, strict, frozen."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
    )


def scalar_or_list(value: object) -> str:
    """Return the branch of a value that may be written without a list."""
    return "list" if isinstance(value, list | tuple) else "scalar"
