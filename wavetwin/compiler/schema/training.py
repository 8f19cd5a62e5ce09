"""Training: how the model is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wavetwin.compiler.schema.model import SpecModel


class OptimizerSpec(SpecModel):
    """The optimiser."""

    name: Literal["sgd", "adamw"] = "sgd"
    """Stochastic gradient descent, or Adam with decoupled weight decay."""
    lr: float = Field(default=0.1, gt=0.0, le=1000.0)
    """Initial learning rate."""
    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    """Of sgd; default: 0.9."""
    nesterov: bool | None = None
    """Of sgd; default: false."""
    betas: (
        tuple[Annotated[float, Field(ge=0.0, lt=1.0)], Annotated[float, Field(ge=0.0, lt=1.0)]]
        | None
    ) = Field(default=None, strict=False)
    """Of adamw; default: [0.9, 0.999]."""
    weight_decay: float = Field(default=1e-4, ge=0.0, le=100.0)
    """Applied to all trainable parameters."""


class ScheduleSpec(SpecModel):
    """How the learning rate changes over the epochs."""

    name: Literal["step", "milestones", "cosine", "plateau", "constant"] = "step"
    """Rule."""
    step_epochs: int | None = Field(default=None, ge=1, le=100000)
    """Of step: epochs between changes; default: 30."""
    milestones: tuple[Annotated[int, Field(ge=1, le=100000)], ...] | None = Field(
        default=None, min_length=1, strict=False
    )
    """Of milestones: epochs after which the rate changes, increasing."""
    gamma: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Of step, milestones, plateau: factor of each change; default: 0.1."""
    patience: int | None = Field(default=None, ge=0, le=100000)
    """Of plateau: epochs without a better validation loss before a change; default: 10."""
    warmup_epochs: int = Field(default=0, ge=0, le=100000)
    """Epochs of linear increase from nearly zero, before the rule."""


class TrainingSpec(SpecModel):
    """How the model is trained."""

    epochs: int = Field(default=90, ge=0, le=100000)
    """Passes over the training images."""
    batch_size: int = Field(default=256, ge=1, le=1048576)
    """Images per step, over all devices and accumulations."""
    accumulate: int = Field(default=1, ge=1, le=4096)
    """Parts that a batch is split into; the loss of each is divided."""
    optimizer: OptimizerSpec = Field(default_factory=OptimizerSpec)
    """Optimiser."""
    schedule: ScheduleSpec = Field(default_factory=ScheduleSpec)
    """Learning rate schedule."""
    record_gradients: bool = False
    """Record the l-infinity norm of each mixing row's gradient, every batch."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward and backward pass; weights stay float32."""
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    """How images and feature maps lie in memory: channels_last is often faster, and gives other last
    bits."""
    seed: int = Field(default=0, ge=0, le=9223372036854775807)
    """All random streams derive from it."""
    threads: int = Field(default=2, ge=1, le=1024)
    """CPU threads a process computes with; another number gives other last bits."""
    checkpoint_every: int = Field(default=30, ge=1, le=100000)
    """Epochs between kept snapshots; the last state is always kept."""
