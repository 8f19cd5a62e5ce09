"""Show a run elsewhere while it trains: TensorBoard, MLflow, Weights & Biases.

What a run is stands in its folder. A logger gets a copy, is chosen by the user for a machine and never
by a spec, and cannot stop a training: one that fails is left out from then on.
"""

from __future__ import annotations

from wavetwin.runtime.loggers.chosen import LOGGERS, chosen_loggers
from wavetwin.runtime.loggers.logger import LoggedRun, Logger
from wavetwin.runtime.loggers.together import Loggers

__all__ = ["LOGGERS", "LoggedRun", "Logger", "Loggers", "chosen_loggers"]
