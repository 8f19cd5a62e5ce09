"""Define the fields of the network: the backbone, the first layer and the first pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag

from wavetwin.compiler.schema.declared import model_of
from wavetwin.compiler.schema.layers import InitialField, LayerField, ReplacedField
from wavetwin.compiler.schema.model import LATER, SpecModel, scalar_or_list
from wavetwin.compiler.schema.own_code import OwnCodeSpec
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS
from wavetwin.ir.poolings import FREE_POOLINGS, POOLINGS
from wavetwin.ir.wavelet_bank import PooledBands

if TYPE_CHECKING:
    from wavetwin.ir.wavelet_bank import PooledBands as WaveletPoolSpec

    Architecture = str
    FreePooling = str
    WaveletPooling = str
    Downsampling = str
else:  # The rows' names, read when the schema is made: a type checker cannot follow.
    Architecture = Literal[tuple(ARCHITECTURES)]
    FreePooling = Literal[tuple(FREE_POOLINGS)]
    WaveletPooling = Literal[tuple(POOLINGS)]
    Downsampling = Literal[tuple(DOWNSAMPLINGS)]
    WaveletPoolSpec = model_of("WaveletPoolSpec", PooledBands)
ExcludeRule = Literal["lowpass", "edges", "diagonal"]


class BackboneSpec(SpecModel):
    """The network around the stem."""

    arch: Architecture
    """Architecture."""
    downsampling: Downsampling = "strided"
    """How the trunk reduces resolution after the first pooling."""
    input: Annotated[Literal["stem", "image"], LATER] = "stem"
    """What `layers` begin with: the stem and its pooling, or the image itself, without either."""
    norm: Literal["batch"] | None = None
    """What follows each convolution (and layer like it) of `layers` that has no norm; absent: nothing."""
    initial: InitialField = None
    """How the weights of `layers` begin that do not say it; absent: as torch's layers do."""
    layers: tuple[LayerField, ...] = Field(default=(), max_length=1000, strict=False)
    """Layers after the stem and its pooling, or of the whole network; for `sequential` only."""
    replace: Annotated[dict[str, ReplacedField], LATER] = Field(default={})
    """What takes the place of layers, by their names; null takes one away. Fields of the same kind of
    layer merge, and what follows it stays."""

    @property
    def has_stem(self) -> bool:
        """Whether there is a first layer beside the backbone's own layers."""
        return self.input == "stem"


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

    packets: (
        Annotated[
            Annotated[Literal["all"], Tag("scalar")]
            | Annotated[
                tuple[Annotated[int, Field(ge=0, le=131071)], ...],
                Field(min_length=1, strict=False),
                Tag("list"),
            ],
            Discriminator(scalar_or_list),
        ]
        | None
    ) = None
    """Packet numbers, in order, as `wavetwin show SPEC --packets` lists them, or `all`. Either this or `band`."""
    band: int | None = Field(default=None, ge=1, le=8)
    """A dyadic band: 1 is the last stage's. Either this or `packets`."""
    channels: int = Field(ge=1, le=65536)
    """Output channels of the band; of complex ones two real channels each with `parts: separate`."""
    groups: int = Field(default=1, ge=1, le=65536)
    """Groups of the mixing; divides both the packets and the channels."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The packets, of a resolved spec."""
        assert self.packets is not None, "resolve lists the packets"
        assert not isinstance(self.packets, str), "resolve lists the packets"
        return self.packets


def _scalar_or_mapping(value: object) -> str:
    return "mapping" if isinstance(value, dict | ColorMixingSpec) else "scalar"


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
    parts: Annotated[Literal["real", "separate"], LATER] = "real"
    """What becomes of complex channels that no modulus is taken of: their real part, or both parts, as
    two channels each."""
    keep: tuple[KeepSpec, ...] = Field(min_length=1, max_length=64, strict=False)
    """Kept packets, in bands; the order is that of the output channels."""
    exclude: Annotated[
        Annotated[ExcludeRule, Tag("scalar")]
        | Annotated[tuple[ExcludeRule, ...], Field(strict=False), Tag("list")],
        Discriminator(scalar_or_list),
    ] = ()
    """Rules for what the dyadic bands of `keep` leave out."""
    regularisation: (
        Annotated[
            Annotated[Lambda, Tag("scalar")]
            | Annotated[tuple[Lambda, ...], Field(strict=False), Tag("list")],
            Discriminator(scalar_or_list),
        ]
        | None
    ) = None
    """Lambda of each band's L1/Linf penalty, or one for all; absent: none."""

    @property
    def num_channels(self) -> int:
        """The first layer's channels that come from packets; complex ones under a modulus count once."""
        each = 2 if self.parts == "separate" else 1
        return each * sum(entry.channels for entry in self.keep)


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

    free: FreePooling | None = None
    """The free channels' pooling; `none`: norm and activation alone; `module`: one of your own; default: the architecture's, `max`
    in most."""
    wavelet: WaveletPooling | None = None
    """The wavelet channels' pooling; default: `free`'s."""
    blur_size: int = Field(default=3, ge=2, le=7)
    """Size of the blurring filter, wherever something blurs."""
    max_kernel: Literal[2, 3] = 3
    """Window of the maximum in the blurring first pooling of a ResNet."""
    wavelet_pool: Annotated[WaveletPoolSpec | None, LATER] = None
    """Wavelet poolings; where there are any, default: LL of haar at dc gain."""
    module: Annotated[OwnCodeSpec | None, LATER] = None
    """The class of the pooling `module`."""
    initial_bias: Annotated[Literal["uniform", "zeros"], LATER] = "uniform"
    """What the bias after the modulus starts from, where no norm follows it (AlexNet): between -1 and
    1 as in the published models, or 0."""
