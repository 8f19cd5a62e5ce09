"""Perturbations: flips and top-5 distances by hand, and videos from real photographs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.photographs import piece
from tests.support.plans import make_plan
from wavetwin.ir.evaluations import Perturbations
from wavetwin.runtime.data import load_data
from wavetwin.runtime.evaluation.baselines import PUBLISHED_FLIP_RATES
from wavetwin.runtime.evaluation.entries import Baseline, evaluate_entry
from wavetwin.runtime.evaluation.perturbations import judge_video
from wavetwin.runtime.evaluation.videos import read_video
from wavetwin.runtime.process.errors import RunError

CPU = torch.device("cpu")
ENTRY = Perturbations(root="imagenet-p")
CLASSES = [f"n{number:08d}" for number in range(10)]


class Brightest(nn.Module):
    """Guesses by which tenth of the picture is the brightest."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(1).flatten(1)[:, :140].reshape(-1, 10, 14).mean(2)


def write_videos(root: Path, perturbation: str, videos: int = 2, frames: int = 5) -> None:
    """Videos of a window that moves right two pixels a frame; each ends in a number out of order."""
    for label, name in enumerate(CLASSES):
        for number in range(videos):
            folder = root / "imagenet-p" / perturbation / name / f"ILSVRC2012_val_{number:08d}"
            folder.mkdir(parents=True)
            image = piece(label * videos + number, 60)
            for frame in range(frames):
                window = image.crop((2 * frame, 0, 2 * frame + 40, 40))
                window.save(folder / f"{8 + frame}.png")


def distance(first: list[int], second: list[int]) -> int:
    """The definition, in words: each prediction moves places, and the places after the fifth are one."""
    total = 0
    for offset, prediction in enumerate(first, start=1):
        other = second.index(prediction) + 1 if prediction in second else 6
        total += abs(min(other, 6) - offset)
    return total


def test_judge_video_by_hand():
    best = torch.tensor([[1, 2, 3, 4, 5], [2, 1, 3, 4, 5], [1, 2, 3, 4, 6], [7, 8, 9, 0, 6]])
    # Swapped: 1 + 1. Swapped back, 5 left out: 1 + 1 + 1. All new but 6, at the same place: from
    # places 1 to 4 to the sixth: 5 + 4 + 3 + 2.
    assert judge_video(best, is_noise=False) == (1.0, pytest.approx((2 + 3 + 14) / 3))
    # Against the first frame: 2; 5 left out: 1; all gone: 5 + 4 + 3 + 2 + 1.
    assert judge_video(best, is_noise=True) == (2 / 3, pytest.approx((2 + 1 + 15) / 3))


def test_judge_video_by_brute_force():
    random = torch.Generator().manual_seed(0)
    best = torch.stack([torch.randperm(7, generator=random)[:5] for _ in range(9)])
    rows = best.tolist()
    for is_noise in (False, True):
        pairs = [(rows[0 if is_noise else offset - 1], rows[offset]) for offset in range(1, 9)]
        flips = sum(a[0] != b[0] for a, b in pairs) / 8
        mean = sum(distance(a, b) for a, b in pairs) / 8
        assert judge_video(best, is_noise=is_noise) == (flips, pytest.approx(mean))


def test_flip_rates_of_videos(tmp_path: Path):
    write_videos(tmp_path, "translate")
    write_videos(tmp_path, "gaussian_noise", videos=1, frames=4)
    data = load_data(make_plan(batch_size=16))
    evaluated = evaluate_entry(ENTRY, Brightest(), data, CPU, data_root=tmp_path)
    scores = evaluated.scores
    for name, is_noise in (("translate", False), ("gaussian_noise", True)):
        rates, distances = [], []
        for path in sorted((tmp_path / "imagenet-p" / name).glob("*/*")):
            from wavetwin.runtime.data.transforms import fit

            frames = fit(read_video(path, 1).float() / 255, 12)
            order = Brightest()(data.normalise(frames)).argsort(1, descending=True)[:, :5].tolist()
            pairs = [
                (order[0 if is_noise else offset - 1], order[offset])
                for offset in range(1, len(order))
            ]
            rates.append(sum(a[0] != b[0] for a, b in pairs) / len(pairs))
            distances.append(sum(distance(a, b) for a, b in pairs) / len(pairs))
        assert scores["flip_rate"][name] == pytest.approx(sum(rates) / len(rates))
        assert scores["top5_distance"][name] == pytest.approx(sum(distances) / len(distances))
        assert evaluated.per_image[f"{name}/flip_rate"].tolist() == pytest.approx(rates)
        low, high = evaluated.intervals["flip_rate"][name]
        assert low < scores["flip_rate"][name] < high
    assert scores["mean_flip_rate"] == pytest.approx(sum(scores["flip_rate"].values()) / 2)
    assert evaluated.images == 20 * 5 + 10 * 4
    assert "mfr" not in scores
    assert scores["missing"] == [name for name in PUBLISHED_FLIP_RATES if name != "translate"]


def test_mfr_where_all_are_there(tmp_path: Path):
    write_videos(tmp_path, "translate", videos=1, frames=3)
    root = tmp_path / "imagenet-p"
    for name in PUBLISHED_FLIP_RATES:
        if name != "translate":
            (root / name).symlink_to(root / "translate")
    evaluated = evaluate_entry(ENTRY, Brightest(), load_data(make_plan()), CPU, data_root=tmp_path)
    rate = evaluated.scores["flip_rate"]["translate"]
    expected = 100 * sum(rate / each for each in PUBLISHED_FLIP_RATES.values()) / 8
    assert evaluated.scores["mfr"] == pytest.approx(expected)
    assert evaluated.scores["baseline"] == "AI of the published classifiers"
    low, high = evaluated.intervals["mfr"]
    assert low < expected < high


def test_another_model_as_the_baseline(tmp_path: Path):
    write_videos(tmp_path, "translate", videos=1, frames=4)
    write_videos(tmp_path, "shot_noise", videos=1, frames=4)
    data = load_data(make_plan())
    own = evaluate_entry(ENTRY, Brightest(), data, CPU, data_root=tmp_path).scores
    half = {
        kind: {name: value / 2 for name, value in own[kind].items()}
        for kind in ("flip_rate", "top5_distance")
    }
    half["flip_rate"]["shot_noise"] = own["flip_rate"]["shot_noise"]
    evaluated = evaluate_entry(
        ENTRY, Brightest(), data, CPU, data_root=tmp_path, baseline=Baseline("book.json", half)
    )
    assert evaluated.scores["mfr"] == pytest.approx(150)
    assert evaluated.scores["mt5d"] == pytest.approx(200)
    assert evaluated.scores["baseline"] == "book.json"
    low, high = evaluated.intervals["mt5d"]
    assert low < 200 < high
    half["top5_distance"]["translate"] = 0.0
    with pytest.raises(RunError, match="top5 distance of 0 on translate"):
        evaluate_entry(
            ENTRY, Brightest(), data, CPU, data_root=tmp_path, baseline=Baseline("b", half)
        )


def write_mp4(file: Path, frames: list[np.ndarray]) -> None:
    import av

    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def test_mp4_is_read_in_order(tmp_path: Path):
    frames = [np.array(piece(40 + number, 48)) for number in range(4)]
    write_mp4(tmp_path / "a.mp4", frames)
    read = read_video(tmp_path / "a.mp4", 3)
    assert read.shape == (4, 3, 48, 48)
    assert read.dtype == torch.uint8
    for offset, frame in enumerate(frames):
        away = (
            (read[offset].permute(1, 2, 0).float() - torch.from_numpy(frame).float()).abs().mean()
        )
        assert away < 12  # of 255: what the codec loses
        other = torch.from_numpy(frames[(offset + 2) % 4]).float()
        assert 2 * away < (read[offset].permute(1, 2, 0).float() - other).abs().mean()
    assert read_video(tmp_path / "a.mp4", 1).shape == (4, 1, 48, 48)


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path):
    for number in (10, 9, 100):
        piece(number).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    read = read_video(tmp_path, 3)
    wanted = [torch.from_numpy(np.array(piece(n))).permute(2, 0, 1) for n in (9, 10, 100)]
    assert torch.equal(read, torch.stack(wanted))


def test_damaged_videos_stop_or_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_videos(tmp_path, "rotate", videos=2, frames=3)
    bad = tmp_path / "imagenet-p/rotate" / CLASSES[4] / "zzz.mp4"
    bad.write_bytes(b"this is no video")
    with pytest.raises(RunError, match=r"zzz\.mp4 cannot be read as a video"):
        evaluate_entry(ENTRY, Brightest(), load_data(make_plan()), CPU, data_root=tmp_path)
    data = load_data(make_plan(), on_bad_image="skip")
    evaluated = evaluate_entry(ENTRY, Brightest(), data, CPU, data_root=tmp_path)
    assert (evaluated.images, evaluated.skipped) == (60, 1)
    assert list(data.bad_images) == [str(bad)]
    assert "left out" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(tmp_path: Path, workers: int):
    write_videos(tmp_path, "tilt", videos=1, frames=3)
    data = load_data(make_plan(batch_size=40))
    plain = evaluate_entry(ENTRY, Brightest(), data, CPU, data_root=tmp_path)
    read = load_data(make_plan(batch_size=40), workers=workers)
    read.loading.workers = workers
    again = evaluate_entry(ENTRY, Brightest(), read, CPU, data_root=tmp_path)
    assert (again.scores, again.intervals) == (plain.scores, plain.intervals)


def test_layout_faults_are_named(tmp_path: Path):
    data = load_data(make_plan())
    (tmp_path / "imagenet-p").mkdir()
    with pytest.raises(RunError, match="has no perturbations"):
        evaluate_entry(ENTRY, Brightest(), data, CPU, data_root=tmp_path)
    write_videos(tmp_path, "scale", videos=1, frames=1)
    with pytest.raises(RunError, match="has 1 frames: flips need two"):
        evaluate_entry(ENTRY, Brightest(), data, CPU, data_root=tmp_path)
    (tmp_path / "imagenet-p/scale/n00000010").mkdir()
    with pytest.raises(RunError, match=r"scale has 11 classes, the model has 10"):
        evaluate_entry(ENTRY, Brightest(), data, CPU, data_root=tmp_path)
    (tmp_path / "imagenet-p/scale/n00000010").rmdir()
    (tmp_path / "imagenet-p/scale/n00000009/ILSVRC2012_val_00000000/8.png").unlink()
    (tmp_path / "imagenet-p/scale/n00000009/ILSVRC2012_val_00000000").rmdir()
    with pytest.raises(RunError, match=r"n00000009 has no videos"):
        evaluate_entry(ENTRY, Brightest(), data, CPU, data_root=tmp_path)


def test_missing_decoder_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_videos(tmp_path, "snow", videos=1, frames=2)
    (tmp_path / "imagenet-p/snow" / CLASSES[0] / "a.mp4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(RunError, match="reading a video needs av, which is not installed") as error:
        evaluate_entry(ENTRY, Brightest(), load_data(make_plan()), CPU, data_root=tmp_path)
    assert error.value.remedy == "pip install 'wavetwin[video]'"
