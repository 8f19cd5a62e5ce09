"""What a command costs, as a ratio of whole cold processes to `python -c "import torch"`.

Interleaved: each round runs every command once. Prints medians, ratios of medians and of minima, and
the goals; with `--json FILE` the figures as a document. `--cpu-time` takes processor time, of a
command and all that it starts, in the place of time by the clock: for a machine that others use.
Never run by the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WAVETWIN = Path(sys.executable).with_name("wavetwin")
SPEC = "specs/alexnet/Azh3wyI_mod.yaml"
PAIR = ("specs/alexnet/AwyI.yaml", "specs/alexnet/AwyI_mod.yaml")


def commands(out: Path) -> dict[str, tuple[list[str], float | None]]:
    """Each command and its goal, a multiple of importing torch."""
    wavetwin = str(WAVETWIN)
    build = [wavetwin, "build", "--allow-dirty", "--out", str(out)]
    whole = [*build, "--force"]
    files = (ROOT / "specs").glob("**/*.yaml")
    number = sum("base" not in p.parts and not p.name.endswith(".sweep.yaml") for p in files)
    return {
        "import torch": ([sys.executable, "-c", "import torch"], None),
        "wavetwin --help": ([wavetwin, "--help"], 0.06),
        "wavetwin check SPEC": ([wavetwin, "check", SPEC], 0.16),
        "wavetwin diff SPEC SPEC": ([wavetwin, "diff", *PAIR], 0.25),
        "wavetwin show SPEC": ([wavetwin, "show", SPEC], None),
        "wavetwin build SPEC": ([*whole, SPEC], 0.25),
        "wavetwin build SPEC, again": ([*build, SPEC], None),
        f"wavetwin check specs ({number})": ([wavetwin, "check", "specs"], None),
        f"wavetwin build specs ({number})": ([*whole, "specs"], 0.25 + 0.012 * number),
    }


def seconds(command: list[str], cpu_time: bool) -> float:
    """Return the time of one cold process: by the clock, or of the processors, with its children's."""
    start = time.perf_counter()
    # A file takes any amount of output without anybody reading.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        # A difference that is found is exit code 1.
        if process.returncode not in (0, 1):
            output.seek(0)
            raise SystemExit(f"{command} ended with {process.returncode}: {output.read().decode()}")
    return usage.ru_utime + usage.ru_stime if cpu_time else elapsed


def peak_mebibytes(command: list[str]) -> float:
    """Peak resident memory of one process, measured by a parent of its own."""
    script = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    kibibytes = int(done.stdout)
    return kibibytes / 1024 / (1024 if sys.platform == "darwin" else 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    subprocess.run([sys.executable, "-m", "compileall", "-q", "wavetwin"], check=True, cwd=ROOT)
    folder = Path(tempfile.mkdtemp())
    try:
        table = commands(folder / "generated")
        times: dict[str, list[float]] = {name: [] for name in table}
        for _ in range(options.rounds):
            for name, (command, _) in table.items():
                times[name].append(seconds(command, options.cpu_time))
        memory = peak_mebibytes(table["wavetwin build SPEC"][0])
    finally:
        shutil.rmtree(folder)
    torch_times = times["import torch"]
    print(f"{platform.machine()}, Python {platform.python_version()}, {options.rounds} rounds")
    print("| command | median s | ratio of medians | of minima | goal |")
    print("|---|---|---|---|---|")
    rows = []
    for name, (_, goal) in table.items():
        median = statistics.median(times[name])
        ratio = median / statistics.median(torch_times)
        least = min(times[name]) / min(torch_times)
        rows.append({"command": name, "seconds": times[name], "ratio": ratio, "goal": goal})
        shown = "" if goal is None else f"{goal:.3f}"
        print(f"| {name} | {median:.3f} | {ratio:.3f} | {least:.3f} | {shown} |")
    print(f"\npeak memory of a build: {memory:.1f} MiB (goal: below 60)")
    if options.json is not None:
        document = {"rows": rows, "peak_mebibytes": memory}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
