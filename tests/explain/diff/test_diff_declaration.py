"""The declaration: every field that differs is named, and no other."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.support.diff_specs import Document, respelt, specs
from tests.support.shipped import SPEC_IDS, spec_of
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.resolve.spec import resolve
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.explain.diff.declaration import (
    ABSENT,
    DeclarationChanges,
    FieldChange,
    ListAlignment,
    compare_declarations,
    compare_labels,
    leaves,
)
from wavetwin.explain.diff.declaration import Path as KeyPath
from wavetwin.explain.diff.difference import Experiment, SourcedChange, compare
from wavetwin.explain.diff.field_rows import declaration_rows

ALEXNET = ("AI", "AwyI", "AwyI_mod", "Azh3I", "Azh3wyI", "Azh3wyI_mod")
RESNET = (
    "RI", "RwyI", "RwyI_mod", "Rzh3I", "Rzh3wyI", "Rzh3wyI_mod", "Rzo3I", "Rzo3wyI", "Rzo3wyI_mod",
)  # fmt: skip
ABLATIONS = (
    ("Rzh3wyI", "Rzh3wyI_abl"), ("Rzh3wyI_abl", "Rzh3wyI_mod"), ("Rzh3wyI_abl", "Rzo3wyI_abl"),
    ("Rzo3wyI", "Rzo3wyI_abl"), ("Rzo3wyI_abl", "Rzo3wyI_mod"), ("Rwy0I", "RwyI"),
)  # fmt: skip
PAIRS = (*pairwise(ALEXNET), *pairwise(RESNET), *ABLATIONS)
SECTIONS = ("backbone", "stem", "pooling", "data", "training", "evaluation")


def locked(name: str) -> dict[str, Any]:
    """The values of a spec's spec.lock.yaml by dotted key, read by another YAML reader."""
    text = dump_spec(compile_spec(spec_of(name)).resolved)
    document = YAML(typ="safe", pure=True).load(text)
    found: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(item, f"{path}.{key}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for position, item in enumerate(value):
                walk(item, f"{path}.{position}")
        else:
            found[path] = value

    for section in SECTIONS:
        walk(document[section], section)
    return found


def fields(first: Compiled, second: Compiled) -> list[FieldChange]:
    return list(compare_declarations(first.resolved, second.resolved).fields)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_every_difference_is_named_and_no_other(pair: tuple[str, str]) -> None:
    ours, theirs = map(locked, pair)
    missing = object()
    expected = {
        name: (ours.get(name, missing), theirs.get(name, missing))
        for name in ours.keys() | theirs.keys()
        if ours.get(name, missing) != theirs.get(name, missing)
    }
    found = {
        change.name: tuple(
            missing if value is ABSENT else value for value in (change.before, change.after)
        )
        for change in fields(*(compile_spec(spec_of(name)) for name in pair))
    }
    assert found == expected
    assert expected


def test_the_pairs_are_of_shipped_specs() -> None:
    assert {name for pair in PAIRS for name in pair} <= set(SPEC_IDS)


def compiled_of(document: Document | str, name: str = "x") -> Compiled:
    text = document if isinstance(document, str) else json.dumps(document)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        (Path(folder) / ".wavetwin.toml").touch()
        return compile_spec(path, optimise=False)


def apply_changes(resolved: Mapping[str, Any], changes: DeclarationChanges) -> dict[str, Any]:
    """Return the spec that a resolved spec becomes by the changes, as plain values.

    Its digests are those of the second spec that `compare_declarations` was given; labels are the
    first one's.
    """
    removed = {change.before_path for change in changes.fields if change.after is ABSENT}
    values = {
        moved: value
        for path, value in leaves(dict(resolved))
        if path not in removed and (moved := _moved(path, changes.lists)) is not None
    }
    for each in changes.lists:
        values[each.path] = []  # what stays when no item does
    for change in changes.fields:
        if change.after is not ABSENT:
            values[change.path] = change.after
    return _nest(values)


def _moved(path: KeyPath, lists: Sequence[ListAlignment]) -> KeyPath | None:
    """Return where a field of the first spec lies in the second; None where its item is gone."""
    for each in lists:
        depth = len(each.before_path)
        if path[:depth] == each.before_path and len(path) > depth:
            position = next(j for i, j in each.pairs if i == path[depth])
            return None if position is None else (*each.path, position, *path[depth + 1 :])
    return path


def _nest(values: Mapping[KeyPath, Any]) -> Any:
    """Return nested plain values from their leaves; an empty value gives way to what is below it."""
    members: dict[str | int, dict[KeyPath, Any]] = {}
    for path, value in values.items():
        if path:
            members.setdefault(path[0], {})[path[1:]] = value
    if not members:
        return copy.deepcopy(values[()])
    if all(isinstance(key, int) for key in members):
        return [_nest(members[key]) for key in sorted(members)]
    return {str(key): _nest(below) for key, below in members.items()}


def digest_after(first: Compiled, second: Compiled) -> str:
    """Of what the first becomes by the declared changes."""
    changes = compare_declarations(first.resolved, second.resolved)
    document = apply_changes(first.resolved, changes)
    return resolve(ExperimentSpec.model_validate_json(json.dumps(document)), "x").digest


@settings(max_examples=60, deadline=None)
@given(specs(), specs())
def test_a_difference_is_empty_exactly_where_digests_are_equal(
    first: Document, second: Document
) -> None:
    ours, theirs = compiled_of(first), compiled_of(second)
    changes = compare_declarations(ours.resolved, theirs.resolved)
    assert bool(changes) == (ours.digest != theirs.digest)
    assert bool(changes) == bool(changes.fields)
    assert digest_after(ours, theirs) == theirs.digest
    assert digest_after(theirs, ours) == ours.digest


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_other_words_are_no_difference(data: st.DataObject) -> None:
    document = data.draw(specs())
    ours = compiled_of(document)
    theirs = compiled_of(data.draw(respelt(document, ours)))
    assert ours.digest == theirs.digest
    assert not compare_declarations(ours.resolved, theirs.resolved)
    assert [change.name for change in compare_labels(ours.resolved, theirs.resolved)] == [
        "name",
        "summary",
    ]


@settings(max_examples=25, deadline=None)
@given(specs(), specs())
def test_random_pairs_have_layers_that_add_up_and_effects_for_each_field(
    first: Document, second: Document
) -> None:
    difference = compare(Experiment("a", compiled_of(first)), Experiment("b", compiled_of(second)))
    model = difference.model
    assert sum((layer.cost for layer in model.layers), type(model.before)()) == (
        model.after - model.before
    )
    told = tuple(field for effect in difference.effects for field in effect.fields)
    both_blur = all(
        any(node.operation.is_blur for node in compiled_of(each).graph) for each in (first, second)
    )
    for change in difference.changes.fields:
        # The size of a blur that one side alone has is no change of a blur: what brings it is told.
        if change.name == "pooling.blur_size" and not both_blur:
            continue
        if change.path[0] in ("backbone", "stem", "pooling") and change.path[-1] != "exclude":
            assert change.name.startswith(told), change.name


def entry(**changes: Any) -> Document:
    return {"mode": "shifts", "max_shift": 4, **changes}


def plain(evaluation: list[Document], **sections: Any) -> Compiled:
    return compiled_of(
        {
            "wavetwin": 1,
            "backbone": {"arch": "resnet18"},
            "data": {"dataset": "cifar10"},
            "evaluation": evaluation,
            **sections,
        }
    )


def test_an_inserted_list_item_is_one_addition() -> None:
    after = [{"mode": "ten_crops"}, {"mode": "one_crop"}, entry()]
    first, second = plain([{"mode": "one_crop"}, entry()]), plain(after)
    found = fields(first, second)
    assert {(change.kind, change.path[:2]) for change in found} == {("added", ("evaluation", 0))}
    assert digest_after(first, second) == second.digest


def test_a_changed_item_of_a_moved_list_is_named_by_its_new_place() -> None:
    first = plain([entry(direction="vertical"), {"mode": "one_crop"}])
    second = plain([{"mode": "one_crop"}, {"mode": "ten_crops"}])
    assert {(change.kind, change.path[1]) for change in fields(first, second)} == {
        ("removed", 0),
        ("added", 1),
    }
    assert digest_after(first, second) == second.digest


@pytest.mark.parametrize("number", [0, 1])
def test_a_list_that_becomes_empty_or_full(number: int) -> None:
    pair = [plain([]), plain([entry(), {"mode": "one_crop"}])]
    first, second = pair[number], pair[1 - number]
    assert {change.kind for change in fields(first, second)} == {("added", "removed")[number]}
    assert digest_after(first, second) == second.digest


def test_values_that_are_cut_where_they_differ_say_so() -> None:
    lists = [{"stem": {"numbers": [*range(40), last]}} for last in (50, 51)]
    (change,) = compare_declarations(*lists).fields
    (row,) = declaration_rows([SourcedChange(change, "a", "b")])
    assert row.value.endswith("(41 in all), which differ further on (--full)")
    (row,) = declaration_rows([SourcedChange(change, "a", "b")], full=True)
    assert row.value.endswith("38, 39, 51]")


def test_two_equal_orders_are_not_one() -> None:
    first = plain([{"mode": "one_crop"}, {"mode": "ten_crops"}])
    second = plain([{"mode": "ten_crops"}, {"mode": "one_crop"}])
    assert fields(first, second)
    assert digest_after(first, second) == second.digest
