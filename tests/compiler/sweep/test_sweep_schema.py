"""The JSON Schema of sweeps, and what `wavetwin explain` says of their fields."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.paths import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.parse.source import Source
from wavetwin.compiler.parse.tree import parse_text
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.sweep.json_schema import FILE, sweep_schema, sweep_schema_text
from wavetwin.compiler.sweep.language import SWEEPS
from wavetwin.compiler.validate.structure import hold_against
from wavetwin.explain.sweep_fields import EXAMPLES, sweep_fields
from wavetwin.ir.sweeps.objectives import OBJECTIVES
from wavetwin.ir.sweeps.schedulers import SCHEDULERS
from wavetwin.ir.sweeps.searches import SEARCHES

LEAST: dict[str, Any] = {"wavetwin_sweep": 1, "base": "a.yaml", "objective": "validation.loss"}
VALIDATOR = jsonschema.Draft202012Validator(sweep_schema())


def test_the_shipped_schema_is_made_from_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert FILE.read_text(encoding="utf-8") == sweep_schema_text()
    assert cli.main(["schema", "sweep"]) == 0
    assert capsys.readouterr().out == sweep_schema_text()


def test_the_schema_is_a_schema_and_describes_every_field() -> None:
    document = sweep_schema()
    jsonschema.Draft202012Validator.check_schema(document)
    for model in [document, *document["$defs"].values()]:
        assert all(field["description"] for field in model["properties"].values())


@pytest.mark.parametrize(
    "change",
    [
        {"base": None},
        {"objective": "top1_error"},
        {"space": {"a.b": {}}},
        {"space": {"a.b": {"grid": [1], "int": [1, 2]}}},
        {"space": {"a.b": {"uniform": [1.0]}}},
        {"budget": {"points": 0}},
        {"seeds": ["a"]},
        {"wavetwin_sweep": 2},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_structural_mistakes(change: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(LEAST)
    assert not VALIDATOR.is_valid(LEAST | change)


def test_every_field_has_an_example_that_the_language_takes() -> None:
    assert {each.label for each in sweep_fields()} == set(EXAMPLES)
    for label, example in EXAMPLES.items():
        document = LEAST | example
        tree = parse_text(Source("a.yaml", dump_spec(document))).tree
        assert tree is not None
        spec, faults = hold_against(tree, lambda location: None, SWEEPS)
        assert (spec is not None, faults) == (True, ()), label
        assert VALIDATOR.is_valid(document), label
        value: Any = example
        for part in label.split("."):
            value = value[part] if part in value else next(iter(value.values()))[part]


def test_fields_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "sweep.budget.reduction", "grid", "sweep.objective"]) == 0
    text = capsys.readouterr().out
    assert "sweep.budget.reduction\n  Of so many points one goes on" in text
    assert "sweep.space.*.grid\n" in text
    assert "  default   none: it has to be said\n" in text
    assert cli.main(["explain", "sweep.budgt"]) == 2
    assert "no field and no message's code is 'sweep.budgt'" in capsys.readouterr().err


def test_the_schema_file_is_beside_that_of_specs() -> None:
    assert (Path(FILE).parent / "spec.schema.json").is_file()


def test_the_page_names_every_field_and_kind_and_its_example_is_a_sweep() -> None:
    page = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    for field in sweep_fields():
        if field.form.model is not None:
            continue  # its fields are named one by one
        label = field.path[-1] if field.path[0] == "space" else field.label
        assert re.search(rf"`{label}[`:]", page), label
    for table in (SEARCHES, SCHEDULERS, OBJECTIVES):
        assert all(f"`{name}`" in page for name in table)
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    tree = parse_text(Source("a.yaml", example[1])).tree
    assert tree is not None
    assert hold_against(tree, lambda location: None, SWEEPS)[1] == ()
