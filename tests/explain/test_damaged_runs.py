"""A run whose documents are damaged ends in a message that names the file; it never hides the others.

Every member of every document in turn is taken out and replaced by a null, a list and a text. What the
readers take then has to go through a whole report, an index and a difference.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.built import write_spec
from tests.support.run_files import ONE_CROP, epoch, record, shift_entry, write_run
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.render.files import render
from wavetwin.explain.report import ReportOptions, report
from wavetwin.explain.report.runs import build_of, graph_of, read_run
from wavetwin.explain.runs.documents import UnreadableRunError
from wavetwin.explain.runs.folders import read_folder
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.record import collect_provenance
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.run_documents import BuildRecord

ERRORS = {"loss": 0.5, "top1_error": 0.25, "top5_error": 0.0625}
SCORES = [
    record(ONE_CROP, ERRORS, intervals={"top1_error": [0.2, 0.3], "top5_error": None}),
    record(
        shift_entry("diagonal", "flip_rate"),
        {"flip_rate": {"1": 0.125}, "mean_flip_rate": 0.125},
        intervals={"flip_rate": {"1": [0.1, 0.2]}, "mean_flip_rate": [0.1, 0.2]},
    ),
    record(
        shift_entry("both", "kl_divergence", max_shift=1),
        {"kl_divergence": [[0.0, 0.1], [0.1, 0.2]]},
        intervals={"kl_divergence": [[[0.0, 0.0], [0.0, 0.2]], [[0.0, 0.2], [0.1, 0.3]]]},
    ),
    record(
        {"mode": "corruptions", "root": "C"},
        {"mce": 98.25, "top1_error": {"fog": {"1": 0.5}}},
        intervals={"mce": [90.0, 99.0]},
    ),
    record({"mode": "perturbations", "root": "P"}, {"mfr": 9.5, "flip_rate": {"fog": 0.5}}),
]
DOCUMENTS = (
    "scores.json",
    "manifest.json",
    "plan.json",
    "build.json",
    "graph.json",
    "spec.lock.yaml",
)


@dataclass(frozen=True)
class Runs:
    folder: Path
    damaged: Path
    whole: Path
    contents: dict[str, bytes]

    def damage(self, name: str, content: bytes | None) -> None:
        file = self.damaged / name
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)

    def restore(self) -> None:
        for name, content in self.contents.items():
            (self.damaged / name).write_bytes(content)

    def command(self, *arguments: str | Path) -> int:
        return cli.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("project")
    compiled = compile_spec(write_spec(folder))
    provenance = collect_provenance(compiled.files, compiled.project, GitState(), no_git=True)
    built = render(compiled, provenance)
    folders: list[Path] = []
    for suffix in ("", "-2"):
        run = write_run(folder / "runs", compiled.plan, SCORES, [epoch(1, 1.5, 0.4)], suffix=suffix)
        (run / "spec.lock.yaml").write_bytes(built["spec.lock.yaml"])
        (run / "graph.json").write_bytes(built["graph.json"])
        (run / "build.json").write_bytes(built["manifest.json"])
        folders.append(run)
    names = (*DOCUMENTS, "metrics.jsonl")
    contents = {name: (folders[0] / name).read_bytes() for name in names}
    return Runs(folder / "runs", folders[0], folders[1], contents)


@pytest.fixture(autouse=True)
def whole_again(runs: Runs) -> Iterator[None]:
    yield
    runs.restore()


def members(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the ways to a document's members, of a list to the first two and the last of its items."""
    if at:
        yield at
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = [each for each in enumerate(value) if each[0] in (0, 1, len(value) - 1)]
    for key, item in items:
        yield from members(item, (*at, key))


def damages(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield each member gone, null, of another kind, and misspelt, with the document around it."""
    for at in members(document):
        changed = copy.deepcopy(document)
        inside = changed
        for key in at[:-1]:
            inside = inside[key]
        value = inside.pop(at[-1])
        yield f"{at} is gone", changed
        if isinstance(inside, dict):
            for other in (None, [1] if isinstance(value, str) else "x"):
                inside[at[-1]] = other
                yield f"{at} is {other!r}", changed
            del inside[at[-1]]
            inside[f"{at[-1]}_"] = value
            yield f"{at} is misspelt", changed


def read_for_report(run: Path) -> None:
    read = read_run(run)
    graph_of(read)
    build_of(read)


def fault_of(reader: Callable[[Path], object], run: Path) -> str | None:
    try:
        reader(run)
    except RunError as error:
        return f"{error.headline}; {error.remedy}"
    except UnreadableRunError as error:
        return str(error)
    return None


def readers_that_take(run: Path, name: str) -> list[Callable[[Path], object]]:
    """Return the readers that do not refuse the folder; what they refuse they say of the file."""
    taken: list[Callable[[Path], object]] = []

    def read_for_index(folder: Path) -> None:
        read_folder(f"{folder.parent.name}/{folder.name}", folder)

    for reader in (read_for_report, read_for_index):
        fault = fault_of(reader, run)
        if fault is None:
            taken.append(reader)
        else:
            assert name in fault or run.name in fault
    return taken


@pytest.mark.parametrize("name", [*DOCUMENTS[:-1], "metrics.jsonl"])
def test_damaged_members(runs: Runs, name: str) -> None:
    is_lines = name == "metrics.jsonl"
    document = json.loads(runs.contents[name])
    if name == "build.json":
        # The rest of it is for `build`, and nobody reads it here.
        document = {key: document[key] for key in BuildRecord.__annotations__ if key in document}
    runs.damage("spec.lock.yaml", None)
    tried = 0
    everywhere: list[str] = []
    for label, changed in damages(document):
        content = json.dumps(changed).encode() + (b"\n" + runs.contents[name] if is_lines else b"")
        runs.damage(name, content)
        is_taken = len(readers_that_take(runs.damaged, name)) == 2
        if label.endswith("misspelt"):
            # Where a member may be missing, an unknown one beside it is of a later version.
            continue
        tried += 1
        if is_taken:
            everywhere.append(label)
            # What nobody objects to has to be written.
            if len(everywhere) % 8 == 1:
                assert report([runs.damaged], ReportOptions(published=True))
    assert tried > 20
    assert len(everywhere) < 0.6 * tried, everywhere


WHOLE = {
    "null": b"null",
    "bytes": b"\xff\xfe",
    "cut off": None,
    "gone": None,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_damaged_documents_never_hide_other_runs(
    runs: Runs, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    run = f"{runs.damaged.parent.name}/{runs.damaged.name}"
    for kind, content in WHOLE.items():
        whole = runs.contents[name]
        runs.damage(name, whole[: len(whole) // 2] if kind == "cut off" else content)
        assert runs.command("report", runs.damaged, runs.whole, "-o", page) == 0, (kind, name)
        out = capsys.readouterr().out
        assert runs.whole.name in out
        codes = [
            runs.command("runs", "list", "--runs", runs.folder),
            runs.command("runs", "show", run, "--runs", runs.folder),
            runs.command("diff", runs.damaged, runs.whole),
        ]
        captured = capsys.readouterr()
        assert runs.whole.name in captured.out, kind
        assert set(codes) <= {0, 1, 2}, (kind, codes, captured.err)
        assert "internal-error" not in captured.err
        runs.restore()


def test_a_damaged_run_is_named_with_what_is_wrong(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = json.loads(runs.contents["scores.json"])
    del scores["scores"][0]["scores"]["top5_error"]
    runs.damage("scores.json", json.dumps(scores).encode())
    fault = "scores[0].scores.top5_error is missing"
    assert runs.command("report", runs.damaged, runs.whole, "-o", tmp_path / "a.html") == 0
    text = capsys.readouterr().out
    assert "Left out" in text
    assert f"scores.json is damaged: {fault}; bring back the file as it was" in text
    assert runs.command("report", runs.damaged, "-o", tmp_path / "a.html") == 2
    assert fault in capsys.readouterr().err
    assert runs.command("runs", "list", "--runs", runs.folder) == 0
    captured = capsys.readouterr()
    assert f"{runs.damaged}: not in the index: scores.json cannot be read: {fault}" in captured.err
    assert runs.command("diff", runs.damaged, runs.whole) == 2
    assert fault in capsys.readouterr().err
