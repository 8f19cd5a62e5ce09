"""Import a network: turn an architecture and a configuration of the reference into a spec's fields.

No other module parses the reference's names (arXiv:2212.00394). A pair means what the
reference builds of it, also where its words have no effect, or where it fills in what they leave
open; what it cannot build, or a spec cannot say, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from wavetwin.compiler.parse.suggest import nearest
from wavetwin.importing.command_line import CommandLine
from wavetwin.importing.reference_networks import ALEXNETS, NETWORKS, RESNETS, Network
from wavetwin.ir.blurring import (
    Blurring,
)
from wavetwin.ir.poolings import MAX, MAX_ADAPTIVE_BLUR, MAX_BLUR, MODULUS, Pooling

__all__ = ["Configuration", "Network", "bands", "misfits", "network_fields", "remarks"]
__all__ += ["read_configuration", "read_network"]

_WaveletPooling = Literal["", "mod", "abl1", "abl1ada", "abl2"]

_WAVELET_POOLINGS: dict[str, _WaveletPooling] = {
    "": "",
    "mod": "mod",
    "abl1": "abl1",
    "abl1ada": "abl1ada",
    "abl2": "abl2",
    "abl": "abl2",
}
_DEFAULT_BLUR_SIZE = 3


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a configuration's name says."""

    free_channels: int | None = None
    mixes_colors_before: bool = False
    blur_size: int | None = None
    excludes_edges: bool = False
    takes_small_max: bool = False
    has_large_kernel: bool = False
    has_large_stride: bool = False
    is_frozen: bool = False
    wavelet_pooling: _WaveletPooling = ""

    @property
    def is_ablation(self) -> bool:
        """Whether only one of free and wavelet channels blurs."""
        return self.wavelet_pooling.startswith("abl")


_CONFIGURATION_LABELS = {
    "standard": re.compile(r"^Std"),
    "free": re.compile(r"Ft([0-9]{1,5})"),
    "colors": re.compile(r"Y"),
    "blur": re.compile(r"Bf([0-9]{1,3})"),
    "edges": re.compile(r"Ex"),
    "max": re.compile(r"K2"),
    "kernel": re.compile(r"Ks20"),
    "stride": re.compile(r"Str4"),
    "frozen": re.compile(r"Frozen"),
    "pooling": re.compile(r"_(mod|abl1ada|abl1|abl2|abl)$"),
}
_WITH_STANDARD = {"standard", "max"}
_CONFIGURATION_HELP = (
    "the words are Ft<channels>, Y, Bf<size>, Ex and K2, at the end _mod, _abl1, _abl1ada, _abl2 or "
    "_abl; or Std, StdK2, Ks20, Str4 or Frozen alone"
)


def read_configuration(command: CommandLine) -> Configuration | None:
    """Read a configuration; None where a word of it is not understood, and refused."""
    word = command.word("--config")
    if word is None:
        return Configuration()
    found: dict[str, str] = {}
    position = 0
    while position < len(word.text):
        for key, pattern in _CONFIGURATION_LABELS.items():
            match = pattern.match(word.text, position)
            if match is None or key in found or (key == "standard" and position):
                continue
            if "standard" in found and key not in _WITH_STANDARD:
                continue
            found[key] = match[1] if pattern.groups else match[0]
            position = match.end()
            break
        else:
            # Where the value is in quotes, the whole of it is shown.
            is_plain = word.stop - word.start == len(word.text)
            command.refuse(
                "unknown-configuration",
                f"{word.text[position:]!r} is not known in the configuration {word.text!r}",
                word.start + position * is_plain,
                word.stop,
                _CONFIGURATION_HELP,
            )
            return None
    return Configuration(
        free_channels=int(found["free"]) if "free" in found else None,
        mixes_colors_before="colors" in found,
        blur_size=int(found["blur"]) if "blur" in found else None,
        excludes_edges="edges" in found,
        takes_small_max="max" in found,
        has_large_kernel="kernel" in found,
        has_large_stride="stride" in found,
        is_frozen="frozen" in found,
        wavelet_pooling=_WAVELET_POOLINGS[found.get("pooling", "")],
    )


def read_network(command: CommandLine) -> Network | None:
    """Read an architecture; None where it is not known, and refused."""
    word = command.word("-a")
    if word is None:
        return None
    network = NETWORKS.get(word.text)
    if network is None:
        meant = nearest(word.text, NETWORKS)
        help_text = (
            f"did you mean '{meant}'?"
            if meant
            else "AlexNet, optionally after DtCwpt, Zhang or DtCwptZhang; resnet18, resnet34, "
            "resnet50 or resnet101, optionally after dtcwpt_, zhang_, zou_, dtcwpt_zhang_ or "
            "dtcwpt_zou_"
        )
        if word.text in ("WptAlexNet", "WptZhangAlexNet"):
            help_text = (
                "it has no configurations in the reference: write the spec by hand, with "
                "stem.wavelet.transform wpt"
            )
        command.refuse_word(
            "unknown-architecture",
            f"the architecture {word.text!r} is not known",
            word,
            help_text,
        )
    return network


# What the reference cannot build, or a spec cannot say


def misfits(network: Network, config: Configuration) -> Iterator[str]:
    """Yield what in a configuration contradicts the architecture."""
    if config.free_channels is None:
        yield from _misfits_of_cnn(network, config)
    else:
        known = network.family.free_channels
        if config.free_channels != known:
            yield (
                f"the wavelet channels' bands are known for Ft{known} and not for "
                f"Ft{config.free_channels}: write the spec by hand"
            )
        if config.excludes_edges and network.family.bands_without_edges is None:
            yield f"Ex is for {RESNETS.plural}"
        if config.has_large_kernel or config.has_large_stride or config.is_frozen:
            yield "Ks20, Str4 and Frozen are of networks without wavelet channels"
    yield from _misfits_of_blur(network, config)


def _misfits_of_blur(network: Network, config: Configuration) -> Iterator[str]:
    is_twin = config.free_channels is not None
    if config.is_ablation and not network.family.has_ablations:
        yield "an ablation is of a ResNet"
    if config.is_ablation and config.blur_size is None:
        yield "an ablation is of a blur, and there is no size: the published ones have Bf3"
    blurs_alike = not network.blurs or network.family.has_one_blur_size
    if config.blur_size is None and is_twin and not blurs_alike:
        yield (
            "without Bf the reference blurs this twin's first pooling with 4 taps and its trunk with "
            "3, which a spec cannot say: the published models have Bf3"
        )
    if config.blur_size is not None:
        if not network.blurs and not network.family.takes_size_without_blur:
            yield "Bf is for architectures that blur"
        if not 2 <= config.blur_size <= 7:
            yield "a blur has from 2 to 7 taps"
        elif config.blur_size % 2 == 0 and any(
            blurring.has_centre for blurring in _blurrings(network, config)
        ):
            yield "an adaptive blur has an odd size"
    can_be_small = network.family.takes_small_max and not (is_twin and not network.blurs)
    if config.takes_small_max and not can_be_small:
        yield "K2 is for ResNets that blur"


def _misfits_of_cnn(network: Network, config: Configuration) -> Iterator[str]:
    if network.is_twin:
        yield f"a twin needs its free channels: Ft{network.family.free_channels}"
        return
    for word, is_given in (
        ("Y", config.mixes_colors_before),
        ("Ex", config.excludes_edges),
        (f"_{config.wavelet_pooling}", bool(config.wavelet_pooling)),
    ):
        if is_given:
            yield f"{word} is for wavelet channels, and there are none"
    if config.has_large_kernel and not network.family.has_large_kernels:
        yield f"Ks20 is for {ALEXNETS.plural}"
    if config.has_large_stride:
        yield (
            "Str4 takes the first of two blurs from the first pooling of a ZhangAlexNet, which a spec "
            "cannot say"
        )


def remarks(network: Network, config: Configuration) -> Iterator[str]:
    """Yield what the reference does that the words do not say."""
    if config.free_channels is not None and not network.is_twin:
        yield "free channels are of a twin: read as the twin of this architecture"
    if network.blurs and config.blur_size is None:
        yield f"no Bf: the reference blurs with {_DEFAULT_BLUR_SIZE} taps then"
    if not network.blurs:
        no_effect = [
            word
            for word, is_given in (
                (f"Bf{config.blur_size}", config.blur_size is not None),
                ("K2", config.takes_small_max),
            )
            if is_given and not _blurrings(network, config)
        ]
        if no_effect:
            yield f"{' and '.join(no_effect)} without effect: nothing blurs in this network"
    if config.is_ablation and network.blurs and config.wavelet_pooling != "abl2":
        yield (
            f"_{config.wavelet_pooling} is for architectures that do not blur: the reference builds "
            "the blurring twin of this one"
        )
    if config.wavelet_pooling == "abl2" and not network.blurs:
        yield "_abl2 is for architectures that blur: the reference builds the plain twin of this one"


# Parts of a spec


def network_fields(network: Network, config: Configuration) -> dict[str, Any]:
    """Return `backbone`, `stem` where it is not the architecture's, and `pooling`."""
    stem: dict[str, Any] = {}
    if config.free_channels is not None:
        stem["free_channels"] = config.free_channels
        stem["wavelet"] = {
            "transform": "dtcwpt",
            "levels": network.family.levels,
            "filters": "qshift_a",
            "color_mixing": "before" if config.mixes_colors_before else "after",
            **bands(network, config),
        }
    if config.has_large_kernel:
        # The padding stays that of the smaller kernel.
        stem |= {"kernel_size": 20, "padding": 2}
    if config.is_frozen:
        stem["frozen"] = True
    return {
        "backbone": {
            "arch": network.arch,
            "downsampling": network.downsampling.name,
        },
        **({"stem": stem} if stem else {}),
        "pooling": _pooling(network, config),
    }


def bands(network: Network, config: Configuration) -> dict[str, Any]:
    """Return the kept packets and their mixing (arXiv:2212.00394)."""
    edges = network.family.bands_without_edges if config.excludes_edges else None
    return dict(edges or network.family.bands)


def _pooling(network: Network, config: Configuration) -> dict[str, Any]:
    """Return the first pooling, whose blur is adaptive where the configuration or the trunk is."""
    free, wavelet = _poolings(network, config)
    pooling: dict[str, Any] = {"free": free.name}
    if wavelet is not None:
        pooling["wavelet"] = wavelet.name
    if _blurrings(network, config):
        pooling["blur_size"] = config.blur_size or _DEFAULT_BLUR_SIZE
        if config.takes_small_max:
            pooling["max_kernel"] = 2
    return pooling


def _poolings(network: Network, config: Configuration) -> tuple[Pooling, Pooling | None]:
    """Return what pools the free channels, and the wavelet channels where that is another."""
    match config.wavelet_pooling:
        case "mod":
            return network.pooling, MODULUS
        case "abl2" if network.blurs:
            return network.pooling, MAX
        case "abl1" if not network.blurs:
            return network.pooling, MAX_BLUR
        case "abl1ada" if not network.blurs:
            return network.pooling, MAX_ADAPTIVE_BLUR
        case "abl1ada":
            return MAX_ADAPTIVE_BLUR, None
        case _:
            return network.pooling, None


def _blurrings(network: Network, config: Configuration) -> list[Blurring]:
    """Return what blurs in trunk and first pooling."""
    kinds = (network.downsampling, *_poolings(network, config))
    return [kind.blurring for kind in kinds if kind is not None and kind.blurring is not None]
