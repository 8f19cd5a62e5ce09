import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import wavetwin
from tests.support.shipped import (
    KIND_IDS,
    KINDS,
    ROOT,
    SPEC_IDS,
    SPECS,
    compiled_once,
    contents,
    spec_of,
)
from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.resolve.spec import canonical_json, resolve
from wavetwin.compiler.schema import ExperimentSpec

DIGESTS = json.loads((ROOT / "tests/golden/digests.json").read_text(encoding="utf-8"))
LABELS = {"wavetwin", "name", "summary", "tags", "published", "lint"}


def digests(compiled: Compiled) -> dict[str, str]:
    return {
        "model": compiled.model_digest,
        "training": compiled.training_digest,
        "digest": compiled.digest,
    }


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_shipped_spec_has_a_recorded_digest() -> None:
    assert set(DIGESTS) == set(SPEC_IDS)


@pytest.mark.parametrize("path", SPECS, ids=SPEC_IDS)
def test_digests_are_the_recorded_ones(path: Path) -> None:
    compiled = compiled_once(path)
    assert digests(compiled) == DIGESTS[path.stem]
    assert not compiled.warnings


def test_the_specs_of_the_longer_tests_contain_what_any_shipped_spec_contains() -> None:
    there = {line for path in KINDS for line in contents(compiled_once(path))}
    missing = {
        path.stem: found for path in SPECS if (found := contents(compiled_once(path)) - there)
    }
    assert not missing


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_the_resolved_document_is_a_spec_with_the_same_digests(path: Path) -> None:
    compiled = compiled_once(path)
    again = resolve(ExperimentSpec.model_validate_json(json.dumps(compiled.resolved)), path.stem)
    assert again.document == compiled.resolved
    assert again.digest == compiled.digest


MINIMAL = """\
wavetwin: 1
backbone: {arch: resnet18}
data: {dataset: cifar10}
stem:
  free_channels: 40
  wavelet: {levels: 2, exclude: [lowpass], keep: [{band: 1, channels: 24, groups: 6}]}
"""


def test_spelling_order_and_labels_do_not_change_a_digest(tmp_path: Path) -> None:
    reference = digests(wavetwin.compile(write(tmp_path, MINIMAL)))
    spelt_out = """\
# a comment
summary: another label
tags: [a, b]
name: another
stem:
  wavelet:
    keep:
      - groups: 6
        channels: 24
        packets: [1, 2, 19, 17, 18, 3]
    color_mixing: {position: before, initial: [0.9802, 1.3060, 0.7138]}
    levels: 2
  free_channels: 40
data: {dataset: cifar10, image_size: 32, validation: 5000, num_classes: 10}
backbone: {arch: resnet18}
training: {optimizer: {lr: 1e-1, weight_decay: 0.0001}}
published: {source: nowhere}
wavetwin: 1
"""
    assert digests(wavetwin.compile(write(tmp_path, spelt_out))) == reference


def test_each_digest_covers_what_decisions_say(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    before = digests(wavetwin.compile(path))
    changed = {
        "stem.frozen=true": {"model", "training", "digest"},
        "training.epochs=3": {"training", "digest"},
        "data.validation=7": {"training", "digest"},
        "evaluation=[{mode: ten_crops}]": {"digest"},
        "data.image_size=40": {"model", "training", "digest"},
        "data.image_size=[32, 32]": set(),
        "data.image_size=[32, 40]": {"model", "training", "digest"},
        "summary=other": set(),
        "lint={allow: [{rule: static-gain, reason: a label}]}": set(),
    }
    for override, expected in changed.items():
        after = digests(wavetwin.compile(path, [override]))
        assert {key for key in before if before[key] != after[key]} == expected, override


def numbers(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if path or key not in LABELS:
                yield from numbers(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers(item, (*path, index))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def test_a_square_has_one_form_and_its_sides_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    sizes = {
        text: wavetwin.compile(path, [f"data.image_size={text}"])
        for text in ("40", "[40, 40]", "[32, 40]", "[40, 32]")
    }
    assert sizes["40"].resolved["data"]["image_size"] == 40
    assert sizes["[40, 40]"].resolved == sizes["40"].resolved
    assert sizes["[32, 40]"].resolved["data"]["image_size"] == [32, 40]
    assert len({each.digest for each in sizes.values()}) == 3
    assert sizes["[32, 40]"].graph.input.output_shape == (3, 32, 40)


@pytest.mark.parametrize("name", ["Azh3wyI_mod", "Rwy0I", "R18zo3wyC_mod", "twin_mod"])
def test_changing_any_number_changes_the_digest(name: str) -> None:
    compiled = wavetwin.compile(spec_of(name))
    locations = list(numbers(compiled.resolved))
    assert len(locations) > 30
    for location in locations:
        document = json.loads(json.dumps(compiled.resolved))
        holder = document
        for step in location[:-1]:
            holder = holder[step]
        old = holder[location[-1]]
        changed = set()
        for new in (old + 1, old - 1) if isinstance(old, int) else (old * 0.5 + 0.001,):
            holder[location[-1]] = new
            # Out of range is refused and not digested: the other direction is in range then.
            with suppress(ValidationError):
                spec = ExperimentSpec.model_validate_json(json.dumps(document))
                changed.add(resolve(spec, name).digest)
        assert changed, location
        assert compiled.digest not in changed, location


def test_canonical_numbers() -> None:
    assert canonical_json({"b": 1.0, "a": [0.1, 1e-4, "é"]}) == '{"a":[0.1,0.0001,"é"],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


@pytest.mark.parametrize(
    ("spec", "later", "other"),
    [
        ("AwyI_mod", "pooling.initial_bias=uniform", "pooling.initial_bias=zeros"),
        (
            "RI",
            "evaluation=[{mode: one_crop, resize: float}]",
            "evaluation=[{mode: one_crop, resize: pil}]",
        ),
        (
            "RI",
            "evaluation=[{mode: one_crop, calibration_bins: 15, predictions: false}]",
            "evaluation=[{mode: one_crop, calibration_bins: 10}]",
        ),
        (
            "RI",
            "evaluation=[{mode: one_crop}]",
            "evaluation=[{mode: one_crop, predictions: true}]",
        ),
    ],
)
def test_later_fields_are_left_out_at_their_defaults(spec: str, later: str, other: str) -> None:
    without = [later.split("=")[0] + "=[{mode: one_crop}]"] if spec == "RI" else []
    plain = wavetwin.compile(spec_of(spec), without)
    assert digests(wavetwin.compile(spec_of(spec), [later])) == digests(plain)
    changed = wavetwin.compile(spec_of(spec), [other])
    assert changed.digest != plain.digest
    assert (changed.model_digest == plain.model_digest) == (spec == "RI")


RECIPE = {
    "optimizer={name: adam, momentum: null}": "",
    "optimizer={name: adam, momentum: null, eps: 1e-7}": "",
    "optimizer={name: rmsprop}": "",
    "schedule={name: linear}": "",
    "schedule={name: cosine, every: step}": "",
    "schedule={name: cosine, end_factor: 0.1}": "",
    "early_stopping=9": "early_stopping=null",
    "label_smoothing=0.1": "label_smoothing=0",
    "class_weights=[1, 2, 1, 1, 1, 1, 1, 1, 1, 1]": "class_weights=null",
    "clip_norm=1": "clip_norm=null",
    "freeze=[stem]": "freeze=[]",
    "frozen_norms=training": "frozen_norms=evaluation",
    "groups=[{match: [norms], weight_decay: 0}]": "groups=[]",
    "groups=[{match: [norms], lr_factor: 0.5}]": "",
    "mixup=0.2": "mixup=null",
    "precision=float16": "precision=float32",
    "precision=bfloat16": "",
    "compile=true": "compile=false",
    "kernels=native": "kernels=torch",
    "cutmix=0.2": "cutmix=null",
    "average_decay=0.9": "average_decay=null",
}
"""Changes of a recipe, and how the same says what is so by default."""


def test_a_recipe_is_in_the_training_digest_alone() -> None:
    spec = spec_of("twin_mod")
    plain, found = wavetwin.compile(spec), set()
    for change, default in RECIPE.items():
        compiled = wavetwin.compile(spec, [f"training.{change}"])
        assert compiled.model_digest == plain.model_digest
        found.add(compiled.training_digest)
        if default:
            same = wavetwin.compile(spec, [f"training.{default}"])
            assert digests(same) == digests(plain), default
    assert len(found - {plain.training_digest}) == len(RECIPE)
