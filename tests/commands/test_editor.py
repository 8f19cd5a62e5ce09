"""Specs in an editor, by yaml-language-server: what is shipped, new and broken; completion, hover.

The slow tests install the server by npm.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.language_server import Server, install
from tests.support.shipped import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.validate.json_schema import spec_schema

SCHEMA = spec_schema()


def fields() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, model in [("", SCHEMA), *SCHEMA["$defs"].items()]:
        for field, shape in model.get("properties", {}).items():
            yield f"{name}.{field}", shape


def enumerations(shape: Any) -> Iterator[dict[str, Any]]:
    if isinstance(shape, dict):
        if "enum" in shape:
            yield shape
        for each in shape.values():
            yield from enumerations(each)
    elif isinstance(shape, list):
        for each in shape:
            yield from enumerations(each)


def test_every_field_has_an_example_that_the_schema_takes() -> None:
    for name, shape in fields():
        validator = jsonschema.Draft202012Validator({**shape, "$defs": SCHEMA["$defs"]})
        assert len(shape["examples"]) == 1, name
        validator.validate(shape["examples"][0])


def test_every_choice_is_described() -> None:
    num_choices = 0
    for name, shape in fields():
        for each in enumerations(shape):
            if any(isinstance(choice, str) for choice in each["enum"]):
                texts = each["enumDescriptions"]
                assert len(texts) == len(each["enum"]), name
                assert all(text.endswith(".") for text in texts), (name, texts)
                num_choices += len(texts)
    assert num_choices > 200


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Begin a project, and write a spec of each command into it."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "study", "--no-git", "--twin", "cmod"]) == 0
    monkeypatch.chdir(tmp_path / "study")
    change = ["--set", "stem.free_channels=40"]
    assert cli.main(["new", "wider", "--from", "specs/cnn.yaml", *change]) == 0
    command = "AwyI_mod -a DtCwptAlexNet --config Ft32Y_mod --lr 0.01"
    Path("specs/deep").mkdir()
    assert cli.main(["import", "command", command, "--out", "specs/deep/AwyI_mod.yaml"]) == 0
    return tmp_path / "study"


def test_what_commands_write_names_a_schema_that_is_there(project: Path) -> None:
    specs = sorted(project.rglob("specs/**/*.yaml"))
    assert [spec.name for spec in specs] == ["cmod.yaml", "cnn.yaml", "AwyI_mod.yaml", "wider.yaml"]
    for spec in specs:
        line = spec.read_text(encoding="utf-8").partition("\n")[0]
        start, _, path = line.partition("=")
        assert start == "# yaml-language-server: $schema"
        schema = (spec.parent / path).resolve()
        assert schema == project / "spec.schema.json"
        assert schema.read_text(encoding="utf-8").startswith('{\n "$schema"')


def test_without_a_schema_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".wavetwin.toml").touch()
    monkeypatch.chdir(tmp_path)
    change = ["--set", "training.epochs=3"]
    assert cli.main(["new", "a", "--from", "wavetwin:digits/cnn.yaml", *change]) == 0
    assert "language-server" not in Path("a.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("server"))


@pytest.fixture
def server(program: Path, project: Path) -> Iterator[Server]:
    started = Server(program, project)
    yield started
    started.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_shipped_and_new_specs_have_no_fault(server: Server, project: Path) -> None:
    shipped = sorted((ROOT / "specs").rglob("*.yaml"))
    for spec in [*sorted(project.rglob("specs/**/*.yaml")), *shipped]:
        assert server.open(spec) == [], spec


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_broken_spec_has_its_faults_where_they_are(server: Server, project: Path) -> None:
    spec = project / "specs/cnn.yaml"
    lines = spec.read_text(encoding="utf-8").split("\n")
    at = {text: next(n for n, line in enumerate(lines) if text in line)
          for text in ("arch: ", "free_channels: ", "epochs: ")}  # fmt: skip
    lines[at["arch: "]] = "  arch: sequentail"
    lines[at["free_channels: "]] = "  fre_channels: 24"
    lines[at["epochs: "]] = "  epochs: many"
    faults = server.open(spec, "\n".join(lines))
    assert {fault["range"]["start"]["line"] for fault in faults} == set(at.values())
    messages = "\n".join(fault["message"] for fault in faults)
    assert "fre_channels is not allowed" in messages
    assert '"sequential"' in messages


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_completion_and_hover(server: Server, project: Path) -> None:
    spec = project / "specs/cnn.yaml"
    first = spec.read_text(encoding="utf-8").partition("\n")[0]
    text = (
        f"{first}\nextends: cnn.yaml\npooling:\n  wavelet: \ntraining:\n  \nstem:\n  norm: batch\n"
    )
    file = project / "specs/draft.yaml"
    file.write_text(text, encoding="utf-8")
    server.open(file)
    choices = server.complete(file, 3, 11)
    assert {"max", "modulus", "wavelet", "none"} <= choices.keys()
    assert "CMod" in choices["modulus"]
    keys = server.complete(file, 5, 2)
    assert {"epochs", "optimizer", "schedule", "seed"} <= keys.keys()
    assert keys["epochs"] == SCHEMA["$defs"]["TrainingSpec"]["properties"]["epochs"]["description"]
    assert "first pooling begins with" in server.hover(file, 7, 3)
    assert server.open(spec) == []
    line = next(
        n for n, each in enumerate(spec.read_text("utf-8").split("\n")) if "free_channels" in each
    )
    assert "Freely trained output channels" in server.hover(spec, line, 4)
    assert "40" in server.hover(spec, line, 4)
