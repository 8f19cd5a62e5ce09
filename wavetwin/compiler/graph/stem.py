"""Add the first layer's nodes: free convolution, wavelet channels, or both."""

from __future__ import annotations

from wavetwin.compiler.schema import ColorMixingSpec, ExperimentSpec, WaveletSpec
from wavetwin.ir.architecture import Architecture
from wavetwin.ir.builder import GraphBuilder, crop_and_concat
from wavetwin.ir.operations import (
    Bias,
    ColourMixing,
    ColourMixingAfter,
    Conv2d,
    Interleave,
    KeepPackets,
    PacketMixing,
    Packets,
    RealPart,
)
from wavetwin.ir.poolings import POOLINGS


def add_stem(
    builder: GraphBuilder, spec: ExperimentSpec, metadata: Architecture, image: str
) -> str:
    """Add the first layer and return its last node's id."""
    stem = spec.stem
    free_channels = stem.free_channels or 0
    norm = stem.norm or metadata.norm
    free = None
    if free_channels:
        assert stem.kernel_size is not None, "resolve fills it in"
        assert stem.stride is not None, "resolve fills it in"
        assert stem.padding is not None, "resolve fills it in"
        conv = Conv2d(
            channels=free_channels,
            kernel_size=stem.kernel_size,
            stride=stem.stride,
            padding=stem.padding,
            groups=1,
            bias=norm == "none" or metadata.has_bias_before_norm,
            initial=metadata.first_layer_initial if stem.wavelet is None else "default",
            frozen=stem.frozen,
        )
        fields = ("free_channels", "kernel_size", "stride", "frozen")
        free = builder.add(
            "stem.free",
            conv,
            image,
            fields=("backbone.arch", *(f"stem.{field}" for field in fields)),
        )
    if stem.wavelet is None:
        assert free is not None
        return free
    wavelet = _add_wavelet(builder, spec, stem.wavelet, norm, image)
    if free is None:
        return wavelet
    return crop_and_concat(builder, "stem", free, wavelet)


def _add_wavelet(
    builder: GraphBuilder, spec: ExperimentSpec, wavelet: WaveletSpec, norm: str, image: str
) -> str:
    frozen = spec.stem.frozen
    mixing = wavelet.color_mixing
    assert not isinstance(mixing, str), "resolve spells colour mixing out"
    current = image
    before = isinstance(mixing, ColorMixingSpec) and mixing.position == "before"
    after = isinstance(mixing, ColorMixingSpec) and mixing.position == "after"
    if before:
        assert isinstance(mixing, ColorMixingSpec)
        assert mixing.initial is not None, "resolve fills it in"
        current = builder.add(
            "stem.wavelet.colour",
            ColourMixing(initial=mixing.initial, frozen=frozen or not mixing.trainable),
            current,
            fields=("stem.wavelet.color_mixing",),
        )
    colours = builder.shape(current)[0]
    assert spec.stem.stride is not None, "resolve fills it in"
    current = builder.add(
        "stem.wavelet.packets",
        Packets(
            transform=wavelet.transform,
            levels=wavelet.levels,
            stride=spec.stem.stride,
            filters=wavelet.filters,
            padding_mode=wavelet.padding_mode,
            trainable_filters=wavelet.trainable_filters,
            frozen=frozen,
        ),
        current,
        fields=(
            "stem.wavelet.transform",
            "stem.wavelet.levels",
            "stem.wavelet.filters",
            "stem.wavelet.trainable_filters",
            "stem.stride",
        ),
    )
    packets = tuple(number for entry in wavelet.keep for number in entry.numbers)
    current = builder.add(
        "stem.wavelet.keep",
        KeepPackets(packets=packets, colours=colours),
        current,
        fields=("stem.wavelet.keep", "stem.wavelet.exclude"),
    )
    modulus = spec.pooling.wavelet is not None and POOLINGS[spec.pooling.wavelet].takes_complex
    is_separate = wavelet.parts == "separate"
    mixes = PacketMixing(
        bands=tuple((len(entry.numbers), entry.channels, entry.groups) for entry in wavelet.keep),
        bias=norm == "none" and not modulus and not is_separate,
        colours=colours,
        frozen=frozen,
    )
    current = builder.add(
        "stem.wavelet.mixing", mixes, current, fields=("stem.wavelet.keep", "stem.frozen")
    )
    if after:
        assert isinstance(mixing, ColorMixingSpec)
        current = builder.add(
            "stem.wavelet.colour",
            ColourMixingAfter(frozen=frozen or not mixing.trainable),
            current,
            fields=("stem.wavelet.color_mixing",),
        )
    if modulus:
        return builder.add(
            "stem.wavelet.interleave", Interleave(), current, fields=("pooling.wavelet",)
        )
    if is_separate:
        parts = ("stem.wavelet.parts",)
        current = builder.add("stem.wavelet.interleave", Interleave(), current, fields=parts)
        if norm != "none":
            return current
        bias = Bias(channels=builder.shape(current)[0], initial="zeros", frozen=frozen)
        return builder.add("stem.wavelet.bias", bias, current, fields=parts)
    if wavelet.transform == "dtcwpt":
        return builder.add("stem.wavelet.real", RealPart(), current, fields=("pooling.wavelet",))
    return current
