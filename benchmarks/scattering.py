"""How long Scattering2d takes, beside pytorch_wavelets' and kymatio's where they are installed.

Two orders, two levels, six angles, forward and with a backward to the images. The three compute different
wavelets: pytorch_wavelets' second layer has longer filters, kymatio's are Morlet wavelets in the Fourier
domain. Every way is timed once a round, in turns and in one process; shown are medians, and theirs over
ours with its range over the runs. Never run by the tests.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from interleaved import machine_line, measure_run, median_milliseconds, ratio_over_runs
from others import kymatio, pytorch_wavelets
from torch import Tensor, nn

from wavetwin.transforms import Scattering2d

SHAPES = ((16, 3, 64), (64, 3, 32))
"""Batch, channels, height and width."""


def transforms(size: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the ways; the first is ours."""
    found: dict[str, Callable[[Tensor], Tensor]] = {"wavetwin": Scattering2d(2, 2)}
    wavelets, morlet = pytorch_wavelets(), kymatio()
    if wavelets is not None:
        found["pytorch_wavelets, two layers"] = nn.Sequential(
            wavelets.ScatLayer(), wavelets.ScatLayer()
        )
        found["pytorch_wavelets, j2"] = wavelets.ScatLayerj2()
    if morlet is not None:
        found["kymatio"] = morlet.Scattering2D(J=2, shape=(size, size), L=6)
    return found


def passes(transform: Callable[[Tensor], Tensor], x: Tensor) -> dict[str, Callable[[], object]]:
    """Return what is timed."""

    def forward() -> object:
        with torch.no_grad():
            return transform(x)

    def both() -> object:
        leaf = x.detach().requires_grad_()
        output = transform(leaf)
        return torch.autograd.grad(output, leaf, torch.ones_like(output))

    return {"forward": forward, "forward + backward": both}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15, help="times each way is timed in a run")
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the range is shown")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="the thread's own time, of one thread: for machines that others use, too",
    )
    options = parser.parse_args()
    if options.cpu_time and options.threads != 1:
        parser.error("--cpu-time counts the time of one thread: add --threads 1")
    torch.set_num_threads(options.threads)
    clock = time.thread_time if options.cpu_time else time.perf_counter
    info = (f"{options.runs} runs of {options.rounds} rounds",)
    print(machine_line("cpu", options.threads, *info) + "\n")
    print("| images | what | against | ms | their ms | times faster (range of runs) |")
    print("|---|---|---|---:|---:|---:|")
    for batch, channels, size in SHAPES:
        x = torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(0))
        found = transforms(size)
        for what in ("forward", "forward + backward"):
            ways = {name: passes(each, x)[what] for name, each in found.items()}
            runs = [measure_run(ways, options.rounds, "cpu", clock) for _ in range(options.runs)]
            for name in list(ways)[1:]:
                low, middle, high = ratio_over_runs(runs, name, "wavetwin")
                print(
                    f"| {batch} x {channels} x {size} x {size} | {what} | {name} "
                    f"| {median_milliseconds(runs, 'wavetwin'):.2f} "
                    f"| {median_milliseconds(runs, name):.2f} "
                    f"| {middle:.2f} ({low:.2f} to {high:.2f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
