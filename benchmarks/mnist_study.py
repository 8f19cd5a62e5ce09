"""The MNIST study: is the twin with the modulus (CMod) more stable under shifts than that with the maximum?

A small CNN and its two twins, seeds 0 to 4, fixed beforehand; every step goes through the command
line, as a user would type it. Runs that are finished are not repeated, so that the study can be
stopped and started again. docs/mnist-study.md has the result.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WAVETWIN = Path(sys.executable).with_name("wavetwin")
SPECS = ("mnist_cnn", "mnist_rmax", "mnist_cmod")
SEEDS = (0, 1, 2, 3, 4)
REPORT = Path("runs/mnist-study/report.html")


def command(*arguments: str) -> None:
    """Run one wavetwin command and show it; a failure ends the study with its exit code."""
    print(f"\n$ wavetwin {' '.join(arguments)}", flush=True)
    done = subprocess.run([str(WAVETWIN), *arguments], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def run_folder(name: str, seed: int) -> str:
    """The run of a spec and a seed as they are now, whatever else lies beside it."""
    import wavetwin
    from wavetwin.runtime.training.run_names import run_stem

    compiled = wavetwin.compile(spec_of(name), [f"training.seed={seed}"])
    return f"runs/{compiled.name}/{run_stem(compiled.plan, None)}"


def spec_of(name: str) -> Path:
    """The shipped spec of a network."""
    return ROOT / f"specs/mnist/{name}.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data-root", default="data", help="where MNIST is prepared and read")
    root = parser.parse_args().data_root
    start = time.perf_counter()
    command("data", "prepare", "mnist", "--data-root", root)
    for seed in SEEDS:
        for name in SPECS:
            spec = str(spec_of(name).relative_to(ROOT))
            command("run", spec, "--set", f"training.seed={seed}", "--", "--data-root", root)
    runs = [run_folder(name, seed) for name in SPECS for seed in SEEDS]
    (ROOT / REPORT).parent.mkdir(parents=True, exist_ok=True)
    command("report", *runs, "--paired", "mnist_rmax", "mnist_cmod", "-o", str(REPORT))
    print(f"study: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
