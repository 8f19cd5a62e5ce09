"""A script that was edited and run with --allow-drift: kept, named, shown, and lost by no build."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from wavetwin.commands import cli
from wavetwin.provenance.edits import find_edit, find_originals, write_difference

pytestmark = pytest.mark.slow  # a clone with its own package, two trainings


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / ".wavetwin.toml").touch()
    (folder / "small.yaml").write_text(
        "wavetwin: 1\nname: small\ndata: {dataset: digits}\nstem: {free_channels: 4, stride: 2}\n"
        "backbone: {arch: sequential, layers: [{flatten: {}}, {linear: {}}]}\n"
        "training: {epochs: 1, batch_size: 256}\nevaluation: [{mode: one_crop}]\n"
    )
    assert cli.main(["build", str(folder / "small.yaml"), "--no-git"]) == 0
    return folder


@pytest.fixture(scope="module")
def runs(project: Path) -> tuple[Path, Path]:
    """The true run, and one of the edited script; the script stays edited."""
    script = project / "generated/small/train.py"
    start(script)
    text = script.read_text()
    assert "for epoch in training.epochs():" in text
    assert "\nEPOCHS = 1\n" in text
    text = text.replace("\nEPOCHS = 1\n", "\nEPOCHS = 2\n").replace("\nLR = 0.1\n", "\nLR = 0.05\n")
    script.write_text(text.replace("return 0\n", "return 0  # mine\n"))
    assert start(script, allowed=False) == 2
    start(script)
    true, edited = sorted((project / "runs/small").iterdir(), key=lambda path: len(path.name))
    return true, edited


def start(script: Path, *options: str, allowed: bool = True) -> int:
    drift = ["--allow-drift"] if allowed else []
    parts = ["--device", "cpu", *drift, *options]
    done = subprocess.run(
        [sys.executable, str(script), *parts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not allowed, done.stderr
    return done.returncode


def command(capsys: pytest.CaptureFixture[str], *parts: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main([str(word) for word in parts])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_run_keeps_the_files_and_their_difference(project: Path, runs: tuple[Path, Path]):
    true, edited = runs
    edit = find_edit(project / "generated/small")
    assert list(edit.files) == ["train.py"]
    assert edited.name == f"{true.name}-edited-{edit.digest}"
    assert (edited / "edited/train.py").read_bytes() == edit.files["train.py"]
    text = (edited / "edited.diff").read_text()
    assert "+    return 0  # mine\n" in text.replace("        return", "    return")
    assert text.startswith("--- built/train.py\n+++ edited/train.py\n")
    manifest = json.loads((edited / "manifest.json").read_text())
    assert manifest["edited"]["files"]["train.py"]["has_difference"]
    assert not (true / "edited.diff").exists()
    assert json.loads((true / "manifest.json").read_text())["drift"] == []


def test_an_edited_number_takes_effect_and_is_recorded(runs: tuple[Path, Path]):
    true, edited = runs
    plans = [json.loads((run / "plan.json").read_text()) for run in runs]
    assert [(plan["epochs"], plan["optimizer"]["lr"]) for plan in plans] == [(1, 0.1), (2, 0.05)]
    lines = [json.loads(line) for line in (edited / "metrics.jsonl").read_text().splitlines()]
    assert [line["lr"] for line in lines if line["kind"] == "epoch"] == [0.05, 0.05]
    (session,) = json.loads((edited / "manifest.json").read_text())["lives"]
    assert session["warnings"] == [
        "train.py sets epochs to 2, it was built with 1",
        "train.py sets optimizer.lr to 0.05, it was built with 0.1",
    ]
    (session,) = json.loads((true / "manifest.json").read_text())["lives"]
    assert session["warnings"] == []


def test_the_edit_resumes_its_own_run_and_another_edit_does_not(
    project: Path, runs: tuple[Path, Path]
):
    script = project / "generated/small/train.py"
    before = {path: (path / "manifest.json").read_bytes() for path in runs}
    start(script)  # finished: says so
    assert {path: (path / "manifest.json").read_bytes() for path in runs} == before
    text = script.read_text()
    try:
        script.write_text(text + "# other\n")
        assert find_edit(script.parent).digest not in {path.name[-8:] for path in runs}
    finally:
        script.write_text(text)


def test_evaluation_takes_the_run_of_the_edit(project: Path, runs: tuple[Path, Path]):
    start(project / "generated/small/evaluate.py")
    assert (runs[1] / "scores.json").is_file()
    assert not (runs[0] / "scores.json").exists()


def test_an_edited_evaluate_py_is_no_other_training(project: Path, runs: tuple[Path, Path]):
    folder = project / "generated/small"
    digest, script = find_edit(folder).digest, folder / "evaluate.py"
    text = script.read_text()
    try:
        script.write_text(text + "# mine\n")
        assert list(find_edit(folder).files) == ["evaluate.py", "train.py"]
        assert find_edit(folder).digest == digest
    finally:
        script.write_text(text)


def test_diff_report_and_index_show_the_edit(
    project: Path,
    runs: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(project)
    code, text, _ = command(capsys, "diff", *runs, "--html", "diff.html")
    assert code == 1
    for shown in (text, (project / "diff.html").read_text()):
        assert f"small/{runs[1].name}, edited after the build" in shown
        assert "return 0  # mine" in shown
    code, document, _ = command(capsys, "diff", *runs, "--json")
    assert "# mine" in json.loads(document)["edits"][f"small/{runs[1].name}"]
    assert not json.loads(document)["same"]
    assert "# mine" in command(capsys, "diff", "small.yaml", "generated/small")[1]
    for file in ("report.html", "report.md"):
        assert command(capsys, "report", *runs, "-o", file)[0] == 0
        assert "edited: train.py (edited.diff of the run has" in (project / file).read_text()
    assert "edited: train.py" in command(capsys, "runs", "list")[1]
    assert "edited: train.py" in command(capsys, "runs", "compare", *runs)[1]


def test_binary_missing_and_unknown_files(project: Path, runs: tuple[Path, Path]):
    folder = project / "generated/small"
    model, plan = folder / "model.py", folder / "plan.json"
    texts = {path: path.read_bytes() for path in (model, plan)}
    try:
        model.write_bytes(b"\xff\xfe\x00binary")
        plan.unlink()
        edit = find_edit(folder)
        text = write_difference(edit, find_originals(folder, edit.files))
        assert "Binary files built/model.py and edited/model.py differ\n" in text
        assert "--- built/plan.json\n+++ /dev/null\n" in text
        without = write_difference(edit, {})
        assert "model.py: changed; what was built cannot be rendered again\n" in without
    finally:
        for path, content in texts.items():
            path.write_bytes(content)


def test_a_build_keeps_the_edited_file_aside(
    project: Path, runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    """The last test of this project: it is as it was built afterwards."""
    folder = project / "generated/small"
    mine = (folder / "train.py").read_bytes()
    parts = ["build", str(project / "small.yaml"), "--no-git"]
    code, _, told = command(capsys, *parts)
    assert (code, "keeps them as NAME.edited-<digest>" in told) == (2, True)
    assert (folder / "train.py").read_bytes() == mine
    code, text, _ = command(capsys, *parts, "--force")
    assert code == 0
    (aside,) = folder.glob("train.py.edited-*")
    assert aside.name in text
    assert aside.read_bytes() == mine
    assert b"# mine" not in (folder / "train.py").read_bytes()
    assert not find_edit(folder).files
    # A second edit does not take the place of the first.
    (folder / "train.py").write_bytes(mine + b"# again\n")
    assert command(capsys, *parts, "--force")[0] == 0
    assert len(list(folder.glob("train.py.edited-*"))) == 2
    assert command(capsys, *parts, "--check")[0] == 0
