"""`build --standalone`: the folder runs where there is no wavetwin, and is checked as any build."""

import ast
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.built import build, write_images, write_spec
from tests.support.shipped import KINDS, ROOT
from wavetwin.commands.cli import main
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.render.files import render
from wavetwin.compiler.render.standalone import standalone_files
from wavetwin.compiler.render.write import build_folder, check_build
from wavetwin.diagnostics import CompileError
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.package import digest_of, imported_package, load_package, sha256_of
from wavetwin.provenance.record import collect_provenance

ALLOWED = ("torch", "numpy", "pillow", "safetensors")
OPTIONAL = {"rich", "jaxtyping", "sklearn", "scipy", "av", "tensorboard"}
"""Imported where they are there, or for one data set or entry of the evaluation suite alone."""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_spec(tmp_path / "a project")


def check(spec: Path, standalone: bool = False) -> tuple[str, ...]:
    compiled = compile_spec(spec)
    return check_build(compiled, build_folder(compiled), standalone=standalone).lines


def imports_when_loaded(text: str) -> set[str]:
    """Top-level names of what a module imports outside functions and type checking."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.Try):
            waiting += ast.iter_child_nodes(node)
    return found


def test_the_copy_follows_the_imports() -> None:
    package = imported_package()
    scripts = {
        "train.py": b"def main():\n    from wavetwin.runtime.data import find_data_root\n",
        "run.sh": b'"$PYTHON" -m wavetwin.runtime.process.freeze .\n',
        "inputs.patch": b"\xff\xfe import wavetwin.commands.cli",
    }
    files = standalone_files(scripts, package)
    assert list(files) == sorted(files)
    # What a function imports, by the module that has it, what that imports, and their packages.
    assert {
        "wavetwin/__init__.py",
        "wavetwin/runtime/__init__.py",
        "wavetwin/runtime/data/__init__.py",
        "wavetwin/runtime/data/root.py",
        "wavetwin/runtime/process/errors.py",
        "wavetwin/runtime/process/freeze.py",
        "wavetwin/provenance/record.py",
    } <= files.keys()
    assert not {
        "wavetwin/commands/cli.py",
        "wavetwin/explain/report/write.py",
        "wavetwin/compiler/parse/tree.py",
    } & set(files)
    for name, content in files.items():
        if name != "wavetwin/__init__.py":
            assert content == package.files[name].read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"from wavetwin import compile", "compile is not in a standalone copy"),
        (b"from wavetwin.runtime import nothing", "import nothing from the module that has it"),
        (b"from . import model", "relative imports"),
        (b"import wavetwin.no_such_module", "is not there"),
    ],
)
def test_an_import_that_cannot_be_followed_is_a_fault(line: bytes, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        standalone_files({"train.py": line}, imported_package())


def test_what_is_copied_needs_four_packages(spec: Path) -> None:
    folder = build(spec, standalone=True).folder
    for path in folder.rglob("*.py"):
        needed = imports_when_loaded(path.read_text("utf-8")) - sys.stdlib_module_names
        assert needed <= {"wavetwin", "torch", "numpy", "PIL", "safetensors"}, path


def test_shipped_specs_can_be_standalone() -> None:
    package = imported_package()
    for path in KINDS[::10]:
        compiled = compile_spec(path)
        provenance = collect_provenance(compiled.files, compiled.project, GitState(), no_git=True)
        files = render(compiled, provenance, standalone=package)
        assert files == render(compiled, provenance, standalone=package)
        manifest = json.loads(files["manifest.json"])
        copied = {name: files[name] for name in files if name.startswith("wavetwin/")}
        assert not any(name.startswith("wavetwin/compiler/validate/checks") for name in copied)
        # What is compiled on the user's machine goes along.
        sources = (ROOT / "wavetwin/runtime/bank/native").glob("*.[ch]*")
        assert {str(path.relative_to(ROOT)) for path in sources} <= copied.keys()
        source = manifest["sources"][-1]
        assert (source["role"], source["kind"]) == ("standalone", "standalone")
        digests = {name: sha256_of(content) for name, content in copied.items()}
        assert source["package_digest"] == digest_of(digests)
        assert {name: manifest["files"][name] for name in copied} == digests


def test_it_is_built_checked_and_taken_back(spec: Path) -> None:
    folder = build(spec, standalone=True).folder
    package = load_package(folder / "wavetwin")
    assert package.is_standalone
    assert package.version == imported_package().version
    assert check(spec) == ("up to date",)
    assert build(spec, standalone=True).written == ()

    losses = folder / "wavetwin/runtime/training/losses.py"
    losses.write_text("mine\n", encoding="utf-8")
    assert check(spec) == ("edited by hand: wavetwin/runtime/training/losses.py",)
    with pytest.raises(CompileError) as caught:
        build(spec, standalone=True)
    assert caught.value.diagnostics[0].notes == ("files: wavetwin/runtime/training/losses.py",)
    assert build(spec, standalone=True, force=True).written == (
        "wavetwin/runtime/training/losses.py",
    )

    # Byte code that a run left goes with its module; a person's files stay, the edit too.
    caches = {"wavetwin/provenance": "package", "wavetwin/runtime/training": "losses"}
    for where, module in caches.items():
        cache = folder / where / "__pycache__"
        cache.mkdir()
        (cache / f"{module}.cpython-311.pyc").write_bytes(b"")
    (folder / "wavetwin/runtime/notes.txt").write_text("mine\n", encoding="utf-8")
    removed = build(spec).removed
    assert "wavetwin/__init__.py" in removed
    edited, *rest = sorted(path.name for path in (folder / "wavetwin").rglob("*"))
    assert edited.startswith("losses.py.edited-")
    assert rest == ["notes.txt", "runtime", "training"]
    assert check(spec) == ("up to date",)
    assert "missing: wavetwin/__init__.py" in check(spec, standalone=True)


def test_nothing_is_written_through_a_link(spec: Path, tmp_path: Path) -> None:
    folder = build(spec).folder
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "wavetwin").symlink_to(elsewhere)
    for force in (False, True):
        with pytest.raises(CompileError, match="cannot-write: this is a link"):
            build(spec, standalone=True, force=force)
    assert list(elsewhere.iterdir()) == []

    # Nor removed: an edited manifest may name files behind a link, or above the folder.
    kept = elsewhere / "kept.py"
    kept.write_text("mine\n", encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in ("wavetwin/kept.py", "wavetwin/../../../elsewhere/kept.py", str(kept)):
        manifest["files"][name] = sha256_of(b"mine\n")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert build(spec).removed == ()
    assert kept.exists()


def test_the_command_line(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--no-git", "--standalone", str(spec)]) == 0
    assert "manifest.json, wavetwin/ (" in capsys.readouterr().out
    assert main(["build", "--check", str(spec)]) == 0
    assert main(["build", "--no-git", str(spec)]) == 0
    assert not (spec.parent / "generated/small/wavetwin").exists()
    assert main(["build", "--check", "--standalone", str(spec)]) == 1


def only_allowed_packages(folder: Path) -> Path:
    """Return a folder that has the allowed distributions and what they require, as links."""
    waiting, done = list(ALLOWED), set[str]()
    folder.mkdir()
    while waiting:
        name = waiting.pop().lower()
        if name in done:
            continue
        done.add(name)
        distribution = importlib.metadata.distribution(name)
        for line in distribution.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder


def run_isolated(site: Path, script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script that finds the packages of `site` alone: no site-packages, no checkout."""
    variables = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return subprocess.run(
        [sys.executable, "-S", str(script), *options],
        env=variables | {"PYTHONPATH": str(site)},
        cwd=script.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_trains_and_evaluates_without_wavetwin(spec: Path, tmp_path: Path) -> None:
    built = build(spec, standalone=True).folder
    folder = tmp_path / "a colleague's" / "small"
    shutil.copytree(built, folder)
    data, site = write_images(tmp_path / "data"), only_allowed_packages(tmp_path / "site")
    probe = folder / "probe.py"
    probe.write_text(
        "import importlib.util as u, wavetwin\n"
        "print([n for n in ('rich', 'pydantic', 'tensorboard', 'jaxtyping') if u.find_spec(n)])\n"
        "print(wavetwin.__file__)\n",
        encoding="utf-8",
    )
    seen = run_isolated(site, probe)
    assert seen.stdout.splitlines() == ["[]", str(folder / "wavetwin/__init__.py")], seen.stderr
    probe.unlink()

    options = ("--data-root", str(data), "--device", "cpu", "--workers", "0")
    trained = run_isolated(site, folder / "train.py", *options)
    assert trained.returncode == 0, trained.stderr
    assert "tensorboard is not installed" in trained.stdout
    assert "\r" not in trained.stdout
    evaluated = run_isolated(site, folder / "evaluate.py", *options)
    assert evaluated.returncode == 0, evaluated.stderr
    (scores,) = (folder.parent / "runs").rglob("scores.json")
    assert "top1_error" in scores.read_text("utf-8")

    with (folder / "wavetwin/runtime/training/losses.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    refused = run_isolated(site, folder / "train.py", *options)
    assert refused.returncode == 2
    assert "source-changed" in refused.stderr
    assert "files: wavetwin/runtime/training/losses.py" in refused.stderr
    assert "script-modified" not in refused.stderr


@pytest.mark.slow
def test_it_runs_in_a_fresh_environment(spec: Path, tmp_path: Path) -> None:
    folder = build(spec, standalone=True).folder
    data, environment = write_images(tmp_path / "data"), tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = str(environment / "bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*install, *ALLOWED], check=True)
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for script in ("train.py", "evaluate.py"):
        options = ["--data-root", str(data), "--device", "cpu"]
        subprocess.run([python, str(folder / script), *options], env=variables, check=True)
    (scores,) = (spec.parent / "runs").rglob("scores.json")
    assert "top1_error" in scores.read_text("utf-8")


def test_a_folder_without_its_copy_ends_with_a_diagnostic(tmp_path: Path) -> None:
    folder = build(write_spec(tmp_path / "project"), standalone=True).folder
    shutil.rmtree(folder / "wavetwin")
    command = [sys.executable, str(folder / "train.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("wavetwin: error: source-changed: ")
