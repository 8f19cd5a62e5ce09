"""How long a twin's first layer takes, against the tree of wavelet packets and the plain network's.

A first layer is the stem with its first pooling. Timed in turns and in one process, all in
channels-last memory, forward without gradients and forward with backward (images need no gradient):

- bank: the twin as it is built, with the optimising passes;
- native: the same, its packets computed by the native kernel (training.kernels);
- tree: the same twin as it is written, its packets computed stage by stage (`tests/support/tree_packets.py`);
- plain: the first convolution of the CNN with the same trunk, with its own pooling, as it is written.

`--step` times whole training steps (forward, cross-entropy, backward, SGD) of twin and CNN instead, of
the latter also with the passes, where they change it (`passes`); `--memory` counts what the stem keeps for its backward pass and a step's peak.
Shown are medians, and the median over the runs of each run's ratio of medians, with its range.
`--json FILE` writes all as a document. Never run by the tests.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from interleaved import Way, machine_line, measure_run, median_milliseconds, ratio_over_runs
from torch import Tensor, nn

import wavetwin
from wavetwin.compiler.compiled import Compiled
from wavetwin.runtime.layers import DualTreePacketMaps, MixedPackets, use_native_kernel
from wavetwin.runtime.network.build import Network, build_module

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.support.tree_packets import TreePackets  # noqa: E402

PLAIN = {
    "alexnet/AwyI": "alexnet/AI",
    "alexnet/AwyI_mod": "alexnet/AI",
    "alexnet/Azh3wyI": "alexnet/Azh3I",
    "alexnet/Azh3wyI_mod": "alexnet/Azh3I",
    "resnet34/RwyI": "resnet34/RI",
    "resnet34/RwyI_mod": "resnet34/RI",
    "resnet34/Rzh3wyI": "resnet34/Rzh3I",
    "resnet34/Rzh3wyI_mod": "resnet34/Rzh3I",
}
"""The CNN of each published twin."""

WAYS = {
    False: ("bank", "native", "tree", "plain"),
    True: ("bank", "native", "plain", "passes"),
}
RATIOS = {
    False: (("native", "plain"), ("bank", "plain"), ("tree", "bank"), ("tree", "plain")),
    True: (("native", "plain"), ("bank", "plain"), ("bank", "passes")),
}
"""What is timed and compared, of first layers and of steps."""

SIZE = 224


def build(compiled: Compiled, optimise: bool) -> Network:
    """Return a network in training mode, with the same weights every time."""
    graph = compiled.optimised_graph if optimise else compiled.graph
    torch.manual_seed(0)
    with torch.device("meta"):
        network = build_module(graph)
    network.to_empty(device="cpu")
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
    return network


def take_the_tree(network: nn.Module) -> None:
    """Put the tree in the place of every packet bank."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, DualTreePacketMaps):
                tree = TreePackets(child.levels, child.stride, child.filter_name, child.imaginary)
                setattr(parent, name, tree)


def build_native(spec: str) -> Network:
    """Return the twin as a run with `training.kernels: native` builds it."""
    compiled = wavetwin.compile(ROOT / "specs" / f"{spec}.yaml", ["training.kernels=native"])
    network = build(compiled, optimise=True)
    if not use_native_kernel(network):
        raise SystemExit("the native kernel cannot be built")
    return network


def first_layer(network: Network) -> nn.Module:
    return nn.Sequential(network.stem, network.pool)


def stems(spec: str) -> dict[str, nn.Module]:
    """Return the first layers to compare."""
    twin = wavetwin.compile(ROOT / "specs" / f"{spec}.yaml")
    plain = wavetwin.compile(ROOT / "specs" / f"{PLAIN[spec]}.yaml")
    tree = build(twin, optimise=False)
    take_the_tree(tree)
    return {
        "bank": first_layer(build(twin, optimise=True)),
        "native": first_layer(build_native(spec)),
        "tree": first_layer(tree),
        "plain": first_layer(build(plain, optimise=False)),
    }


def networks(spec: str) -> dict[str, nn.Module]:
    """Return the networks to compare."""
    twin = wavetwin.compile(ROOT / "specs" / f"{spec}.yaml")
    plain = wavetwin.compile(ROOT / "specs" / f"{PLAIN[spec]}.yaml")
    found: dict[str, nn.Module] = {
        "bank": build(twin, optimise=True),
        "native": build_native(spec),
        "plain": build(plain, optimise=False),
    }
    # Of a CNN the passes change only pooling with a blur.
    if any(node.op == "max_blur_pool" for node in plain.optimised_graph):
        found["passes"] = build(plain, optimise=True)
    return found


def passes(layer: nn.Module, x: Tensor, options: argparse.Namespace) -> dict[str, Way]:
    """Return what is timed of a first layer."""
    parameters = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    with torch.no_grad(), autocast(options):
        direction = torch.ones_like(layer(x))

    def forward() -> object:
        with torch.no_grad(), autocast(options):
            return layer(x)

    def both() -> object:
        with autocast(options):
            output = layer(x)
        return torch.autograd.grad(output, parameters, direction)

    return {"forward": forward, "forward + backward": both}


def steps(network: nn.Module, x: Tensor, options: argparse.Namespace) -> dict[str, Way]:
    """Return what is timed of a network."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    labels = torch.zeros(len(x), dtype=torch.long, device=x.device)

    def step() -> object:
        optimizer.zero_grad()
        with autocast(options):
            loss = F.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        return None

    return {"training step": step}


def autocast(options: argparse.Namespace) -> torch.autocast:
    device = torch.device(options.device).type
    return torch.autocast(device, dtype=torch.bfloat16, enabled=options.bfloat16)


def to_channels_last(module: nn.Module, device: torch.device | str) -> nn.Module:
    """Put a module on a device, its 4-D tensors in the layout in which a run trains."""
    # torch's stubs lack the keyword.
    return module.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def kept_megabytes(stem: nn.Module, x: Tensor) -> float:
    """Return what a stem keeps for its backward pass, in MB an image, but the image and the weights."""
    own = {value.untyped_storage().data_ptr() for value in (x, *stem.parameters(), *stem.buffers())}
    kept: dict[int, int] = {}

    def note(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        output = stem(x)
    del output
    return sum(kept.values()) / len(x) / 1e6


def peak_step(spec: str, way: str, options: argparse.Namespace) -> float:
    """Return how much more memory a training step takes than the network itself, MiB, in this process."""
    x, device = images(options), torch.device(options.device)
    network = to_channels_last(networks(spec)[way], device)
    (step,) = steps(network, x, options).values()
    if device.type == "cuda":
        step()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def memory_rows(options: argparse.Namespace, arguments: Sequence[str]) -> list[dict[str, Any]]:
    """Print and return what each spec needs; every peak in a process of its own."""
    print("| | stem keeps, MB an image | with saves_memory | step's peak, MiB | its CNN's |")
    print("|---|---:|---:|---:|---:|")
    rows: list[dict[str, Any]] = []
    x = images(options)
    for spec in options.specs:
        stem = build(wavetwin.compile(ROOT / "specs" / f"{spec}.yaml"), optimise=True).stem
        to_channels_last(stem, options.device)
        kept = kept_megabytes(stem, x)
        for module in stem.modules():
            if isinstance(module, MixedPackets):
                module.saves_memory = True
        least = kept_megabytes(stem, x)
        peaks = {}
        for way in ("bank", "plain"):
            command = [sys.executable, __file__, *arguments, "--specs", spec, "--peak", way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks[way] = float(done.stdout)
        print(
            f"| {spec.split('/')[1]} | {kept:.2f} | {least:.3f} | {peaks['bank']:.0f} "
            f"| {peaks['plain']:.0f} |",
            flush=True,
        )
        rows.append({"spec": spec, "kept": kept, "saves_memory": least, "peak_mebibytes": peaks})
    return rows


def images(options: argparse.Namespace) -> Tensor:
    x = torch.randn(options.batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return x.to(options.device, memory_format=torch.channels_last)


def compare(
    spec: str, what: str, ways: dict[str, Way], options: argparse.Namespace
) -> dict[str, Any]:
    """Measure the ways and print a row of the table."""
    clock = time.thread_time if options.cpu_time else time.perf_counter
    runs = [measure_run(ways, options.rounds, options.device, clock) for _ in range(options.runs)]
    per_image = {name: median_milliseconds(runs, name, options.batch) for name in ways}
    ratios = {
        f"{upper} / {lower}": ratio_over_runs(runs, upper, lower)
        if upper in ways and lower in ways
        else None
        for upper, lower in RATIOS[options.step]
    }
    row = {
        "spec": spec,
        "what": what,
        "milliseconds_per_image": per_image,
        "ratios": ratios,
        "runs": runs,
    }

    def cell(interval: tuple[float, float, float] | None) -> str:
        if interval is None:
            return "-"
        return f"{interval[1]:.2f} ({interval[0]:.2f} to {interval[2]:.2f})"

    times = [f"{per_image[name]:.2f}" if name in ways else "-" for name in WAYS[options.step]]
    cells = [spec.split("/")[1], what, *times, *map(cell, ratios.values())]
    print(f"| {' | '.join(cells)} |", flush=True)
    return row


def time_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Print and return what each spec takes."""
    print("Milliseconds an image.\n")
    ratios = [f"{upper} / {lower}" for upper, lower in RATIOS[options.step]]
    print(f"| | what | {' | '.join([*WAYS[options.step], *ratios])} |")
    print("|---|---" + "|---:" * (len(WAYS[options.step]) + len(ratios)) + "|")
    rows: list[dict[str, Any]] = []
    x = images(options)
    for spec in options.specs:
        modules = networks(spec) if options.step else stems(spec)
        per_module: dict[str, dict[str, Way]] = {}
        for name, module in modules.items():
            if name in options.ways:
                to_channels_last(module, options.device)
                if options.compile and name != "tree":
                    module.compile()
                per_module[name] = (steps if options.step else passes)(module, x, options)
        for what in next(iter(per_module.values())):
            ways = {name: whats[what] for name, whats in per_module.items()}
            rows.append(compare(spec, what, ways, options))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15, help="times each way is timed in a run")
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the range is shown")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--specs", nargs="*", default=list(PLAIN), help="published twins")
    parser.add_argument("--ways", nargs="*", default=["bank", "native", "tree", "plain", "passes"])
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count the thread's processor time: for one thread on a machine that is shared",
    )
    parser.add_argument("--step", action="store_true", help="whole training steps")
    parser.add_argument("--memory", action="store_true", help="what is kept, and a step's peak")
    parser.add_argument("--bfloat16", action="store_true", help="under autocast")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--peak", choices=("bank", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    unknown = [spec for spec in options.specs if spec not in PLAIN]
    if unknown:
        parser.error(f"{unknown[0]}: one of {', '.join(PLAIN)}")
    if options.cpu_time and (options.threads != 1 or options.device != "cpu"):
        parser.error("--cpu-time is of one thread on a CPU: --threads 1")
    torch.set_num_threads(options.threads)
    if options.peak is not None:
        print(peak_step(options.specs[0], options.peak, options))
        return
    info = {
        "processor time": options.cpu_time,
        "bfloat16": options.bfloat16,
        "compiled": options.compile,
        f"batch {options.batch}": True,
        f"{SIZE} px": True,
        f"{options.runs} runs of {options.rounds} rounds": not options.memory,
    }
    machine = machine_line(
        options.device, options.threads, *(fact for fact, holds in info.items() if holds)
    )
    print(f"{machine}\n")
    if options.memory:
        device = ["--device", options.device, "--batch", str(options.batch)]
        rows = memory_rows(options, [*device, "--threads", str(options.threads)])
    else:
        rows = time_rows(options)
    if options.json is not None:
        document = {"machine": machine, "rows": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
