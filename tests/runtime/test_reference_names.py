from pathlib import Path

import pytest
import torch
from golden_weights import golden_shapes

import wavetwin
from wavetwin.importing.reference_names import reference_constants, reference_to_graph_names
from wavetwin.runtime.process.torchvision_compat import import_torchvision

SPECS = Path(__file__).parents[2] / "specs"

# Every golden network's names are compared in test_golden_models.py.


@pytest.mark.parametrize(
    ("spec", "architecture"),
    [("alexnet/AI", "alexnet"), ("cifar10/R18C", "resnet18"), ("cifar10/R50C", "resnet50")],
)
def test_standard_networks_have_torchvisions_names(spec: str, architecture: str):
    import_torchvision()
    from torchvision import models

    graph = wavetwin.compile(SPECS / f"{spec}.yaml").graph
    with torch.device("meta"):
        network = wavetwin.runtime.network.build.build_module(graph, num_classes=1000)
        theirs = models.get_model(architecture).state_dict()
    names = reference_to_graph_names(graph)
    assert {names[k]: v.shape for k, v in theirs.items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }


def test_trained_taps_are_loaded():
    graph = wavetwin.compile(
        SPECS / "alexnet/AwyI.yaml", ("stem.wavelet.trainable_filters=true",)
    ).graph
    names = reference_to_graph_names(graph)
    prefix = "features.0.wptblock.wpt"
    assert names[f"{prefix}._hfilters"] == "stem.wavelet.packets.low"
    assert names[f"{prefix}._gfilters"] == "stem.wavelet.packets.high"
    assert names.keys() == golden_shapes("stems.npz", "AwyI").keys()
    assert not reference_constants(graph)


def test_bottlenecks_blur_before_their_last_convolution():
    graph = wavetwin.compile(SPECS / "cifar10/R50zh3C.yaml").graph
    names = reference_to_graph_names(graph)
    assert names["layer2.0.conv3.1.weight"] == "trunk.layer2.0.conv3.weight"
    assert names["layer1.0.downsample.0.weight"] == "trunk.layer1.0.downsample.conv.weight"
    assert names["layer2.0.downsample.1.weight"] == "trunk.layer2.0.downsample.conv.weight"
    assert "layer2.0.conv3.0.filt" in reference_constants(graph)


def test_sequential_networks_have_no_reference():
    graph = wavetwin.compile(SPECS / "digits/cnn.yaml").graph
    with pytest.raises(ValueError, match="AlexNets and ResNets only"):
        reference_to_graph_names(graph)
