"""Which cause makes which complaint of a net that pools by wavelets, on photographs (docs/wavelet-pooling.md).

The net is that of a question in a forum: VGG-like, three poolings by LL of Haar with the orthonormal gain, no norm. It is
built from a spec. Photographs are the windows that `wavetwin study` uses, bundled with scikit-learn and
scikit-image: nothing is downloaded.

1. The gain, before any training: what three poolings do to maps, loss and gradients.
2. The details: their share of the energy, on photographs and inside the net; what clipping hides.
3. The gap: training on crops of seven photographs, one class each, left window to train, right window
   to validate, at an eighth of the width; changed one thing at a time.
4. The rates that train, by SGD.

One thread, fixed seeds: the same machine gives the same table. `--json FILE` writes all as a document.
Never run by the tests.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import wavetwin
from wavetwin.explain.study.photographs import bundled_photographs
from wavetwin.runtime import WaveletPool2d

CLASSES = ("china", "flower", "rocket", "coffee", "astronaut", "camera", "motorcycle_left")
"""Photographs with two windows side by side."""
SIDE, CROPS, EPOCHS, BATCH, SEEDS = 32, 24, 30, 24, 2
LL = "wavelet_pool: {bands: ll, normalise: orthonormal}"
HALF = "wavelet_pool: {bands: ll, normalise: dc}"
MIX = "wavelet_pool: {bands: mix, normalise: dc}"
ALL = "wavelet_pool: {bands: all, normalise: dc}"
MAXIMUM = "pool: {kind: max}"


@dataclass(frozen=True)
class Variant:
    """A net and how it is trained."""

    pool: str = LL
    norm: bool = False
    dropout: bool = False
    augments: bool = False
    decay: float = 0.0
    crops: int = CROPS
    adam: bool = True
    rate: float = 1e-3


ADAM: dict[str, Variant] = {
    "as posted (LL, orthonormal)": Variant(),
    "LL at dc gain": Variant(HALF),
    "max": Variant(MAXIMUM),
    "mix": Variant(MIX),
    "all bands": Variant(ALL),
    "posted + batch norm": Variant(norm=True),
    "posted + dropout .5": Variant(dropout=True),
    "posted + weight decay": Variant(decay=0.05),
    "posted + augmentation": Variant(augments=True),
    "posted + four times the images": Variant(crops=4 * CROPS),
    "posted + norm, augmentation, decay": Variant(norm=True, augments=True, decay=0.05),
    "dc + norm, augmentation, decay": Variant(HALF, norm=True, augments=True, decay=0.05),
    "mix + norm, augmentation, decay": Variant(MIX, norm=True, augments=True, decay=0.05),
}
RATES = (0.003, 0.01, 0.03)


def spec_text(variant: Variant, width: int) -> str:
    """Return the spec of a variant whose first convolutions have `width` channels."""
    follows = ", norm: {}, relu: {}" if variant.norm else ", relu: {}"
    layers = ["- {conv: {channels: 3, kernel_size: 1}}"]
    for convolutions, factor in ((2, 1), (2, 2), (4, 4)):
        conv = f"- {{conv: {{channels: {factor * width}, padding_mode: reflect}}{follows}}}"
        layers += [conv] * convolutions + [f"- {{{variant.pool}}}"]
    layers.append(f"- {{conv: {{channels: {8 * width}, padding_mode: reflect}}{follows}}}")
    layers += ["- {pool: {kind: global_average}}", "- {flatten: {}}"]
    layers += ["- {dropout: {}}"] * variant.dropout + ["- {linear: {}}"]
    listed = "\n".join(f"    {layer}" for layer in layers)
    return (
        "wavetwin: 1\nbackbone:\n  arch: sequential\n  input: image\n"
        "  initial: {name: xavier_uniform, gain: 1.4142135623730951}\n"
        f"  layers:\n{listed}\n"
        f"data: {{dataset: folder, num_classes: {len(CLASSES)}, image_size: {SIDE}}}\n"
    )


def build(variant: Variant, width: int, seed: int) -> nn.Module:
    """Return a variant's net with the initial values of a seed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.yaml"
        path.write_text(spec_text(variant, width), encoding="utf-8")
        compiled = wavetwin.compile(path, [f"training.seed={seed}"])
    return wavetwin.build_model(compiled)


def windows() -> dict[str, tuple[Tensor, Tensor]]:
    """Return the left and the right window of each photograph, half as large, values in [0, 1]."""
    found = {source.name: source for source in bundled_photographs()}
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for name in CLASSES:
        sides: list[Tensor] = []
        for number in (1, 2):
            source = found[f"{name}-{number}"]
            assert source.window is not None
            top, left, side = source.window
            with Image.open(source.file) as file:
                piece = file.convert("RGB").crop((left, top, left + side, top + side))
            small = piece.resize((side // 2, side // 2), Image.Resampling.BOX)
            sides.append(torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255)
        pairs[name] = sides[0], sides[1]
    return pairs


def crops(number: int, which: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return random crops of each class's left (0) or right (1) window, standardised, and labels."""
    generator = torch.Generator().manual_seed(100 + 2 * seed + which)
    images: list[Tensor] = []
    labels: list[int] = []
    for label, pair in enumerate(windows().values()):
        window = pair[which]
        for _ in range(number):
            top, left = torch.randint(window.shape[1] - SIDE, (2,), generator=generator).tolist()
            images.append(window[:, top : top + SIDE, left : left + SIDE])
            labels.append(label)
    return (torch.stack(images) - 0.45) / 0.25, torch.tensor(labels)


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images mirrored at random and moved by up to 4 pixels, together for a batch."""
    down, right = torch.randint(9, (2,), generator=generator).tolist()
    padded = F.pad(images, (4, 4, 4, 4), mode="reflect")
    moved = padded[:, :, down : down + SIDE, right : right + SIDE]
    flips = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(flips[:, None, None, None], moved.flip(3), moved)


def train(variant: Variant, seed: int, width: int) -> dict[str, float]:
    """Return a variant's first loss, and its accuracies in percent after training."""
    torch.manual_seed(seed)
    model = build(variant, width, seed)
    images, labels = crops(variant.crops, 0, seed)
    held, wanted = crops(CROPS, 1, seed)
    parameters = model.parameters()
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(parameters, variant.rate, weight_decay=variant.decay)
        if variant.adam
        else torch.optim.SGD(parameters, variant.rate, momentum=0.9, weight_decay=variant.decay)
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        first = float(F.cross_entropy(model.train()(images), labels))
    for _ in range(EPOCHS * CROPS // variant.crops):
        model.train()
        for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
            batch = augmented(images[chosen], generator) if variant.augments else images[chosen]
            optimizer.zero_grad()
            F.cross_entropy(model(batch), labels[chosen]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        found = [
            100 * float((model(x).argmax(1) == y).float().mean())
            for x, y in ((images, labels), (held, wanted))
        ]
    return {"first loss": first, "training": found[0], "validation": found[1]}


def means(variant: Variant, seeds: int, width: int) -> dict[str, float]:
    """Return the means of some seeds."""
    runs = [train(variant, seed, width) for seed in range(seeds)]
    found = {key: sum(run[key] for run in runs) / seeds for key in runs[0]}
    print(variant, found, file=sys.stderr, flush=True)
    return found


def _note_size(sizes: list[float], module: nn.Module, arguments: object, output: Tensor) -> None:
    """Add the root of the mean square of a module's output; a forward hook."""
    sizes.append(float(output.detach().square().mean().sqrt()))


def gain_table(width: int) -> dict[str, dict[str, float]]:
    """Return what poolings do before any training: maps, logits, first loss, gradients."""
    images, labels = crops(4, 0, 0)
    rows: dict[str, dict[str, float]] = {}
    for name in ("as posted (LL, orthonormal)", "LL at dc gain", "max"):
        model = build(ADAM[name], width, 0)
        maps: list[float] = []
        first: Tensor | None = None
        for module in model.modules():
            if isinstance(module, WaveletPool2d | nn.MaxPool2d):
                module.register_forward_hook(partial(_note_size, maps))
            if first is None and isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                first = module.weight
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        assert first is not None
        assert first.grad is not None
        rows[name] = {f"rms after pool {k}": rms for k, rms in enumerate(maps, 1)} | {
            "logits' std": float(logits.detach().std()),
            "first loss": float(loss.detach()),
            "gradient of the first 3x3": float(first.grad.norm()),
        }
    return rows


def detail_table(width: int) -> dict[str, dict[str, float]]:
    """Return the details' share of the energy without the mean, and what clipping hides, in percent."""
    rows: dict[str, dict[str, float]] = {}
    photographs = torch.stack([side for pair in windows().values() for side in pair])
    bank = WaveletPool2d("haar", "all", normalise="orthonormal")
    maps = {"photographs": photographs}
    shown = dict.fromkeys(("orthonormal", "dc"), photographs)
    for level in (1, 2, 3):
        row: dict[str, float] = {}
        low, *details = bank(maps["photographs"]).chunk(4, 1)
        energy = sum(float(part.square().sum()) for part in details)
        row["details of photographs"] = 100 * energy / (energy + _ac_energy(low))
        maps["photographs"] = low
        for normalise in shown:
            pool = WaveletPool2d("haar", "ll", normalise=normalise)
            shown[normalise] = pool(shown[normalise])
            clipped = (shown[normalise] >= 1).float().mean()
            row[f"clipped at 1, {normalise}"] = 100 * float(clipped)
        rows[f"pooling {level}"] = row
    inside: list[Tensor] = []
    model = build(ADAM["LL at dc gain"], width, 0)
    for module in model.modules():
        if isinstance(module, WaveletPool2d):
            module.register_forward_hook(lambda m, x, y: inside.append(x[0].detach()))
    model(crops(CROPS, 0, 0)[0])
    for level, x in enumerate(inside, 1):
        low, *details = bank(x).chunk(4, 1)
        energy = sum(float(part.square().sum()) for part in details)
        rows[f"pooling {level}"]["details inside the net"] = (
            100 * energy / (energy + _ac_energy(low))
        )
    return rows


def _ac_energy(maps: Tensor) -> float:
    return float((maps - maps.mean((2, 3), keepdim=True)).square().sum())


def print_table(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print rows of numbers; NaN where a training ended in it."""
    columns = list(next(iter(rows.values())))
    print(f"\n{title}\n| |{'|'.join(columns)}|\n|---|{'---:|' * len(columns)}")
    for name, row in rows.items():
        cells = (f"{row[c]:.3g}" if math.isfinite(row[c]) else "NaN" for c in columns)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--width", type=int, default=8, help="of the nets that are trained")
    parser.add_argument("--json", type=Path, help="write all as a document, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, {options.seeds} seeds; {' '.join(sys.argv)}")
    done: dict[str, Any] = {}

    def table(title: str, make: Callable[[], Mapping[str, Mapping[str, float]]]) -> None:
        done[title] = make()
        print_table(title, done[title])

    table("The gain, before any training, at the net's own width", lambda: gain_table(64))
    table("Details' share of the energy, and pixels clipped, percent", lambda: detail_table(64))
    of = (options.seeds, options.width)
    table(
        "Adam at 0.001: accuracy in percent, 30 epochs",
        lambda: {name: means(variant, *of) for name, variant in ADAM.items()},
    )
    rates = {
        f"{name}, {rate}": Variant(pool, adam=False, rate=rate)
        for name, pool in (("as posted", LL), ("dc gain", HALF))
        for rate in RATES
    }
    table(
        "SGD with momentum 0.9, by its rate",
        lambda: {name: means(variant, *of) for name, variant in rates.items()},
    )
    if options.json:
        options.json.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
