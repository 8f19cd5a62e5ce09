"""What a whole spec does wrong: together, in file order, each at its place, without noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shipped import ROOT
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.parse.compose import LoadedSpec, SourceCache, load_spec
from wavetwin.compiler.parse.suggest import distance, nearest, suggest
from wavetwin.compiler.schema import ExperimentSpec, SpecModel
from wavetwin.compiler.validate.checks import RULES
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.compiler.validate.fields import field_forms, form_at, sections_with
from wavetwin.compiler.validate.spec import validate, validate_fragment
from wavetwin.compiler.validate.structure import placeholders
from wavetwin.diagnostics import Diagnostic, Location

BASE = "wavetwin: 1\nbackbone: {arch: alexnet}\ndata: {dataset: imagenet}\n"
TWIN = """\
stem:
  free_channels: 32
  wavelet:
    levels: 3
    exclude: [lowpass, diagonal]
    keep:
      - {band: 1, channels: 6, groups: 6}
      - {band: 2, channels: 18, groups: 6}
      - {band: 3, channels: 8, groups: 4}
"""


def load(folder: Path, text: str, overrides: tuple[str, ...] = (), **parents: str) -> LoadedSpec:
    for name, parent in parents.items():
        (folder / f"{name}.yaml").write_text(parent, encoding="utf-8")
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return load_spec(folder / "spec.yaml", folder, overrides)


def found(folder: Path, text: str, *overrides: str, **parents: str) -> list[str]:
    spec, diagnostics = validate(load(folder, text, overrides, **parents))
    assert (spec is None) == any(each.severity == "error" for each in diagnostics)
    return [f"{each.location} {each.code}" for each in diagnostics]


def test_five_mistakes_give_five_diagnostics_in_order(tmp_path: Path):
    text = """\
wavetwin: 1
backbone:
  arch: alexnt
stem:
  free_chanels: 64
data: {dataset: imagenet}
training:
  record_gradients: maybe
  batch_size: 0
  epochs: ninety
"""
    spec, diagnostics = validate(load(tmp_path, text))
    assert spec is None
    assert [(str(each.location), each.code, each.help) for each in diagnostics] == [
        ("spec.yaml:3:9", "unknown-choice", "did you mean 'alexnet'?"),
        ("spec.yaml:5:3", "unknown-field", "did you mean 'free_channels'?"),
        ("spec.yaml:8:21", "wrong-type", "write true or false"),
        ("spec.yaml:9:15", "out-of-range", None),
        ("spec.yaml:10:11", "wrong-type", None),
    ]


def test_a_valid_spec_is_returned(tmp_path: Path):
    spec, diagnostics = validate(load(tmp_path, BASE + TWIN))
    assert diagnostics == ()
    assert spec is not None
    assert spec.stem.wavelet is not None
    assert spec.stem.wavelet.keep[1].channels == 18
    assert spec.extends == ()


def test_whole_numbers_are_numbers_but_truth_is_not(tmp_path: Path):
    lr = "training: {optimizer: {lr: 1}}\n"
    spec, _ = validate(load(tmp_path, BASE + lr))
    assert spec is not None
    assert spec.training.optimizer.lr == 1.0
    assert found(tmp_path, BASE + "training: {optimizer: {lr: true}}\n") == [
        "spec.yaml:4:28 wrong-type"
    ]
    assert found(tmp_path, BASE.replace("1\n", "true\n", 1)) == ["spec.yaml:1:11 wrong-type"]
    assert found(tmp_path, BASE.replace("1\n", "1.0\n", 1)) == ["spec.yaml:1:11 wrong-type"]
    assert found(tmp_path, BASE + "pooling: {free: max_blur, max_kernel: 3.0}\n") == [
        "spec.yaml:4:39 wrong-type"
    ]


def test_each_file_is_checked_on_its_own(tmp_path: Path):
    # the child replaces what is wrong in its parent: it is wrong all the same
    parent = BASE + "training: {epochs: ninety}\n"
    child = "extends: base.yaml\ntraining: {epochs: 90}\n"
    assert found(tmp_path, child, base=parent) == ["base.yaml:4:20 wrong-type"]


def test_faults_come_in_the_order_of_files_and_places(tmp_path: Path):
    parent = BASE + "stem: {stride: 0}\npooling: {fre: max}\n"
    child = "extends: base.yaml\nsummary: 5\n"
    assert found(tmp_path, child, "training.epochs=-1", base=parent) == [
        "base.yaml:4:16 out-of-range",
        "base.yaml:5:11 unknown-field",
        "spec.yaml:2:10 wrong-type",
        "--set[1]:1:17 out-of-range",
    ]


def test_missing_fields_are_those_of_the_merge(tmp_path: Path):
    assert found(tmp_path, "extends: base.yaml\n", base="wavetwin: 1\nbackbone: {}\n") == [
        "base.yaml:2:1 missing-field",
        "spec.yaml:1:1 missing-field",
    ]
    loaded = load(tmp_path, "extends: base.yaml\n", base="backbone: {arch: alexnt}\n")
    assert [each.code for each in validate_fragment(loaded)] == ["unknown-choice"]


def test_null_removes_an_optional_field_but_not_a_required_one(tmp_path: Path):
    removed = "extends: base.yaml\nstem: {wavelet: null, free_channels: null}\n"
    assert found(tmp_path, removed, base=BASE + TWIN) == []
    assert found(tmp_path, "extends: base.yaml\n", "data.dataset=null", base=BASE) == [
        "--set[1]:1:14 null-for-required-field"
    ]
    # and it can be set again
    again = "extends: base.yaml\nbackbone: {arch: resnet18}\n"
    assert found(tmp_path, again, base=BASE.replace("alexnet", "null")) == []
    assert found(tmp_path, BASE + "stem: {wavelet: {levels: 2, keep: [null]}}\n") == [
        "spec.yaml:4:36 wrong-type"
    ]


def test_an_error_hides_only_the_checks_that_read_it(tmp_path: Path):
    # the wrong dataset hides what needs it, not the rest
    text = (BASE + TWIN).replace("dataset: imagenet", "dataset: imagnet")
    text += "training: {batch_size: 10, accumulate: 3}\npooling: {free: max, wavelet: max_blur}\n"
    assert found(tmp_path, text) == [
        "spec.yaml:3:17 unknown-choice",
        "spec.yaml:13:40 batch-does-not-divide",
        "spec.yaml:14:31 poolings-do-not-mix",
    ]
    # a wrong number of groups does not hide that the channels do not add up
    text = (BASE + TWIN).replace("groups: 4", "groups: four").replace("channels: 6", "channels: 7")
    assert found(tmp_path, text) == [
        "spec.yaml:12:29 channels-do-not-add-up",
        "spec.yaml:12:40 wrong-type",
    ]
    # a misspelt section hides what it would hold
    text = (BASE + TWIN).replace("wavelet:", "wavlet:") + "pooling: {wavelet: modulus}\n"
    assert found(tmp_path, text) == ["spec.yaml:6:3 unknown-field"]


def test_a_wrong_list_is_not_judged_by_its_rest(tmp_path: Path):
    text = BASE + TWIN + "    regularisation: [0.1, x, 0.2, 0.3]\n"
    assert found(tmp_path, text) == ["spec.yaml:13:27 wrong-type"]
    text = BASE + "training: {schedule: {name: milestones, milestones: [9, two, 1]}}\n"
    assert found(tmp_path, text) == ["spec.yaml:4:57 wrong-type"]


def test_an_incomplete_merge_is_not_judged(tmp_path: Path):
    assert found(tmp_path, "extends: missing.yaml\n") == ["spec.yaml:1:10 extends-not-found"]
    assert found(tmp_path, "extends: 5\n") == ["spec.yaml:1:10 wrong-type"]
    assert found(tmp_path, "extend: base.yaml\n", base=BASE) == ["spec.yaml:1:1 unknown-field"]
    assert found(tmp_path, BASE + "stem: {free_channels: 10\n") == ["spec.yaml:4:7 syntax-error"]


def test_a_refused_text_is_not_reported_twice(tmp_path: Path):
    assert found(tmp_path, BASE + f"training: {{epochs: {'9' * 80}}}\n") == [
        "spec.yaml:4:20 number-too-long"
    ]
    assert found(tmp_path, BASE + "training: {epochs: !!str 9}\n") == ["spec.yaml:4:20 tag"]


def test_parents_that_specs_share_are_checked_once(tmp_path: Path):
    (tmp_path / "base.yaml").write_text(BASE + "summary: 5\n", encoding="utf-8")
    cache = SourceCache(tmp_path)
    results: list[tuple[Diagnostic, ...]] = []
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("extends: base.yaml\n", encoding="utf-8")
        loaded = load_spec(tmp_path / f"{name}.yaml", tmp_path, (), cache)
        results.append(validate(loaded, cache)[1])
    assert results[0] == results[1]
    assert set(cache.reports) == {"base.yaml", "a.yaml", "b.yaml"}
    overridden = load_spec(tmp_path / "a.yaml", tmp_path, ("tags=5",), cache)
    other = load_spec(tmp_path / "a.yaml", tmp_path, ("tags=[6]",), cache)
    locations = [
        [str(each.location) for each in validate(each, cache)[1]] for each in (overridden, other)
    ]
    assert locations == [["base.yaml:4:10", "--set[1]:1:6"], ["base.yaml:4:10", "--set[1]:1:7"]]


@pytest.mark.parametrize(
    ("parent", "child", "override", "location"),
    [
        ("batch_size: 10", "accumulate: 3", None, "spec.yaml:2:24"),
        ("accumulate: 3", "batch_size: 10", None, "spec.yaml:2:24"),
        ("batch_size: 10, accumulate: 5", "epochs: 1", "accumulate=3", "--set[1]:1:21"),
        ("batch_size: 10, accumulate: 3", "epochs: 1", "epochs=2", "base.yaml:4:40"),
    ],
)
def test_a_clash_is_reported_at_the_value_set_last(
    tmp_path: Path, parent: str, child: str, override: str | None, location: str
):
    overrides = () if override is None else (f"training.{override}",)
    loaded = load(
        tmp_path,
        f"extends: base.yaml\ntraining: {{{child}}}\n",
        overrides,
        base=f"{BASE}training: {{{parent}}}\n",
    )
    (diagnostic,) = validate(loaded)[1]
    assert diagnostic.code == "batch-does-not-divide"
    assert str(diagnostic.location) == location
    assert diagnostic.location in {origin.location for origin in diagnostic.origins}
    assert [origin.label.split()[0] for origin in diagnostic.origins] == [
        "training.batch_size",
        "training.accumulate",
    ]


def test_clashes_show_defaults(tmp_path: Path):
    loaded = load(tmp_path, BASE)
    shown = conflict(
        loaded,
        "does-not-fit",
        "it does not fit",
        ["stem.stride", "data.image_size", "pooling.blur_size", "stem.wavelet", "backbone.arch"],
        default_values={"stem.stride": 4},
        help="a larger image",
    )
    assert [
        (origin.label, origin.location and origin.location.line) for origin in shown.origins
    ] == [
        ("stem.stride 4", None),
        ("data.image_size absent", None),
        ("pooling.blur_size 3", None),
        ("stem.wavelet absent", None),
        ("backbone.arch alexnet", 2),
    ]
    assert shown.location == Location("spec.yaml", 2, 18, 7)
    assert shown.source_line == "backbone: {arch: alexnet}"
    nowhere = conflict(loaded, "does-not-fit", "x", ["data.image_size"])
    assert nowhere.location == Location("spec.yaml", 3, 1, 4)
    assert nowhere.origins == ()
    assert conflict(loaded, "does-not-fit", "x", ["stem.stride"]).location == Location(
        "spec.yaml", 1, 1
    )


def required(model: type[SpecModel], path: str = "") -> list[str]:
    """Return the key paths of all required fields, `*` for places in lists."""
    names = [name for name, field in model.model_fields.items() if field.is_required()]
    paths = [path + name for name in names]
    for name, form in field_forms(model).items():
        for each in (form, *(branch for _, branch in form.branches)):
            if each.model is not None:
                paths += required(each.model, f"{path}{name}.")
            if each.item is not None and each.item.model is not None:
                paths += [f"{path}{name}.*", *required(each.item.model, f"{path}{name}.*.")]
    return paths


def test_every_required_field_has_a_stand_in():
    assert set(required(ExperimentSpec)) <= set(placeholders())


def test_every_field_that_a_rule_reads_exists():
    for rule in RULES:
        for pattern in rule.reads:
            paths = [
                [each if part == "*" else part for part in pattern.split(".")]
                for each in (0, "name")
            ]
            assert any(form_at(path) is not None for path in paths), pattern


def test_forms_are_read_from_the_schema():
    assert form_at(("stem", "wavelet", "levels")).bounds == "from 1 to 4"
    assert form_at(("training", "optimizer", "betas")).num_items == 2
    assert form_at(("stem", "wavelet", "color_mixing", "position")).choices == ("before", "after")
    assert form_at(("stem", "wavelet", "regularisation", 3)).label == "a number"
    assert form_at(("stem", "nothing", "here")) is None
    assert sections_with("lr") == ["training.optimizer"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("free_chanels", "free_channels"),
        ("freechannels", "free_channels"),
        ("Free-Channels", "free_channels"),
        ("pading", "padding"),
        ("wavelets", "wavelet"),
        ("initial", "initial_weights"),
        ("nrom", "norm"),
        ("lr", None),
        ("x", None),
        ("momentum", None),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(word: str, meant: str | None):
    names = list(field_forms(form_at(("stem",)).model))
    assert nearest(word, names) == meant


def test_choices_are_listed_where_they_are_few():
    assert suggest("x", ["a1", "b2"]) == "choose a1 or b2"
    assert suggest("x", [f"name{n}" for n in range(9)]) is None
    assert distance("ab", "ba") == 1
    assert distance("", "abc") == 3


def test_each_shipped_base_is_valid():
    """Whole specs are compiled, and nothing is said of them, where their digests are compared."""
    cache = SourceCache(ROOT)
    for path in (ROOT / "specs/base").rglob("*.yaml"):
        assert validate_fragment(load_spec(path, ROOT, (), cache), cache) == (), path


def test_the_validation_of_a_subset_comes_beside_its_training_images() -> None:
    spec = ROOT / "specs/alexnet/AI.yaml"
    given = compile_spec(spec, ["data.dataset=imagenet_t100", "data.validation=100"])
    left_out = compile_spec(spec, ["data.dataset=imagenet_t100", "data.validation=null"])
    assert given.plan.data.training_images == 100_000
    assert given.digest == left_out.digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trainng:\n", ["4:1"]),
        ("stem: {kernelsize: ~, padding: null}\n", ["4:8"]),
        ("stem:\n  kernelsize: !!null\n", ["5:3", "5:15"]),
        (
            "evaluation:\n  - {mode: one_crop, splt: null}\n  - mode: shifts\n    metrc:\n",
            ["5:22", "7:5"],
        ),
        ("training: {optimizer: {momentum: 0,9, weight_decay: 0,0005}}\n", ["4:36", "4:55"]),
        ("training: {epochs: 1,000}\n", ["4:22"]),
        ("stem: {free_channels: 63, wavelet: {levels: 3, keep: [{packets: [1], channels: 1, group: }]}}\n", ["4:83"]),
        ("lint: {allow: [{rule: static-gain, reason: x, why: ~}]}\n", ["4:47"]),
        ("'': null\n", ["4:1"]),
    ],
)  # fmt: skip
def test_an_unknown_field_is_refused_whatever_its_value(
    tmp_path: Path, text: str, expected: list[str]
):
    locations = [each.split()[0] for each in found(tmp_path, BASE + text)]
    assert locations == [f"spec.yaml:{location}" for location in expected]
    # in a part of specs, in a parent and in layers of a sequential backbone, too
    loaded = load(tmp_path, text)
    assert "unknown-field" in {each.code for each in validate_fragment(loaded)}
    child = found(tmp_path, "extends: base.yaml\n", base=BASE + text)
    assert [each.split()[0] for each in child] == [f"base.yaml:{location}" for location in expected]


def test_an_unknown_null_is_found_in_layers_and_overrides(tmp_path: Path):
    layers = "layers: [{conv: {channels: 4, kernel: null}}, {flatten: ~, linear: {}, dens: ~}]"
    text = BASE.replace("alexnet", f"sequential, {layers}")
    codes = [each for each in found(tmp_path, text) if each.endswith("unknown-field")]
    assert [each.split()[0] for each in codes] == ["spec.yaml:2:60", "spec.yaml:2:101"]
    assert found(tmp_path, BASE, "training.optimizer.momentm=null", "x.y=null") == [
        "--set[1]:1:20 unknown-field",
        "--set[2]:1:1 unknown-field",
    ]
    assert found(tmp_path, BASE, "training={optimizer: {lr: 0,1}}") == [
        "--set[1]:1:29 unknown-field"
    ]


def warned(folder: Path, text: str, **parents: str) -> list[tuple[str, str, str]]:
    _, diagnostics = validate(load(folder, text, **parents))
    return [(str(each.location), each.code, each.severity) for each in diagnostics]


def test_a_field_left_empty_is_told(tmp_path: Path):
    parent = BASE + "training:\n  optimizer: {lr: 0.2}\n"
    text = "extends: base.yaml\ntraining:\n  optimizer:\n  seed: # later\nstem: {stride: }\n"
    spec, diagnostics = validate(load(tmp_path, text, base=parent))
    assert spec is not None
    assert spec.training.optimizer.lr == 0.1
    assert [(str(each.location), each.code, each.severity) for each in diagnostics] == [
        ("spec.yaml:3:3", "left-empty", "warning"),
        ("spec.yaml:4:3", "left-empty", "warning"),
        ("spec.yaml:5:8", "left-empty", "warning"),
    ]
    assert "removes what is inherited" in diagnostics[0].headline
    assert [str(origin.location) for origin in diagnostics[0].origins] == ["base.yaml:5:14"]
    assert "nothing inherited" in diagnostics[1].headline
    # written out it is meant
    for null in ("null", "~", "Null"):
        assert warned(tmp_path, f"extends: base.yaml\ntraining: {null}\n", base=parent) == []


def test_what_is_left_empty_is_told_once_and_where_it_stands(tmp_path: Path):
    # what a grandparent sets is inherited, what a parent has removed is not
    removed = {"base": BASE + "training: {seed: 1, epochs: 3}\n"}
    removed["middle"] = "extends: base.yaml\ntraining: {seed: null}\n"
    loaded = load(tmp_path, "extends: middle.yaml\ntraining:\n  seed:\n  epochs:\n", **removed)
    headlines = [each.headline.partition(", ")[2] for each in validate(loaded)[1]]
    assert headlines == [
        "and there is nothing inherited to remove",
        "which removes what is inherited",
    ]
    # a required field without a value is an error already; an item of a list inherits nothing
    assert warned(tmp_path, BASE.replace("{dataset: imagenet}", "{dataset: }")) == [
        ("spec.yaml:3:16", "null-for-required-field", "error")
    ]
    listed = "evaluation: [{mode: one_crop, split: }]\n"
    both = {"base": BASE + "evaluation: [{mode: one_crop, split: train}]\n"}
    _, (warning,) = validate(load(tmp_path, "extends: base.yaml\n" + listed, **both))
    assert "nothing inherited" in warning.headline


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("stem: {frozen, stride: 2}\n", "write frozen: true"),
        ("stem:\n  ? frozen\n", "write frozen: true"),
        ("training: {optimizer: {lr}}\n", "write lr: and a value"),
    ],
)
def test_a_word_without_a_value_is_an_error(tmp_path: Path, text: str, help: str):
    spec, (fault,) = validate(load(tmp_path, BASE + text))
    assert spec is None
    assert (fault.code, fault.help) == ("value-missing", help)


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ('training: {optimizer: {lr: "0,05"}}', "write 0.05, without quotes"),
        ("training.optimizer.lr=1,5", "write 1.5"),
        ("training.optimizer.lr=0,050", "write 0.050"),
        ("training.epochs=1,000", "write 1000"),
        ("training.epochs=1.000.000", None),
        ("training.batch_size=1.048.576", "write 1048576"),
        ("training.batch_size=1_024", "write 1024"),
        ("training.batch_size=1'024", "write 1024"),
        ("training.epochs=3,5", None),
        ("training.epochs=1e9", None),
        ("training.epochs=3.0", "write 3"),
        ("training.epochs='3'", "write 3, without quotes"),
        ("training.optimizer.lr=\u0663", None),
        ("training.optimizer.lr=0.1%", None),
        ("published={source: x, parameters: '1.000'}", None),
        ("data.validation='1.234,0'", None),
        ("training.optimizer.lr=1.234,5", None),
        ("training.optimizer.lr=100,500", "write 100.500"),
        ("training.optimizer={betas: ['0,9', 0.99], name: adamw}", "write 0.9, without quotes"),
        ("tags=3.10", 'write ["3.10"]'),
        ("tags=a, b", "write [a, b]"),
        ("tags=[1.10]", 'write "1.10"'),
        ("summary=5", 'write "5"'),
        ("name=-5", None),
        ("stem.frozen=Yes", "write true"),
        ("stem.frozen=0", "write false"),
        ("stem.frozen=maybe", "write true or false"),
        ("training.schedule=cosine", "write {name: cosine}"),
        ("evaluation=[one_crop]", "write {mode: one_crop}"),
        ("pooling.max_kernel='3'", "write 3, without quotes"),
        ("pooling.max_kernel=3.0", "write 3"),
        ("stem={wavelet: {levels: 1, keep: [{band: 1, channels: 8, groups: 'x'}]}}", None),
    ],
)
def test_a_value_is_offered_where_the_field_takes_it(tmp_path: Path, text: str, help: str | None):
    is_override = "=" in text
    spec = BASE if is_override else f"{BASE}{text}\n"
    _, diagnostics = validate(load(tmp_path, spec, (text,) if is_override else ()))
    (fault,) = [each for each in diagnostics if each.code == "wrong-type"]
    assert fault.help == help


def test_a_text_on_the_line_below_its_section_is_a_field_without_a_colon(tmp_path: Path):
    _, diagnostics = validate(load(tmp_path, BASE.replace("{arch: alexnet}", "\n  arch alexnet")))
    assert diagnostics[0].help == "write arch: alexnet"


@pytest.mark.parametrize(
    ("key", "value", "help"),
    [
        ("training.num_epochs", "3", "did you mean 'epochs'?"),
        ("training.epoch", "3", "did you mean 'epochs'?"),
        ("training.patience", "3", "'patience' is a field of training.schedule"),
        ("training.weight_decy", "0", "did you mean 'weight_decay' of training.optimizer or training.groups.*?"),
        ("training.workers", "3",
            "choose epochs, batch_size, accumulate, early_stopping, mixup, cutmix, clip_norm, seed, "
            "threads or checkpoint_every"),
        ("training.amp", "true", "choose record_gradients or compile"),
        ("training.objective", "{name: hinge}", "choose optimizer, schedule or loss"),
        ("training.optimizer.decay", "1", "did you mean 'weight_decay'?"),
        ("training.optimizer.rho", "1", "choose lr, eps or weight_decay"),
    ],
)  # fmt: skip
def test_an_unknown_field_gets_its_neighbours(tmp_path: Path, key: str, value: str, help: str):
    _, diagnostics = validate(load(tmp_path, BASE, (f"{key}={value}",)))
    assert diagnostics[0].help == help


@pytest.mark.parametrize(
    ("section", "item", "most"),
    [("evaluation", "{mode: one_crop, split: [a]}", 256), ("tags", "5", 64), ("lint", "x", 64)],
)
def test_a_list_that_is_too_long_may_have_faulty_items(
    tmp_path: Path, section: str, item: str, most: int
):
    items = ", ".join([item] * (most + 1))
    text = f"{section}: [{items}]\n" if section != "lint" else f"lint: {{allow: [{items}]}}\n"
    codes = [each.split()[1] for each in found(tmp_path, BASE + text)]
    assert codes == ["wrong-length", *["wrong-type"] * (most + 1)]
    keep = ", ".join(["{band: x, channels: 1}"] * 65)
    text = f"stem: {{wavelet: {{levels: 1, keep: [{keep}]}}}}\n"
    assert [each.split()[1] for each in found(tmp_path, BASE + text)].count("wrong-length") == 1
