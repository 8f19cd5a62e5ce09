"""Define the optimisers: a class each; its fields are the spec's and the arguments of torch's class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from wavetwin.ir.section import Kind, Kinds, declare, declared_fields, field_text

__all__ = ["OPTIMIZERS", "AdamW", "Optimizer", "Sgd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer(Kind):
    """How a step follows from the gradients."""

    tag = "name"
    name: ClassVar[str]
    torch_class: ClassVar[str]
    """Dotted name of torch's class, whose arguments are the fields; the runtime alone imports it."""
    num_averages: ClassVar[int]
    """Tensors that it remembers of each parameter, as large as that."""
    effect: ClassVar[str]
    """What a step of it is, as text that goes on after its name."""

    lr: float = declare(0.1, label="learning rate", gt=0.0, le=1000.0)
    """Initial learning rate."""
    weight_decay: float = declare(1e-4, last=True, ge=0.0, le=100.0)
    """Applied to all trainable parameters."""

    def describe(self) -> str:
        """Return the optimiser as text, without its learning rate: `sgd, momentum 0.9`."""
        texts = [
            field_text(each, value)
            for each in declared_fields(type(self))
            if each.name != "lr" and (value := getattr(self, each.name)) is not False
        ]
        return ", ".join([self.name, *texts])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd(Optimizer):
    """Stochastic gradient descent."""

    name = "sgd"
    torch_class = "torch.optim.SGD"
    num_averages = 1
    effect = "steps along the gradient, as long as it is large"

    momentum: float = declare(0.9, ge=0.0, lt=1.0)
    """Share of a step that the next one repeats."""
    nesterov: bool = declare(False, label="Nesterov's momentum")
    """Whether the gradient is taken as it would be after the momentum's step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    name = "adamw"
    torch_class = "torch.optim.AdamW"
    num_averages = 2
    effect = "moves every weight by about the learning rate, whatever its gradient's size"

    betas: tuple[float, float] = declare((0.9, 0.999), items={"ge": 0.0, "lt": 1.0})
    """Shares of the running means of gradients and of their squares that a step keeps."""


OPTIMIZERS = Kinds[Optimizer](Sgd, AdamW)
"""By the name in a spec; the first is the default."""
