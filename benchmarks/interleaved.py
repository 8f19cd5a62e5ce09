"""Timing of several ways to do one thing: in turns, in one process, as ratios of medians."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

Way = Callable[[], object]
Run = dict[str, float]


def measure_run(
    ways: Mapping[str, Way],
    rounds: int,
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> Run:
    """Return the median seconds of each way, timed in turns after one round that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, go in ways.items():
            start = clock()
            go()
            if device != "cpu":
                torch.cuda.synchronize(device)
            if number:
                seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def ratio_over_runs(runs: Sequence[Run], upper: str, lower: str) -> tuple[float, float, float]:
    """Return the least, the median and the largest of the runs' ratios."""
    ratios = sorted(run[upper] / run[lower] for run in runs)
    return ratios[0], statistics.median(ratios), ratios[-1]


def median_milliseconds(runs: Sequence[Run], name: str, batch: int = 1) -> float:
    return 1e3 * statistics.median(run[name] for run in runs) / batch


def machine_line(device: str, threads: int, *info: str) -> str:
    """Return where the figures are from."""
    processor = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        lines = cpu_info.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    if device != "cpu":
        processor = torch.cuda.get_device_name(device)
    known = (
        processor,
        f"{os.cpu_count()} cores",
        f"torch {torch.__version__}",
        f"{threads} threads",
    )
    return ", ".join([*known, *info, f"load {os.getloadavg()[0]:.1f} at the start"])
