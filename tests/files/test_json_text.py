"""JSON that somebody else may have written: too deep is damaged, and one function reads it all."""

import ast
from pathlib import Path

import pytest

from tests.support.built import build, write_spec
from tests.support.shipped import ROOT
from wavetwin.commands.cli import main
from wavetwin.files.json_text import parse_json

OWN = {
    "wavetwin/files/json_text.py",
    "wavetwin/published/__init__.py",  # files of the package
    "wavetwin/explain/study/photographs.py",
    "wavetwin/ir/operations/user_modules.py",  # ir stands on the standard library alone
}


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "[" * 150 + "]" * 150])
def test_what_nests_too_deep_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested more than 100 deep"):
        parse_json(text)
    assert parse_json("[" * 99 + "]" * 99)


def test_json_is_read_by_one_function() -> None:
    readers = set()
    for file in (ROOT / "wavetwin").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.loads", "json.load"):
                readers.add(file.relative_to(ROOT).as_posix())
    assert readers == OWN


@pytest.mark.parametrize("name", ["manifest.json", "graph.json", "plan.json"])
def test_a_built_folder_with_a_document_that_nests_too_deep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    spec = write_spec(tmp_path)
    folder = build(spec).folder
    (folder / name).write_text("[" * 200_000, encoding="utf-8")
    # Of the other two the digests are compared: they were edited.
    assert main(["diff", str(folder), str(spec)]) == (2 if name == "manifest.json" else 1)
    assert main(["build", "--no-git", "--check", str(spec)]) in (1, 2)
    assert main(["build", "--no-git", str(spec)]) == 2
    assert "internal-error" not in capsys.readouterr().err


def test_a_run_with_documents_that_nest_too_deep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("manifest.json", "scores.json", "metrics.jsonl"):
        run = tmp_path / "runs/small" / f"{name}-s0"
        run.mkdir(parents=True)
        (run / "manifest.json").write_text('{"status": "finished"}', encoding="utf-8")
        (run / name).write_text('{"kind": "epoch", "a":' + "[" * 200_000 + "\n", encoding="utf-8")
        assert main(["runs", "list", "--runs", str(tmp_path / "runs")]) in (0, 1, 2)
        assert main(["report", str(run), "--out", str(tmp_path / "report")]) in (1, 2)
    assert "internal-error" not in capsys.readouterr().err
