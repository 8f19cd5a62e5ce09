"""How long an invariant layer takes, beside the 3x3 convolution that it replaces and other ways.

1. The layer: forward and backward in training, of the maps and of the weights, against the convolution
   (stride 1, which a pooling would follow), and against the dual tree written as plain operations, once
   with torch alone and once by pytorch_wavelets where it is installed.
2. A whole training step of the MNIST nets of table 1.4: two invariant layers instead of two
   convolutions and two poolings, with everything around them.

Every way is timed once a round, in turns and in one process. Each run gives a ratio of medians; shown
are its median over the runs and its range, beside the ratio of the multiplies, which do not turn into
time by themselves. `--json FILE` writes all as a document. Never run by the tests.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from interleaved import machine_line, measure_run, median_milliseconds, ratio_over_runs
from others import pytorch_wavelets
from torch import Tensor, nn

from wavetwin.ir.operations import Invariant as InvariantOperation
from wavetwin.runtime.layers import Invariant, use_native_kernel

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.tree_moduli import TreeInvariant

SHAPES = ((16, 64, 32, 64), (128, 7, 28, 49), (64, 1, 28, 7), (64, 7, 14, 49), (16, 64, 64, 64))
"""Batch, channels, height and width, outputs: CIFAR's, MNIST's, Tiny ImageNet's."""


class Others(nn.Module):
    """pytorch_wavelets' scattering layer, which no longer imports by itself, and a 1x1 convolution."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.scattering = pytorch_wavelets().ScatLayer()
        self.mixing = nn.Conv2d(7 * channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.mixing(self.scattering(x))


def layers(channels: int, outputs: int) -> dict[str, nn.Module]:
    """Return the ways; the first one is what the others are compared with."""
    native = Invariant(channels, outputs)
    if not use_native_kernel(native):
        raise SystemExit("the native kernel cannot be built")
    found: dict[str, nn.Module] = {
        "invariant": Invariant(channels, outputs),
        "invariant, native": native,
        "invariant, up-sampled": Invariant(channels, outputs, stride=1),
        "invariant, 3x3": Invariant(channels, outputs, "learned"),
        "convolution": nn.Conv2d(channels, outputs, 3, padding=1),
        "tree": TreeInvariant(channels, outputs),
    }
    if pytorch_wavelets() is not None:
        found["pytorch_wavelets"] = Others(channels, outputs)
    return found


def networks() -> dict[str, nn.Module]:
    """Return the MNIST nets of table 1.4, each with its way to compute two layers."""

    def net(first: nn.Module, second: nn.Module) -> nn.Module:
        project = nn.Linear(2401, 10).requires_grad_(False)
        middle = (first, nn.ReLU(), second, nn.ReLU(), nn.Flatten())
        return nn.Sequential(*middle, project, nn.ReLU(), nn.Linear(10, 10))

    def pooled(channels: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(channels, outputs, 3, padding=1), nn.MaxPool2d(2))

    kinds: dict[str, Callable[[int, int], nn.Module]] = {
        "invariant": Invariant,
        "convolution": pooled,
        "tree": TreeInvariant,
    }
    if pytorch_wavelets() is not None:
        kinds["pytorch_wavelets"] = Others
    return {name: net(kind(1, 7), kind(7, 49)) for name, kind in kinds.items()}


def layer_pass(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return a forward and a backward."""

    trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]

    def step() -> object:
        leaf = x.detach().requires_grad_()
        output = layer(leaf)
        return torch.autograd.grad(output, [leaf, *trained], torch.ones_like(output))

    return step


def training_step(net: nn.Module, images: Tensor, classes: Tensor) -> Callable[[], object]:
    """Return a step of SGD."""
    weights = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=1e-3, momentum=0.9)

    def step() -> object:
        optimizer.zero_grad()
        F.cross_entropy(net(images), classes).backward()
        optimizer.step()

    return step


def compare(
    ways: dict[str, Callable[[], object]], options: argparse.Namespace, **info: object
) -> list[dict[str, Any]]:
    """Return a row for each way but the convolution: its time over the convolution's."""
    clock = time.thread_time if options.cpu_time else time.perf_counter
    runs = [measure_run(ways, options.rounds, options.device, clock) for _ in range(options.runs)]
    return [
        {
            **info,
            "way": way,
            "milliseconds": median_milliseconds(runs, way),
            "convolution_milliseconds": median_milliseconds(runs, "convolution"),
            "ratio": ratio_over_runs(runs, way, "convolution"),
            "times_faster_than_tree": ratio_over_runs(runs, "tree", way),
            "runs": runs,
        }
        for way in ways
        if way != "convolution"
    ]


def summarise(row: dict[str, Any]) -> str:
    low, middle, high = row["ratio"]
    tree = row["times_faster_than_tree"]
    return (
        f"| {row['what']} | {row['way']} | {row['milliseconds']:.2f} "
        f"| {row['convolution_milliseconds']:.2f} | {middle:.2f} ({low:.2f} to {high:.2f}) "
        f"| {row['multiplies']} | {tree[1]:.1f} ({tree[0]:.1f} to {tree[2]:.1f}) |"
    )


def multiplies(layer: nn.Module, channels: int, outputs: int, size: int) -> str:
    """Return the ratio of multiplies to the convolution's, of the transform and of the mixing."""
    if not isinstance(layer, Invariant):
        return ""
    shape = (channels, size, size)
    operation = InvariantOperation(channels=outputs, mixing=layer.mixing, stride=layer.stride)
    macs = operation.macs(operation.output(shape), shape)
    return f"{macs / (9 * channels * outputs * size * size):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15, help="times each way is timed in a run")
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the range is shown")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--only", type=int, nargs="*", help="shapes to take, from 0; the step is the last"
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="the thread's own time, of one thread: for machines that others use, too",
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.cpu_time and options.threads != 1:
        parser.error("--cpu-time counts the time of one thread: add --threads 1")
    torch.set_num_threads(options.threads)
    info = (f"{options.runs} runs of {options.rounds} rounds",)
    machine = machine_line(options.device, options.threads, *info)
    print(machine + "\n")
    print(
        "| what | way | ms | convolution's ms | time / convolution's (range of runs) "
        "| multiplies / convolution's | times faster than the tree |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    rows: list[dict[str, Any]] = []
    for number, (batch, channels, size, outputs) in enumerate(SHAPES):
        if options.only is not None and number not in options.only:
            continue
        torch.manual_seed(0)
        x = torch.randn(batch, channels, size, size, device=options.device)
        found = {
            name: layer.to(options.device) for name, layer in layers(channels, outputs).items()
        }
        ways = {name: layer_pass(layer, x) for name, layer in found.items()}
        what = f"{batch} x {channels} x {size} x {size} to {outputs}"
        for row in compare(ways, options, what=what):
            rows.append(
                row | {"multiplies": multiplies(found[row["way"]], channels, outputs, size)}
            )
            print(summarise(rows[-1]), flush=True)
    if options.only is None or len(SHAPES) in options.only:
        torch.manual_seed(0)
        images = torch.randn(64, 1, 28, 28, device=options.device)
        classes = torch.arange(64, device=options.device) % 10
        ways = {
            name: training_step(net.to(options.device), images, classes)
            for name, net in networks().items()
        }
        for row in compare(ways, options, what="MNIST step, batch 64"):
            rows.append(row | {"multiplies": ""})
            print(summarise(rows[-1]), flush=True)
    if options.json is not None:
        document = {"machine": machine, "rows": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
