"""What `tests/transforms/traced.py` finds: no graph breaks, sizes stay free in an exported program."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.transforms.traced import MODULES

ROOT = Path(__file__).parents[2]


def _run(what: str, *names: str) -> None:
    command = [sys.executable, "-m", "tests.transforms.traced", what, *names]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=1700, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_compiled_without_a_graph_break() -> None:
    """What all are made of: margins, a strided bank, a layer around them; the slow tests take all."""
    _run("compile", "pool")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["compile", "inductor"])
def test_all_compile_without_a_graph_break(backend: str) -> None:
    _run(backend)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", list(MODULES))
def test_all_are_exported_with_free_sizes(name: str) -> None:
    _run("export", name)
