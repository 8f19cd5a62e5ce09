"""Every kind of layer that specs list says what it is."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from wavetwin.compiler.validate.json_schema import spec_schema
from wavetwin.ir.layer_kind import LayerKind
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.operations import BAND_MAPS
from wavetwin.ir.section import declared_fields
from wavetwin.ir.wavelets import BOUNDARY_MODES

MODELS = spec_schema()["$defs"]


@pytest.mark.parametrize("kind", known_layers().values(), ids=known_layers())
def test_a_kind_has_a_description_and_so_has_each_of_its_fields(kind: type[LayerKind]):
    text = MODELS["SequentialLayer"]["properties"][kind.key]["description"]
    assert text.endswith(".")
    assert len(text) > 2
    described = MODELS[kind.__name__].get("properties", {})
    assert list(described) == [each.name for each in declared_fields(kind)]
    assert all(each["description"].endswith(".") for each in described.values())


def test_followers_have_an_order_and_what_they_follow_follows_nothing():
    assert not any(kind.takes_followers and kind.follows for kind in known_layers().values())
    followers = [kind.follows for kind in known_layers().values() if kind.follows is not None]
    assert followers == sorted(followers)


@pytest.mark.parametrize("key", ["invariant", "scattering"])
def test_borders_of_invariant_and_scattering_layers_are_of_the_table(key: str):
    assert set(get_args(get_type_hints(known_layers()[key])["mode"])) < set(BOUNDARY_MODES)


def test_choices_of_wavelet_poolings_are_the_tables():
    hints = get_type_hints(known_layers()["wavelet_pool"])
    assert get_args(hints["bands"]) == tuple(BAND_MAPS)
