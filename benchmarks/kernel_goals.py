"""What the native kernel reaches of its goals: every figure, with its goal and whether it is met.

1. First layer with its pooling, forward and backward, over the plain CNN's, at batches of 8 and of 32.
2. A training step over the CNN's, at a batch of 8; AwyI's at 32, too.
3. An invariant layer, forward and backward: how many times faster than with torch's operations.

A figure is the median of the runs' ratios of medians, with their range; the ways are timed in turns, each
figure in a process of its own. A goal is met where the median reaches it, and within reach where the range does. `--only`
takes a part, `--quick` shows that it runs. Never run by the tests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from interleaved import Way, machine_line, measure_run, ratio_over_runs
from invariant import SHAPES, layer_pass
from stem import (
    PLAIN,
    ROOT,
    build,
    build_native,
    first_layer,
    images,
    passes,
    steps,
    to_channels_last,
)

import wavetwin
from wavetwin.runtime.layers import Invariant, use_native_kernel

LAYER_GOALS = {
    "alexnet/AwyI": 1.2,
    "alexnet/AwyI_mod": 0.8,
    "alexnet/Azh3wyI": 1.0,
    "alexnet/Azh3wyI_mod": 0.45,
    "resnet34/RwyI": 1.1,
    "resnet34/RwyI_mod": 0.8,
    "resnet34/Rzh3wyI_mod": 0.7,
}
STEP_GOALS = {
    "alexnet/AwyI": 1.03,
    "alexnet/AwyI_mod": 0.95,
    "alexnet/Azh3wyI": 1.05,
    "alexnet/Azh3wyI_mod": 0.90,
    "resnet34/RwyI": 1.00,
    "resnet34/RwyI_mod": 0.95,
    "resnet34/Rzh3wyI_mod": 0.93,
}
LARGE_STEP_GOALS = {"alexnet/AwyI": 1.08}
INVARIANT_GOAL = 1.5
"""Times faster; of the other figures the smaller is the better."""


@dataclass(frozen=True)
class Figure:
    """A ratio, what is wanted of it, and what it is of."""

    what: str
    goal: float
    is_at_least: bool
    least: float
    median: float
    largest: float

    @property
    def verdict(self) -> str:
        """Whether the goal is met."""
        sign = -1 if self.is_at_least else 1
        best = self.largest if self.is_at_least else self.least
        if sign * self.median <= sign * self.goal:
            return "met"
        return "by its range alone" if sign * best <= sign * self.goal else "no"

    def __str__(self) -> str:
        most = "at least" if self.is_at_least else "at most"
        return (
            f"| {self.what} | {self.median:.2f} ({self.least:.2f} to {self.largest:.2f}) "
            f"| {most} {self.goal} | {self.verdict} |"
        )


def figure(
    what: str, goal: float, ways: Mapping[str, Way], rounds: int, options: argparse.Namespace
) -> Figure:
    """Measure the ratio of the first way to the second."""
    clock = time.thread_time if options.cpu_time else time.perf_counter
    upper, lower = ways
    done = [measure_run(ways, rounds, "cpu", clock) for _ in range(options.runs)]
    ratio = ratio_over_runs(done, upper, lower)
    return Figure(what, goal, goal is INVARIANT_GOAL, *ratio)


def measure_layer(spec: str, batch: int, rounds: int, options: argparse.Namespace) -> Figure:
    """Measure a first layer's forward and backward over plain."""
    settings = settings_of(batch, options)
    x = images(settings)
    plain = build(wavetwin.compile(ROOT / "specs" / f"{PLAIN[spec]}.yaml"), optimise=False)
    ways: dict[str, Way] = {}
    for name, network in (("native", build_native(spec)), ("plain", plain)):
        layer = to_channels_last(first_layer(network), "cpu")
        ways[name] = passes(layer, x, settings)["forward + backward"]
    what = f"first layer of {spec.split('/')[1]} over plain, batch {batch}"
    return figure(what, LAYER_GOALS[spec], ways, rounds, options)


def measure_step(
    spec: str, goals: Mapping[str, float], batch: int, options: argparse.Namespace
) -> Figure:
    """Measure a training step over the CNN's."""
    settings = settings_of(batch, options)
    x = images(settings)
    plain = build(wavetwin.compile(ROOT / "specs" / f"{PLAIN[spec]}.yaml"), optimise=False)
    ways: dict[str, Way] = {}
    for name, network in (("native", build_native(spec)), ("plain", plain)):
        to_channels_last(network, "cpu")
        ways[name] = steps(network, x, settings)["training step"]
    what = f"step of {spec.split('/')[1]} over its CNN's, batch {batch}"
    return figure(what, goals[spec], ways, 1, options)


def measure_invariant(number: str, rounds: int, options: argparse.Namespace) -> Figure:
    """Measure how many times faster an invariant layer is."""
    batch, channels, size, outputs = SHAPES[int(number)]
    torch.manual_seed(0)
    x = torch.randn(batch, channels, size, size)
    native = Invariant(channels, outputs)
    if not use_native_kernel(native):
        raise SystemExit("the native kernel cannot be built")
    ways = {
        "torch": layer_pass(Invariant(channels, outputs), x),
        "native": layer_pass(native, x),
    }
    what = f"invariant layer, {batch} x {channels} x {size} x {size} to {outputs}, times faster"
    return figure(what, INVARIANT_GOAL, ways, rounds, options)


def settings_of(batch: int, options: argparse.Namespace) -> argparse.Namespace:
    """Return what the benchmark of first layers calls its options."""
    return argparse.Namespace(
        batch=batch, device="cpu", bfloat16=False, compile=False, threads=options.threads
    )


PARTS = {
    "layers": list(LAYER_GOALS),
    "layers-32": list(LAYER_GOALS),
    "steps": list(STEP_GOALS),
    "step-32": list(LARGE_STEP_GOALS),
    "invariant": ["0", "1", "2", "3"],
}
"""What is measured in a process of its own: what lies free in memory decides how fast large maps are."""


def measure(part: str, key: str, options: argparse.Namespace) -> Figure:
    """Measure one figure."""
    few = options.quick
    match part:
        case "layers":
            return measure_layer(key, 8, 1 if few else 7, options)
        case "layers-32":
            return measure_layer(key, 32, 1 if few else 2, options)
        case "steps":
            return measure_step(key, STEP_GOALS, 8, options)
        case "step-32":
            return measure_step(key, LARGE_STEP_GOALS, 32, options)
        case _:
            return measure_invariant(key, 1 if few else 9, options)


def measure_apart(part: str, key: str, arguments: Sequence[str]) -> Figure:
    """Measure one figure in a process of its own."""
    command = [sys.executable, __file__, *arguments, "--one", part, key]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Figure(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--only", nargs="*", choices=PARTS)
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the range is shown")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cpu-time", action="store_true", help="one thread's own time, on a machine that is shared"
    )
    parser.add_argument("--quick", action="store_true", help="one run of one round each")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cpu_time and options.threads != 1:
        parser.error("--cpu-time counts the time of one thread: add --threads 1")
    runs = 1 if options.quick else options.runs
    options.runs = runs
    torch.set_num_threads(options.threads)
    if options.one is not None:
        part, key = options.one
        print(json.dumps(asdict(measure(part, key, options))))
        return
    machine = machine_line("cpu", options.threads, f"{runs} runs")
    print(f"{machine}\n\n| figure | median (range) | goal | met |\n|---|---:|---:|---|")
    arguments = ["--runs", str(runs), "--threads", str(options.threads)]
    arguments += ["--cpu-time"] * options.cpu_time + ["--quick"] * options.quick
    start, found = time.monotonic(), list[Figure]()
    for part, keys in PARTS.items():
        for key in keys if options.only is None or part in options.only else ():
            found.append(measure_apart(part, key, arguments))
            print(found[-1], flush=True)
    met = sum(each.verdict == "met" for each in found)
    print(f"\n{met} of {len(found)} goals met, {time.monotonic() - start:.0f} seconds")
    if options.json is not None:
        rows = [asdict(each) | {"verdict": each.verdict} for each in found]
        document = {"machine": machine, "figures": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
