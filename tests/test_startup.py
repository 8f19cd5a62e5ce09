"""What commands import and read: the deterministic side of start-up (decisions.md 17, 29)."""

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
try:
    code = main(json.loads(sys.argv[1]))
except SystemExit as stop:
    code = stop.code
print("\\n" + json.dumps([code, sorted(sys.modules)]))
"""


def modules_after(*arguments: str, cwd: Path = ROOT) -> set[str]:
    """Top-level names of the modules that a command imports, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code in (0, None), done.stderr
    return {name.split(".")[0] for name in modules} | {
        name for name in modules if name.startswith("wavetwin.")
    }


def test_help_imports_nothing_heavy() -> None:
    loaded = modules_after("--help")
    assert not loaded & (NUMERIC | {"pydantic", "ruamel", "jinja2", "rich", "git", "subprocess"})
    assert "wavetwin.compiler" not in loaded


def test_check_imports_the_front_end_only() -> None:
    loaded = modules_after("check", "specs/alexnet/Azh3wyI_mod.yaml")
    assert not loaded & (NUMERIC | {"jinja2", "rich", "git", "subprocess"})
    assert not {name for name in loaded if name.startswith("wavetwin.runtime")}


@pytest.mark.parametrize(
    "options", [(), ("--json",), ("--passes",), ("--origins",), ("--packets",)], ids=" ".join
)
def test_show_imports_no_torch(options: tuple[str, ...]) -> None:
    loaded = modules_after("show", "specs/alexnet/Azh3wyI_mod.yaml", *options)
    assert not loaded & (NUMERIC | {"jinja2", "rich", "git", "PIL", "wavetwin.explain.pictures"})


def test_pictures_are_drawn_without_torch(tmp_path: Path) -> None:
    files = ("--packets", str(tmp_path / "packets.svg"), "--graph", str(tmp_path / "graph.svg"))
    loaded = modules_after("show", "specs/alexnet/Azh3wyI_mod.yaml", *files)
    assert not loaded & (NUMERIC | {"jinja2", "rich", "git", "PIL"})
    assert len(list(tmp_path.iterdir())) == 2


def test_build_imports_no_torch(tmp_path: Path) -> None:
    arguments = ("build", "--allow-dirty", "--out", str(tmp_path), "specs/digits/cnn.yaml")
    loaded = modules_after(*arguments)
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
    compiled = compile_specs([ROOT / "specs"])
    assert len(compiled) == len(SPECS)
    assert len(parsed) == len(set(parsed))
    assert len(parsed) == len(list((ROOT / "specs").glob("**/*.yaml")))
