"""The evaluation battery: one function a mode, and the book that scores go into."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wavetwin.compiler.plan import EvaluationPlan, TrainingPlan
from wavetwin.provenance import RunProvenance
from wavetwin.runtime.checkpoint import WEIGHTS, find_last, load_state, weights_digest
from wavetwin.runtime.data import ExperimentData
from wavetwin.runtime.data.transforms import fit, five_crops, resize, resize_short_side
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.json_files import now, read_json, write_json
from wavetwin.runtime.metrics import divergence_from_first, flips, wrong_guesses
from wavetwin.runtime.progress import ProgressReport

__all__ = ["MODES", "ScoreBook", "describe", "evaluate_entry", "score_one_crop"]

Scores = dict[str, Any]


class _Evaluation:
    """What every mode needs: predictions of one entry's images, in float32."""

    def __init__(
        self,
        entry: EvaluationPlan,
        model: nn.Module,
        data: ExperimentData,
        device: torch.device,
        is_shown: bool,
    ) -> None:
        self.is_shown = is_shown
        self.entry, self.model, self.data, self.device = entry, model, data, device
        self.size = data.plan.data.image_size
        self.split = entry.split or "test"

    def batches(self, transform: Callable[[Tensor], Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield transformed images and labels on the device."""
        total = math.ceil(self.data.num_images(self.split) / self.data.plan.batch_size)
        report = ProgressReport(describe(self.entry), total) if self.is_shown else nullcontext()
        with report as progress:
            for images, labels in self.data.evaluation_batches(self.split, transform):
                yield images.to(self.device), labels.to(self.device)
                if progress is not None:
                    progress.advance(len(labels))

    def predict(self, images: Tensor) -> Tensor:
        """Return logits in float32 for images in [0, 1]."""
        if self.entry.normalise:
            images = self.data.normalise(images)
        return self.model(images).float()


def evaluate_entry(
    entry: EvaluationPlan,
    model: nn.Module,
    data: ExperimentData,
    device: torch.device,
    *,
    is_shown: bool = True,
) -> Scores:
    """Return the scores of one entry; the model is left in evaluation mode.

    Raises:
        RunError: the mode is not available in this version, or its split has no images.
    """
    mode = MODES.get(entry.mode)
    if mode is None:
        raise RunError(
            f"evaluation mode '{entry.mode}' is not available in this version; the scores of the "
            "other entries are kept",
            f"available: {', '.join(MODES)}",
        )
    model.eval()
    with torch.inference_mode():
        scores = mode(_Evaluation(entry, model, data, device, is_shown))
    return scores | {"images": data.num_images(entry.split or "test")}


def score_one_crop(
    model: nn.Module, data: ExperimentData, split: str, device: torch.device
) -> Scores:
    """Return loss and errors on a split, as after each epoch of training."""
    entry = EvaluationPlan("one_crop", split, None, None, None, None, None, None, True)
    return evaluate_entry(entry, model, data, device, is_shown=False)


def _one_crop(run: _Evaluation) -> Scores:
    total = {"loss": 0.0, "top1_error": 0.0, "top5_error": 0.0}
    count = 0
    for images, labels in run.batches(lambda x: fit(x, run.size)):
        logits = run.predict(images)
        total["loss"] += float(functional.cross_entropy(logits, labels, reduction="sum"))
        total["top1_error"] += wrong_guesses(logits, labels, 1)
        total["top5_error"] += wrong_guesses(logits, labels, 5)
        count += len(labels)
    return {name: value / count for name, value in total.items()}


def _ten_crops(run: _Evaluation) -> Scores:
    """Five crops of images an eighth larger (256 for 224, 36 for 32) and their mirror images."""
    larger = run.size * 8 // 7
    wrong = {"top1_error": 0, "top5_error": 0}
    count = 0

    def crops(images: Tensor) -> Tensor:
        five = five_crops(resize_short_side(images, larger), run.size)
        return torch.cat((five, five.flip(-1)), dim=-4)

    for images, labels in run.batches(crops):
        # Crop by crop: ten times the batch may not fit where the batch does.
        each = [run.predict(crop).softmax(-1) for crop in images.unbind(1)]
        mean = torch.stack(each).mean(0)
        wrong["top1_error"] += wrong_guesses(mean, labels, 1)
        wrong["top5_error"] += wrong_guesses(mean, labels, 5)
        count += len(labels)
    return {name: value / count for name, value in wrong.items()}


def _shifts(run: _Evaluation) -> Scores:
    entry, size = run.entry, run.size
    assert entry.max_shift is not None
    divide = entry.pixel_divide or 1
    moves = entry.max_shift * divide
    places = shift_places(entry.direction or "horizontal", moves)
    steps = range(1, min(entry.max_step or entry.max_shift, moves) + 1)
    differ, pairs = dict.fromkeys(steps, 0), dict.fromkeys(steps, 0)
    divergence, count = torch.zeros(len(places), len(places[0]), dtype=torch.float64), 0
    large = divide * (size + entry.max_shift)
    for images, labels in run.batches(lambda x: fit(x, large)):
        frames = [
            torch.stack(
                [run.predict(_window(images, place, divide * size, size)) for place in row], dim=1
            )
            for row in places
        ]
        logits = torch.stack(frames, dim=1).cpu()
        if entry.metric == "kl_divergence":
            divergence += divergence_from_first(logits)
        else:
            for step in steps:
                flipped, compared = flips(logits.argmax(-1), step)
                differ[step] += flipped
                pairs[step] += compared
        count += len(labels)
    if entry.metric == "kl_divergence":
        means = divergence / count
        is_grid = len(places) > 1 and len(places[0]) > 1
        return {"kl_divergence": means.tolist() if is_grid else means.flatten().tolist()}
    rates = {str(step): differ[step] / pairs[step] for step in steps}
    return {"flip_rate": rates, "mean_flip_rate": sum(rates.values()) / len(rates)}


def shift_places(direction: str, moves: int) -> list[list[tuple[int, int]]]:
    """Return rows of (top, left) of the crops, each one sample further than the one before.

    `both` is the grid of all moves down and to the right.
    """
    line = range(moves + 1)
    match direction:
        case "vertical":
            return [[(move, 0)] for move in line]
        case "diagonal":
            return [[(move, move) for move in line]]
        case "both":
            return [[(down, right) for right in line] for down in line]
        case _:
            return [[(0, move) for move in line]]


def _window(images: Tensor, place: tuple[int, int], side: int, size: int) -> Tensor:
    top, left = place
    return resize(images[..., top : top + side, left : left + side], size, size)


MODES: dict[str, Callable[[_Evaluation], Scores]] = {
    "one_crop": _one_crop,
    "ten_crops": _ten_crops,
    "shifts": _shifts,
}
"""What is available, by the name in the spec."""


def describe(entry: EvaluationPlan) -> str:
    """Return an entry in words."""
    words = [entry.mode.replace("_", " "), entry.root or entry.split or "test"]
    if entry.mode == "shifts":
        unit = f"/{entry.pixel_divide}" if entry.pixel_divide not in (None, 1) else ""
        words += [str(entry.direction), str(entry.metric).replace("_", " ")]
        words.append(f"up to {entry.max_shift} px{unit and f' by 1{unit} px'}")
    if not entry.normalise:
        words.append("not normalised")
    return ", ".join(words)


class ScoreBook:
    """`scores.json` of a run: one record an entry, written as soon as it is there."""

    def __init__(
        self, run: Path, plan: TrainingPlan, data: ExperimentData, provenance: RunProvenance
    ) -> None:
        """Read what is there and note what the scores are of.

        Raises:
            RunError: there are no weights, or the file is damaged.
        """
        folder, state = find_last(run / "checkpoints"), load_state(run / "checkpoints")
        if folder is None or state is None:
            raise RunError(f"no trained weights in {run}", "run train.py first")
        manifest = read_json(run / "manifest.json")
        self.weights = folder / WEIGHTS
        self.epochs: int = state["epoch"]
        self._file = run / "scores.json"
        self._facts = {
            "digest": plan.digest,
            "training_digest": plan.training_digest,
            "commit": manifest["commit"],
            "dirty": manifest["dirty"],
            "drift": sorted({*manifest["drift"], *provenance.drift}),
            "build_manifest_sha256": provenance.manifest_sha256,
            "data": data.fingerprint,
            "weights": weights_digest(self.weights),
            "epochs": self.epochs,
        }
        self._records: list[dict[str, Any]] = (
            read_json(self._file)["scores"] if self._file.is_file() else []
        )

    def add(self, entry: EvaluationPlan, scores: Scores) -> None:
        """Write the scores of an entry in place of older ones of the same entry."""
        key = {name: value for name, value in asdict(entry).items() if value is not None}
        record = {"entry": key, "scores": scores} | self._facts | {"date": now()}
        self._records = [old for old in self._records if old["entry"] != key] + [record]
        write_json(self._file, {"wavetwin_scores": 1, "scores": self._records})
