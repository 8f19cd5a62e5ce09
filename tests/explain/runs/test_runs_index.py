"""The index of runs: made from the files, by several processes at once, whatever lies there."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.run_files import ONE_CROP, epoch, record, shift_entry, write, write_run
from tests.support.shipped import ROOT
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.explain.runs import RunInfo, open_index
from wavetwin.explain.runs.index import FILE

TABLES = ("runs", "tags", "fields", "scores")


@pytest.fixture(scope="module")
def twin() -> Compiled:
    return compile_spec(ROOT / "specs/digits/twin.yaml")


def add(runs: Path, compiled: Compiled, seed: int, error: float = 0.25) -> Path:
    plan = replace(compiled.plan, seed=seed)
    scores = [
        record(ONE_CROP, {"loss": 0.5, "top1_error": error}, intervals={"top1_error": [0.0, 1.0]}),
        record(
            shift_entry("both", "kl_divergence", normalise=False, pixel_divide=2),
            {"kl_divergence": [[0.0, 0.5], [0.5, 1.0]]},
        ),
    ]
    epochs = [epoch(1, 1.0, 0.5), epoch(2, 0.5, 0.25)]
    return write_run(runs, plan, scores, epochs, dump_spec(compiled.resolved))


def indexed(runs: Path) -> tuple[dict[str, RunInfo], str]:
    with open_index(runs) as (index, messages):
        return {path: index.info(path) for path in index.paths()}, "".join(messages)


def content(runs: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(runs / FILE)) as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)
            for table in TABLES
        }


def test_what_the_index_keeps(tmp_path: Path, twin: Compiled) -> None:
    folder = add(tmp_path, twin, 3)
    found, messages = indexed(tmp_path)
    path = f"twin/{folder.name}"
    assert messages == ""
    assert list(found) == [path]
    run = found[path]
    assert (run.name, run.run, run.status, run.seed) == ("twin", folder.name, "finished", 3)
    assert (run.digest, run.training_digest, run.model_digest) == (
        twin.plan.digest,
        twin.plan.training_digest,
        twin.plan.model_digest,
    )
    assert (run.commit, run.marks, run.parameters, run.macs) == ("c" * 40, (), 1594, 3150)
    assert (run.epochs, run.training_seconds) == (2, 75.4)
    assert (run.started, run.ended) == ("2026-01-02T03:00:00+00:00", "2026-01-02T03:04:00+00:00")
    assert run.tags == ("digits", "twin")
    assert run.fields["stem.wavelet.levels"] == 2
    assert run.fields["training.optimizer.lr"] == twin.plan.optimizer.lr
    assert run.fields["stem.wavelet.keep.0.packets"] == [1, 2, 19, 17, 18, 3]
    values = {score.name: (score.value, score.low, score.high) for score in run.scores}
    assert values["one_crop.test.top1_error"] == (0.25, 0.0, 1.0)
    assert values["shifts.test.both.2px_by_1_2.not_normalised.kl_divergence.0.1"] == (
        0.5, None, None,
    )  # fmt: skip
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_same_entry_resized_otherwise_has_scores_of_its_own(
    tmp_path: Path, twin: Compiled
) -> None:
    folder = add(tmp_path, twin, 1)
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    added = [
        record(ONE_CROP | {"resize": how}, {"top1_error": value})
        for how, value in (("float", 0.5), ("pil", 0.625))
    ]
    write(folder / "scores.json", scores | {"scores": added})
    found, _ = indexed(tmp_path)
    (run,) = found.values()
    assert {s.name: s.value for s in run.scores if s.name.endswith("top1_error")} == {
        "one_crop.test.top1_error": 0.5,
        "one_crop.test.resized_in_8_bits.top1_error": 0.625,
    }


def test_changed_and_vanished_folders_are_followed(tmp_path: Path, twin: Compiled) -> None:
    first, second = add(tmp_path, twin, 1), add(tmp_path, twin, 2)
    indexed(tmp_path)
    scores = json.loads((first / "scores.json").read_text(encoding="utf-8"))
    newer = record(ONE_CROP, {"top1_error": 0.125})
    write(first / "scores.json", scores | {"scores": [*scores["scores"], newer]})
    for file in second.iterdir():
        file.unlink()
    second.rmdir()
    found, messages = indexed(tmp_path)
    assert messages == ""
    (run,) = found.values()
    values = [score.value for score in run.scores if score.name == "one_crop.test.top1_error"]
    assert values == [0.125]


def test_only_changed_folders_are_read_again(
    tmp_path: Path, twin: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wavetwin.explain.runs.index as module

    add(tmp_path, twin, 1)
    changed = add(tmp_path, twin, 2)
    indexed(tmp_path)
    read: list[str] = []
    real = module.read_folder

    def count(path: str, folder: Path) -> RunInfo:
        read.append(path)
        return real(path, folder)

    monkeypatch.setattr(module, "read_folder", count)
    indexed(tmp_path)
    assert read == []
    os.utime(changed / "manifest.json", ns=(1, 1))
    indexed(tmp_path)
    assert read == [f"twin/{changed.name}"]


def test_damaged_and_foreign_folders_are_named(tmp_path: Path, twin: Compiled) -> None:
    good = add(tmp_path, twin, 1)
    plan = replace(twin.plan, name="bad")
    kinds: dict[str, Path] = {}
    for seed, kind in enumerate(("json", "foreign", "type", "list", "scores", "metrics", "huge")):
        kinds[kind] = write_run(tmp_path, replace(plan, seed=seed), [], [])
    (kinds["json"] / "manifest.json").write_text('{"wavetwin_run": 1', encoding="utf-8")
    write(kinds["foreign"] / "manifest.json", {"model": "x"})
    manifest = json.loads((kinds["type"] / "manifest.json").read_text(encoding="utf-8"))
    write(kinds["type"] / "manifest.json", manifest | {"name": ["x"]})
    write(kinds["list"] / "manifest.json", manifest | {"lives": [1]})
    write(kinds["huge"] / "manifest.json", manifest | {"seed": 10**30})
    write(kinds["scores"] / "scores.json", {"scores": [{"scores": {}}]})
    (kinds["metrics"] / "metrics.jsonl").write_bytes(b'{"kind": "epoch"}\n')
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    plain = write_run(tmp_path, replace(plan, seed=90), [], [])
    (plain / "spec.lock.yaml").write_text("a: [", encoding="utf-8")
    found, messages = indexed(tmp_path)
    assert sorted(found) == sorted([f"twin/{good.name}", f"bad/{plain.name}"])
    lines = messages.splitlines()
    assert len(lines) == len(kinds) + 2
    for folder in (*kinds.values(), tmp_path / "empty"):
        assert sum(line.startswith(f"{folder}: not in the index: ") for line in lines) == 1
    assert f"{tmp_path / 'empty'}: not in the index: it has no manifest.json" in lines
    assert lines[-1].startswith(f"{plain}: spec.lock.yaml cannot be read: ")
    assert indexed(tmp_path)[1] == messages


def test_a_run_that_was_damaged_later_leaves_the_index(tmp_path: Path, twin: Compiled) -> None:
    folder = add(tmp_path, twin, 1)
    indexed(tmp_path)
    (folder / "manifest.json").write_text("", encoding="utf-8")
    found, messages = indexed(tmp_path)
    assert found == {}
    assert "manifest.json cannot be read" in messages


@pytest.mark.parametrize("damage", ["text", "page", "version", "empty"])
def test_damaged_index_is_made_anew(tmp_path: Path, twin: Compiled, damage: str) -> None:
    for seed in range(4):
        add(tmp_path, twin, seed)
    before, _ = indexed(tmp_path)
    file = tmp_path / FILE
    bytes_before = file.read_bytes()
    if damage == "text":
        file.write_bytes(b"this is no database" * 100)
    elif damage == "page":
        assert len(bytes_before) > 3 * 4096
        file.write_bytes(bytes_before[:4096] + b"\xff" * 4096 + bytes_before[2 * 4096 :])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA user_version = 999")
    after, messages = indexed(tmp_path)
    assert after == before
    assert messages == f"{file}: damaged or of another version; made anew from the run folders\n"
    assert indexed(tmp_path) == (before, "")


def test_index_made_again_has_the_same_content(tmp_path: Path, twin: Compiled) -> None:
    for seed in range(3):
        add(tmp_path, twin, seed)
    indexed(tmp_path)
    os.utime(add(tmp_path, twin, 9) / "scores.json", ns=(5, 5))
    indexed(tmp_path)
    before = content(tmp_path)
    assert len(before["runs"]) == 4
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE runs SET status = 'wrong', seed = 77")
        connection.execute("DELETE FROM scores WHERE position = 0")
    assert content(tmp_path) != before
    with open_index(tmp_path, anew=True):
        pass
    assert content(tmp_path) == before
    (tmp_path / FILE).unlink()
    indexed(tmp_path)
    assert content(tmp_path) == before


WRITER = """
import json, sys
from pathlib import Path
from wavetwin.explain.runs import open_index
runs = Path(sys.argv[1])
for turn in range(15):
    with open_index(runs, anew=turn % 4 == int(sys.argv[2])) as (index, messages):
        assert len([index.info(path) for path in index.paths()]) >= 6
assert "torch" not in sys.modules
"""


def test_several_processes_at_once(tmp_path: Path, twin: Compiled) -> None:
    """Four processes make, clear and update one index while runs come and go."""
    for seed in range(6):
        add(tmp_path, twin, seed)
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(number)]) for number in range(4)]
    for seed in range(6, 14):
        add(tmp_path, twin, seed)
    codes = [process.wait(timeout=120) for process in processes]
    assert codes == [0, 0, 0, 0]
    found, messages = indexed(tmp_path)
    assert messages == ""
    assert sorted(run.seed for run in found.values() if run.seed is not None) == list(range(14))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_folder_that_may_not_be_written_to(
    tmp_path: Path, twin: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root every folder may be written to, so the question is answered for it."""
    import wavetwin.explain.runs.index as module

    add(tmp_path, twin, 1)
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    found, messages = indexed(tmp_path)
    assert len(found) == 1
    assert messages == f"{tmp_path}: may not be written to, so the index is in memory only\n"
    assert not (tmp_path / FILE).exists()
