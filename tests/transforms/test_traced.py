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


def test_compiled_without_a_graph_break() -> None:
    """A transform with its inverse and a pool that learns; the slow tests take all of them."""
    _run("compile", "dwt_periodization", "pool_lattice")


def test_exported_with_free_sizes() -> None:
    _run("export", "pool")


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
