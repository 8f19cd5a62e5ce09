import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wavetwin.commands.child import run_child, run_reporting
from wavetwin.diagnostics import Diagnostic, Location, Origin, render_json


def test_exit_codes() -> None:
    assert run_child([sys.executable, "-c", "import sys; sys.exit(3)"]) == 3
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run_child([sys.executable, "-c", kill]) == 128 + signal.SIGKILL


FOUND = (
    Diagnostic(
        "bad-value", "is 7", Location("a.yaml", 3, 5, 2), help="write 6", source_line="  x: 7"
    ),
    Diagnostic(
        "data-root-unknown",
        "no data root is known",
        severity="warning",
        origins=(Origin("seed 1", None), Origin("epochs 2", Location("b.yaml", 1, 1))),
        notes=("in: one crop",),
        subject="train.py",
    ),
)


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_what_a_script_finds_is_no_document_of_its_own(
    form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    script = (
        "import sys; assert sys.argv[1:] == ['--seeds', '0', '--format', 'json']; "
        f"print({render_json(FOUND)!r}); print('progress', file=sys.stderr); sys.exit(2)"
    )
    assert run_reporting([sys.executable, "-c", script, "--seeds", "0"], form) == (2, FOUND)
    assert capfd.readouterr() == ("", "progress\n")
    assert run_reporting([sys.executable, "-c", ""], form) == (0, ())


def test_other_messages_of_a_script_are_written_as_they_come(
    capfd: pytest.CaptureFixture[str],
) -> None:
    script = [sys.executable, "-c", "import sys; print(sys.argv[1:])"]
    assert run_reporting(script, "github") == (0, ())
    assert run_reporting(script, "text") == (0, ())
    assert capfd.readouterr().out == "['--format', 'github']\n[]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells children of their parent's death")
def test_a_killed_parent_stops_its_child(tmp_path: Path) -> None:
    started, stopped = tmp_path / "started", tmp_path / "stopped"
    child = (
        "import pathlib, signal, sys, time\n"
        f"stop = lambda *_: (pathlib.Path({str(stopped)!r}).touch(), sys.exit())\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        f"pathlib.Path({str(started)!r}).touch()\n"
        "time.sleep(60)\n"
    )
    parent = f"import sys; from wavetwin.commands.child import run_child; run_child({[sys.executable, '-c', child]!r})"
    process = subprocess.Popen([sys.executable, "-c", parent])
    wait_for(started)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(stopped)


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)
