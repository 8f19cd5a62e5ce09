"""The first layer's nodes: free convolution, wavelet channels, or both."""

from __future__ import annotations

from wavetwin.compiler.graph.builder import GraphBuilder, crop_and_concat
from wavetwin.compiler.schema import ColorMixingSpec, ExperimentSpec, WaveletSpec
from wavetwin.ir.backbones import ArchitectureFacts


def add_stem(
    builder: GraphBuilder, spec: ExperimentSpec, facts: ArchitectureFacts, image: str
) -> str:
    """Add the first layer and return its last node's id."""
    stem = spec.stem
    free_channels = stem.free_channels or 0
    norm = stem.norm or facts.norm
    free = None
    if free_channels:
        standard = stem.wavelet is None and facts.family == "resnet"
        free = builder.add(
            "stem.free",
            "conv2d",
            image,
            fields=(
                "backbone.arch",
                "stem.free_channels",
                "stem.kernel_size",
                "stem.stride",
                "stem.frozen",
            ),
            channels=free_channels,
            kernel_size=stem.kernel_size,
            stride=stem.stride,
            padding=stem.padding,
            groups=1,
            bias=norm == "none",
            initial="kaiming_normal_fan_out" if standard else "default",
            frozen=stem.frozen,
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
        current = builder.add(
            "stem.wavelet.colour",
            "colour_mixing",
            current,
            fields=("stem.wavelet.color_mixing",),
            initial=mixing.initial,
            frozen=frozen or not mixing.trainable,
        )
    colours = builder.shape(current)[0]
    current = builder.add(
        "stem.wavelet.packets",
        "packets",
        current,
        fields=(
            "stem.wavelet.transform",
            "stem.wavelet.levels",
            "stem.wavelet.filters",
            "stem.wavelet.trainable_filters",
            "stem.stride",
        ),
        transform=wavelet.transform,
        levels=wavelet.levels,
        stride=spec.stem.stride,
        filters=wavelet.filters,
        padding_mode=wavelet.padding_mode,
        trainable_filters=wavelet.trainable_filters,
        frozen=frozen,
    )
    packets = tuple(number for entry in wavelet.keep for number in entry.packets or ())
    assert packets, "resolve lists the packets"
    current = builder.add(
        "stem.wavelet.keep",
        "keep_packets",
        current,
        fields=("stem.wavelet.keep", "stem.wavelet.exclude"),
        packets=packets,
        colours=colours,
    )
    modulus = spec.pooling.wavelet in ("modulus", "modulus_blur")
    current = builder.add(
        "stem.wavelet.mixing",
        "packet_mixing",
        current,
        fields=("stem.wavelet.keep", "stem.frozen"),
        bands=tuple(
            (len(entry.packets or ()), entry.channels, entry.groups) for entry in wavelet.keep
        ),
        bias=norm == "none" and not modulus,
        colours=colours,
        frozen=frozen,
    )
    if after:
        assert isinstance(mixing, ColorMixingSpec)
        current = builder.add(
            "stem.wavelet.colour",
            "colour_mixing_after",
            current,
            fields=("stem.wavelet.color_mixing",),
            frozen=frozen or not mixing.trainable,
        )
    if modulus:
        return builder.add(
            "stem.wavelet.interleave", "interleave", current, fields=("pooling.wavelet",)
        )
    if wavelet.transform == "dtcwpt":
        return builder.add("stem.wavelet.real", "real_part", current, fields=("pooling.wavelet",))
    return current
