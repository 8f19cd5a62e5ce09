"""timm's methods on the network of the graph and on that of model.py: the same features, heads, classifiers."""

import copy
import pickle  # noqa: TID251 - a test of what a user does with a model

import pytest
import torch
from torch import nn

import wavetwin
from tests.support.shipped import spec_of
from wavetwin.commands.cli import main
from wavetwin.runtime import load_build_model
from wavetwin.runtime.network.features import FeatureMethods

SHAPES = {
    "twin_mod": ((2, 1, 32, 32), (2, 64, 4, 4), 64),
    "R18zh3wyC": ((2, 3, 32, 32), None, 512),
    "AwyI": ((1, 3, 64, 64), None, 4096),
}
"""Of images and of maps, and how many features the classifier takes."""


@pytest.fixture(
    scope="module",
    params=[
        "twin_mod",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("R18zh3wyC", "AwyI")),
    ],
)
def networks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[FeatureMethods]]:
    """Return a network of the graph as written, one after the passes, and model.py's, with the same weights."""
    name: str = request.param
    folder = tmp_path_factory.mktemp("built")
    spec = str(spec_of(name))
    assert main(["build", "--allow-dirty", "--out", str(folder), spec]) == 0
    compiled = wavetwin.compile(spec)
    models = [
        wavetwin.build_model(compiled, optimise=False),
        wavetwin.build_model(compiled),
        load_build_model(folder / name / "model.py")(),
    ]
    for model in models:
        model.load_state_dict(models[0].state_dict())
    found = [model.eval() for model in models if isinstance(model, FeatureMethods)]
    assert len(found) == len(models)
    return name, found


def test_features_and_head_are_the_network(networks: tuple[str, list[FeatureMethods]]) -> None:
    name, models = networks
    size, maps, width = SHAPES[name]
    images = torch.randn(size, generator=torch.Generator().manual_seed(0))
    for model in models:
        names = list(model.state_dict())
        with torch.no_grad():
            logits = model(images)
            features = model.forward_features(images)
            assert torch.equal(model.forward_head(features), logits)
            hidden = model.forward_head(features, pre_logits=True)
            assert torch.equal(model.get_classifier()(hidden), logits)
        assert features.ndim == 4
        assert maps is None or features.shape == maps
        assert hidden.shape == (size[0], width)
        assert model.num_features == model.head_hidden_size == width
        assert model.num_classes == logits.shape[1]
        assert list(model.state_dict()) == names


def test_another_classifier(networks: tuple[str, list[FeatureMethods]]) -> None:
    name, models = networks
    size, _, width = SHAPES[name]
    images = torch.randn(size, generator=torch.Generator().manual_seed(0))
    for each in models:
        model = copy.deepcopy(each)
        model.reset_classifier(7)
        assert isinstance(model.get_classifier(), nn.Linear)
        assert (model.num_classes, model.num_features) == (7, width)
        loss = model(images).sum()
        loss.backward()
        assert model(images).shape == (size[0], 7)
        assert list(model.state_dict()) == list(each.state_dict())
        model.reset_classifier(0)
        assert (model.num_classes, model.num_features) == (0, width)
        with torch.no_grad():
            hidden = each.forward_head(each.forward_features(images), pre_logits=True)
            assert torch.equal(model(images), hidden)
        model.reset_classifier(3)
        assert model(images).shape == (size[0], 3)
        with pytest.raises(ValueError, match="global_pool"):
            model.reset_classifier(3, "max")
        with pytest.raises(ValueError, match="-1"):
            model.reset_classifier(-1)


def test_the_class_of_model_py_is_still_its_own(
    networks: tuple[str, list[FeatureMethods]],
) -> None:
    model = networks[1][-1]
    assert type(model).__module__ == "model"
    if networks[0] == "twin_mod":
        again = pickle.loads(pickle.dumps(model))  # noqa: S301
        assert type(again) is type(model)
        assert again.num_features == SHAPES["twin_mod"][2]


def test_a_network_without_such_a_head_says_so() -> None:
    model = FeatureMethods()
    model.add_module("trunk", nn.Sequential(nn.Conv2d(1, 10, 3), nn.Flatten()))
    with pytest.raises(TypeError, match="does not end in"):
        _ = model.num_features
    with pytest.raises(TypeError, match="does not end in"):
        model.reset_classifier(3)
