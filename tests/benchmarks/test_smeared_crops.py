"""The demo's images: smears against their definition, splits by photograph, the same every time."""

from __future__ import annotations

import hashlib
import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tests.support.paths import ROOT
from wavetwin.runtime.process.errors import RunError

crops = importlib.import_module("benchmarks.smeared_crops")


def test_every_photograph_lies_in_a_wheel_and_in_one_split() -> None:
    names = [each.file for each in crops.PHOTOGRAPHS]
    assert names == sorted(set(names))
    assert all(each.path().is_file() for each in crops.PHOTOGRAPHS)
    assert all(each.licence for each in crops.PHOTOGRAPHS)
    splits = [crops.split_of(each) for each in crops.PHOTOGRAPHS]
    assert (splits.count("train"), splits.count("test")) == (9, 4)
    with pytest.raises(RunError, match=r"the photograph none\.png is not in scikit-image as"):
        crops.Photograph("none.png", "scikit-image", "none").path()


@pytest.mark.parametrize("direction", range(6))
def test_a_smear_is_a_line_of_its_length_and_direction(direction: int) -> None:
    kernel = crops.smear_kernel(direction)
    assert kernel.sum() == pytest.approx(1)
    across = np.arange(len(kernel)) - len(kernel) // 2
    x, y = np.meshgrid(across, -across)
    assert (kernel * x).sum() == pytest.approx(0)
    assert (kernel * y).sum() == pytest.approx(0)
    moments = np.array([[x * x, x * y], [y * x, y * y]])
    values, vectors = np.linalg.eigh((kernel * moments).sum(axis=(2, 3)))
    angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1])) % 180
    assert min(abs(angle - 30 * direction), 180 - abs(angle - 30 * direction)) < 0.5
    # Of a line of length L the variance along it is L^2 / 12; points are spread by less than 1/2.
    assert values[1] == pytest.approx(crops.LENGTH**2 / 12, abs=0.5)
    assert values[0] < 0.5
    image = np.random.default_rng(direction).uniform(0, 255, (24, 31))
    reach = len(kernel) // 2
    expected = ndimage.convolve(image, kernel)[reach:-reach, reach:-reach]
    np.testing.assert_allclose(crops.smear(image, direction), expected, atol=1e-9)


def test_crops_are_the_same_again_and_no_photograph_is_in_two_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("chelsea.png", "coins.png", "coffee.png", "rocket.jpg")
    few = tuple(each for each in crops.PHOTOGRAPHS if each.file in names)
    monkeypatch.setattr(crops, "PHOTOGRAPHS", few)
    monkeypatch.setattr(crops, "TRAIN_CROPS", 2)
    monkeypatch.setattr(crops, "TEST_CROPS", 3)
    folders = [tmp_path / "a", tmp_path / "b"]
    (tmp_path / "a/train/000").mkdir(parents=True)
    (tmp_path / "a/train/000/left-over.png").write_bytes(b"")
    found: list[dict[str, str]] = []
    for folder in folders:
        assert crops.write_crops(folder) == {"train": 36, "test": 18}
        files = sorted(folder.rglob("*.png"))
        found.append(
            {
                file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
                for file in files
            }
        )
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 54
    photographs: dict[str, set[str]] = {"train": set(), "test": set()}
    counts: dict[tuple[str, str], int] = {}
    for name in found[0]:
        split, degrees, file = name.split("/")
        photographs[split].add(file.rsplit("-", 1)[0])
        counts[split, degrees] = counts.get((split, degrees), 0) + 1
        with Image.open(folders[0] / name) as image:
            assert image.mode == "L"
            assert image.size == ((48, 48) if split == "train" else (52, 52))
            # Crops have something to be smeared.
            assert np.asarray(image, float).std() > 1
    assert photographs == {"train": {"chelsea", "coffee", "rocket"}, "test": {"coins"}}
    classes = ["000", "030", "060", "090", "120", "150"]
    assert counts == {("train", each): 6 for each in classes} | {
        ("test", each): 3 for each in classes
    }


def test_the_page_names_every_photograph_with_its_licence_and_split() -> None:
    page = (ROOT / "docs/demo.md").read_text(encoding="utf-8")
    rows = [
        f"| `{each.file}` | {each.package} | {each.licence} | {crops.split_of(each)} |"
        for each in crops.PHOTOGRAPHS
    ]
    assert "\n".join(rows) in page
