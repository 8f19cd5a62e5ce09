"""Tables of training and evaluation: every kind is documented, in the schema, checked and told."""

from __future__ import annotations

import re
import shutil
from dataclasses import MISSING, fields
from functools import cache
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

import wavetwin
from tests.support.own_code import PROJECT
from tests.support.paths import ROOT
from tests.support.plans import ADAMW, make_plan, shifts, version_1
from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.validate.json_schema import spec_schema
from wavetwin.diagnostics import CompileError
from wavetwin.explain.diff.declaration import compare_declarations
from wavetwin.explain.diff.effects import Pair
from wavetwin.explain.diff.training import compare_plans
from wavetwin.ir.augmentations import AUGMENTATIONS
from wavetwin.ir.evaluations import EVALUATIONS
from wavetwin.ir.image_transforms import known_transforms
from wavetwin.ir.optimizers import OPTIMIZERS
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.schedules import SCHEDULES, Cosine
from wavetwin.ir.section import Kinds

SPEC = """\
wavetwin: 1
backbone: {arch: sequential, layers: [{flatten: {}}, {linear: {}}]}
stem: {free_channels: 4}
data: {dataset: digits}
"""
TABLES: dict[str, Kinds[Any]] = {
    "training.optimizer": OPTIMIZERS,
    "training.schedule": SCHEDULES,
    "evaluation": EVALUATIONS,
}
NAMES = {
    **{path: list(kinds) for path, kinds in TABLES.items()},
    "data.augmentation": list(AUGMENTATIONS),
}
REQUIRED = {
    "milestones": "[2, 4]",
    "metrics": "[{name: own, module: {file: own/metrics.py, name: balanced_accuracy}}]",
}
"""Values of fields that have no default, or whose items are sections."""
VALUES = {bool: "true", int: "3", float: "0.5", tuple: "[0.5, 0.25]"}


def override(path: str, name: str, field: str = "") -> str:
    """Return the `--set` that chooses a kind, with its required fields and one more."""
    if path not in TABLES:
        return f"{path}={name}"
    kinds = TABLES[path]
    required = [
        f", {each.name}: {REQUIRED[each.name]}"
        for each in fields(kinds[name])
        if each.default is MISSING
    ]
    entry = f"{{{kinds.tag}: {name}{''.join(required)}{field}}}"
    return f"{path}=[{entry}]" if path == "evaluation" else f"{path}={entry}"


@cache
def compiled(folder: Path, *overrides: str) -> Compiled:
    path = folder / "x.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return wavetwin.compile(path, list(overrides))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("kinds")
    shutil.copytree(PROJECT / "own", made / "own")
    return made


@pytest.mark.parametrize("path", NAMES)
def test_every_kind_has_its_line_and_its_entry(path: str) -> None:
    documents = [
        (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("training", "evaluation")
    ]
    lines = "\n".join(line for text in documents for line in text.splitlines() if line[:1] == "|")
    models = {"training.optimizer": "OptimizerSpec", "training.schedule": "ScheduleSpec"}
    model = models.get(path, "EvaluationSpec" if path == "evaluation" else "DataSpec")
    field = TABLES[path].tag if path in TABLES else "augmentation"
    entry = str(spec_schema()["$defs"][model]["properties"][field])
    assert [name for name in NAMES[path] if f"| `{name}`" not in lines] == [], "no line in docs"
    assert [name for name in NAMES[path] if f"'{name}'" not in entry] == [], "not in the schema"


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [(p, *pair) for p, n in NAMES.items() for pair in permutations(n, 2)],
)
def test_a_sentence_tells_every_pair_apart(
    folder: Path, path: str, first: str, second: str
) -> None:
    sides = [compiled(folder, override(path, name)) for name in (first, second)]
    pair = Pair(*sides, compare_declarations(sides[0].resolved, sides[1].resolved))
    changes = compare_plans(pair)
    assert any(first in row.before and second in row.after for row in changes.rows) or any(
        first in note and second in note for note in changes.notes
    ), f"{first} -> {second} has no row"
    (note,) = changes.notes
    if path != "evaluation":
        assert re.fullmatch(rf"{first} .+; {second} .+", note)


LISTED_FIELDS = {
    "gaussian_blur": "kernel_size: 3",
    "module": "file: own/noise.py, name: Noise",
    "random_adjust_sharpness": "sharpness_factor: 2",
    "random_affine": "degrees: 10",
    "random_posterize": "bits: 4",
    "random_rotation": "degrees: 10",
    "random_solarize": "threshold: 128",
    "resize": "size: 40",
}
"""Fields of transforms that have no default."""
COLOUR = "data={dataset: cifar10, image_size: 32}"


def listed(*keys: str) -> str:
    items = ", ".join(f"{{{key}: {{{LISTED_FIELDS.get(key, '')}}}}}" for key in keys)
    return f"data.augmentation=[{items}]"


@pytest.mark.parametrize("key", known_transforms())
def test_every_transform_is_documented_in_the_schema_and_told(folder: Path, key: str) -> None:
    assert f"| `{key}`" in (ROOT / "docs/data.md").read_text("utf-8")
    kind, models = known_transforms()[key], spec_schema()["$defs"]
    assert {each.name for each in fields(kind)} == {*models[kind.__name__]["properties"]}
    assert key in models["TransformItem"]["properties"]
    leaves_sizes = kind.takes_any_size and not kind.gives_size
    keys = (key, "random_crop") if leaves_sizes else (key,)
    sides = [
        compiled(folder, COLOUR, "data.augmentation=none"),
        compiled(folder, COLOUR, listed(*keys)),
    ]
    pair = Pair(*sides, compare_declarations(sides[0].resolved, sides[1].resolved))
    changes = compare_plans(pair)
    (row,) = [each for each in changes.rows if each.label == "augmentation"]
    assert (row.before, row.after.partition(" ")[0].strip(",")) == ("none", key)
    (note,) = changes.notes
    assert note.startswith("none leaves images as they are; ")
    assert f"{kind.effect}" in note
    assert not changes.same_training
    # The network is the same.
    assert sides[0].model_digest == sides[1].model_digest


@pytest.mark.parametrize(
    ("before", "after", "note"),
    [
        (
            "[{random_invert: {}}, {random_equalize: {}}]",
            "[{random_equalize: {}}, {random_invert: {}}]",
            "the same changes of training images in another order",
        ),
        (
            "[{random_invert: {}}]",
            "[{random_invert: {}}, {random_erasing: {p: 0.25}}]",
            "in the second alone: random_erasing (p 0.25) covers a rectangle by one value",
        ),
        (
            "[{random_invert: {}}]",
            "[{random_invert: {p: 0.1}}]",
            "random_invert makes negatives; random_invert (p 0.1) makes negatives",
        ),
    ],
)
def test_lists_are_told_apart(folder: Path, before: str, after: str, note: str) -> None:
    sides = [compiled(folder, f"data.augmentation={each}") for each in (before, after)]
    pair = Pair(*sides, compare_declarations(sides[0].resolved, sides[1].resolved))
    assert compare_plans(pair).notes == (note,)
    assert sides[0].training_digest != sides[1].training_digest


def test_a_list_with_its_defaults_written_out_is_the_same(folder: Path) -> None:
    sides = [
        compiled(folder, f"data.augmentation=[{{random_resized_crop: {{{text}}}}}]")
        for text in ("", "scale: [0.08, 1], interpolation: bilinear")
    ]
    assert sides[0].training_digest == sides[1].training_digest


@pytest.mark.parametrize(
    ("change", "row"),
    {
        "label_smoothing=0.1": ("label smoothing", "0", "0.1"),
        "clip_norm=2": ("largest gradient norm", "none", "2"),
        "early_stopping=3": ("epochs without progress that end the training", "none", "3"),
        "precision=float16": ("precision", "float32", "float16"),
        "compile=true": ("compiled by torch.compile", "no", "yes"),
        "mixup=0.2": ("mixup's alpha", "none", "0.2"),
        "average_decay=0.9": ("decay of the averaged weights", "none", "0.9"),
        "freeze=[stem]": ("frozen parts", "none", "[stem]"),
        "groups=[{match: [norms, biases], lr_factor: 0.5, weight_decay: 0}]": (
            "parameter groups",
            "none",
            "norms, biases: learning rate x 0.5, weight decay 0",
        ),
    }.items(),
)
def test_a_sentence_is_said_of_a_recipe(
    folder: Path, change: str, row: tuple[str, str, str]
) -> None:
    sides = [compiled(folder), compiled(folder, f"training.{change}")]
    pair = Pair(*sides, compare_declarations(sides[0].resolved, sides[1].resolved))
    changes = compare_plans(pair)
    assert [(each.label, each.before, each.after) for each in changes.rows] == [row]
    assert not changes.same_training
    assert len(changes.notes) == 1


def test_own_metrics_are_told(folder: Path) -> None:
    def suite(*arguments: str) -> str:
        code = "{file: own/metrics.py, name: balanced_accuracy, arguments: {%s}}"
        listed = [f"{{name: m{n}, module: {code % each}}}" for n, each in enumerate(arguments)]
        return f"evaluation=[{{mode: one_crop, metrics: [{', '.join(listed)}]}}]"

    def note(first: tuple[str, ...], second: tuple[str, ...]) -> str:
        sides = [compiled(folder, suite(*each)) for each in (first, second)]
        pair = Pair(*sides, compare_declarations(sides[0].resolved, sides[1].resolved))
        changes = compare_plans(pair)
        assert changes.same_training
        (text,) = changes.notes
        return text

    adjusted, plain = "adjusted: true", "adjusted: false"
    same = (
        "the evaluation suites differ by `metrics` alone: entries give the same predictions, and their "
        "errors compare"
    )
    other = "of other code or arguments, and"
    assert note((), (plain,)) == note((plain,), (plain, adjusted)) == same
    assert note((plain,), (adjusted,)) == f"{same}; m0 is {other} its numbers do not compare"
    assert note((plain, adjusted), (adjusted, plain)) == (
        f"{same}; m0 and m1 are {other} their numbers do not compare"
    )


@pytest.mark.parametrize(("path", "kinds"), TABLES.items())
def test_a_field_of_another_kind_is_refused(folder: Path, path: str, kinds: Kinds[Any]) -> None:
    told: set[str] = set()
    for name, (field, declared) in product(kinds, kinds.all_fields().items()):
        if name in kinds.with_field(field):
            continue
        default = declared[0].default
        value = REQUIRED.get(field) or (default if isinstance(default, str) else None)
        value = value or VALUES.get(type(default), "3")
        with pytest.raises(CompileError) as caught:
            compiled(folder, override(path, name, f", {field}: {value}"))
        assert {each.code for each in caught.value.diagnostics} == {"field-does-not-apply"}, field
        told.add(name)
    assert told == set(kinds), "a kind that takes every field has no bad spec"


def test_plans_of_version_1_are_read(tmp_path: Path) -> None:
    suite = (
        shifts("both", "kl_divergence"),
        *(EVALUATIONS.read({"mode": m}, fills=True) for m in EVALUATIONS),
    )
    plan = make_plan(optimizer=ADAMW, schedule=Cosine(warmup_epochs=1), evaluation=suite)
    assert TrainingPlan.from_json(version_1(plan)) == plan
    assert TrainingPlan.from_json(plan.to_json()) == plan
    document = version_1(plan)
    document["optimizer"]["momentum"] = 0.9
    with pytest.raises(ValueError, match=r"optimizer\.momentum is not known here"):
        TrainingPlan.from_json(document)
    with pytest.raises(
        ValueError, match="not a training plan of version 1 or 2: wavetwin_plan is 3"
    ):
        TrainingPlan.from_json(plan.to_json() | {"wavetwin_plan": 3})
