"""The reference pages and the tables that they are made from."""

from __future__ import annotations

import ast
import importlib.util
import re
import tempfile
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.shipped import spec_of
from wavetwin.commands import cli
from wavetwin.commands.cli import COMMANDS
from wavetwin.compiler.render.files import TEMPLATES
from wavetwin.diagnostics.codes import CHECK_CODES, DESCRIPTIONS
from wavetwin.explain.field_text import spec_fields
from wavetwin.explain.sweep_fields import sweep_fields
from wavetwin.files.environment import LAUNCHER_VARIABLES, VARIABLES
from wavetwin.files.written import BUILD_FILES, RUN_FILES

ASKED = re.compile(r"[A-Z][A-Z0-9]+(_[A-Z0-9]+)*")
OBJECTS = {"environ", "environment", "variables", "whole"}
"""What the sources call the environment."""
GIT = re.compile(r"GIT_\w+|LC_ALL")
"""Given to git, not read."""


@cache
def pages() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/site/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def test_every_field_is_there_with_its_range_default_and_example() -> None:
    text = pages()["reference/fields.md"]
    entries = {
        part.partition("`")[0]: part for part in re.split(r"^### `", text, flags=re.MULTILINE)[1:]
    }
    first = {
        (each.model.declared or each.model, each.path[-1]): each for each in reversed(spec_fields())
    }
    assert entries.keys() == {".".join(each.path) for each in first.values()}
    for path, entry in entries.items():
        for part in ("\n- type: ", "\n- default: ", "\n- digest: ", "\n```yaml\n"):
            assert part in entry, path
    assert "above 0 and at most 1000" in entries["training.optimizer.lr"]


def test_every_field_of_sweeps_code_and_command_is_there() -> None:
    sweeps = pages()["reference/sweep-fields.md"]
    assert all(f"## `{'.'.join(('sweep', *each.path))}`" in sweeps for each in sweep_fields())
    codes = pages()["reference/diagnostics.md"]
    entries = dict(re.findall(r"^## `([\w-]+)`\n(.*?)(?=^## |\Z)", codes, re.MULTILINE | re.DOTALL))
    assert entries.keys() == set(DESCRIPTIONS)
    without = {code for code in CHECK_CODES if "```text\n" not in entries[code]}
    assert without == {"file-unreadable"}, "no message as it is printed"
    commands = pages()["reference/commands.md"]
    assert [name for name in COMMANDS if f"\n## wavetwin {name}\n" not in commands] == []
    for option in (
        "--until-epoch",
        "--weights",
        "### wavetwin runs list",
        "### wavetwin data prepare",
    ):
        assert option in commands


def test_a_page_is_the_same_twice() -> None:
    first = dict(pages())
    pages.cache_clear()
    assert pages() == first


def asked_names(tree: ast.AST) -> set[str]:
    """Return names that are looked up in an environment, or listed to be."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value, ast.Constant(str(name))):
                holder = value
            case ast.Call(
                ast.Attribute(holder, "get" | "setdefault"), [ast.Constant(str(name)), *_]
            ):
                pass
            case ast.Compare(ast.Constant(str(name)), [ast.In() | ast.NotIn()], [holder]):
                pass
            case ast.Call(ast.Name("number" | "first" | "_number"), [*names]):
                found |= {
                    each.value
                    for each in names
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
                continue
            case _:
                continue
        if any(
            isinstance(part, ast.Name | ast.Attribute)
            and (getattr(part, "id", "") in OBJECTS or getattr(part, "attr", "") in OBJECTS)
            for part in ast.walk(holder)
        ):
            found.add(name)
    return {name for name in found if ASKED.fullmatch(name)}


def test_the_table_has_every_variable_that_is_read() -> None:
    known = VARIABLES.keys() | LAUNCHER_VARIABLES.keys()
    texts: dict[Path, str] = {
        path: path.read_text(encoding="utf-8")
        for folder in ("wavetwin", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".j2")
    }
    read: set[str] = set()
    for path, text in texts.items():
        if path.suffix == ".py" and "environ" in text:
            read |= asked_names(ast.parse(text))
        elif path.suffix == ".j2":
            read |= set(re.findall(r"\$\{?([A-Z][A-Z_]+)", text))
    shell = {"BASH_SOURCE", "PWD", "OLDPWD", "PYTHONPATH", "PYDANTIC_DISABLE_PLUGINS"}
    assert {"NO_COLOR", "SLURM_JOB_ID", "MAX_REQUEUES", "CXX", "PYTHON", "XDG_CACHE_HOME"} <= read
    assert {name for name in read - known - shell if not GIT.fullmatch(name)} == set()
    table = ROOT / "wavetwin/files/environment.py"
    elsewhere = "\n".join(text for path, text in texts.items() if path != table)
    assert [name for name in known if name not in elsewhere and name != "MLFLOW_TRACKING_URI"] == []


def is_listed(path: str, table: dict[str, str]) -> bool:
    return any(fnmatch(path, pattern.replace("**", "*")) for pattern in table)


def test_the_table_has_every_file_of_a_build() -> None:
    assert set(TEMPLATES) <= BUILD_FILES.keys()

    with tempfile.TemporaryDirectory() as folder:
        options = ["--allow-dirty", "--out", folder]
        assert cli.main(["build", *options, str(spec_of("twin_mod"))]) == 0
        files = [
            path.relative_to(Path(folder, "twin_mod")).as_posix()
            for path in Path(folder).rglob("*")
            if path.is_file()
        ]
    assert [path for path in files if not is_listed(path, BUILD_FILES)] == []
    assert not is_listed("notes.txt", BUILD_FILES)


@pytest.mark.slow
def test_the_table_has_every_file_of_a_run(tmp_path: Path) -> None:
    options = ["--allow-dirty", "--standalone", "--out", str(tmp_path / "generated")]
    options += ["--set", "training.epochs=2"]
    changes = [
        "training.checkpoint_every=1",
        "training.average_decay=0.9",
        "training.record_gradients=true",
    ]
    for change in changes:
        options += ["--set", change]
    rest = ["--", "--runs", str(tmp_path / "runs"), "--device", "cpu"]
    assert cli.main(["run", *options, str(spec_of("twin_mod")), *rest]) == 0
    (built,) = (tmp_path / "generated").iterdir()
    files = {path.relative_to(built).as_posix() for path in built.rglob("*.py")}
    assert {file for file in files if not is_listed(file, BUILD_FILES)} == set()
    assert any(file.startswith("wavetwin/") for file in files)
    (run,) = (tmp_path / "runs/twin_mod").iterdir()
    files = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {file for file in files if not is_listed(file, RUN_FILES)} == set()
    wanted = (
        "scores.json",
        "metrics.jsonl",
        "checkpoints/last/*",
        "checkpoints/epoch-*",
        "predictions/*",
    )
    for pattern in wanted:
        assert any(fnmatch(file, pattern) for file in files), pattern
