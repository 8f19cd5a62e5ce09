from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.shipped import KINDS, ROOT
from wavetwin.commands import cli
from wavetwin.compiler.parse.compose import SourceCache
from wavetwin.compiler.parse.nodes import to_plain
from wavetwin.compiler.validate import json_schema
from wavetwin.compiler.validate.json_schema import schema_text, shipped_schema, spec_schema

ALL = tuple(sorted({*KINDS, *(ROOT / "specs/base").glob("*.yaml")}))
VALIDATOR = jsonschema.Draft202012Validator(spec_schema())


def plain(path: Path) -> Any:
    tree = SourceCache(ROOT).read(path).tree
    assert tree is not None
    return to_plain(tree)


def test_the_shipped_schema_is_made_from_the_models() -> None:
    assert shipped_schema() == schema_text()


def test_the_command_does_not_need_the_shipped_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`wavetwin schema > FILE` empties the file before the command starts."""
    monkeypatch.setattr(json_schema, "FILE", tmp_path / "empty.json")
    (tmp_path / "empty.json").touch()
    assert shipped_schema() == ""
    assert cli.main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text()


def test_the_schema_is_a_schema_and_describes_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(spec_schema())
    document = spec_schema()
    for model in [document, *document["$defs"].values()]:
        for field in model.get("properties", {}).values():
            assert field["description"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_schema_takes_every_shipped_file(path: Path) -> None:
    VALIDATOR.validate(plain(path))
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../../")


MISTAKES: list[dict[str, Any]] = [
    {"pooling": {"free": "maxx"}},
    {"stem": {"fre_channels": 3}},
    {"stem": {"frozen": "maybe"}},
    {"training": {"epochs": -1}},
    {"training": {"batch_size": "many"}},
    {"evaluation": [{"split": "test"}]},
    {"backbone": {"layers": [{}]}},
    {"wavetwin": 2},
]


@pytest.mark.parametrize("document", MISTAKES)
def test_the_schema_refuses_structural_mistakes(document: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(document)
    assert VALIDATOR.is_valid({"stem": {"wavelet": None}})
