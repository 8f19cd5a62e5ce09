"""Images a second: the in-memory loader, and the shift evaluation, against what one would write otherwise.

1. Batches of augmented, normalised training images: wavetwin's loader of sets in memory against
   torchvision's transforms in a DataLoader, on the same uint8 images, with the same augmentation.
2. The shift evaluation: all shifted copies cut from one enlarged image, against a loop that opens,
   enlarges and crops the file again for each shift; both end with the predictions of one network.

Both in one process, interleaved; prints medians, the ratio of medians and the range of the ratios of
single rounds, and with `--json FILE` writes them as a document. Images are cut from the photographs
that come with scikit-learn and scikit-image. Never run by the tests.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import wavetwin
from wavetwin.ir.evaluations import Shifts
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data import ExperimentData, load_data
from wavetwin.runtime.data.batches import Loading
from wavetwin.runtime.data.sources import ImageSet, TensorImages
from wavetwin.runtime.evaluation.entries import evaluate_entry
from wavetwin.runtime.process.torchvision_compat import import_torchvision

import_torchvision()
from torchvision.transforms import v2  # noqa: E402 - after its operators are there

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
NUM_IMAGES, SIDE, BATCH = 10_000, 32, 128
NUM_FILES, FILE_SIDE = 32, 288


def photographs() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Colour photographs that come with scikit-learn and scikit-image."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from skimage import data
        from sklearn.datasets import load_sample_images

        found = [np.asarray(image) for image in load_sample_images().images]
        return [*found, data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]


def windows(number: int, side: int) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Seeded square cut-outs of the photographs, in turn."""
    draw, images = np.random.default_rng(0), photographs()
    for index in range(number):
        image = images[index % len(images)]
        top = int(draw.integers(image.shape[0] - side))
        left = int(draw.integers(image.shape[1] - side))
        yield image[top : top + side, left : left + side]


class Pairs(Dataset[tuple[Tensor, int]]):
    """Images in memory as torchvision's data sets keep them: an array, and a PIL image for each."""

    def __init__(self, images: np.ndarray[Any, np.dtype[np.uint8]], transform: Any) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), index % 10


def their_transforms(name: str, data: ExperimentData) -> Any:
    steps: dict[str, list[Any]] = {
        "none": [],
        "pad_crop": [v2.RandomCrop(SIDE, padding=SIDE // 8)],
        "pad_crop_flip": [v2.RandomCrop(SIDE, padding=SIDE // 8), v2.RandomHorizontalFlip()],
        "crop_flip": [v2.RandomResizedCrop(SIDE, antialias=True), v2.RandomHorizontalFlip()],
    }
    to_tensor = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    return v2.Compose([*steps[name], *to_tensor, v2.Normalize(data.mean, data.std)])


def make_plan(name: str) -> TrainingPlan:
    plan = wavetwin.compile(ROOT / "specs/cifar10/R18C.yaml").plan
    return replace(plan, batch_size=BATCH, data=replace(plan.data, augmentation=name))


def loaders(name: str, workers: int) -> dict[str, Callable[[], int]]:
    """Both ways to go through the images once; each returns how many it saw."""
    images = np.stack(list(windows(NUM_IMAGES, SIDE)))
    labels = torch.arange(NUM_IMAGES) % 10
    source = TensorImages(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), labels)
    everything = ImageSet(source, torch.arange(NUM_IMAGES))
    plan = make_plan(name)
    mean, std = plan.data.mean or (), plan.data.std or ()
    data = ExperimentData(plan, everything, everything, everything, "", mean, std, Loading())
    theirs = DataLoader(
        Pairs(images, their_transforms(name, data)),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    epoch = iter(range(1_000_000))

    def ours() -> int:
        batches = data.training_batches(next(epoch))
        return sum(len(data.normalise(images)) for images, _, _ in batches)

    return {"wavetwin": ours, "torchvision": lambda: sum(len(images) for images, _ in theirs)}


def shift_batteries(folder: Path) -> dict[str, Callable[[], int]]:
    """Both ways to predict nine horizontal shifts of image files; each returns the predictions."""
    for split in ("train", "test"):
        for index, image in enumerate(windows(NUM_FILES, FILE_SIDE)):
            file = folder / split / str(index % 2) / f"{index}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file, quality=92)
    plan = wavetwin.compile(ROOT / "specs/alexnet/AI.yaml").plan
    images = replace(plan.data, dataset="folder", num_classes=2, validation=0, training_images=None)
    plan = replace(plan, batch_size=32, data=images)
    data = load_data(plan, data_root=folder, workers=0)
    (size, _), shift = plan.data.sides, 8
    # A light network: what is compared is how its images come to be.
    network = nn.Sequential(
        nn.AvgPool2d(16), nn.Flatten(), nn.Linear(3 * (size // 16) ** 2, 2)
    ).eval()
    entry = Shifts(max_shift=shift)
    enlarge = v2.Compose(
        [
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Resize(size + shift, antialias=True),
            v2.CenterCrop(size + shift),
            v2.Normalize(data.mean, data.std),
        ]
    )
    files = sorted((folder / "test").glob("*/*.jpg"))

    def ours() -> int:
        return (
            evaluate_entry(entry, network, data, CPU, is_shown=False).per_image["classes"].numel()
        )

    def again() -> int:
        predictions = 0
        with torch.inference_mode():
            for move in range(shift + 1):
                crops = [enlarge(Image.open(file))[:, :size, move : move + size] for file in files]
                predictions += network(torch.stack(crops)).argmax(1).numel()
        return predictions

    return {"wavetwin": ours, "decode per shift": again}


def compare(name: str, ways: dict[str, Callable[[], int]], rounds: int) -> dict[str, Any]:
    """Time both ways in turns; the first is ours."""
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, go in ways.items():
            start = time.perf_counter()
            images = go()
            if number > 0:  # the first round warms up
                rates[way].append(images / (time.perf_counter() - start))
    ours, theirs = (statistics.median(values) for values in rates.values())
    single = sorted(a / b for a, b in zip(*rates.values(), strict=True))
    print(
        f"| {name} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.2f} "
        f"| {single[0]:.2f} to {single[-1]:.2f} |",
        flush=True,
    )
    return {"name": name, "images_per_second": rates, "ratio": ours / theirs, "ratios": single}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(2)
    print(f"{platform.machine()}, torch {torch.__version__}, 2 threads, {options.rounds} rounds\n")
    print("| | wavetwin, images/s | otherwise | ratio of medians | of single rounds |")
    print("|---|---:|---:|---:|---:|")
    results: list[dict[str, Any]] = []
    for workers in (0, 2):
        for name in ("none", "pad_crop", "pad_crop_flip", "crop_flip"):
            label = f"{name}, DataLoader with {workers} workers"
            results.append(compare(label, loaders(name, workers), options.rounds))
    with tempfile.TemporaryDirectory() as folder:
        ways = shift_batteries(Path(folder))
        results.append(compare("nine shifts of 288 px JPEG files", ways, options.rounds))
    if options.json is not None:
        document = {"torch": str(torch.__version__), "threads": 2, "results": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
