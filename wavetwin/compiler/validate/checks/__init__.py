"""Check the rules that join several fields of a spec."""

from __future__ import annotations

from wavetwin.compiler.validate.checks.augmentation import AUGMENTATION_RULES
from wavetwin.compiler.validate.checks.images import IMAGE_RULES
from wavetwin.compiler.validate.checks.labels import LABEL_RULES
from wavetwin.compiler.validate.checks.layers import LAYER_RULES
from wavetwin.compiler.validate.checks.metrics import METRIC_RULES
from wavetwin.compiler.validate.checks.network import NETWORK_RULES
from wavetwin.compiler.validate.checks.pooling import POOLING_RULES
from wavetwin.compiler.validate.checks.replacements import REPLACEMENT_RULES
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule
from wavetwin.compiler.validate.checks.training import TRAINING_RULES
from wavetwin.compiler.validate.checks.wavelet import WAVELET_RULES
from wavetwin.compiler.validate.checks.weights import WEIGHTS_RULES

__all__ = ["RULES", "CheckContext", "Rule"]

RULES: tuple[Rule, ...] = (
    *NETWORK_RULES,
    *LAYER_RULES,
    *REPLACEMENT_RULES,
    *POOLING_RULES,
    *WAVELET_RULES,
    *AUGMENTATION_RULES,
    *IMAGE_RULES,
    *TRAINING_RULES,
    *METRIC_RULES,
    *WEIGHTS_RULES,
    *LABEL_RULES,
)
