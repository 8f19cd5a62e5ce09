"""Define the optimisers: a class each; its fields are the spec's and the arguments of torch's class."""

from __future__ import annotations

from typing import ClassVar

from wavetwin.ir.frozen import frozen
from wavetwin.ir.section import Kind, Kinds, declare, declared_fields, field_text

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Optimizer", "RmsProp", "Sgd"]


@frozen(kw_only=True)
class Optimizer(Kind):
    """How a step follows from the gradients."""

    tag = "name"
    name: ClassVar[str]
    torch_class: ClassVar[str]
    """Dotted name of torch's class, whose arguments are the fields; the runtime alone imports it."""
    effect: ClassVar[str]
    """What a step of it is, as text that goes on after its name."""

    lr: float = declare(0.1, label="learning rate", gt=0.0, le=1000.0)
    """Initial learning rate."""
    weight_decay: float = declare(1e-4, last=True, ge=0.0, le=100.0)
    """Applied to all trainable parameters."""

    @property
    def num_averages(self) -> int:
        """Tensors that it remembers of each parameter, as large as that."""
        return 0

    def describe(self) -> str:
        """Return the optimiser as text, without its learning rate: `sgd, momentum 0.9`."""
        texts = [
            field_text(each, value)
            for each in declared_fields(type(self))
            if each.name != "lr" and (value := getattr(self, each.name)) is not False
        ]
        return ", ".join([self.name, *texts])


@frozen(kw_only=True)
class Sgd(Optimizer):
    """Stochastic gradient descent."""

    name = "sgd"
    torch_class = "torch.optim.SGD"
    effect = "steps along the gradient, as long as it is large"

    momentum: float = declare(0.9, ge=0.0, lt=1.0)
    """Share of a step that the next one repeats."""
    nesterov: bool = declare(False, label="Nesterov's momentum")
    """Whether the gradient is taken as it would be after the momentum's step."""

    @property
    def num_averages(self) -> int:
        """The momentum's, where there is any."""
        return int(self.momentum > 0)


@frozen(kw_only=True)
class _Adaptive(Optimizer):
    """Divides each weight's step by the size of its gradients."""

    eps: float = declare(1e-8, later=True, gt=0.0, le=1.0)
    """Added to the root of the mean square, so that no step is divided by zero."""


@frozen(kw_only=True)
class _Moments(_Adaptive):
    """Keeps running means of the gradients and of their squares."""

    betas: tuple[float, float] = declare((0.9, 0.999), items={"ge": 0.0, "lt": 1.0})
    """Shares of the running means of gradients and of their squares that a step keeps."""

    @property
    def num_averages(self) -> int:
        """The two means."""
        return 2


@frozen(kw_only=True)
class AdamW(_Moments):
    """Adam with decoupled weight decay."""

    name = "adamw"
    torch_class = "torch.optim.AdamW"
    effect = "moves every weight by about the learning rate, whatever its gradient's size"


@frozen(kw_only=True)
class Adam(_Moments):
    """Adam, whose weight decay is a part of the gradient."""

    name = "adam"
    torch_class = "torch.optim.Adam"
    effect = (
        "moves every weight by about the learning rate, whatever its gradient's size, and divides "
        "the weight decay by that size, too"
    )


@frozen(kw_only=True)
class RmsProp(_Adaptive):
    """Divides the gradient by the root of its running mean square."""

    name = "rmsprop"
    torch_class = "torch.optim.RMSprop"
    effect = "divides every weight's gradient by its running size"

    alpha: float = declare(0.99, ge=0.0, lt=1.0)
    """Share of the running mean of squares that a step keeps."""
    momentum: float = declare(0.0, ge=0.0, lt=1.0)
    """Share of a step that the next one repeats."""
    centered: bool = declare(False, label="centred")
    """Whether the mean square is taken around the running mean of the gradient."""

    @property
    def num_averages(self) -> int:
        """The mean square, and what momentum and centring add."""
        return 1 + (self.momentum > 0) + self.centered


OPTIMIZERS = Kinds[Optimizer](Sgd, AdamW, Adam, RmsProp)
"""By the name in a spec; the first is the default."""
