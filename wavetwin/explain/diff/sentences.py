"""Collect the sentences of a diff: every rule's effects of what differs between two experiments."""

from __future__ import annotations

from wavetwin.explain.diff.effects import Effect, Pair, Rule
from wavetwin.explain.diff.mixing_effects import MIXING_RULES
from wavetwin.explain.diff.network_effects import NETWORK_RULES
from wavetwin.explain.diff.packet_effects import PACKET_RULES
from wavetwin.explain.diff.pooling_effects import POOLING_RULES
from wavetwin.explain.diff.pooling_numbers import POOLING_NUMBER_RULES
from wavetwin.explain.diff.scattering_effects import SCATTERING_RULES
from wavetwin.explain.diff.wavelet_pool_effects import WAVELET_POOL_RULES

__all__ = ["explain"]


def explain(pair: Pair) -> tuple[Effect, ...]:
    """Return the effects of the changes of the model, in the order of the network."""
    rules: tuple[Rule, ...] = (
        *NETWORK_RULES,
        *PACKET_RULES,
        *MIXING_RULES,
        *POOLING_RULES,
        *POOLING_NUMBER_RULES,
        *WAVELET_POOL_RULES,
        *SCATTERING_RULES,
    )
    return tuple(effect for rule in rules for effect in rule(pair))
