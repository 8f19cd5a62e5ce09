"""Windows is refused in one line, whether a command, a script or Python is started there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# What the standard library decides by the platform is imported as it is here.
START = """
import argparse, ctypes, json, logging, pathlib, shutil, subprocess, sys, tempfile
sys.platform = "win32"
sys.modules["fcntl"] = None
"""
REFUSED = (
    "error: unsupported-system: wavetwin does not run on Windows, which lacks POSIX's locks and signals\n"
    "  help: run it in WSL, the Windows Subsystem for Linux\n"
)


def run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START + program]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables)


@pytest.mark.parametrize(
    "program",
    [
        "sys.argv = ['wavetwin', 'check', 'a.yaml']; import runpy; runpy.run_module('wavetwin')",
        "from wavetwin.runtime import RunProvenance, run_script",
    ],
    ids=["command", "script"],
)
def test_a_program_ends_with_one_line(program: str) -> None:
    done = run(program)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(REFUSED)
    assert done.stderr.count("\n") == 2


def test_python_gets_a_diagnostic(tmp_path: Path) -> None:
    program = f"""
import wavetwin
from wavetwin.diagnostics import DiagnosticError
try:
    wavetwin.compile({str(tmp_path / "a.yaml")!r})
except DiagnosticError as error:
    print(error.diagnostics[0].code)
"""
    done = run(program)
    assert done.stdout == "unsupported-system\n", done.stderr
