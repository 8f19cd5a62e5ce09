"""Define what a sweep may say: ranges of fields, ways to search them, what is compared, who stops early."""

from __future__ import annotations

__all__ = ["SWEEP_SUFFIX"]

SWEEP_SUFFIX = ".sweep.yaml"
"""Of the sweeps that may lie among specs: what lists or reads specs leaves them out."""
