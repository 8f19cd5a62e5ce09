"""Evaluation: how the model is judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wavetwin.compiler.schema.model import NAME_PATTERN, SpecModel


class EvaluationSpec(SpecModel):
    """One entry of the evaluation suite."""

    mode: Literal["one_crop", "ten_crops", "shifts", "perturbations", "corruptions"]
    """What is measured."""
    split: Literal["train", "validation", "test"] | None = None
    """Of one_crop, ten_crops and shifts: which images; default: test."""
    direction: Literal["horizontal", "vertical", "diagonal", "both"] | None = None
    """Of shifts: where the images move; default: horizontal."""
    max_shift: int | None = Field(default=None, ge=1, le=64)
    """Of shifts: the largest shift in pixels; default: 8."""
    pixel_divide: int | None = Field(default=None, ge=1, le=16)
    """Of shifts: steps per pixel; default: 1."""
    metric: Literal["flip_rate", "kl_divergence"] | None = None
    """Of shifts: what is compared; default: flip_rate."""
    max_step: int | None = Field(default=None, ge=1, le=1024)
    """Of shifts with flip_rate: the largest step between compared frames; default: max_shift."""
    root: str | None = Field(default=None, pattern=NAME_PATTERN)
    """Of perturbations and corruptions: folder below the data root."""
    normalise: bool | None = None
    """Whether images are normalised; default: true. False is what the published shift scores used."""
    resize: Literal["float", "pil"] | None = None
    """How images are resized: in floating point, or as the published scores were computed, by Pillow,
    which rounds to 8 bits after each pass; default: float."""
