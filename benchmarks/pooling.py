"""How long pooling with a blur takes, as a ratio to the same thing written plainly.

1. Maximum and blur: torch's maximum with stride 1, then a depthwise convolution of the padded map.
2. The blur alone, against that convolution, and antialiased-cnns' where it is installed.
3. Adaptive blur (PASA): computed everywhere, then subsampled, once with every pixel's neighbourhood
   written out (`unfold`) and once tap by tap.

Each with the channels first and last in memory; forward without gradients (adaptive blur in
evaluation), and a forward and backward in training. Every way is timed once a round, in turns and in
one process. Each run gives a ratio of medians; shown are its median over the runs and its range.
`--json FILE` writes all as a document. Never run by the tests.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from interleaved import machine_line, measure_run, median_milliseconds, ratio_over_runs
from torch import Tensor, nn

from wavetwin.runtime.layers import AdaptiveBlur, BlurPool, MaxBlurPool

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.naive_pooling import EverywhereBlur, PlainBlur, PlainMaxBlur

SIZES = ((112, 64), (28, 128))
"""Height and width of the map, and channels: the first pooling of a ResNet, and one of its trunk."""

LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def contenders(channels: int) -> dict[str, dict[str, nn.Module]]:
    """Return per comparison the ways to compute it; the first is ours."""
    return {
        "max + blur": {"wavetwin": MaxBlurPool(), "plain layers": PlainMaxBlur(channels)},
        "blur": {"wavetwin": BlurPool(), "plain layer": PlainBlur(channels), **_others(channels)},
        "adaptive blur": {
            "wavetwin": AdaptiveBlur(channels),
            "everywhere, unfolded": EverywhereBlur(channels),
            "everywhere, tap by tap": EverywhereBlur(channels, unfolds=False),
        },
    }


def _others(channels: int) -> dict[str, nn.Module]:
    """Return the blur of antialiased-cnns (Zhang 2019), where whoever runs this has installed it."""
    if importlib.util.find_spec("antialiased_cnns") is None:
        return {}
    package = importlib.import_module("antialiased_cnns")
    return {"antialiased-cnns": package.BlurPool(channels, filt_size=3, stride=2)}


def passes(layer: nn.Module, x: Tensor) -> dict[str, Callable[[], object]]:
    """Return what is timed."""

    def forward() -> object:
        layer.eval()
        with torch.inference_mode():
            return layer(x)

    def step() -> object:
        layer.train()
        leaf = x.detach().requires_grad_()
        output = layer(leaf)
        parameters = [p for p in layer.parameters() if p.requires_grad]
        return torch.autograd.grad(output, [leaf, *parameters], torch.ones_like(output))

    return {"forward": forward, "forward + backward": step}


def summarise(row: dict[str, Any]) -> str:
    """Return a line of the table: milliseconds, and ours in the others' time, with its range."""
    low, middle, high = row["speedup"]
    return (
        f"| {row['comparison']} | {row['map']} | {row['layout']} | {row['what']} | {row['against']} "
        f"| {row['milliseconds']:.2f} | {row['milliseconds_other']:.2f} "
        f"| {middle:.2f} ({low:.2f} to {high:.2f}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15, help="times each way is timed in a run")
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the range is shown")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="comparisons to make, by name")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    info = (f"batch {options.batch}", f"{options.runs} runs of {options.rounds} rounds")
    machine = machine_line(options.device, options.threads, *info)
    print(machine + "\n")
    print("| | map | layout | what | against | ms | their ms | times faster (range of runs) |")
    print("|---|---|---|---|---|---:|---:|---:|")
    rows: list[dict[str, Any]] = []
    for size, channels in SIZES:
        torch.manual_seed(0)
        for comparison, layers in contenders(channels).items():
            if options.only and comparison not in options.only:
                continue
            for layer in layers.values():
                layer.to(options.device)
            for layout, memory_format in LAYOUTS.items():
                x = torch.randn(options.batch, channels, size, size, device=options.device)
                x = x.contiguous(memory_format=memory_format)
                for what in ("forward", "forward + backward"):
                    ways = {way: passes(layer, x)[what] for way, layer in layers.items()}
                    runs = [
                        measure_run(ways, options.rounds, options.device)
                        for _ in range(options.runs)
                    ]
                    for against in list(ways)[1:]:
                        row = {
                            "comparison": comparison,
                            "map": f"{size} px, {channels} channels",
                            "layout": layout,
                            "what": what,
                            "against": against,
                            "milliseconds": median_milliseconds(runs, "wavetwin"),
                            "milliseconds_other": median_milliseconds(runs, against),
                            "speedup": ratio_over_runs(runs, against, "wavetwin"),
                            "runs": runs,
                        }
                        rows.append(row)
                        print(summarise(row), flush=True)
    if options.json is not None:
        document = {"machine": machine, "rows": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
