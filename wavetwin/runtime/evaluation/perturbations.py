"""Measure stability on perturbation videos, laid out as ImageNet-P's.

Definitions are those of Hendrycks and Dietterich 2019, arXiv:1903.12261. The flip rate is the share
of pairs of frames whose top predictions differ: consecutive frames, or, where the perturbation is
noise (frames are then independent), each frame and the first one. The top-5 distance of two frames
is the sum over the first five predictions of one, i = 1..5, of |min(s(i), 6) - i|, where s(i) is the
rank of that prediction in the other frame's ranking. Both are averaged over a video's pairs, then over
the videos.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from wavetwin.diagnostics.listing import list_some
from wavetwin.diagnostics.terminal import complain
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.evaluation.baselines import PUBLISHED_FLIP_RATES, PUBLISHED_SOURCE
from wavetwin.runtime.evaluation.entry_files import combined_fingerprint, perturbation_videos
from wavetwin.runtime.evaluation.intervals import combined_intervals
from wavetwin.runtime.evaluation.per_image import Evaluated, Evaluation, Table, join_tables
from wavetwin.runtime.evaluation.videos import Video, check_decoder, read_videos, videos_digest
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.progress import ProgressReport

__all__ = ["evaluate_perturbations", "judge_video"]

PREDICTIONS = 5
_USUAL_FRAMES = 31
"""Of ImageNet-P's videos: how many are read at once goes by it."""


def evaluate_perturbations(run: Evaluation) -> Evaluated:
    """Return flip rates and top-5 distances by perturbation, their means, and mFR.

    The mean flip rate (mFR) is, in percent, the mean over the perturbations of the flip rate over
    AlexNet's; given only where all perturbations of the baseline are there, else `missing` names
    the others. Against another model's scores the mean top-5 distance (mT5D) is given likewise;
    AlexNet's distances are not known.

    Raises:
        RunError: there are no perturbations, their classes are not the plan's, a video is damaged,
            or the baseline is 0 somewhere.
    """

    def look() -> dict[str, list[Video]]:
        found = perturbation_videos(run.files_entry, run.data, run.data_root)
        for videos in found.values():
            check_decoder(videos)
        return found

    found = run.on_all(look)
    return _finish(run, {name: _score(run, name, videos) for name, videos in found.items()})


def judge_video(best: Tensor, *, is_noise: bool) -> tuple[float, float]:
    """Return a video's flip rate and mean top-5 distance.

    `best` is (frames, predictions): each frame's top predictions, five where there are as many classes.
    """
    later = best[1:]
    earlier = best[:1].expand_as(later) if is_noise else best[:-1]
    flip_rate = float((earlier[:, 0] != later[:, 0]).double().mean())
    predictions = best.shape[1]
    equal = earlier.unsqueeze(2) == later.unsqueeze(1)
    # A prediction that is not among the others' first ones has the rank after them.
    offsets = torch.where(equal.any(2), equal.int().argmax(2), predictions)
    distance = (offsets - torch.arange(predictions)).abs().sum(1).double().mean()
    return flip_rate, float(distance)


@dataclass(frozen=True)
class _Scored:
    """What was found on one perturbation."""

    table: Table
    names: str
    """SHA-256 of the videos' names: equal where the photographs are the same."""
    skipped: int
    fingerprint: str


@dataclass
class _Own:
    """This process's part of a perturbation's table."""

    positions: list[int] = field(default_factory=list)
    flip_rates: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)

    def table(self) -> Table:
        if not self.positions:
            return {}
        return {
            "positions": torch.tensor(self.positions),
            "flip_rate": torch.tensor(self.flip_rates, dtype=torch.float64),
            "top5_distance": torch.tensor(self.distances, dtype=torch.float64),
            "frames": torch.tensor(self.frames, dtype=torch.int32),
        }


def _score(run: Evaluation, name: str, videos: Sequence[Video]) -> _Scored:
    # Groups are made without regard to the processes: a forward pass has the same frames always.
    together = max(1, run.batch_size // _USUAL_FRAMES)
    groups = [list(part) for part in torch.arange(len(videos)).split(together)]
    groups = [[int(index) for index in group] for group in groups][: run.data.limit_batches]
    wanted = sum(len(group) for group in groups)
    table = join_tables(run.together(lambda: _own_part(run, name, videos, groups)))
    if not table:
        raise RunError("image-damaged", f"no video of {run.files_entry.root}/{name} could be read")
    order = table["positions"].argsort()
    table = {column: values[order] for column, values in table.items()}
    names = [videos[index].name for index in table["positions"].tolist()]
    return _Scored(
        table,
        hashlib.sha256("\n".join(names).encode()).hexdigest(),
        wanted - len(names),
        videos_digest(videos),
    )


def _own_part(
    run: Evaluation, name: str, videos: Sequence[Video], groups: Sequence[Sequence[int]]
) -> Table:
    own, mine = _Own(), groups[run.processes.rank :: run.processes.count]
    is_shown = run.is_shown and run.processes.is_first
    report = ProgressReport(f"{run.files_entry.root}/{name}", len(mine)) if is_shown else None
    channels = run.data.plan.data.channels
    with report or nullcontext():
        for group in read_videos(videos, mine, channels, run.data.workers):
            read: list[tuple[int, Tensor]] = []
            for video in group:
                if video.frames is not None:
                    read.append((video.position, video.frames))
                elif video.failure is not None:
                    _skip(run, videos[video.position], video.failure)
            if read:
                best = _best_predictions(run, torch.cat([_fit(run, frames) for _, frames in read]))
                for (position, frames), predictions in zip(
                    read, best.split([len(frames) for _, frames in read]), strict=True
                ):
                    flip_rate, distance = judge_video(predictions, is_noise="noise" in name)
                    own.positions.append(position)
                    own.flip_rates.append(flip_rate)
                    own.distances.append(distance)
                    own.frames.append(len(frames))
            if report is not None:
                report.advance(sum(len(frames) for _, frames in read))
    return own.table()


def _fit(run: Evaluation, frames: Tensor) -> Tensor:
    return fit(frames.float() / 255, run.size, run.entry.resize)


def _best_predictions(run: Evaluation, frames: Tensor) -> Tensor:
    """Return the top predictions, best first, (frames, predictions) on the CPU."""
    best: list[Tensor] = []
    for part in frames.split(run.batch_size):
        logits = run.predict(part.to(run.device, non_blocking=True))
        # Stable, so that the order of equal scores is that of the classes.
        order = logits.sort(dim=1, descending=True, stable=True).indices
        best.append(order[:, :PREDICTIONS].cpu())
    return torch.cat(best)


def _skip(run: Evaluation, video: Video, failure: RunError) -> None:
    if not run.data.loading.skips_bad:
        raise failure
    run.data.bad_images[str(video.path)] = failure.headline
    complain(f"warning: left out: {failure.headline}\n")


def _finish(run: Evaluation, found: Mapping[str, _Scored]) -> Evaluated:
    against: dict[str, tuple[str, Mapping[str, float]]] = {
        "mfr": ("flip_rate", PUBLISHED_FLIP_RATES)
    }
    source = PUBLISHED_SOURCE
    if run.baseline is not None:
        source, rates = run.baseline.label, run.baseline.scores["flip_rate"]
        against = {
            "mfr": ("flip_rate", rates),
            "mt5d": ("top5_distance", run.baseline.scores["top5_distance"]),
        }
    missing = [name for name in against["mfr"][1] if name not in found]
    columns = {
        f"{kind}/{name}": scored.table[kind]
        for kind in ("flip_rate", "top5_distance")
        for name, scored in found.items()
    }
    combinations = {
        f"mean_{kind}": {f"{kind}/{name}": 1 / len(found) for name in found}
        for kind in ("flip_rate", "top5_distance")
    }
    if not missing:
        for name, (kind, values) in against.items():
            combinations[name] = _relative(kind, values, source)
    means = {name: float(values.mean()) for name, values in columns.items()}
    for name, weights in combinations.items():
        means[name] = math.fsum(weight * means[each] for each, weight in weights.items())
    ends = combined_intervals(
        columns,
        {column: found[column.split("/", 1)[1]].names for column in columns},
        combinations,
        no_rates={name for name in columns if name.startswith("top5_distance/")},
    )
    scores = _nest(means)
    scores |= {"missing": missing} if missing else {"baseline": source}
    tables = {
        f"{name}/{column}": values
        for name, scored in found.items()
        for column, values in scored.table.items()
    }
    return Evaluated(
        scores,
        _nest({name: list(each) for name, each in ends.items()}),
        tables,
        sum(int(scored.table["frames"].sum()) for scored in found.values()),
        sum(scored.skipped for scored in found.values()),
        combined_fingerprint({name: scored.fingerprint for name, scored in found.items()}),
    )


def _relative(kind: str, baseline: Mapping[str, float], source: str) -> dict[str, float]:
    """Return the weights of the mean over perturbations of a value over the baseline's, in percent.

    Raises:
        RunError: the baseline is 0 somewhere.
    """
    nothing = [name for name, value in baseline.items() if value == 0]
    if nothing:
        raise RunError(
            "not-comparable",
            f"the baseline {source} has a {kind.replace('_', ' ')} of 0 on {list_some(nothing)}: "
            "nothing can be set against it",
        )
    return {f"{kind}/{name}": 100 / len(baseline) / value for name, value in baseline.items()}


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        kind, slash, perturbation = name.partition("/")
        if slash:
            nested.setdefault(kind, {})[perturbation] = value
        else:
            nested[name] = value
    return nested
