"""Without torch, NumPy, Pillow and safetensors the compiler works, and the rest says what to install."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.shipped import ROOT
from wavetwin.commands.cli import COMMANDS
from wavetwin.diagnostics.extras import EXTRAS, extra_of

WORKS: list[list[str]] = [
    ["init", "study"],
    ["new", "other", "--from", "specs/cnn.yaml", "--set", "training.epochs=3"],
    ["check", "specs"],
    ["fmt", "specs"],
    ["build", "specs/cnn.yaml", "--no-git"],
    ["build", "specs/cnn.yaml", "--no-git", "--standalone", "--out", "apart"],
    ["build", "specs/cnn.yaml", "--no-git", "--check", "--project", "."],
    ["specs"],
    ["specs", "digits/cnn.yaml"],
    ["show", "specs/cmod.yaml"],
    ["show", "specs/cmod.yaml", "--graph", "graph.svg", "--packets", "packets.svg"],
    ["show", "specs/cmod.yaml", "--json", "--passes"],
    ["runs", "list"],
    ["runs", "reindex"],
    ["import", "command", "AwyI_mod -a DtCwptAlexNet --config Ft32Y_mod --lr 0.01"],
    ["explain", "needs-torch"],
    ["explain", "training.optimizer.lr"],
    ["schema"],
    ["completion", "bash"],
    ["sweep", "lr.sweep.yaml", "--check"],
    ["sweep", "show", "lr.sweep.yaml"],
]
DIFFERS = [["diff", "specs/cnn.yaml", "specs/cmod.yaml"]]
NEEDS = [
    ["show", "specs/cmod.yaml", "--kernels", "kernels.png"],
    ["show", "specs/cmod.yaml", "--graph", "graph.png"],
    ["run", "specs/cnn.yaml"],
    ["sweep", "lr.sweep.yaml"],
    ["sweep", "lr.sweep.yaml", "--dry-run"],
    ["evaluate", "weights.safetensors", "--spec", "specs/cnn.yaml"],
    ["report", "runs/cnn"],
    ["data", "check", "specs/cnn.yaml"],
    ["data", "prepare", "mnist", "--data-root", "."],
    ["import", "weights", "weights.safetensors", "--spec", "specs/cnn.yaml", "--out", "w.st"],
    ["study", "kernels", "specs/cnn.yaml", "specs/cmod.yaml"],
    ["study", "discrepancy"],
    ["study", "stability"],
    ["study", "sparse", "specs/cmod.yaml"],
    ["kernels", "build"],
    ["export", "hub", "runs/cnn", "hub"],
]
SWEEP = """
wavetwin_sweep: 1
base: specs/cnn.yaml
objective: validation.loss
space: {training.optimizer.lr: {grid: [0.1, 0.2]}}
search: grid
"""

PROGRAM = """
import contextlib, io, json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from wavetwin.commands.cli import main
answers = []
for line in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(line)
        except SystemExit as stop:
            code = stop.code
    answers.append([code, out.getvalue(), err.getvalue()])
json.dump(answers, sys.stdout)
"""


def answers(
    lines: list[list[str]], folder: Path, blocked: tuple[str, ...]
) -> list[tuple[int, str, str]]:
    """Return exit codes and outputs of commands in a process that cannot import some modules."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, json.dumps(blocked)]
    done = subprocess.run(
        command, input=json.dumps(lines), capture_output=True, text=True, check=False, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads(done.stdout)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / ".wavetwin.toml").touch()
    cnn = "extends: wavetwin:digits/cnn.yaml\n"
    (tmp_path / "specs/cnn.yaml").write_text(cnn, encoding="utf-8")
    cmod = "extends: wavetwin:digits/twin_mod.yaml\n"
    (tmp_path / "specs/cmod.yaml").write_text(cmod, encoding="utf-8")
    (tmp_path / "lr.sweep.yaml").write_text(SWEEP, encoding="utf-8")
    (tmp_path / "weights.safetensors").touch()
    (tmp_path / "runs/cnn").mkdir(parents=True)
    return tmp_path


def test_every_command_is_tried() -> None:
    lines = [*WORKS, *DIFFERS, *NEEDS]
    assert {line[0] for line in lines} == set(COMMANDS)


def test_the_compiler_works_and_the_rest_says_what_to_install(project: Path) -> None:
    blocked = (*EXTRAS["run"].packages, "tensorboard", "torchvision", "scipy", "sklearn")
    lines = [*WORKS, *DIFFERS, *NEEDS]
    for line, (code, out, err) in zip(lines, answers(lines, project, blocked), strict=True):
        if line in NEEDS:
            assert code == 2, (line, out, err)
            assert "needs-torch" in err, (line, err)
            assert "is not installed" in err, (line, err)
            assert err.endswith("  help: pip install 'wavetwin[run]'\n"), (line, err)
            assert err.count("\n") == 2, (line, err)
        else:
            assert code == (1 if line in DIFFERS else 0), (line, out, err)
    assert not (project / "generated" / "cnn@").exists()


def test_a_built_script_and_python_say_it_too(project: Path) -> None:
    (built,) = answers([["build", "specs/cnn.yaml", "--no-git"]], project, ("torch",))
    assert built[0] == 0, built
    program = (
        "import runpy, sys; sys.modules['torch'] = None; sys.argv = ['train.py', '--format', 'json'];"
        "runpy.run_path('generated/cnn/train.py', run_name='__main__')"
    )
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=project, env=variables
    )
    assert done.returncode == 2, done.stderr
    (fault,) = json.loads(done.stdout)["diagnostics"]
    assert (fault["code"], fault["help"]) == ("needs-torch", "pip install 'wavetwin[run]'")
    program = (
        "import sys; sys.modules['torch'] = None; import wavetwin;"
        "from wavetwin.diagnostics import DiagnosticError\n"
        "for call in (wavetwin.build_model, wavetwin.train, wavetwin.evaluate, wavetwin.load_run):\n"
        "    try:\n        call(None)\n"
        "    except DiagnosticError as error:\n        print(error.diagnostics[0].headline)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    names = ("build_model", "train", "evaluate", "load_run")
    ending = "needs torch, which is not installed\n"
    assert done.stdout == "".join(f"wavetwin.{name} {ending}" for name in names)


def test_extras_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {
        extra: {Requirement(line).name for line in lines} - {project["name"]}
        for extra, lines in project["optional-dependencies"].items()
        if extra not in ("dev", "docs")
    }
    # SciPy comes with scikit-learn.
    told = {name: set(row.packages.values()) - {"scipy"} for name, row in EXTRAS.items()}
    assert declared == told
    core = {Requirement(line).name.lower() for line in project["dependencies"]}
    assert not core & {package for packages in declared.values() for package in packages}
    extra = extra_of("matplotlib.figure")
    assert extra is not None
    assert extra.name == "figures"
    assert extra_of("antigravity") is None
