"""What others wrote reaches a terminal as plain text: escapes of a terminal are shown, not obeyed."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.built import SPEC, write_images
from tests.support.run_files import ONE_CROP, epoch, record, write_run
from tests.support.shipped import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.diagnostics import render_text, terminal
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.progress import ProgressReport
from wavetwin.runtime.process.scripts import parse_arguments

PLANTED = "\x1b]0;owned\x07\x1b[2J\x1b[35m\x9b31m\x7f\r\u202e\u2066\u200b[red]"
SHOWN = "\\x1b]0;owned\\x07\\x1b[2J\\x1b[35m\\x9b31m\\x7f\\r\\u202e\\u2066\\u200b[red]"
OWNED = '"\\e]0;owned\\a\\e[2J\\e[35m\\x9b31m\\x7f\\r\\u202e\\u2066\\u200b[red]"'
"""The same, as YAML writes it."""


def raw(text: str) -> list[str]:
    return [char for char in text if not char.isprintable() and char not in "\t\n"]


def test_what_is_not_printable_is_shown():
    assert terminal.printable(PLANTED) == SHOWN
    assert terminal.printable("a\tb\nc") == "a\tb\\nc"
    assert terminal.printable_lines("a\x1b\nb\r\n") == "a\\x1b\nb\\r\n"
    assert terminal.printable("Grüße, 東京, é") == "Grüße, 東京, é"
    assert terminal.paint("a\x1b[0mb", "1") == "\x1b[1ma\\x1b[0mb\x1b[0m"


def test_json_keeps_its_values(capsys: pytest.CaptureFixture[str]):
    document = {PLANTED: ["é\n", "\U000e0041", 1.5]}
    text = terminal.as_json(document)
    assert json.loads(text) == document
    assert raw(text) == []
    assert "é" in text
    terminal.say(text)
    assert capsys.readouterr().out == text


def test_only_our_own_colours_are_kept(capsys: pytest.CaptureFixture[str]):
    terminal.say(terminal.paint("a", "31") + "\x1b[2J\n", colours=True)
    assert capsys.readouterr().out == "\x1b[31ma\x1b[0m\\x1b[2J\n"


def test_what_a_program_reads_is_exact(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    terminal.hand_over("a\xa0b\n")
    assert capsys.readouterr().out == "a\xa0b\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    terminal.hand_over("a\xa0b\n")
    assert capsys.readouterr().out == "a\\xa0b\n"


def test_nothing_is_written_another_way():
    """No module but `terminal` has print, a write to the process's streams, or a traceback's print."""
    found: list[str] = []
    for file in sorted((ROOT / "wavetwin").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if not re.search(r"print|\.write", text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            writes = called.endswith(("stdout.write", "stderr.write", "stdout.writelines"))
            if writes or called == "print" or called.startswith("traceback.print"):
                found.append(f"{file.relative_to(ROOT)}: {called}")
    assert {line.split(":")[0] for line in found} == {"wavetwin/diagnostics/terminal.py"}
    for template in (ROOT / "templates").glob("*.py.j2"):
        text = template.read_text(encoding="utf-8")
        assert "print(" not in text, template
        assert "sys.std" not in text, template


def test_progress_and_help_of_scripts(capsys: pytest.CaptureFixture[str]):
    with ProgressReport(PLANTED, 1) as report:
        report.say(PLANTED)
    assert capsys.readouterr().out == f"{SHOWN}\n"
    with pytest.raises(SystemExit):
        parse_arguments(PLANTED, training=True, arguments=["--help"])
    assert raw(capsys.readouterr().out) == []
    with pytest.raises(SystemExit):
        parse_arguments("s", training=True, arguments=[PLANTED])
    assert raw(capsys.readouterr().err) == []


def test_an_uncaught_error_is_shown_without_its_escapes(capsys: pytest.CaptureFixture[str]):
    error = ValueError(PLANTED)
    terminal.show_fault(type(error), error, None)
    assert capsys.readouterr().err == f"ValueError: {SHOWN}\n"


def test_a_warning_is_shown_without_its_escapes(capsys: pytest.CaptureFixture[str]):
    terminal.show_warning(UserWarning(PLANTED), UserWarning, f"{PLANTED}.py", 1)
    shown = capsys.readouterr().err
    assert shown == f"{SHOWN}.py:1: UserWarning: {SHOWN}\n"


def test_processes_of_ours_show_errors_and_warnings_of_others():
    code = (
        "import warnings\n"
        "from wavetwin.runtime.process.scripts import run_script\n"
        "def main():\n"
        f"    warnings.warn({PLANTED!r})\n"
        f"    raise LookupError({PLANTED!r})\n"
        "run_script(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    shown = done.stderr.decode()
    assert done.returncode == 1
    assert f"UserWarning: {SHOWN}" in shown
    assert f"LookupError: {SHOWN}" in shown
    assert raw(shown) == []


def plant(project: Path) -> dict[str, Path]:
    """Write a spec, weights, images and two runs with planted text wherever a text may stand."""
    import torch
    from safetensors.torch import save_file

    (project / ".wavetwin.toml").touch()
    spec = project / "small.yaml"
    text = SPEC.format(summary="s", epochs=1).replace('summary: "s"', f"summary: {OWNED}")
    nested = project / f"d{PLANTED}" / "small.yaml"
    nested.parent.mkdir()
    for file in (spec, nested):
        file.write_text(text, encoding="utf-8")
    images = write_images(project / "images")
    for split in ("train", "val"):
        (images / split / "dark").rename(images / split / f"dark{PLANTED}")
    weights = project / f"w{PLANTED}.safetensors"
    save_file({f"stem{PLANTED}": torch.zeros(1)}, weights, {"note": PLANTED})
    compiled = compile_spec(spec)
    scores = [
        record(
            ONE_CROP,
            {"loss": 1.0, "top1_error": 0.25, "top5_error": 0.0, PLANTED: 0.5},
            commit=PLANTED,
        )
    ]
    runs: list[Path] = []
    for seed in (0, 1):
        plan = replace(compiled.plan, seed=seed)
        run = write_run(
            project / "runs",
            plan,
            scores,
            [epoch(1, 1.0, None) | {PLANTED: PLANTED}],
            dump_spec({**compiled.resolved, "tags": [PLANTED]}),
            commit=f"c{PLANTED}",
            drift=[PLANTED],
            bad_images={PLANTED: PLANTED},
        )
        manifest = json.loads((run / "manifest.json").read_bytes())
        manifest["lives"][0] |= {"outcome": PLANTED, "command": [PLANTED], "warnings": [PLANTED]}
        (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        (run / f"f{PLANTED}").touch()
        runs.append(run)
    return {
        "spec": spec,
        "images": images,
        "weights": weights,
        "a": runs[0],
        "b": runs[1],
        "nested": nested,
    }


COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "{spec}"),
    "check a file of that name": ("check", "{planted}.yaml"),
    "check as json": ("check", "{spec}", "--set", "a{planted}=1", "--format", "json"),
    "check as sarif": ("check", "{spec}", "--set", "a{planted}=1", "--format", "sarif"),
    "check for github": ("check", "{spec}", "--set", "a{planted}=1", "--format", "github"),
    "arguments": ("check", "{spec}", "--{planted}"),
    "show": ("show", "{spec}", "--origins"),
    "show as json": ("show", "{nested}", "--json"),
    "build": ("build", "{spec}", "--no-git", "--out", "{planted}"),
    "diff": ("diff", "{spec}", "{a}", "--full"),
    "diff of one": ("diff", "{spec}", "--set", "summary=x{planted}", "--full"),
    "diff of weights": ("diff", "{spec}", "{weights}", "--full"),
    "diff of weights as json": ("diff", "{spec}", "{weights}", "--json"),
    "diff of runs": ("diff", "{a}", "{b}", "--full", "--html", "{planted}.html"),
    "runs list": ("runs", "list"),
    "runs list as json": ("runs", "list", "--json"),
    "runs show": ("runs", "show", "{a}"),
    "runs show as json": ("runs", "show", "{a}", "--json"),
    "runs compare": ("runs", "compare", "{a}", "{b}"),
    "runs compare as json": ("runs", "compare", "{a}", "{b}", "--json"),
    "runs show nothing": ("runs", "show", "{planted}"),
    "report": ("report", "{a}", "{b}", "-o", "{planted}.html"),
    "report in markdown": ("report", "{a}", "{b}", "-o", "{planted}.md"),
    "report of nothing": ("report", "{planted}"),
    "data check": ("data", "check", "{spec}", "--data-root", "{images}"),
    "evaluate": ("evaluate", "{weights}", "--spec", "{spec}", "--data-root", "{images}"),
    "import weights": ("import", "weights", "{weights}", "--spec", "{spec}", "--out", "o"),
    "study": ("study", "sparse", "{spec}", "--runs", "{a}"),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_show_what_others_planted(
    name: str,
    planted: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(planted["spec"].parent)
    given = [word.format(planted=PLANTED, **planted) for word in COMMANDS[name]]
    code = call(given)
    out, err = capsys.readouterr()
    assert raw(out) == []
    assert raw(err) == []
    assert code in (0, 1, 2), err
    assert out + err
    if "json" in name or "sarif" in name:
        json.loads(out)
    for file in Path().glob("*owned*.*"):
        if file.suffix in (".md", ".html"):
            assert raw(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", ["diff", "diff of weights", "diff of runs", "check as text"])
def test_in_colour_no_colour_is_of_others(
    name: str,
    planted: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(planted["spec"].parent)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    label = COMMANDS.get(name, ("check", "{spec}", "--set", "a{planted}=1"))
    call([word.format(planted=PLANTED, **planted) for word in label])
    out, err = capsys.readouterr()
    coloured = out + err
    plain = re.sub(r"\x1b\[(0|1|31|32|33|1;31)m", "", coloured)
    assert raw(plain) == []
    assert len(plain) < len(coloured)


def test_a_line_end_in_a_name_makes_no_message():
    error = RunError("bad-argument", "a\nerror: b", "c\n  help: d", notes=["e\nf"])
    written = "a\\nerror: b\n  e\\nf\n  help: c\\n  help: d"
    assert str(error) == written
    assert render_text(error.diagnostics) == f"error: bad-argument: {written}\n"


def test_bars_show_what_others_planted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    with ProgressReport(PLANTED, 1) as report:
        report.say(PLANTED)
        report.advance(1, PLANTED)
    out = capsys.readouterr().out
    assert SHOWN in out
    for planted in ("\x1b]0", "\x07", "\x1b[35m", "\x9b", "\u202e", "\u200b"):
        assert planted not in out


def call(arguments: Sequence[str]) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as stop:
        return int(str(stop.code))


def test_what_was_planted_is_shown_not_dropped(
    planted: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(planted["spec"].parent)
    assert cli.main(["runs", "show", str(planted["a"])]) == 0
    assert SHOWN in capsys.readouterr().out
    assert cli.main(["runs", "show", str(planted["a"]), "--json"]) == 0
    assert PLANTED in json.loads(capsys.readouterr().out)["tags"]


def test_a_script_that_refuses_shows_its_folder(tmp_path: Path, planted: dict[str, Path]):
    folder = tmp_path / f"x{PLANTED}" / "small"
    assert cli.main(["build", str(planted["spec"]), "--no-git", "--out", str(folder.parent)]) == 0
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    done = subprocess.run([sys.executable, folder / "train.py"], capture_output=True, check=False)
    shown = done.stderr.decode()
    assert done.returncode == 2, shown
    assert SHOWN in shown
    assert raw(shown) == []


@pytest.mark.slow
def test_scripts_show_what_others_planted(tmp_path: Path):
    """Trains and evaluates in processes of their own: only those show what scripts write."""
    planted = plant(tmp_path)
    broken = planted["images"] / "train/bright" / f"0{PLANTED}.png"
    broken.write_bytes(b"no image")
    command = [sys.executable, "-m", "wavetwin", "run", str(planted["spec"]), "--no-git", "--"]
    options = ["--data-root", str(planted["images"]), "--device", "cpu", "--on-bad-image", "skip"]
    done = subprocess.run(
        [*command, *options, "--runs", str(tmp_path / "other")],
        capture_output=True,
        cwd=tmp_path,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, err
    assert raw(out) == []
    assert raw(err) == []
    assert f"0{SHOWN}.png" in err
