"""Define the fields of `weights`: what the training starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wavetwin.ir.starting_weights import StartingWeights as WeightsSpec
else:
    from wavetwin.compiler.schema.declared import model_of
    from wavetwin.ir.starting_weights import StartingWeights

    WeightsSpec = model_of("WeightsSpec", StartingWeights)

__all__ = ["WeightsSpec"]
