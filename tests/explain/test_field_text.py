"""`wavetwin explain FIELD`: every field of the language has an explanation and an example that holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shipped import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.parse.compose import SourceCache, load_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.validate.field_examples import ANY, example_of
from wavetwin.compiler.validate.spec import validate_fragment
from wavetwin.explain.field_text import SpecField, explain_field, fields_named, spec_fields


def once() -> list[SpecField]:
    """Return each declared field once, wherever else its section may stand."""
    found: dict[object, SpecField] = {}
    for each in spec_fields():
        found.setdefault((each.model, each.path[-1]), each)
    return list(found.values())


def test_the_example_of_every_field_is_a_part_of_a_spec_without_a_fault(tmp_path: Path) -> None:
    faulty: dict[str, object] = {}
    for number, each in enumerate(once()):
        example = example_of(each.path)
        value: object = example
        for part in each.path:
            value = value[part] if isinstance(value, dict) and part != ANY else _item(value)
        file = tmp_path / f"_{number}.yaml"
        file.write_text(dump_spec(example), encoding="utf-8")
        loaded = load_spec(file, tmp_path, cache=SourceCache(tmp_path))
        found = validate_fragment(loaded)
        if found or value is None:
            faulty[each.label] = found
    assert faulty == {}


def _item(value: object) -> object:
    items = list(value.values()) if isinstance(value, dict) else value
    assert isinstance(items, list)
    return items[0]


def test_every_field_says_what_it_may_be_its_default_its_readers_and_its_digest() -> None:
    for each in once():
        lines = explain_field(each).splitlines()
        assert lines[0] == ".".join(each.path)
        keys = [line[2:12].strip() for line in lines]
        assert [
            key for key in ("type", "default", "read by", "digest", "example") if key not in keys
        ] == []
        texts = {line[2:12].strip(): line[12:].strip() for line in lines[2:]}
        assert all(texts[key] for key in ("type", "default", "read by", "digest", "example"))


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("summary=x", ()),
        ("tags=[x]", ()),
        ("published={source: a, top1_error: 0.5}", ()),
        ("evaluation=[{mode: one_crop}]", ("digest",)),
        ("data.validation=100", ("digest", "training_digest")),
        ("training.seed=7", ("digest", "training_digest")),
        ("training.mixup=0.2", ("digest", "training_digest")),
        ("data.image_size=48", ("digest", "training_digest", "model_digest")),
        ("data={dataset: cifar10, validation: 5}", ("digest", "training_digest", "model_digest")),
        ("stem.frozen=true", ("digest", "training_digest", "model_digest")),
        ("pooling.free=max_blur", ("digest", "training_digest", "model_digest")),
        ("backbone.norm=batch", ("digest", "training_digest", "model_digest")),
    ],
)
def test_the_digests_named_are_those_that_change(override: str, changed: tuple[str, ...]) -> None:
    spec = ROOT / "specs/digits/cnn.yaml"
    before, after = compile_spec(spec), compile_spec(spec, [override])
    names = ("digest", "training_digest", "model_digest")
    found = tuple(name for name in names if getattr(before, name) != getattr(after, name))
    assert found == changed
    key = override.partition("=")[0].replace("data={", "data.dataset")
    key = "data.dataset" if "dataset" in override else key
    (field,) = [each for each in spec_fields() if ".".join(each.path) == key]
    text = " ".join(explain_field(field).split())
    said = {
        0: "digest none:",
        1: "digest evaluation alone:",
        2: "digest training and evaluation:",
        3: "digest model, training and evaluation:",
    }
    assert said[len(changed)] in text
    # Of later fields, that specs from before them keep their digest.
    assert ("left out" in text) == (key == "training.mixup")


def test_fields_are_found_by_the_end_of_their_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert [each.label for each in fields_named("stem.wavelet.keep.0.channels")] == [
        "stem.wavelet.keep.channels"
    ]
    assert [each.label for each in fields_named("optimizer.lr")] == ["training.optimizer.lr"]
    assert [each.label for each in fields_named("conv.bias")] == ["backbone.layers.conv.bias"]
    assert cli.main(["explain", "training.label_smoothing", "static-gain"]) == 0
    out = capsys.readouterr().out
    assert "  type      a number, at least 0 and below 1\n  default   0.0\n" in out
    assert "  example   training:\n              label_smoothing: 0.1\n" in out
    assert "\nstatic-gain" in out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("training.optimiser.lr", "did you mean 'training.optimizer.lr'?"),
        ("static-gian", "did you mean 'static-gain'?"),
        ("label_smoothign", "did you mean 'label_smoothing'?"),
        ("mode", "fields have this name"),
        ("nothing.at.all", "a field has its path"),
    ],
)
def test_names_that_are_none_get_the_nearest(
    name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explain", name]) == 2
    assert message in capsys.readouterr().err
