"""The spec language, version 1, as closed models: every field, its range and its default.

The language's rule for what is absent: `null` removes an inherited value, so no field here takes
null from a file; `None` as a default means "resolve fills it in from the architecture or the data
set". Rules that join several fields are in `validate`. The description of each field is its
docstring; the JSON Schema that editors read is made from these models.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

LANGUAGE_VERSION = 1

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
NAME_RULE = "a name has up to 64 letters, digits, '.', '_' and '-', the first a letter or digit"

Architecture = Literal["alexnet", "resnet18", "resnet34", "resnet50", "resnet101", "sequential"]
DatasetName = Literal[
    "imagenet",
    "imagenet100",
    "imagenet20",
    "imagenet_t100",
    "cifar10",
    "cifar100",
    "tiny_imagenet",
    "mnist",
    "fashion_mnist",
    "digits",
    "folder",
]
FreePooling = Literal["max", "max_blur", "max_adaptive_blur"]
WaveletPooling = Literal["max", "max_blur", "max_adaptive_blur", "modulus", "modulus_blur"]
Downsampling = Literal["strided", "blur", "adaptive_blur"]
ExcludeRule = Literal["lowpass", "edges", "diagonal"]
LintRuleName = Literal[
    "map-below-filter",
    "samples-dropped",
    "static-gain",
    "no-regularisation",
    "schedule-without-effect",
    "joint-blur-without-norm",
    "packets-of-other-levels",
]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class SpecModel(BaseModel):
    """Base of every part of a spec: closed, strict, frozen."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
    )


class ConvLayer(SpecModel):
    """A convolution of a `sequential` backbone."""

    channels: int = Field(ge=1, le=65536)
    """Output channels."""
    kernel_size: int = Field(default=3, ge=1, le=63)
    """Height and width of the kernel."""
    stride: int = Field(default=1, ge=1, le=16)
    """Step in both directions."""
    padding: int | None = Field(default=None, ge=0, le=63)
    """Zeros added on each side; default: (kernel_size - 1) // 2."""
    groups: int = Field(default=1, ge=1, le=65536)
    """Groups of channels that do not see each other."""
    bias: bool = True
    """Whether each output channel has a bias."""


class NormLayer(SpecModel):
    """A normalisation of a `sequential` backbone."""

    kind: Literal["batch"] = "batch"
    """Batch normalisation is the only kind of version 1."""


class ReluLayer(SpecModel):
    """A rectified linear unit of a `sequential` backbone; it has no fields."""


class PoolLayer(SpecModel):
    """A pooling of a `sequential` backbone."""

    kind: Literal["max", "average", "global_average"] = "max"
    """`global_average` averages over the whole map and takes no sizes."""
    kernel_size: int | None = Field(default=None, ge=1, le=63)
    """Height and width of the window; default: 2."""
    stride: int | None = Field(default=None, ge=1, le=63)
    """Step in both directions; default: the window's size."""
    padding: int | None = Field(default=None, ge=0, le=31)
    """Margin on each side, at most half the window; default: 0."""


class DropoutLayer(SpecModel):
    """Dropout of a `sequential` backbone."""

    probability: float = Field(default=0.5, ge=0.0, lt=1.0)
    """Probability that a value is set to zero in training."""


class FlattenLayer(SpecModel):
    """Maps to one vector per image; it has no fields."""


class LinearLayer(SpecModel):
    """A fully connected layer of a `sequential` backbone."""

    features: int | None = Field(default=None, ge=1, le=1048576)
    """Outputs; default: the number of classes."""
    bias: bool = True
    """Whether each output has a bias."""


class SequentialLayer(SpecModel):
    """One layer of a `sequential` backbone: a mapping with exactly one of these keys."""

    conv: ConvLayer | None = None
    """Convolution."""
    norm: NormLayer | None = None
    """Normalisation."""
    relu: ReluLayer | None = None
    """Rectified linear unit."""
    pool: PoolLayer | None = None
    """Pooling."""
    dropout: DropoutLayer | None = None
    """Dropout."""
    flatten: FlattenLayer | None = None
    """Flattening."""
    linear: LinearLayer | None = None
    """Fully connected layer."""


class BackboneSpec(SpecModel):
    """The network around the stem."""

    arch: Architecture
    """Architecture."""
    downsampling: Downsampling = "strided"
    """How the trunk reduces resolution after the first pooling."""
    layers: tuple[SequentialLayer, ...] = Field(default=(), max_length=1000, strict=False)
    """Layers after the stem and its pooling; for `sequential` only."""


class InitialWeightsSpec(SpecModel):
    """Where the free channels start from."""

    checkpoint: str = Field(min_length=1, max_length=4096)
    """Path of a weights file, relative to the project root."""
    channels: tuple[Annotated[int, Field(ge=0, le=65535)], ...] | None = Field(
        default=None, min_length=1, strict=False
    )
    """Channels of the file's first layer, one per free channel; default: the first ones."""


class ColorMixingSpec(SpecModel):
    """The linear map from colour to luminance of the wavelet channels."""

    position: Literal["before", "after"] = "before"
    """Before the packets (one map for all) or after the mixing (one map per output channel)."""
    initial: tuple[float, float, float] | None = Field(default=None, strict=False)
    """Initial weights of red, green, blue, of a mixing before; default: the architecture's."""
    trainable: bool = True
    """Whether training changes the weights."""


class KeepSpec(SpecModel):
    """One band of kept packets and the mixing that maps them to output channels."""

    packets: tuple[Annotated[int, Field(ge=0, le=131071)], ...] | None = Field(
        default=None, min_length=1, strict=False
    )
    """Packet numbers, in order (numerics.md section 1). Either this or `band`."""
    band: int | None = Field(default=None, ge=1, le=8)
    """A dyadic band: 1 is the last stage's. Either this or `packets`."""
    channels: int = Field(ge=1, le=65536)
    """Output channels of the band."""
    groups: int = Field(default=1, ge=1, le=65536)
    """Groups of the mixing; divides both the packets and the channels."""


def _scalar_or_mapping(value: object) -> str:
    return "mapping" if isinstance(value, dict | ColorMixingSpec) else "scalar"


def _scalar_or_list(value: object) -> str:
    return "list" if isinstance(value, list | tuple) else "scalar"


Lambda = Annotated[float, Field(ge=0.0, le=1e6)]


class WaveletSpec(SpecModel):
    """The wavelet channels of the stem."""

    transform: Literal["dtcwpt", "wpt"] = "dtcwpt"
    """Dual-tree complex wavelet packets, or separable real wavelet packets."""
    levels: int = Field(ge=1, le=4)
    """Decomposition levels J of the packet transform."""
    filters: str = Field(default="qshift_a", min_length=1, max_length=64)
    """A q-shift name (dtcwpt) or a PyWavelets name (wpt)."""
    trainable_filters: bool = False
    """Whether training changes the transform's taps, shared by all stages."""
    padding_mode: Literal["zeros"] = "zeros"
    """What lies outside the image."""
    color_mixing: (
        Annotated[
            Annotated[Literal["before", "after"], Tag("scalar")]
            | Annotated[ColorMixingSpec, Tag("mapping")],
            Discriminator(_scalar_or_mapping),
        ]
        | None
    ) = None
    """`before`, `after` or a mapping; absent for images of one channel."""
    keep: tuple[KeepSpec, ...] = Field(min_length=1, max_length=64, strict=False)
    """Kept packets, in bands; the order is that of the output channels."""
    exclude: Annotated[
        Annotated[ExcludeRule, Tag("scalar")]
        | Annotated[tuple[ExcludeRule, ...], Field(strict=False), Tag("list")],
        Discriminator(_scalar_or_list),
    ] = ()
    """Rules for what the dyadic bands of `keep` leave out."""
    regularisation: (
        Annotated[
            Annotated[Lambda, Tag("scalar")]
            | Annotated[tuple[Lambda, ...], Field(strict=False), Tag("list")],
            Discriminator(_scalar_or_list),
        ]
        | None
    ) = None
    """Lambda of each band's L1/Linf penalty, or one for all; absent: none."""


class StemSpec(SpecModel):
    """The first layer."""

    free_channels: int | None = Field(default=None, ge=0, le=65536)
    """Freely trained output channels; default: all of the architecture's first layer."""
    kernel_size: int | None = Field(default=None, ge=1, le=63)
    """Of the free convolution; default: the architecture's."""
    stride: int | None = Field(default=None, ge=1, le=16)
    """Of free and wavelet channels; default: the architecture's, 2 in AlexNet where `pooling.free`
    blurs."""
    padding: int | None = Field(default=None, ge=0, le=63)
    """Of the free convolution; default: the architecture's, (kernel_size - 1) // 2 for another
    kernel size."""
    norm: Literal["batch", "none"] | None = None
    """What the first pooling begins with; for `sequential` only, elsewhere the architecture's."""
    frozen: bool = False
    """The whole first layer keeps its initial (or loaded) weights."""
    initial_weights: InitialWeightsSpec | None = None
    """Where the free channels start from; absent: random."""
    wavelet: WaveletSpec | None = None
    """The wavelet channels; absent: a plain CNN."""


class PoolingSpec(SpecModel):
    """The first pooling."""

    free: FreePooling = "max"
    """The free channels' pooling."""
    wavelet: WaveletPooling | None = None
    """The wavelet channels' pooling; default: `free`'s."""
    blur_size: int = Field(default=3, ge=2, le=7)
    """Size of the blurring filter, wherever something blurs."""
    max_kernel: Literal[2, 3] = 3
    """Window of the maximum in the blurring first pooling of a ResNet."""
    initial_bias: Literal["uniform", "zeros"] = "uniform"
    """What the bias after the modulus starts from, where no norm follows it (AlexNet): between -1 and
    1 as in the published models, or 0."""


class DataSpec(SpecModel):
    """The images."""

    dataset: DatasetName
    """Data set."""
    num_classes: int | None = Field(default=None, ge=2, le=1000000)
    """Number of classes; known for named sets, required for `folder`."""
    image_size: int | None = Field(default=None, ge=4, le=4096)
    """Height and width of what the network sees, in pixels; default: the data set's usual one."""
    augmentation: Literal["crop_flip", "pad_crop_flip", "pad_crop", "none"] | None = None
    """Random changes of training images; default: the data set's usual ones."""
    normalise: Literal["dataset", "imagenet", "none"] | None = None
    """Whose mean and standard deviation images are normalised with; default: `imagenet` for colour
    images, `dataset` for images of one channel."""
    validation: int | None = Field(default=None, ge=0, le=10000000)
    """Training images held out (per class for folders of images); default: the data set's."""


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


class PublishedSpec(SpecModel):
    """Figures from the literature to compare with."""

    source: str = Field(min_length=1, max_length=500)
    """Where the figures are from."""
    parameters: int | None = Field(default=None, ge=1)
    """Trainable parameters."""
    top1_error: Fraction | None = None
    """One crop, test images, share of wrong top predictions."""
    top5_error: Fraction | None = None
    """One crop, test images, share of images whose class is not among the first five predictions."""
    ten_crops_top1_error: Fraction | None = None
    """Ten crops, test images, share of wrong top predictions."""
    ten_crops_top5_error: Fraction | None = None
    """Ten crops, test images, share of images whose class is not among the first five predictions."""


class LintAllowSpec(SpecModel):
    """A warning that the spec means to give rise to."""

    rule: LintRuleName
    """Name of the rule, the code of its warnings."""
    reason: str = Field(max_length=500)
    """Why it is meant."""


class LintSpec(SpecModel):
    """What the warnings of `wavetwin check` leave out; it changes nothing that is built."""

    allow: tuple[LintAllowSpec, ...] = Field(default=(), max_length=64, strict=False)
    """Rules that keep silent, each with a reason."""


class ExperimentSpec(SpecModel):
    """A spec: what a model is, how it is trained and how it is judged."""

    wavetwin: Literal[1]
    """Version of the spec language."""
    extends: Annotated[
        Annotated[str, Field(min_length=1), Tag("scalar")]
        | Annotated[
            tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False), Tag("list")
        ],
        Discriminator(_scalar_or_list),
    ] = ()
    """Parents: paths relative to this file, inside the project; later ones win."""
    name: str | None = Field(default=None, pattern=NAME_PATTERN)
    """Label of the experiment and of what is built; default: the file's stem."""
    summary: str | None = Field(default=None, max_length=500)
    """One line about the experiment."""
    tags: tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...] = Field(
        default=(), max_length=64, strict=False
    )
    """Words to find the experiment by."""
    backbone: BackboneSpec
    """The network around the stem."""
    stem: StemSpec = Field(default_factory=StemSpec)
    """The first layer."""
    pooling: PoolingSpec = Field(default_factory=PoolingSpec)
    """The first pooling."""
    data: DataSpec
    """The images."""
    training: TrainingSpec = Field(default_factory=TrainingSpec)
    """How the model is trained."""
    evaluation: tuple[EvaluationSpec, ...] = Field(
        default_factory=lambda: (EvaluationSpec(mode="one_crop"),), max_length=256, strict=False
    )
    """The evaluation suite, in order."""
    published: PublishedSpec | None = None
    """Figures from the literature to compare with."""
    lint: LintSpec | None = None
    """Warnings that are left out."""
