import pytest
import torch
from torch import Tensor

import wavetwin
from tests.support.diff_pairs import REAL
from tests.support.golden_weights import golden_shapes
from tests.support.paths import SPECS
from tests.support.shipped import compiled_once, spec_of
from wavetwin.compiler.compiled import Compiled
from wavetwin.importing.weights import WeightsError
from wavetwin.runtime.network.build import build_module
from wavetwin.runtime.process.torchvision_compat import import_torchvision
from wavetwin.runtime.training.starting.reference_names import (
    reference_constants,
    reference_to_graph_names,
)

# Every golden network's names are compared in test_golden_models.py.


@pytest.mark.parametrize(
    ("spec", "architecture"),
    [("alexnet/AI", "alexnet"), ("cifar10/R18C", "resnet18"), ("cifar10/R50C", "resnet50")],
)
def test_standard_networks_have_torchvisions_names(spec: str, architecture: str):
    import_torchvision()
    from torchvision import models

    graph = compiled_once(SPECS / f"{spec}.yaml").graph
    with torch.device("meta"):
        network = build_module(graph, num_classes=1000)
        theirs = models.get_model(architecture).state_dict()
    names = reference_to_graph_names(graph)
    assert {names[k]: v.shape for k, v in theirs.items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }


def test_trained_taps_are_loaded():
    graph = compiled_once(
        SPECS / "alexnet/AwyI.yaml", *("stem.wavelet.trainable_filters=true",)
    ).graph
    names = reference_to_graph_names(graph)
    prefix = "features.0.wptblock.wpt"
    assert names[f"{prefix}._hfilters"] == "stem.wavelet.packets.low"
    assert names[f"{prefix}._gfilters"] == "stem.wavelet.packets.high"
    assert names.keys() == golden_shapes("stems.npz", "AwyI").keys()
    assert not reference_constants(graph)


def test_bottlenecks_blur_before_their_last_convolution():
    graph = compiled_once(SPECS / "cifar10/R50zh3C.yaml").graph
    names = reference_to_graph_names(graph)
    assert names["layer2.0.conv3.1.weight"] == "trunk.layer2.0.conv3.weight"
    assert names["layer1.0.downsample.0.weight"] == "trunk.layer1.0.downsample.conv.weight"
    assert names["layer2.0.downsample.1.weight"] == "trunk.layer2.0.downsample.conv.weight"
    assert "layer2.0.conv3.0.filt" in reference_constants(graph)


def test_sequential_networks_have_no_reference():
    graph = compiled_once(SPECS / "digits/cnn.yaml").graph
    with pytest.raises(ValueError, match="AlexNets, ResNets and VGGs only"):
        reference_to_graph_names(graph)


_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_ALL_WAVELET = (
    "stem.free_channels=0",
    "stem.wavelet.keep=[{packets: [1, 2, 19, 17, 18, 3], channels: 24, groups: 2}, "
    "{packets: [10, 11], channels: 40, groups: 2}]",
    "stem.wavelet.exclude=null",
    "stem.wavelet.regularisation=null",
)
_MIXING = {"featmapmix.0.weight": "mixing.0.weight", "featmapmix.1.weight": "mixing.1.weight"}
_BIASES = {"featmapmix.0.bias": "mixing.0.bias", "featmapmix.1.bias": "mixing.1.bias"}
_COLOUR = {"colormix.weight": "colour.weight"}
_AFTER = "stem.wavelet.color_mixing=after"
# The first layer's and the first pooling's weights as the published code names them, where
# has_freelytrainedkernels is false: the wavelet block is `features.0` or `conv1` itself, and the
# first pooling one sequence. AlexNet's CMod asks for out_channels_maxpool=0 and keeps `high`.
_WITHOUT_FREE: dict[str, tuple[str, tuple[str, ...], dict[str, str], dict[str, str]]] = {
    "AlexNet RMax": ("AwyI", (), _COLOUR | _MIXING | _BIASES, {}),
    "AlexNet RMax, colours after": ("AwyI", (_AFTER,), _COLOUR | _MIXING | _BIASES, {}),
    "AlexNet RMax, blurred": ("Azh3wyI", (), _COLOUR | _MIXING | _BIASES, {}),
    "AlexNet CMod": ("AwyI_mod", (), _COLOUR | _MIXING, {"high.2.bias": "wavelet.bias.bias"}),
    "AlexNet CMod, blurred": (
        "Azh3wyI_mod", (), _COLOUR | _MIXING, {"high.2.bias": "wavelet.bias.bias"},
    ),
    "AlexNet CMod, trained filters": (
        "AwyI_mod",
        ("stem.wavelet.trainable_filters=true",),
        _COLOUR | _MIXING | {"wpt._hfilters": "packets.low", "wpt._gfilters": "packets.high"},
        {"high.2.bias": "wavelet.bias.bias"},
    ),
    "ResNet RMax": ("R18wyC", (), _COLOUR | _MIXING, {f"0.{n}": f"norm.{n}" for n in _NORM}),
    "ResNet RMax, real packets": (
        "R18wyC",
        (*REAL, "stem.wavelet.keep=[{band: 1, channels: 64}]"),
        _COLOUR | {"featmapmix.0.weight": "mixing.0.weight"},
        {f"0.{n}": f"norm.{n}" for n in _NORM},
    ),
    "ResNet RMax, blurred": (
        "R18zh3wyC", (), _COLOUR | _MIXING, {f"0.{n}": f"norm.{n}" for n in _NORM},
    ),
    "ResNet RMax, blurred adaptively": (
        "R18zo3wyC",
        (),
        _COLOUR | _MIXING,
        {f"0.{n}": f"norm.{n}" for n in _NORM}
        | {"3.conv.weight": "blur.conv.weight"}
        | {f"3.bn.{n}": f"blur.norm.{n}" for n in _NORM},
    ),
    "ResNet RMax, the wavelet pooling not blurred": (
        "Rzh3wyI_abl", (), _COLOUR | _MIXING, {f"0.{n}": f"wavelet.norm.{n}" for n in _NORM},
    ),
    "ResNet CMod": (
        "R18wyC_mod", (), _COLOUR | _MIXING, {f"2.{n}": f"wavelet.norm.{n}" for n in _NORM},
    ),
    "ResNet CMod, colours after": (
        "R18wyC_mod", (_AFTER,), _COLOUR | _MIXING, {f"2.{n}": f"wavelet.norm.{n}" for n in _NORM},
    ),
}  # fmt: skip


def _without_free(kind: str) -> tuple[Compiled, dict[str, str]]:
    """A twin of wavelet channels alone, and the names of its first layer and pooling."""
    spec, overrides, stem, pool = _WITHOUT_FREE[kind]
    compiled = compiled_once(spec_of(spec), *[*_ALL_WAVELET, *overrides])
    layer, pooling = ("features.0", "features.1") if spec[0] == "A" else ("conv1", "maxpool")
    return compiled, {f"{layer}.{k}": f"stem.wavelet.{v}" for k, v in stem.items()} | {
        f"{pooling}.{k}": f"pool.{v}" for k, v in pool.items()
    }


@pytest.mark.parametrize("kind", _WITHOUT_FREE)
def test_twins_without_free_channels_have_the_wavelet_blocks_names(kind: str):
    compiled, expected = _without_free(kind)
    names = reference_to_graph_names(compiled.graph)
    assert {k: v for k, v in names.items() if not v.startswith("trunk.")} == expected
    # Behind the first pooling the names are those of the twin with free channels, which are compared
    # with the published models'.
    spec = _WITHOUT_FREE[kind][0]
    usual = reference_to_graph_names(compiled_once(spec_of(spec)).graph)
    assert {k: v for k, v in names.items() if v.startswith("trunk.")} == {
        k: v for k, v in usual.items() if v.startswith("trunk.")
    }


@pytest.mark.parametrize(
    ("kind", "constants"),
    [
        ("AlexNet RMax, blurred", {"features.0.wpt._hfilters", "features.1.1.filt"}),
        ("AlexNet CMod", {"features.0.wpt._gfilters", "features.1.high.2.weight"}),
        ("ResNet RMax, blurred", {"conv1.wpt._hfilters", "maxpool.3.filt"}),
    ],
)
def test_constants_without_free_channels(kind: str, constants: set[str]):
    found = reference_constants(_without_free(kind)[0].graph)
    assert constants <= found.keys()
    assert not any("wptblock" in name or ".low." in name for name in found)


@pytest.mark.parametrize(
    "kind",
    [
        "AlexNet CMod, blurred",
        "ResNet RMax, real packets",
        "ResNet RMax, blurred adaptively",
        "ResNet CMod, colours after",
    ],
)
def test_twins_without_free_channels_are_loaded(kind: str):
    compiled, first = _without_free(kind)
    model = wavetwin.build_model(compiled).eval()
    own = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(2, 3, compiled.plan.data.image_size, compiled.plan.data.image_size)
    with torch.no_grad():
        expected = model(images)
    trunk = reference_to_graph_names(compiled_once(spec_of(_WITHOUT_FREE[kind][0])).graph)
    given: dict[str, Tensor] = {}
    for theirs, ours in (
        first | {k: v for k, v in trunk.items() if v.startswith("trunk.")}
    ).items():
        is_mixing = "featmapmix" in theirs and theirs.endswith("weight")
        given[theirs] = own[ours].unsqueeze(-1) if is_mixing else own[ours]
    if kind == "AlexNet CMod, blurred":
        # The published blurs of the free branch, which has no channels.
        given |= {f"features.1.low.{k}.filt": torch.zeros(0, 1, 3, 3) for k in (1, 3)}
    state = wavetwin.from_reference_state_dict(given, compiled)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        assert not torch.equal(model(images), expected)
        model.load_state_dict(state)
        assert torch.equal(model(images), expected)
    # The names of a twin with free channels are not this one's.
    moved = {k.replace(".featmapmix", ".wptblock.featmapmix"): v for k, v in given.items()}
    with pytest.raises(WeightsError, match=r"left over: .*wptblock"):
        wavetwin.from_reference_state_dict(moved, compiled)


_GREY = ("data={dataset: mnist, image_size: 32}", "stem.wavelet.color_mixing=null")
_ADAPTIVE = "pooling={free: max_adaptive_blur, wavelet: max_adaptive_blur}"


@pytest.mark.parametrize(
    ("spec", "usual", "changes", "reason"),
    [
        ("R18wyC", (), _GREY, "are of images in colour"),
        ("R18wyC_mod", _ALL_WAVELET, _GREY, "are of images in colour"),
        ("Azh3wyI", _ALL_WAVELET, (_ADAPTIVE,), "have no adaptive blurs"),
    ],
)
def test_twins_that_were_never_published_say_so(
    spec: str, usual: tuple[str, ...], changes: tuple[str, ...], reason: str
):
    compiled = compiled_once(spec_of(spec), *[*usual, *changes])
    with pytest.raises(ValueError, match=reason):
        reference_to_graph_names(compiled.graph)
    published = reference_to_graph_names(compiled_once(spec_of(spec), *usual).graph)
    given = dict.fromkeys(published, torch.zeros(1))
    with pytest.raises(WeightsError, match="missing: stem") as caught:
        wavetwin.from_reference_state_dict(given, compiled)
    assert caught.value.remedy is not None
    assert "wavetwin's own names alone" in caught.value.remedy
    assert reason in caught.value.remedy
    # Its own names are taken, as the remedy says.
    with torch.device("meta"):
        own = build_module(compiled.graph).state_dict()
    state = {
        name: torch.zeros((), dtype=value.dtype).expand(value.shape) for name, value in own.items()
    }
    assert wavetwin.from_reference_state_dict(state, compiled).keys() == own.keys()
