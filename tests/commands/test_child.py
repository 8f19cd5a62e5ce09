import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wavetwin.commands.child import run_child


def test_exit_codes() -> None:
    assert run_child([sys.executable, "-c", "import sys; sys.exit(3)"]) == 3
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run_child([sys.executable, "-c", kill]) == 128 + signal.SIGKILL


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
