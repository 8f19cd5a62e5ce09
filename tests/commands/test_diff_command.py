"""`wavetwin diff` as a user meets it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.built import build, write_spec
from tests.support.html_pages import Page
from tests.support.run_files import ONE_CROP, record, write_run
from tests.support.shipped import ROOT, spec_of
from wavetwin.commands import cli
from wavetwin.commands.diff_answer import diff_fragment
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.explain.diff.several import Several
from wavetwin.explain.diff.tensors import expected_tensors
from wavetwin.explain.diff.wording import mebibytes

SPEC = """\
wavetwin: 1
backbone:
  arch: sequential
  layers: [{conv: {channels: 8}}, {relu: {}}, {flatten: {}}, {linear: {}}]
stem: {free_channels: 4, stride: 2}
data: {dataset: digits}
"""


def diff(capsys: pytest.CaptureFixture[str], *label: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    capsys.readouterr()
    code = cli.main(["diff", *map(str, label)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *label: object) -> dict[str, Any]:
    code, text, _ = diff(capsys, *label, "--json")
    found = json.loads(text)
    assert code == (0 if found["same"] else 1)
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [change["field"] for change in found["declaration"]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".wavetwin.toml").touch()
    (folder / "a.yaml").write_text(SPEC, encoding="utf-8")
    (folder / "b.yaml").write_text("extends: a.yaml\ntraining: {seed: 1}\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def git(folder: Path, *label: str) -> None:
    who = {
        f"GIT_{role}_{what}": "a@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    subprocess.run(["git", *label], cwd=folder, check=True, env=clean | who, capture_output=True)


def commit(folder: Path) -> None:
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


# What counts as a difference


@pytest.mark.parametrize("name", ["AwyI", "Rzo3wyI_abl", "mnist_rmax"])
def test_a_spec_is_the_same_as_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = diff(capsys, spec_of(name), spec_of(name))
    assert code == 0
    assert "no difference" in text


def test_comments_order_names_and_labels_are_no_difference(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = SPEC.splitlines(keepends=True)
    text = "# another comment\n" + "".join(lines[4:] + lines[:4]) + "summary: other words\n"
    (project / "c.yaml").write_text(text, encoding="utf-8")
    code, short, _ = diff(capsys, "a.yaml", "c.yaml")
    assert (code, "summary" in short) == (0, False)
    code, full, _ = diff(capsys, "a.yaml", "c.yaml", "--full")
    assert code == 0
    assert "labels (which do not count)" in full
    assert "absent -> other words" in full


def test_a_change_is_named_with_values_places_and_consequences(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = document(capsys, spec_of("AwyI"), spec_of("AwyI_mod"))
    assert found["declaration"] == [
        {
            "field": "pooling.wavelet",
            "kind": "changed",
            "before": "max",
            "after": "modulus",
            "before_origin": "default, by pooling.free (default)",
            "after_origin": "specs/alexnet/AwyI_mod.yaml:5",
        }
    ]
    model = found["model"]
    for name, value in model["difference"].items():
        assert value == model["after"][name] - model["before"][name]
        assert value == sum(layer["difference"][name] for layer in model["layers"])
    assert model["executed_after"]["macs"] == compile_spec(spec_of("AwyI_mod")).optimised_graph.macs
    assert [effect["kind"] for effect in found["mathematics"]] == ["RMax -> CMod"]
    (error,) = [row for row in found["scores"] if row["name"] == "top1_error"]
    assert error["difference"] == pytest.approx(0.44258 - 0.44886)


def test_the_example_in_the_documentation_is_what_it_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/diff.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n\$ wavetwin (diff .*)\n((?:.*\n)*?)```", page)
    shown = [(label, text) for label, text in blocks if text]
    assert shown
    for label, text in shown:
        capsys.readouterr()
        cli.main(label.split())
        assert capsys.readouterr().out == text


def test_short_lines_fit_and_full_has_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    pair = spec_of("AI"), spec_of("AwyI")
    _, short, _ = diff(capsys, *pair)
    _, full, _ = diff(capsys, *pair, "--full")
    fields = names(document(capsys, *pair))
    assert all(f" {name} " in full for name in fields)
    assert len(short.splitlines()) < len(full.splitlines())


def test_colour_is_for_terminals_only(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in diff(capsys, "a.yaml", "b.yaml")[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "\x1b[33m" in diff(capsys, "a.yaml", "b.yaml")[1]
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" not in diff(capsys, "a.yaml", "b.yaml")[1]


PROBE = """
import json, sys
from wavetwin.commands.cli import main
code = main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted(sys.modules)]))
"""


@pytest.mark.parametrize("kind", ["specs", "page", "weights"])
def test_nothing_heavy_is_imported(kind: str, project: Path) -> None:
    label = {
        "specs": [str(spec_of(name)) for name in ("AwyI", "AwyI_mod")],
        "page": [str(spec_of(name)) for name in ("Rwy0I", "RwyI")] + ["--html", "page.html"],
        "weights": ["a.yaml", "w.safetensors"],
    }[kind]
    if kind == "weights":
        write_weights(project / "w.safetensors", a=[1.0])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(["diff", *label])],
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 1
    loaded = {name.split(".")[0] for name in modules}
    heavy = {"torch", "numpy", "safetensors", "rich", "git", "subprocess"}
    if kind != "page":
        heavy.add("jinja2")
    assert not loaded & heavy
    assert not {name for name in modules if name.startswith("wavetwin.runtime")}


# Operands


def lock_of(path: Path) -> str:
    return dump_spec(compile_spec(path).resolved)


def add_run(project: Path, spec: str, error: float = 0.25) -> Path:
    compiled = compile_spec(project / spec)
    interval = {"top1_error": [error / 2, 2 * error]}
    scores = [record(ONE_CROP, {"top1_error": error}, intervals=interval)]
    return write_run(project / "runs", compiled.plan, scores, spec=lock_of(project / spec))


def test_specs_locks_builds_and_runs_in_any_mix(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "locked.yaml").write_text(lock_of(project / "a.yaml"), encoding="utf-8")
    built = build(project / "a.yaml").folder
    same = ["a.yaml", "locked.yaml", built, built / "spec.lock.yaml", add_run(project, "a.yaml")]
    other = add_run(project, "b.yaml", error=0.5)
    for source in same:
        assert document(capsys, "a.yaml", source)["same"]
        assert names(document(capsys, source, other)) == ["training.seed"]
    kinds = [each["kind"] for each in document(capsys, "a.yaml", built, other)["sources"]]
    assert kinds == ["spec", "built folder", "run"]


def test_runs_have_their_scores_beside_each_other(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = add_run(project, "a.yaml"), add_run(project, "b.yaml", error=0.5)
    code, text, _ = diff(capsys, first, second)
    assert code == 1
    (line,) = [line for line in text.splitlines() if "one_crop.test.top1_error" in line]
    label = "measured  0.2500 [0.1250, 0.5000]  0.5000 [0.2500, 1.0000]     +0.2500"
    assert line.split("top1_error")[1].strip() == label


def test_a_run_of_another_evaluation_is_still_read(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = add_run(project, "a.yaml")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(
        json.dumps(manifest | {"digest": "0" * 64}), encoding="utf-8"
    )
    assert document(capsys, "a.yaml", folder)["same"]


def test_one_spec_with_and_without_an_override(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, "a.yaml", "--set", "training.epochs=7")
    assert names(found) == ["training.epochs"]
    assert found["declaration"][0]["after_origin"] == "--set[1]:1"
    assert names(document(capsys, "a.yaml", "b.yaml", "--set", "training.epochs=7")) == [
        "training.seed"
    ]


def test_more_than_two_make_a_table(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "c.yaml").write_text("extends: a.yaml\nstem: {free_channels: 8}\n", encoding="utf-8")
    found = document(capsys, "a.yaml", "b.yaml", "c.yaml")
    assert found["fields"] == {"stem.free_channels": [4, 4, 8], "training.seed": [0, 1, 0]}
    counts = [compile_spec(project / f"{name}.yaml").graph.parameters.trainable for name in "abc"]
    assert [each["written"]["trainable"] for each in found["costs"]] == counts
    code, text, _ = diff(capsys, "a.yaml", "b.yaml", "c.yaml")
    assert code == 1
    assert text.splitlines()[0].split() == ["a", "b", "c"]
    assert ["training.seed", "0", "1", "0"] in [line.split() for line in text.splitlines()]
    assert diff(capsys, "a.yaml", "a.yaml", "a.yaml")[0] == 0


def test_a_table_folds_what_only_some_have(capsys: pytest.CaptureFixture[str]) -> None:
    specs = [spec_of(name) for name in ("AI", "AwyI", "AwyI_mod")]
    _, text, _ = diff(capsys, *specs)
    (line,) = [line for line in text.splitlines() if line.startswith("stem.wavelet")]
    assert re.split(r"\s{2,}", line)[1:] == ["-", "alike", "alike"]
    _, full, _ = diff(capsys, *specs, "--full")
    assert "stem.wavelet.keep.2.packets" in full


# Commits


def test_a_spec_at_a_commit_with_the_parents_that_it_had(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "base").mkdir()
    (project / "base" / "p.yaml").write_text("wavetwin: 1\ntraining: {epochs: 3}\n", "utf-8")
    (project / "a.yaml").write_text(f"extends: base/p.yaml\n{SPEC}", encoding="utf-8")
    (project / "linked.yaml").symlink_to("a.yaml")
    commit(project)
    (project / "base" / "p.yaml").write_text("wavetwin: 1\ntraining: {epochs: 5}\n", "utf-8")
    commit(project)
    (project / "base" / "p.yaml").write_text("wavetwin: 1\ntraining: {epochs: 9}\n", "utf-8")
    for spec in ("a.yaml", "linked.yaml"):
        (change,) = document(capsys, spec, "--at", "HEAD~1")["declaration"]
        assert (change["before"], change["after"]) == (3, 9)
        assert re.fullmatch(r"[0-9a-f]{8}:base/p\.yaml:2", change["before_origin"])
        assert change["after_origin"] == "base/p.yaml:2"
    (change,) = document(capsys, "a.yaml", "--at", "HEAD~1", "--at", "HEAD")["declaration"]
    assert (change["before"], change["after"]) == (3, 5)
    table = document(capsys, "a.yaml", "--at", "HEAD~1", "--at", "HEAD~1", "--at", "HEAD")
    assert table["fields"] == {"training.epochs": [3, 3, 5]}
    assert document(capsys, "a.yaml", "--at", "HEAD", "--at", "HEAD")["same"]


def test_a_project_below_a_repository_and_a_deleted_spec(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / ".wavetwin.toml").touch()
    (folder / "a.yaml").write_text(SPEC, encoding="utf-8")
    commit_at = tmp_path
    commit(commit_at)
    (folder / "a.yaml").write_text(SPEC + "training: {seed: 1}\n", encoding="utf-8")
    commit(commit_at)
    (folder / "a.yaml").unlink()
    found = document(capsys, folder / "a.yaml", "--at", "HEAD~1", "--at", "HEAD")
    assert names(found) == ["training.seed"]
    assert found["declaration"][0]["after_origin"].endswith(":a.yaml:7")


# Weights


def write_weights(path: Path, **tensors: Any) -> Path:
    import torch
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: torch.tensor(value) for name, value in tensors.items()}, path)
    return path


def write_model(path: Path, spec: Path, seed: int = 0) -> Path:
    from safetensors.torch import save_file

    from wavetwin.runtime.network.build import build_module, initialise

    graph = compile_spec(spec).graph
    model = build_module(graph)
    initialise(model, graph, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("AwyI", ()),
        ("AwyI_mod", ("stem.wavelet.trainable_filters=true",)),
        ("Rzo3wyI_abl", ("stem.wavelet.color_mixing=after",)),
        ("R18zh3C", ()),
        ("twin_mod", ()),
        ("cnn", ("stem.norm=none",)),
    ],
)
def test_the_tensors_told_from_a_graph_are_those_of_the_built_model(
    name: str, overrides: tuple[str, ...]
) -> None:
    import torch

    from wavetwin.runtime.network.build import build_module

    graph = compile_spec(spec_of(name), overrides).graph
    with torch.device("meta"):
        built = build_module(graph)
    expected = {key: tuple(value.shape) for key, value in built.state_dict().items()}
    assert {key: info.shape for key, info in expected_tensors(graph).items()} == expected


def test_weights_are_compared_by_their_headers(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_model(project / "first.safetensors", project / "a.yaml")
    second = write_model(project / "second.safetensors", project / "a.yaml", seed=1)
    found = document(capsys, first, second)
    assert found["same"]
    assert "declaration" not in found
    assert document(capsys, "a.yaml", first)["same"]
    third = write_weights(project / "x" / "model.safetensors", other=[1.0])
    found = document(capsys, "a.yaml", third.parent)
    assert found["tensors"]["added"] == ["other"]
    assert "stem.free.weight" in found["tensors"]["removed"]
    assert "import weights" in diff(capsys, "a.yaml", third)[1]


def test_a_header_is_all_that_is_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_model(project / "w.safetensors", project / "a.yaml")
    length = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(length)
        stream.write(b"\xff" * (size - length))  # every number is another one, or none
    assert document(capsys, "a.yaml", file)["same"]


def test_values_are_compared_where_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write_weights(project / "first.safetensors", a=[3.0, 4.0], b=[1.0])
    second = write_weights(project / "second.safetensors", a=[3.0, 4.5], b=[1.0])
    assert document(capsys, first, second)["same"]
    found = document(capsys, first, second, "--values")
    assert found["values"] == [{"name": "a", "largest": 0.5, "relative": 0.1}]
    code, text, _ = diff(capsys, first, second, "--values")
    assert code == 1
    assert "values: 1 tensor differs" in text
    assert document(capsys, first, first, "--values")["values"] == []


def test_a_file_without_a_number_is_the_same_as_itself(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nan, infinity = float("nan"), float("inf")
    first = write_weights(project / "first.safetensors", a=[nan, infinity, 1.0], b=[1.0])
    second = write_weights(project / "second.safetensors", a=[nan, infinity, 2.0], b=[nan])
    assert document(capsys, first, first, "--values")["same"]
    assert document(capsys, first, second, "--values")["values"] == [
        {"name": "a", "largest": 1.0, "relative": None},
        {"name": "b", "largest": None, "relative": None},
    ]
    assert re.search(r"^ *b +not finite +-$", diff(capsys, first, second, "--values")[1], re.M)


def test_values_of_runs_are_those_of_their_last_weights(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [add_run(project, spec) for spec in ("a.yaml", "b.yaml")]
    for number, run in enumerate(runs):
        write_model(run / "checkpoints/last/model.safetensors", project / "a.yaml", seed=number)
    found = document(capsys, *runs, "--values")
    assert names(found) == ["training.seed"]
    assert "stem.free.weight" in [each["name"] for each in found["values"]]
    inside = document(capsys, runs[0] / "checkpoints" / "last", runs[1] / "checkpoints" / "last")
    assert names(inside) == ["training.seed"]
    assert not inside["tensors"]["changed"]


# Faults


def fault(capsys: pytest.CaptureFixture[str], *label: object) -> str:
    code, text, message = diff(capsys, *label)
    assert (code, text) == (2, "")
    assert "\n  help: " in message
    return message


@pytest.mark.parametrize(
    ("label", "code"),
    [
        (("missing.yaml", "a.yaml"), "missing.yaml: error: file-not-found"),
        (("a.yaml",), "a.yaml: error: nothing-to-compare"),
        (("a.yaml", "folder"), "folder: error: nothing-to-compare"),
        (("a.yaml", "weights.pth"), "weights.pth: error: weights-not-safetensors"),
        (("a.yaml", "base/p.yaml"), "base/p.yaml: error: fragment"),
        (("a.yaml", "b.yaml", "--values"), "a.yaml: error: values-need-weights"),
        (("a.yaml", "b.yaml", "a.yaml", "--values"), "error: values-need-weights"),
        (("a.yaml", "b.yaml", "--at", "HEAD"), "wavetwin diff: error: nothing-to-compare"),
        (("a.yaml", "--at", "HEAD"), "a.yaml: error: not-a-repository"),
        (("a.yaml", "b.yaml", "--html", "no/page.html"), "no/page.html: error: cannot-write"),
        (("a.yaml", "built", "--set", "training.seed=1"), "built: error: override-needs-spec"),
    ],
)
def test_an_operand_at_fault_is_named_with_a_remedy(
    label: tuple[str, ...], code: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "folder").mkdir()
    (project / "weights.pth").touch()
    (project / "base").mkdir()
    (project / "base" / "p.yaml").write_text("wavetwin: 1\n", encoding="utf-8")
    if "built" in label:
        shutil.copytree(build(project / "a.yaml").folder, project / "built")
    assert code in fault(capsys, *label)


def test_what_is_no_spec_is_reported_as_check_does(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "c.yaml").write_text(SPEC + "steem: {}\n", encoding="utf-8")
    assert "c.yaml:7:1: error: unknown-field" in fault(capsys, "a.yaml", "c.yaml")


def test_commits_and_specs_that_are_not_there(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(project)
    (project / "new.yaml").write_text(SPEC, encoding="utf-8")
    assert "error: unknown-commit" in fault(capsys, "a.yaml", "--at", "HEAD~9")
    assert "error: unknown-commit" in fault(capsys, "a.yaml", "--at", "no-such-branch")
    assert "new.yaml: error: spec-not-at-commit" in fault(capsys, "new.yaml", "--at", "HEAD")


def test_a_spec_that_was_at_fault_says_at_which_commit(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "c.yaml").write_text("extends: gone.yaml\n" + SPEC, encoding="utf-8")
    commit(project)
    (project / "c.yaml").write_text(SPEC, encoding="utf-8")
    code, _, message = diff(capsys, "c.yaml", "--at", "HEAD")
    assert code == 2
    assert "c.yaml:1:10: error: extends-not-found" in message
    assert re.search(r"at: HEAD \([0-9a-f]{8}\)", message)


@pytest.mark.parametrize(
    ("damage", "label"),
    [
        (lambda data: data[:4], "the header is longer than the file"),
        (lambda data: data[:40], "the header is longer than the file"),
        (lambda data: data[:-4], "lies outside the file"),
        (lambda data: b"\xff" * 8 + data[8:], "the header is longer than the file"),
        (lambda data: data.replace(b'"shape":[2]', b'"shape":[3]'), "another size than its shape"),
        (lambda data: data.replace(b'"F32"', b'"F99"'), "lacks a known type"),
        (lambda data: data.replace(b'{"', b"{{", 1), "the header is not JSON"),
        (lambda data: (2).to_bytes(8, "little") + b"[]", "the header is not a JSON object"),
        (lambda data: (7).to_bytes(8, "little") + b'{"a":1}', "the entry of 'a' is not"),
    ],
)
def test_a_damaged_header_is_refused(
    damage: Any, label: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_weights(project / "w.safetensors", a=[1.0, 2.0])
    file.write_bytes(damage(file.read_bytes()))
    message = fault(capsys, "a.yaml", file)
    assert f"{file}: error: weights-damaged" in message
    assert label in message


def test_damaged_folders_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = add_run(project, "a.yaml")
    (folder / "scores.json").write_text("{", encoding="utf-8")
    assert "scores.json" in fault(capsys, "a.yaml", folder)
    (folder / "spec.lock.yaml").write_text(lock_of(project / "b.yaml"), encoding="utf-8")
    assert "one of them was edited" in fault(capsys, "a.yaml", folder)
    (folder / "spec.lock.yaml").unlink()
    assert "spec.lock.yaml, which says what the folder is of" in fault(capsys, "a.yaml", folder)
    (folder / "manifest.json").write_text("[]", encoding="utf-8")
    assert "manifest.json is not a JSON object" in fault(capsys, "a.yaml", folder)


# Pages


def test_a_page_has_every_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    code, _, message = diff(capsys, spec_of("Rwy0I"), spec_of("RwyI_mod"), "--html", page)
    assert (code, message) == (1, f"page: {page}\n")
    shown = Page(page.read_text(encoding="utf-8"))
    shown.check()
    assert shown.headings[1:] == ["Declaration", "Model", "Mathematics", "Training"]
    assert "svg" in shown.tags  # the packets that only one of them mixes
    (caption,) = [caption for caption in shown.tables if caption.startswith("Model")]
    found = document(capsys, spec_of("Rwy0I"), spec_of("RwyI_mod"))
    difference = found["model"]["difference"]
    assert shown.cells(caption)["total", "MACs"] == f"{difference['macs']:+,}"


def test_a_page_of_runs_has_their_weights(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [add_run(project, spec) for spec in ("a.yaml", "b.yaml")]
    for number, run in enumerate(runs):
        write_model(run / "checkpoints/last/model.safetensors", project / "a.yaml", seed=number)
    code, _, _ = diff(capsys, *runs, "--values", "--html", project / "page.html")
    shown = Page((project / "page.html").read_text(encoding="utf-8"))
    shown.check()
    assert code == 1
    assert shown.headings[-1] == "Weights"


def test_a_page_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    diff(capsys, spec_of("RI"), spec_of("RwyI"), spec_of("RwyI_mod"), "--html", page)
    shown = Page(page.read_text(encoding="utf-8"))
    shown.check()
    assert shown.cells("declaration")["pooling.wavelet", "RwyI_mod"] == "modulus"


def test_a_fragment_for_reports_escapes_what_it_shows(project: Path) -> None:
    spec = write_spec(project / "other")
    second = project / "other" / "second.yaml"
    second.write_text(
        "extends: small.yaml\ntraining: {epochs: 2}\n"
        'stem: {initial_weights: {checkpoint: "<b>.safetensors"}}\n',
        encoding="utf-8",
    )
    fragment = diff_fragment(spec, second, level=3)
    assert fragment.startswith("<section>\n<h3>Declaration</h3>")
    assert "&lt;b&gt;.safetensors" in fragment
    assert "<b>" not in fragment
    Page(fragment).check()


def test_a_list_that_is_empty_in_one_column_has_no_row_of_its_own() -> None:
    from wavetwin.explain.diff.difference import Experiment

    several = Several(
        tuple(Experiment(name, compile_spec(spec_of(name))) for name in ("cnn", "twin", "AI"))
    )
    assert "backbone.layers" not in several.fields
    assert "backbone.layers.0.conv.channels" in several.fields


def test_small_memory_is_told_in_small_units() -> None:
    assert mebibytes(41_000, 59_448) == "40.0 -> 58.1 KiB (+45.0 %)"
    assert mebibytes(41_000, 41_000) == "the same 40.0 KiB"
    assert mebibytes(2**19, 2**20) == "0.5 -> 1.0 MiB (+100.0 %)"


def test_several_of_the_same_are_empty() -> None:
    from wavetwin.explain.diff.difference import Experiment

    compiled = compile_spec(spec_of("cnn"))
    one = Experiment("a", compiled)
    assert Several((one, replace(one, label="b"))).is_empty


# Sentences of pairs that were told what is not true of them

TOLD = (
    (("AI", "training.batch_size=128"), "at the same rate", "batch norm"),
    (("AwyI_mod", "training.accumulate=4"), "rounding", "batch norm"),
    (
        ("AwyI_mod", "training.batch_size=512", "training.optimizer.lr=0.05"),
        "another learning rate",
        "same rate",
    ),
    (
        ("AwyI", "stem.wavelet.regularisation=null"),
        "if the modulus is taken; here it is not",
        "keeps a modulus stable",
    ),
    (("RwyI", "stem.wavelet.levels=3"), "16 of 32 -> 16 of 128 packets", "more stable"),
    (("RwyI", "stem.wavelet.levels=3"), "layers 2 changed", "1 changed"),
)


@pytest.mark.parametrize(("sources", "told", "untold"), TOLD)
def test_a_change_is_told_as_it_is(
    capsys: pytest.CaptureFixture[str], sources: tuple[str, ...], told: str, untold: str
) -> None:
    name, *changes = sources
    options = [word for change in changes for word in ("--set", change)]
    code, text, _ = diff(capsys, spec_of(name), *options)
    spaced = " ".join(text.split())
    assert code == 1
    assert told in spaced
    assert untold not in spaced


def test_two_twins_without_a_modulus_are_told_that_none_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, text, _ = diff(capsys, spec_of("Rwy0I"), spec_of("RwyI"))
    _, _, mathematics = text.partition("\nmathematics\n")
    effects = re.findall(r"(?m)^  \S.*(?:\n    .*)*", mathematics.partition("\n\n")[0])
    spoken = [" ".join(each.split()) for each in effects if "modulus" in each]
    assert len(spoken) == 3
    assert all("if the modulus is taken; here it is not" in each for each in spoken)
    _, text, _ = diff(capsys, spec_of("AI"), spec_of("AwyI"))
    (row,) = [line for line in text.split("\n") if "stem.wavelet.exclude" in line]
    assert row.split("  ")[-1].strip() == (
        "[from [lowpass, diagonal] (specs/base/alexnet_twin.yaml:11)]"
    )
