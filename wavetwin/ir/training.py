"""Define how a model is trained, as the spec says it and the plan has it."""

from __future__ import annotations

from typing import Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.kernels import KERNELS, Kernels
from wavetwin.ir.optimizers import OPTIMIZERS, Optimizer, Sgd
from wavetwin.ir.own_code import OwnCode
from wavetwin.ir.parameter_groups import ParameterGroup
from wavetwin.ir.parameters import MAX_LENGTH
from wavetwin.ir.precisions import PRECISIONS, Precision
from wavetwin.ir.schedules import SCHEDULES, Schedule, Step
from wavetwin.ir.section import Section, declare

__all__ = ["Training"]


@frozen(kw_only=True)
class Training(Section):
    """How the model is trained."""

    epochs: int = declare(90, ge=0, le=100000)
    """Passes over the training images."""
    batch_size: int = declare(256, ge=1, le=1048576)
    """Images per step, over all devices and accumulations."""
    accumulate: int = declare(1, label="parts of a batch", ge=1, le=4096)
    """Parts that a batch is split into; the loss of each is divided."""
    optimizer: Optimizer = declare(Sgd(), label="optimiser", kinds=OPTIMIZERS)
    """Optimiser."""
    schedule: Schedule = declare(Step(), kinds=SCHEDULES)
    """Learning rate schedule."""
    early_stopping: int | None = declare(
        None,
        label="epochs without progress that end the training",
        later=True,
        note="a training that stops early has fewer epochs than the plan, as many as its loss lets it",
        ge=1,
        le=100000,
    )
    """Epochs without a better validation loss after which the training ends; `last` has the weights of
    then, `best` those of the lowest validation error. Better is lower by a share of 1e-4, as for the
    schedule `plateau`."""
    record_gradients: bool = declare(
        False,
        label="gradients recorded",
        note="recording gradients changes no computed number",
    )
    """Record the l-infinity norm of each mixing row's gradient, every batch."""
    precision: Literal["float32", "bfloat16", "float16"] = declare(
        "float32", note="precision changes rounding in every step"
    )
    """Of the forward and backward pass; weights stay float32. float16 scales the loss, and skips steps
    whose gradients overflow."""
    memory_format: Literal["contiguous", "channels_last"] = declare(
        "contiguous", later=True, note="the memory format changes speed and last bits"
    )
    """How images and feature maps lie in memory: channels_last is often faster, and gives other last
    bits."""
    compile: bool = declare(
        False,
        label="compiled by torch.compile",
        later=True,
        note="compiled kernels sum in another order: last bits change in every step, nothing else does",
    )
    """Whether the network is trained through torch.compile, which needs a C++ compiler. Validation and
    evaluation are not compiled."""
    kernels: Literal["torch", "native"] = declare(
        "torch",
        label="kernels of the packets",
        later=True,
        note="the native kernel sums in another order: last bits change in every step, nothing else does",
    )
    """What computes the mixed packets of a first layer on a CPU, in training and evaluation: torch's
    operations, or wavetwin's own kernel, which a C++ compiler of the machine builds. It is faster, and
    gives other last bits, the same for any number of threads."""
    label_smoothing: float = declare(
        0.0,
        later=True,
        note="smoothed labels have a higher training loss: that of validation and test stays the plain "
        "cross-entropy",
        ge=0.0,
        lt=1.0,
    )
    """Share of each label that is spread evenly over all classes."""
    class_weights: tuple[float, ...] | None = declare(
        None,
        later=True,
        note="class weights count some classes' mistakes more in training; scores count all alike",
        min_length=1,
        items={"gt": 0.0, "le": 1e6},
    )
    """Factor of each class's part of the loss, in the order of the classes. The loss is divided by the
    number of images, not by the sum of their weights: weights of mean 1 keep the learning rate's
    scale."""
    loss: OwnCode | None = declare(
        None,
        label="own loss",
        later=True,
        note="a loss of the project's own is what training follows: scores, and the losses of validation "
        "and test, stay those of the cross-entropy",
        section=OwnCode,
    )
    """Function of the project that takes logits and targets and gives the mean loss of the images, or a
    class of which such a function is made; absent: the cross-entropy."""
    freeze: tuple[str, ...] = declare(
        (),
        label="frozen parts",
        later=True,
        note="frozen parts keep the weights that they begin with; the gradient is not computed for them",
        max_length=64,
        items={"max_length": MAX_LENGTH},
    )
    """Parts that keep their first weights: `stem`, `trunk.layer1`, `stem.free` or any node's id,
    `classifier`, `norms`, `biases`. The network is the same: its digest stays, and counts of its
    parameters, too."""
    frozen_norms: Literal["evaluation", "training"] = declare(
        "evaluation",
        label="batch norms of frozen parts",
        later=True,
        note="batch norms of frozen parts use their running statistics in evaluation mode, and those of "
        "the batch in training mode",
    )
    """Mode of the batch norms that are wholly frozen by `freeze`: with their running statistics, which
    stay, or with the batch's, which the running ones follow."""
    groups: tuple[ParameterGroup, ...] = declare(
        (),
        label="parameter groups",
        later=True,
        note="parameter groups are trained at other rates, or with another weight decay, than the rest",
        section=ParameterGroup,
    )
    """Parameters with a learning rate or a weight decay of their own."""
    mixup: float | None = declare(
        None,
        label="mixup's alpha",
        later=True,
        note="mixup trains on sums of two images: its training loss and error are of those",
        gt=0.0,
        le=100.0,
    )
    """Of the Beta distribution of the share of an image; the rest is another of its batch. Where cutmix
    is given, too, each step draws one of both."""
    cutmix: float | None = declare(
        None,
        label="cutmix's alpha",
        later=True,
        note="cutmix trains on images with a part of another: its training loss and error are of those",
        gt=0.0,
        le=100.0,
    )
    """Of the Beta distribution of the share of an image that stays; a rectangle of another of its batch
    covers the rest."""
    average_decay: float | None = declare(
        None,
        label="decay of the averaged weights",
        later=True,
        note="averaged weights are kept and validated beside the trained ones, which they leave as they "
        "are",
        gt=0.0,
        lt=1.0,
    )
    """Share of the running average of the weights that a step keeps; the average starts from the initial
    weights. Running statistics of norms are averaged alike."""
    clip_norm: float | None = declare(
        None,
        label="largest gradient norm",
        later=True,
        note="clipping shortens steps whose gradient is longer, and leaves all others as they are",
        gt=0.0,
        le=1e9,
    )
    """L2 norm of the whole gradient, the penalty's included, above which it is scaled down."""
    seed: int = declare(
        0,
        ge=0,
        le=9223372036854775807,
        note="another draw of everything random: differences of scores up to the spread between "
        "seeds say nothing",
    )
    """All random streams derive from it."""
    threads: int = declare(
        2, ge=1, le=1024, note="the number of threads changes speed and last bits"
    )
    """CPU threads a process computes with; another number gives other last bits."""
    checkpoint_every: int = declare(
        30,
        label="epochs between snapshots",
        ge=1,
        le=100000,
        note="which snapshots are kept changes no computed number",
    )
    """Epochs between kept snapshots; the last state is always kept."""

    @property
    def number_format(self) -> Precision:
        """What forward and backward passes compute in."""
        return PRECISIONS[self.precision]

    @property
    def packet_kernels(self) -> Kernels:
        """What computes mixed packets."""
        return KERNELS[self.kernels]

    @property
    def mixes_images(self) -> bool:
        """Whether each step trains on mixtures of its images."""
        return self.mixup is not None or self.cutmix is not None
