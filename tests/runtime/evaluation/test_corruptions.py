"""Corruptions: small folders in ImageNet-C's layout, made from real photographs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import nn

from tests.support.photographs import piece
from tests.support.plans import make_plan
from wavetwin.ir.evaluations import Corruptions
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.evaluation.baselines import ALEXNET_ERRORS, CORRUPTIONS, PUBLISHED_ERRORS
from wavetwin.runtime.evaluation.entries import Baseline, evaluate_entry
from wavetwin.runtime.process.errors import RunError

CPU = torch.device("cpu")
ENTRY = Corruptions(root="imagenet-c")
CLASSES = [f"n{number:08d}" for number in range(10)]


class Differences(nn.Module):
    """Guesses by differences between points that are not far apart."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.mean(1).flatten(1)
        return flat[:, 30:120:9] - flat[:, 32:122:9]


def corrupt(image: Image.Image, corruption: str, severity: int) -> Image.Image:
    if corruption == "brightness":
        return ImageEnhance.Brightness(image).enhance(1 + 0.4 * severity)
    if corruption == "contrast":
        return ImageEnhance.Contrast(image).enhance(1 - 0.18 * severity)
    return image.filter(ImageFilter.GaussianBlur(severity))


def write_sets(root: Path, corruptions: dict[str, list[int]], images: int = 2) -> None:
    for corruption, severities in corruptions.items():
        for severity in severities:
            for label, name in enumerate(CLASSES):
                folder = root / "imagenet-c" / corruption / str(severity) / name
                folder.mkdir(parents=True)
                for number in range(images):
                    image = corrupt(piece(label * images + number), corruption, severity)
                    image.save(folder / f"ILSVRC2012_val_{number:08d}.png")


def expected_errors(folder: Path) -> list[bool]:
    data = load_data(make_plan())
    wrong: list[bool] = []
    for label, name in enumerate(CLASSES):
        for file in sorted((folder / name).iterdir()):
            pixels = np.array(Image.open(file).convert("L"), dtype=np.float32) / 255
            image = fit(torch.from_numpy(pixels)[None, None], 12)
            wrong.append(int(Differences()(data.normalise(image)).argmax()) != label)
    return wrong


def test_errors_by_type_and_severity(tmp_path: Path):
    write_sets(tmp_path, {"brightness": [1, 3], "zoom_blur": [2]})
    data = load_data(make_plan(batch_size=7))
    evaluated = evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path)
    root = tmp_path / "imagenet-c"
    expected = {
        name: expected_errors(root / name)
        for name in ("brightness/1", "brightness/3", "zoom_blur/2")
    }
    rates = {name: sum(wrong) / 20 for name, wrong in expected.items()}
    scores, intervals = evaluated.scores, evaluated.intervals
    assert scores["top1_error"] == {
        "brightness": {"1": rates["brightness/1"], "3": rates["brightness/3"]},
        "zoom_blur": {"2": rates["zoom_blur/2"]},
    }
    assert 0 < rates["zoom_blur/2"] < 1
    assert scores["mean_top1_error"] == pytest.approx(sum(rates.values()) / 3)
    for name, wrong in expected.items():
        assert evaluated.per_image[name].tolist() == wrong
    low, high = intervals["top1_error"]["zoom_blur"]["2"]
    assert low < rates["zoom_blur/2"] < high
    low, high = intervals["mean_top1_error"]
    assert low < scores["mean_top1_error"] < high
    assert evaluated.images == 60
    assert "mce" not in scores
    assert "baseline" not in scores
    assert len(scores["missing"]) == 72
    assert "brightness/2" in scores["missing"]
    assert "brightness/1" not in scores["missing"]


def test_mce_where_all_are_there(tmp_path: Path):
    write_sets(tmp_path, {"brightness": [1, 2, 3, 4, 5]}, images=1)
    root = tmp_path / "imagenet-c"
    for name in (*CORRUPTIONS, "speckle_noise"):
        if name != "brightness":
            (root / name).symlink_to(root / "brightness")
    data = load_data(make_plan())
    scores = evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path).scores
    errors = list(scores["top1_error"]["brightness"].values())
    mean = sum(errors) / 5
    # 16 types were scored, and the 15 of ImageNet-C count.
    assert scores["mean_top1_error"] == pytest.approx(mean)
    assert scores["mce"] == pytest.approx(
        100 * sum(mean / error for error in ALEXNET_ERRORS.values()) / 15
    )
    assert scores["mce_against_AI"] == pytest.approx(
        100 * sum(mean / error for error in PUBLISHED_ERRORS.values()) / 15
    )
    assert scores["baseline"] == "AlexNet of Hendrycks and Dietterich 2019"
    assert "missing" not in scores
    against_itself = evaluate_entry(
        ENTRY, Differences(), data, CPU, data_root=tmp_path, baseline=Baseline("its own", scores)
    )
    assert against_itself.scores["mce"] == pytest.approx(100)
    assert against_itself.scores["baseline"] == "its own"
    del scores["top1_error"]["snow"]["4"]
    with pytest.raises(RunError, match="baseline b has no errors on snow"):
        evaluate_entry(
            ENTRY, Differences(), data, CPU, data_root=tmp_path, baseline=Baseline("b", scores)
        )


def test_files_change_the_fingerprint(tmp_path: Path):
    write_sets(tmp_path, {"contrast": [1]}, images=1)
    data = load_data(make_plan())
    first = evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path).fingerprint
    again = evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path).fingerprint
    (tmp_path / "imagenet-c/contrast/1" / CLASSES[3] / "another.png").write_bytes(
        (
            tmp_path / "imagenet-c/contrast/1" / CLASSES[3] / "ILSVRC2012_val_00000000.png"
        ).read_bytes()
    )
    changed = evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path).fingerprint
    assert first == again != changed


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = load_data(make_plan())
    with pytest.raises(RunError, match=r"imagenet-c is not there"):
        evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path)
    (tmp_path / "imagenet-c").mkdir()
    with pytest.raises(RunError, match="has no corruptions"):
        evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path)
    write_sets(tmp_path, {"fog": [1]}, images=1)
    shutil.rmtree(tmp_path / "imagenet-c/fog/1" / CLASSES[9])
    with pytest.raises(RunError, match=r"fog/1 has 9 classes, the model has 10"):
        evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path)
    monkeypatch.delenv("WAVETWIN_DATA", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(RunError, match="no data root is known, and 'imagenet-c'"):
        evaluate_entry(ENTRY, Differences(), data, CPU)


def test_classes_are_those_of_the_training_set(tmp_path: Path):
    for split in ("train", "val"):
        for label, name in enumerate(CLASSES):
            (tmp_path / split / name).mkdir(parents=True)
            piece(label).save(tmp_path / split / name / "0.png")
    write_sets(tmp_path, {"fog": [1]}, images=1)
    plan = make_plan(
        dataset="folder", channels=3, mean=(0.5,) * 3, std=(0.2,) * 3, validation=0,
        training_images=None,
    )  # fmt: skip
    data = load_data(plan, data_root=tmp_path)
    assert evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path).images == 10
    renamed = tmp_path / "imagenet-c/fog/1/n99999999"
    (tmp_path / "imagenet-c/fog/1" / CLASSES[0]).rename(renamed)
    with pytest.raises(RunError, match="n99999999"):
        evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path)


def test_damaged_image_stops_or_is_left_out(tmp_path: Path):
    write_sets(tmp_path, {"fog": [1]}, images=2)
    bad = tmp_path / "imagenet-c/fog/1" / CLASSES[2] / "ILSVRC2012_val_00000001.png"
    bad.write_bytes(bad.read_bytes()[:100])
    with pytest.raises(RunError, match="ILSVRC2012_val_00000001"):
        evaluate_entry(ENTRY, Differences(), load_data(make_plan()), CPU, data_root=tmp_path)
    data = load_data(make_plan(), on_bad_image="skip")
    evaluated = evaluate_entry(ENTRY, Differences(), data, CPU, data_root=tmp_path)
    assert (evaluated.images, evaluated.skipped) == (19, 1)
    assert list(data.bad_images) == [str(bad)]
