"""Test sets without training images, CIFAR-10-C's arrays, subsets of ImageNet-C, the record of classes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.support.data_files import WNIDS, jpeg, write_all
from tests.support.plans import ONE_CROP, make_plan
from wavetwin.commands.data_check import check_data
from wavetwin.ir.evaluations import Corruptions
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.class_record import CLASS_NAMES, check_class_order, check_order_beside
from wavetwin.runtime.evaluation.entries import Baseline, evaluate_entry
from wavetwin.runtime.evaluation.entry_files import entry_fingerprint
from wavetwin.runtime.process.errors import RunError

CPU = torch.device("cpu")
CORRUPTED = Corruptions(root="C")
FOLDER = {
    "dataset": "folder",
    "channels": 3,
    "image_size": 8,
    "mean": (0.5,) * 3,
    "std": (0.25,) * 3,
    "num_classes": 3,
    "validation": 0,
    "training_images": None,
}


class ByBrightness(nn.Module):
    """Predicts class 0 for a dark image, up to the last one for a white image."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = images.mean((1, 2, 3)).unsqueeze(1)
        return -(values - torch.linspace(0, 1, self.classes)).abs()


def write_shades(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        shade = round(255 * number / (len(names) - 1))
        Image.new("RGB", (9, 8), (shade,) * 3).save(folder / name / "a.png")


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_test_set_without_training_images_is_evaluated(tmp_path: Path, split: str):
    write_shades(tmp_path / split, ["a", "b", "c"])
    plan = make_plan(**FOLDER | {"mean": (0.0,) * 3, "std": (1.0,) * 3})
    data = load_data(plan, data_root=tmp_path, workers=0)
    scores = evaluate_entry(ONE_CROP, ByBrightness(3), data, CPU).scores
    assert scores["top1_error"] == 0
    for use in (lambda: data.steps_per_epoch, lambda: data.split("train")):
        with pytest.raises(RunError, match="there are no training images") as error:
            use()
        assert f"add {tmp_path}/train/<class>/*" in str(error.value)
    complete, text = check_data(plan, tmp_path, verify=False)
    assert not complete
    assert "missing: there are no training images" in text
    assert "class 2: c, 0 train, 1 test" in text


def test_measured_statistics_come_from_the_run(tmp_path: Path):
    for part in ("train", "test"):
        write_shades(tmp_path / part, ["a", "b", "c"])
    plan = make_plan(**FOLDER | {"mean": None, "std": None})
    file = tmp_path / "statistics.json"
    before = load_data(plan, data_root=tmp_path, workers=0, statistics_file=file)
    (tmp_path / "train").rename(tmp_path / "away")
    after = load_data(plan, data_root=tmp_path, workers=0, statistics_file=file)
    assert (after.mean, after.std) == (before.mean, before.std)
    with pytest.raises(RunError, match="measured on the training images, which are not there"):
        load_data(plan, data_root=tmp_path, workers=0)


def test_imagenet_without_training_images(tmp_path: Path):
    images = {f"val/{wnid}/a.JPEG": jpeg(n) for n, wnid in enumerate(WNIDS)}
    write_all(tmp_path / "imagenet", images)
    plan = make_plan(**FOLDER | {"dataset": "imagenet"})
    data = load_data(plan, data_root=tmp_path, workers=0, allow_other_data=True)
    assert data.class_names == WNIDS
    assert data.test.source.labels.tolist() == [0, 1, 2]
    with pytest.raises(RunError, match="no training images"):
        data.split("train")


def write_arrays(folder: Path, corruptions: list[str], images: int = 10) -> np.ndarray:
    """Shades of grey whose class is their shade; each severity has more of them wrong."""
    folder.mkdir(parents=True)
    labels = np.tile(np.arange(images) % 10, 5)
    shades = labels.copy()
    for severity in range(5):
        shades[severity * images : severity * images + severity + 1] += 5
    values = np.round(255 * (shades % 10) / 9).astype(np.uint8)
    for name in corruptions:
        np.save(folder / f"{name}.npy", np.tile(values[:, None, None, None], (1, 12, 12, 1)))
    np.save(folder / "labels.npy", labels.astype(np.uint8))
    return labels


def test_arrays_of_cifar10_c(tmp_path: Path):
    write_arrays(tmp_path / "C", ["fog", "snow"])
    plan = make_plan(mean=(0.0,), std=(1.0,), batch_size=4)
    data = load_data(plan)
    found = evaluate_entry(CORRUPTED, ByBrightness(10), data, CPU, data_root=tmp_path)
    errors = found.scores["top1_error"]
    assert errors["fog"] == {str(s): pytest.approx(s / 10) for s in range(1, 6)}
    assert errors["snow"] == errors["fog"]
    assert found.images == 100
    assert found.fingerprint == entry_fingerprint(CORRUPTED, data, tmp_path)
    assert "fog/1" not in found.scores["missing"]
    assert "zoom_blur/1" in found.scores["missing"]
    _, text = check_data(replace(plan, evaluation=(CORRUPTED,)), tmp_path, verify=False)
    assert f"found: {tmp_path}/C: 10 of 75 sets\n" in text


def test_arrays_have_no_published_baseline(tmp_path: Path):
    from wavetwin.runtime.evaluation.baselines import CORRUPTIONS

    write_arrays(tmp_path / "C", list(CORRUPTIONS))
    data = load_data(make_plan(mean=(0.0,), std=(1.0,)))
    scores = evaluate_entry(CORRUPTED, ByBrightness(10), data, CPU, data_root=tmp_path).scores
    assert scores["mean_top1_error"] == pytest.approx(0.3)
    assert not {"mce", "mce_against_AI", "baseline", "missing"} & set(scores)
    again = evaluate_entry(
        CORRUPTED,
        ByBrightness(10),
        data,
        CPU,
        data_root=tmp_path,
        baseline=Baseline("its own", scores),
    )
    assert again.scores["mce"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("name", "values", "label"),
    [
        ("labels", np.arange(50), "has classes from 0 to 49, the model has 10: 0 to 9"),
        ("labels", np.zeros(49, int), "for 5 severities"),
        ("labels", np.zeros((50, 1)), "whole numbers"),
        ("fog", np.zeros((40, 12, 12, 1), np.uint8), r"uint8 \(50, height"),
        ("fog", np.zeros((50, 12, 12, 1)), "of float64"),
        ("fog", np.array([{}]), "cannot be read"),
        ("fog", b"version https://git-lfs.github.com/spec/v1\nsize 5\n", "it is a pointer of Git"),
        ("labels", b"<html>", "it is a page of HTML"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, values: np.ndarray | bytes, label: str
):
    write_arrays(tmp_path / "C", ["fog"])
    file = tmp_path / "C" / f"{name}.npy"
    if isinstance(values, bytes):
        file.write_bytes(values)
    else:
        np.save(file, values)
    with pytest.raises(RunError, match=label) as error:
        evaluate_entry(CORRUPTED, ByBrightness(10), load_data(make_plan()), CPU, data_root=tmp_path)
    assert str(file) in str(error.value)


def test_a_subset_reads_its_folders_of_imagenet_c(tmp_path: Path):
    kept = [WNIDS[0], WNIDS[2]]
    for part in ("train", "val"):
        write_shades(tmp_path / part, kept)
    write_shades(tmp_path / "C/fog/1", list(WNIDS))
    plan = make_plan(
        **FOLDER | {"mean": (0.0,) * 3, "std": (1.0,) * 3, "num_classes": 2},
        evaluation=(CORRUPTED,),
    )
    data = load_data(plan, data_root=tmp_path, workers=0)
    found = evaluate_entry(CORRUPTED, ByBrightness(2), data, CPU, data_root=tmp_path)
    assert found.scores["top1_error"] == {"fog": {"1": 0.0}}
    assert found.images == 2
    _, text = check_data(plan, tmp_path, verify=False)
    assert f"fog/1: {WNIDS[0]} is class 0, {WNIDS[2]} is class 1; 1 other folders are not" in text


def test_check_says_which_folder_is_which_class(tmp_path: Path):
    for part in ("train", "val"):
        write_shades(tmp_path / part, [str(n) for n in range(12)])
    plan = make_plan(**FOLDER | {"num_classes": 12})
    complete, text = check_data(plan, tmp_path, verify=False)
    assert complete
    shown = text.split("classes of all training and test images:\n")[1]
    assert shown == (
        "".join(f"  class {n}: {n}, 1 train, 1 test\n" for n in range(3))
        + "  ...\n"
        + "".join(f"  class {n}: {n}, 1 train, 1 test\n" for n in (9, 10, 11))
        + "complete\n"
    )
    _, text = check_data(make_plan(**FOLDER | {"num_classes": 5}), tmp_path, verify=False)
    assert "help: write `data: {num_classes: 12}` in the spec" in text
    assert "how to get it" not in text


def test_a_run_under_another_order_of_classes_is_refused(tmp_path: Path):
    names = ("1", "2", "10")
    check_class_order({CLASS_NAMES: ["1", "2", "10"]}, names, tmp_path)
    check_class_order({}, ("01", "02", "10"), tmp_path)
    check_class_order({}, None, tmp_path)
    with pytest.raises(RunError, match=r"trained with 10 as class 1, .*; here class 1 is 2") as old:
        check_class_order({}, names, tmp_path)
    assert "02 before 10" in str(old.value)
    with pytest.raises(RunError, match="trained with cow as class 2; here class 2 is dog"):
        check_class_order({CLASS_NAMES: ["a", "b", "cow"]}, ("a", "b", "dog"), tmp_path)
    weights = tmp_path / "run/checkpoints/epoch-1/weights.safetensors"
    check_order_beside(weights, names)
    (tmp_path / "run").mkdir()
    manifest = {"wavetwin_run": 1, CLASS_NAMES: ["1", "10", "2"]}
    (tmp_path / "run/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(RunError, match="here class 1 is 2"):
        check_order_beside(weights, names)
