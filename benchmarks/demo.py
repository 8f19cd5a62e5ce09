"""The demo: build, train, evaluate and report two small models on real handwritten digits.

A CNN and its twin with the modulus (specs/digits); everything goes through the command line, as a
user would type it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WAVETWIN = Path(sys.executable).with_name("wavetwin")
SPECS = ("specs/digits/cnn.yaml", "specs/digits/twin_mod.yaml")
REPORT = Path("runs/demo/report.html")


def command(*arguments: str) -> None:
    """Run one wavetwin command and show it; a failure ends the demo with its exit code."""
    print(f"\n$ wavetwin {' '.join(arguments)}", flush=True)
    done = subprocess.run([str(WAVETWIN), *arguments], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def run_folder(spec: str) -> str:
    """The run that training a shipped spec makes (decisions.md 3)."""
    import wavetwin
    from wavetwin.runtime.training.run_names import run_stem

    compiled = wavetwin.compile(ROOT / spec)
    return f"runs/{compiled.name}/{run_stem(compiled.plan, None)}"


def main() -> None:
    start = time.perf_counter()
    for spec in SPECS:
        # A changed checkout may run the demo, too: what it makes is marked as dirty.
        command("run", "--allow-dirty", spec)
    (ROOT / REPORT).parent.mkdir(parents=True, exist_ok=True)
    command("report", *map(run_folder, SPECS), "-o", str(REPORT))
    made = ROOT / ".venv/.seconds"
    if made.is_file():
        print(f"\nenvironment: {made.read_text(encoding='utf-8').strip()} s, when it was made")
    print(f"demo: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
