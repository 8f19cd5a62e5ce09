"""Measure errors on corrupted images in ImageNet-C's layout, or in CIFAR-10-C's arrays."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from wavetwin.diagnostics.listing import list_some
from wavetwin.runtime.data.npy_images import NpyImages
from wavetwin.runtime.data.sources import FileImages, TensorImages
from wavetwin.runtime.data.splits import whole
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.evaluation.baselines import (
    ALEXNET_ERRORS,
    ALEXNET_SOURCE,
    CORRUPTION_SETS,
    CORRUPTIONS,
    PUBLISHED_ERRORS,
    SEVERITIES,
)
from wavetwin.runtime.evaluation.entry_files import (
    CorruptedSet,
    combined_fingerprint,
    corruption_sets,
    list_corrupted,
)
from wavetwin.runtime.evaluation.intervals import combined_intervals
from wavetwin.runtime.evaluation.metrics import are_wrong
from wavetwin.runtime.evaluation.per_image import Baseline, Evaluated, Evaluation, Table
from wavetwin.runtime.process.errors import RunError

__all__ = ["evaluate_corruptions"]


@dataclass(frozen=True)
class _Scored:
    """What was found on one corruption at one severity."""

    wrong: Tensor
    """uint8 (images,), in the order of the files."""
    names: str
    """SHA-256 of the files' names: equal where the photographs are the same."""
    skipped: int
    fingerprint: str


def evaluate_corruptions(run: Evaluation) -> Evaluated:
    """Return top-1 errors by corruption and severity, their mean, and mCE.

    The mean corruption error is, in percent, the mean over the fifteen corruptions of the error
    over AlexNet's (or another baseline's), each averaged over the five severities. It is given only
    where all of these are there; else `missing` names what is not.

    Raises:
        RunError: there are no corruptions, their classes are not the plan's, or the baseline has
            not all of them.
    """
    num_classes = run.data.plan.data.num_classes
    found = run.on_all(lambda: corruption_sets(run.files_entry, run.data_root, num_classes))
    sets = {name: _score(run, name, each) for name, each in found.items()}
    has_arrays = any(isinstance(each, NpyImages) for each in found.values())
    return _finish(run, sets, is_imagenet=not has_arrays)


def _score(run: Evaluation, name: str, images: CorruptedSet) -> _Scored:
    channels = run.data.plan.data.channels
    if isinstance(images, NpyImages):
        arrays = run.on_all(lambda: images.read(channels))
        source = TensorImages(torch.from_numpy(arrays.images), torch.from_numpy(arrays.labels))
        fingerprint = images.fingerprint
    else:
        files = run.on_all(lambda: list_corrupted(images, run.data))
        source, fingerprint = FileImages(files, channels), files.fingerprint
    data = replace(run.data, test=whole(source))

    def measure(images: Tensor, labels: Tensor) -> Table:
        return {"wrong": are_wrong(run.predict(images), labels, 1).to(torch.uint8)}

    label = f"{run.files_entry.root}/{name}"
    table = run.collect(
        lambda x: fit(x, run.size, run.entry.resize), measure, data=data, split="test", label=label
    )
    positions = table["positions"]
    if isinstance(source, FileImages):
        names = source.files.names[positions.numpy()].tolist()
    else:
        # The same photographs in the same order at every severity.
        names = [f"{position}".encode() for position in positions.tolist()]
    return _Scored(
        table["wrong"],
        hashlib.sha256(b"\n".join(names)).hexdigest(),
        data.num_images("test") - len(names),
        fingerprint,
    )


def _finish(run: Evaluation, sets: Mapping[str, _Scored], *, is_imagenet: bool) -> Evaluated:
    missing = [name for name in CORRUPTION_SETS if name not in sets]
    combinations = {"mean_top1_error": dict.fromkeys(sets, 1 / len(sets))}
    # The published baselines are of ImageNet-C; of CIFAR-10-C there is none but another model's.
    has_baseline = is_imagenet or run.baseline is not None
    errors, source = _baseline(run.baseline)
    if not missing and has_baseline:
        combinations["mce"] = _relative(errors)
    if not missing and is_imagenet:
        combinations["mce_against_AI"] = _relative(PUBLISHED_ERRORS)
    means = {name: float(scored.wrong.double().mean()) for name, scored in sets.items()}
    for name, weights in combinations.items():
        means[name] = math.fsum(weight * means[each] for each, weight in weights.items())
    wrong = {name: scored.wrong for name, scored in sets.items()}
    intervals = combined_intervals(
        wrong, {name: scored.names for name, scored in sets.items()}, combinations
    )
    scores = _nest(means, sets)
    if missing:
        scores |= {"missing": missing}
    elif has_baseline:
        scores |= {"baseline": source}
    return Evaluated(
        scores,
        _nest({name: list(ends) for name, ends in intervals.items()}, sets),
        wrong,
        sum(len(scored.wrong) for scored in sets.values()),
        sum(scored.skipped for scored in sets.values()),
        combined_fingerprint({name: scored.fingerprint for name, scored in sets.items()}),
    )


def _baseline(baseline: Baseline | None) -> tuple[Mapping[str, float], str]:
    """Return the errors by corruption that mCE is relative to, and whose they are."""
    if baseline is None:
        return ALEXNET_ERRORS, ALEXNET_SOURCE
    by_type: Mapping[str, Mapping[str, float]] = baseline.scores["top1_error"]
    lacking = [name for name in CORRUPTIONS if {*by_type.get(name, ())} != {*SEVERITIES}]
    errors = {
        name: sum(by_type[name].values()) / len(SEVERITIES)
        for name in CORRUPTIONS
        if name not in lacking
    }
    lacking += [name for name, error in errors.items() if error == 0]
    if lacking:
        raise RunError(
            "scores-missing", f"the baseline {baseline.label} has no errors on {list_some(lacking)}"
        )
    return errors, baseline.label


def _relative(baseline: Mapping[str, float]) -> dict[str, float]:
    """Return the weights of the sum that is mCE, in percent."""
    return {
        f"{name}/{severity}": 100 / len(CORRUPTIONS) / len(SEVERITIES) / baseline[name]
        for name in CORRUPTIONS
        for severity in SEVERITIES
    }


def _nest(values: Mapping[str, Any], sets: Mapping[str, _Scored]) -> dict[str, Any]:
    by_type: dict[str, dict[str, Any]] = {}
    for name in sets:
        corruption, severity = name.split("/")
        by_type.setdefault(corruption, {})[severity] = values[name]
    others = {name: value for name, value in values.items() if name not in sets}
    return {"top1_error": by_type} | others
