"""What commands import and read: the deterministic side of start-up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.shipped import ROOT, SPECS

NUMERIC = {"torch", "torchvision", "numpy", "scipy", "tensorboard", "safetensors"}

PROBE = """
import json, sys
from wavetwin.commands.cli import main
for arguments in json.loads(sys.argv[1]):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code in (0, None), arguments
print("\\n" + json.dumps(sorted(sys.modules)))
"""


def modules_after(*commands: tuple[str, ...]) -> set[str]:
    """Top-level names of the modules that commands import, one after the other in one process."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(commands)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout.splitlines()[-1])
    return {name.split(".")[0] for name in modules} | {
        name for name in modules if name.startswith("wavetwin.")
    }


def test_help_imports_nothing_heavy() -> None:
    loaded = modules_after(("--help",))
    others = {"dataclasses", "pathlib", "pydantic", "ruamel", "jinja2", "rich", "git", "subprocess"}
    assert not loaded & (NUMERIC | others)
    assert "wavetwin.compiler" not in loaded


def test_check_imports_the_front_end_only() -> None:
    loaded = modules_after(("check", "specs/alexnet/Azh3wyI_mod.yaml"))
    assert not loaded & (NUMERIC | {"jinja2", "rich", "git", "subprocess", "pickle"})
    assert not {name for name in loaded if name.startswith("wavetwin.runtime")}


def test_pydantic_looks_for_no_plugins_and_children_are_not_told() -> None:
    code = (
        "import os, sys; from wavetwin.commands.cli import main; known = dict(os.environ);"
        "assert main(['check', 'specs/alexnet/Azh3wyI_mod.yaml']) == 0;"
        "assert 'pydantic' in sys.modules and 'importlib.metadata' not in sys.modules;"
        "assert dict(os.environ) == known"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_check_does_not_wait_for_what_the_spec_does_not_have() -> None:
    """Neither transforms, nor layers, nor code of one's own: no table of the first two, no digest of wavetwin."""
    code = (
        "import sys; from wavetwin.commands.cli import main;"
        "assert main(['check', 'specs/alexnet/Azh3wyI_mod.yaml']) == 0;"
        "from wavetwin.provenance.package import imported_package;"
        "assert imported_package.cache_info().currsize == 0;"
        "assert 'wavetwin.ir.image_transforms.geometry' not in sys.modules;"
        "assert 'wavetwin.ir.layer_kinds.convolution' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_show_imports_no_torch() -> None:
    options = ((), ("--json",), ("--passes",), ("--origins",), ("--packets",))
    loaded = modules_after(*(("show", "specs/alexnet/Azh3wyI_mod.yaml", *each) for each in options))
    assert not loaded & (NUMERIC | {"jinja2", "rich", "git", "PIL", "wavetwin.explain.pictures"})


def test_checking_a_sweep_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "cnn.yaml").write_text("extends: wavetwin:digits/cnn.yaml\n", encoding="utf-8")
    text = "wavetwin_sweep: 1\nbase: cnn.yaml\nobjective: validation.loss\n"
    (tmp_path / "a.sweep.yaml").write_text(text, encoding="utf-8")
    loaded = modules_after(("sweep", str(tmp_path / "a.sweep.yaml"), "--check"))
    assert not loaded & (NUMERIC | {"rich", "git", "optuna"})


def test_pictures_are_drawn_without_torch(tmp_path: Path) -> None:
    files = ("--packets", str(tmp_path / "packets.svg"), "--graph", str(tmp_path / "graph.svg"))
    loaded = modules_after(("show", "specs/alexnet/Azh3wyI_mod.yaml", *files))
    assert not loaded & (NUMERIC | {"jinja2", "rich", "git", "PIL"})
    assert len(list(tmp_path.iterdir())) == 2


def test_build_imports_no_torch(tmp_path: Path) -> None:
    arguments = ("build", "--allow-dirty", "--out", str(tmp_path), "specs/digits/cnn.yaml")
    loaded = modules_after(arguments)
    assert not loaded & (NUMERIC | {"rich", "git"})
    assert not {name for name in loaded if name.startswith("wavetwin.runtime")}


def test_importing_and_compiling_imports_no_torch() -> None:
    code = (
        "import sys, wavetwin; wavetwin.compile('specs/alexnet/AwyI.yaml').graph;"
        "assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)


def test_each_file_is_parsed_once_in_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from wavetwin.commands.specs import compile_specs
    from wavetwin.compiler.parse import compose

    parsed: list[str] = []
    parse = compose.parse_bytes

    def count(data: bytes, shown: str) -> object:
        parsed.append(shown)
        return parse(data, shown)

    monkeypatch.setattr(compose, "parse_bytes", count)
    folders = [ROOT / "specs" / name for name in ("alexnet", "mnist", "vgg")]
    compiled = compile_specs(folders)
    assert len(compiled) == sum(path.parent in folders for path in SPECS)
    assert len(parsed) == len(set(parsed))
    assert len(parsed) == len({file for each in compiled for file in each.files})
