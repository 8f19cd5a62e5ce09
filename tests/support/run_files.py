"""Run folders as files, with the scores and predictions that a test wants them to have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wavetwin.ir.plan import TrainingPlan

DATA = "d1" * 32


def shift_entry(direction: str, metric: str, **changes: Any) -> dict[str, Any]:
    """An entry of the evaluation suite as scores.json names it."""
    entry = {
        "mode": "shifts",
        "split": "test",
        "direction": direction,
        "max_shift": 2,
        "pixel_divide": 1,
        "metric": metric,
        "normalise": True,
    }
    if metric == "flip_rate":
        entry["max_step"] = 2
    return entry | changes


ONE_CROP = {"mode": "one_crop", "split": "test", "normalise": True}


def record(entry: dict[str, Any], scores: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One record of scores.json; a top-5 error that a test does not ask for is 0."""
    if entry["mode"] in ("one_crop", "ten_crops"):
        scores = scores | {"top5_error": scores.get("top5_error", 0.0)}
    info = {
        "intervals": {},
        "predictions": None,
        "images": 4,
        "digest": "d" * 64,
        "training_digest": "a" * 64,
        "commit": "c" * 40,
        "dirty": False,
        "drift": [],
        "build_manifest_sha256": "b" * 64,
        "data": DATA,
        "weights": "e" * 64,
        "checkpoint": "last",
        "epochs": 2,
        "date": "2026-01-02T03:04:05+00:00",
    }
    return {"entry": entry, "scores": scores} | info | changes


def epoch(number: int, loss: float, error: float | None) -> dict[str, Any]:
    """A line of metrics.jsonl; without an error there is no validation."""
    validation = None if error is None else {"loss": loss, "top1_error": error, "top5_error": 0.0}
    train = {"loss": loss, "top1_error": 0.5, "top5_error": 0.1}
    line = {"kind": "epoch", "epoch": number, "step": 5 * number, "lr": 0.1}
    return line | {"train": train, "validation": validation, "time": {"seconds": 1.0}}


def run_manifest(plan: TrainingPlan, run: str = "a-s0") -> dict[str, Any]:
    """manifest.json of a finished run."""
    session = {
        "first_step": 1,
        "last_step": 10,
        "started": "2026-01-02T03:00:00+00:00",
        "ended": "2026-01-02T03:04:00+00:00",
        "outcome": "finished",
        "command": ["train.py", "--device", "cpu"],
        "drift": [],
        "build_manifest_sha256": "b" * 64,
        "machine": {"torch": "2.0", "device": "cpu"},
        "warnings": [],
    }
    return {
        "wavetwin_run": 1,
        "name": plan.name,
        "run": run,
        "status": "finished",
        "digest": plan.digest,
        "training_digest": plan.training_digest,
        "model_digest": plan.model_digest,
        "seed": plan.seed,
        "commit": "c" * 40,
        "dirty": False,
        "git": True,
        "drift": [],
        "bad_images": {},
        "build_manifest_sha256": "b" * 64,
        "sources": [{"role": "spec", "kind": "git", "commit": "c" * 40, "dirty": False}],
        "parameters": {"trainable": 1594, "frozen": 0},
        "macs": 3150,
        "training_seconds": 75.4,
        "lives": [session],
    }


def write_run(
    runs: Path,
    plan: TrainingPlan,
    scores: list[dict[str, Any]] | None = None,
    epochs: list[dict[str, Any]] | None = None,
    spec: str | None = None,
    suffix: str = "",
    **changes: Any,
) -> Path:
    """Write `<runs>/<name>/<digest8>-s<seed><suffix>` and return it."""
    folder = runs / plan.name / f"{plan.training_digest[:8]}-s{plan.seed}{suffix}"
    folder.mkdir(parents=True)
    manifest = run_manifest(plan, folder.name)
    write(folder / "manifest.json", manifest | changes)
    write(folder / "plan.json", plan.to_json())
    if scores is not None:
        write(folder / "scores.json", {"wavetwin_scores": 1, "scores": scores})
    lines = "".join(json.dumps(line) + "\n" for line in epochs or [])
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
    if spec is not None:
        (folder / "spec.lock.yaml").write_text(spec, encoding="utf-8")
    return folder


def write(file: Path, document: dict[str, Any]) -> None:
    """Write a JSON document."""
    file.write_text(json.dumps(document), encoding="utf-8")
