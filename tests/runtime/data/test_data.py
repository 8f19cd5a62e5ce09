"""Readers, splits, augmentation and batches."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from PIL import Image

from tests.support.data_files import write_cifar
from tests.support.paths import ROOT
from tests.support.plans import make_plan
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.datasets.mnist import Idx
from wavetwin.runtime.data import find_data_root, load_data
from wavetwin.runtime.data.availability import look_for
from wavetwin.runtime.data.transforms import augment, fit, five_crops, resize
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.random_streams import epoch_order, image_random


def write_idx(file: Path, values: torch.Tensor) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    content = bytes((0, 0, 8, values.ndim)) + sizes + values.to(torch.uint8).numpy().tobytes()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


def write_mnist(root: Path, folder: str = "MNIST", suffix: str = "") -> None:
    generator = torch.Generator().manual_seed(0)
    for prefix, count in (("train", 30), ("t10k", 10)):
        images = torch.randint(0, 256, (count, 28, 28), generator=generator)
        write_idx(root / folder / "raw" / f"{prefix}-images-idx3-ubyte{suffix}", images)
        labels = torch.arange(count) % 10
        write_idx(root / folder / "raw" / f"{prefix}-labels-idx1-ubyte{suffix}", labels)


def write_folder(root: Path, sets: tuple[str, ...] = ("train", "val"), classes: int = 3) -> None:
    for split in sets:
        for label in range(classes):
            for number in range(4):
                file = root / split / f"class{label}" / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                size = (20 + 4 * number, 24)
                Image.new("RGB", size, (60 * label, 10 * number, 200)).save(file)


FOLDER = {
    "dataset": "folder",
    "channels": 3,
    "num_classes": 3,
    "image_size": 16,
    "mean": None,
    "std": None,
    "validation": 1,
    "validation_per_class": True,
    "training_images": None,
}
MNIST = {"dataset": "mnist", "validation": 6, "training_images": 24}


def test_digits_split_is_fixed():
    data = load_data(make_plan(validation=200, training_images=1237))
    assert (len(data.train), len(data.validation), len(data.test)) == (1237, 200, 360)
    assert data.validation.indices.tolist() == list(range(200))
    source = data.train.source
    assert source.maximum == 16
    assert source.labels[:10].tolist() == list(range(10))


def test_checksums_are_torchvisions():
    from wavetwin.runtime.process.torchvision_compat import import_torchvision

    datasets = import_torchvision().datasets
    for name, known in (("mnist", datasets.MNIST), ("fashion_mnist", datasets.FashionMNIST)):
        sums = DATASETS[name].checksums
        packed = {file: md5 for file, md5 in sums.items() if file.endswith(".gz")}
        assert dict(known.resources) == packed
    for name, known in (("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100)):
        assert dict([*known.train_list, *known.test_list]) == DATASETS[name].checksums
    assert DATASETS["imagenet"].archives == datasets.imagenet.ARCHIVE_META


def test_every_checksum_is_compared_without_torchvision(tmp_path: Path):
    """In a process where importing torchvision fails."""
    write_mnist(tmp_path, suffix=".gz")
    write_mnist(tmp_path, "FashionMNIST", suffix=".gz")
    write_cifar(tmp_path, "cifar10")
    write_cifar(tmp_path, "cifar100")
    program = """
import sys
sys.modules["torchvision"] = None
from pathlib import Path
from tests.support.data_files import write_cifar
from tests.support.plans import make_plan
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.data.readers import find_images
for name in ("mnist", "fashion_mnist", "cifar10", "cifar100"):
    official = Official(allow_other=True)
    find_images(make_plan(dataset=name).data, Path(sys.argv[1]), official)
    print(len([note for note in official.notes if "has the MD5" in note]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == ["4", "4", "6", "2"]


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")]
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path: Path, name: str, folder: str, suffix: str):
    write_mnist(tmp_path, folder, suffix)
    data = load_data(
        make_plan(**MNIST | {"dataset": name}), data_root=tmp_path, allow_other_data=True
    )
    assert (len(data.train), len(data.validation), len(data.test)) == (24, 6, 10)
    assert data.test.source.labels.tolist() == list(range(10))


KMNIST = Idx(
    name="kmnist",
    num_classes=10,
    channels=1,
    image_size=28,
    training_images=60000,
    test_images=10000,
    validation=5000,
    per_class=False,
    augmentation="pad_crop",
    mean=None,
    std=None,
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    checksums={
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    },
    how_to_get="the Center for Open Data in the Humanities has the four .gz files: put them in "
    "KMNIST/raw, unpacked or not",
    folder="KMNIST",
)


def test_a_data_set_that_is_added_is_found_read_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(DATASETS, KMNIST.name, KMNIST)
    data = make_plan(**MNIST | {"dataset": KMNIST.name}).data
    missing = look_for(data, tmp_path).missing
    assert missing == [f"{tmp_path / 'KMNIST/raw' / name} (or .gz)" for name in KMNIST.files]
    write_mnist(tmp_path, "KMNIST", ".gz")
    availability = look_for(data, tmp_path, verify=True)
    assert availability.counts == {"train": 24, "validation": 6, "test": 10}
    assert availability.pairs[0].startswith("class 0: o, ")
    checked = [text for text in availability.differences if "has the MD5" in text]
    assert len(checked) == len(KMNIST.checksums)


def test_missing_and_damaged_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("WAVETWIN_DATA", raising=False)
    plan = make_plan(**MNIST)
    with pytest.raises(RunError, match="no data root is known") as unknown:
        load_data(plan)
    assert "--data-root" in str(unknown.value)
    assert "WAVETWIN_DATA" in str(unknown.value)
    with pytest.raises(RunError, match=r"no train-images-idx3-ubyte or .*\.gz in .*MNIST"):
        load_data(plan, data_root=tmp_path)
    write_mnist(tmp_path)
    file = tmp_path / "MNIST/raw/train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RunError, match="not a whole idx file"):
        load_data(plan, data_root=tmp_path)


def test_official_data_are_asked_for(tmp_path: Path):
    write_mnist(tmp_path)
    digits = make_plan(training_images=38)
    with pytest.raises(RunError, match="leaves 37 training images, the plan was built for 38"):
        load_data(digits)
    assert load_data(digits, allow_other_data=True).steps_per_epoch == 5
    with pytest.raises(RunError, match=r"train-images-idx3-ubyte has the MD5 \w{32}, the official"):
        load_data(make_plan(**MNIST), data_root=tmp_path)
    data = load_data(make_plan(**MNIST), data_root=tmp_path, allow_other_data=True)
    assert len(data.data_notes) == 5


def test_a_plan_of_an_unknown_data_set_is_refused():
    with pytest.raises(
        RunError, match="readable: arrays, cifar10, cifar100, digits, fashion_mnist"
    ):
        load_data(make_plan(dataset="imagenet21k"))


def test_folder(tmp_path: Path):
    write_folder(tmp_path)
    file = tmp_path / "statistics.json"
    plan = make_plan(**FOLDER)
    data = load_data(plan, data_root=tmp_path, statistics_file=file)
    assert data.train.indices.tolist() == [1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert data.validation.indices.tolist() == [0, 4, 8]
    assert data.mean == pytest.approx((60 / 255, 20 / 255, 200 / 255))
    assert load_data(plan, data_root=tmp_path, statistics_file=file).mean == data.mean
    images, labels, _ = next(data.training_batches(0))
    assert images.shape == (8, 3, 16, 16)
    assert len(labels) == 8
    (batch,) = data.evaluation_batches("test", lambda x: fit(x, 16), 100)
    assert batch[0].shape == (12, 3, 16, 16)
    assert batch[1].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_folder_with_test_and_val(tmp_path: Path):
    write_folder(tmp_path, ("train", "val", "test"))
    data = load_data(make_plan(**FOLDER | {"validation": 0}), data_root=tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 12, 12)
    assert data.validation.source is not data.test.source


def test_folder_classes_are_checked(tmp_path: Path):
    write_folder(tmp_path)
    with pytest.raises(RunError, match="has 3 classes, the spec says 5"):
        load_data(make_plan(**FOLDER | {"num_classes": 5}), data_root=tmp_path)
    (tmp_path / "val/class2").rename(tmp_path / "val/other")
    with pytest.raises(
        RunError, match=r"different classes; class2 in \S+/train alone; other in \S+/val alone"
    ):
        load_data(make_plan(**FOLDER), data_root=tmp_path)
    with pytest.raises(RunError, match="needs train/<class>"):
        load_data(make_plan(**FOLDER), data_root=tmp_path / "nowhere")


def test_data_root_order(tmp_path: Path):
    config = tmp_path / "wavetwin/config.toml"
    config.parent.mkdir()
    config.write_text('data_root = "/from/file"\n', encoding="utf-8")
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    both = home | {"WAVETWIN_DATA": "/from/variable"}
    assert find_data_root(Path("/from/line"), both) == Path("/from/line")
    assert find_data_root(None, both) == Path("/from/variable")
    assert find_data_root(None, home) == Path("/from/file")
    config.write_text("data_root = 3\n", encoding="utf-8")
    with pytest.raises(RunError, match="data_root is 3"):
        find_data_root(None, home)
    config.unlink()
    assert find_data_root(None, home) is None


def test_every_image_once_an_epoch_in_another_order():
    first, second = epoch_order(7, 0, 100), epoch_order(7, 1, 100)
    assert first.sort().values.tolist() == list(range(100))
    assert not torch.equal(first, second)
    assert torch.equal(first, epoch_order(7, 0, 100))


def test_augmentation_differs_by_epoch_and_image():
    image = torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(0))
    crops = [
        augment(image, "crop_flip", 12, image_random(7, epoch, index))
        for epoch, index in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert torch.equal(crops[0], crops[3])
    assert not torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[0], crops[2])


def test_random_crop_of_extreme_images():
    for height, width in ((4, 200), (200, 4), (1, 1)):
        image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))
        assert augment(image, "crop_flip", 8, Random(3)).shape == (3, 8, 8)


def test_pad_crop_moves_but_never_mirrors():
    image = torch.arange(32 * 32.0).reshape(1, 32, 32) + 1
    tops = set()
    for seed in range(200):
        crop = augment(image, "pad_crop", 32, Random(seed))
        inside = crop[crop > 0].reshape(-1, int((crop[0] > 0).any(0).sum()))
        assert bool((inside.diff(dim=1) == 1).all())
        tops.add(int((crop[0] > 0).any(1).nonzero()[0]))
    assert tops == {0, 1, 2, 3, 4}


def test_fit_and_five_crops():
    image = torch.arange(6 * 10.0).reshape(1, 6, 10)
    assert torch.equal(fit(image, 6), image[..., 2:8])
    crops = five_crops(image, 6, 4)
    assert crops.shape == (5, 1, 4, 4)
    assert torch.equal(crops[3], image[..., 2:, 6:])
    # Half the size: the antialiased filter of an integer factor averages symmetrically.
    constant = resize(torch.full((1, 8, 8), 0.25), 4, 4)
    assert torch.allclose(constant, torch.tensor(0.25))


def test_fit_matches_torchvision():
    from wavetwin.runtime.process.torchvision_compat import import_torchvision

    import_torchvision()
    from torchvision.transforms.v2 import functional

    image = torch.rand(3, 37, 53, generator=torch.Generator().manual_seed(2))
    resized = functional.resize(image, [16], antialias=True)
    assert torch.equal(fit(image, 16), functional.center_crop(resized, [16, 16]))
