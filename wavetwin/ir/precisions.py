"""Define the number formats of forward and backward passes: one row each."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen

__all__ = ["PRECISIONS", "Precision"]


@frozen
class Precision:
    """A number format that convolutions and products compute in."""

    name: str
    text: str
    """What it is, as a sentence."""
    autocast: str | None
    """Name of torch's type that autocast takes them to; None: they stay as they are."""
    scales_loss: bool
    """Whether small gradients would become 0, so that the loss is scaled up before the backward pass."""


PRECISIONS: dict[str, Precision] = {
    row.name: row
    for row in (
        Precision("float32", "32 bits everywhere.", None, scales_loss=False),
        Precision("bfloat16", "16 bits with the range of float32.", "bfloat16", scales_loss=False),
        Precision("float16", "16 bits; the loss is scaled.", "float16", scales_loss=True),
    )
}
"""By the name in a spec."""
