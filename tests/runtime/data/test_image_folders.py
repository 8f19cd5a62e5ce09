"""Folders of images: the order of numbered classes, hidden names, links, strays, odd names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.support.plans import make_plan
from wavetwin.ir.evaluations import EVALUATIONS, Evaluation
from wavetwin.runtime.data import ExperimentData, load_data
from wavetwin.runtime.data.class_order import in_natural_order, number_classes
from wavetwin.runtime.data.folder import list_folder
from wavetwin.runtime.data.imagenet import read_imagenet
from wavetwin.runtime.data.listing import list_images
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.evaluation.entry_files import (
    corruption_sets,
    list_corrupted,
    perturbation_videos,
)
from wavetwin.runtime.evaluation.videos import read_video
from wavetwin.runtime.process.errors import RunError

FOLDER = {
    "dataset": "folder",
    "channels": 3,
    "image_size": 8,
    "mean": (0.5,) * 3,
    "std": (0.25,) * 3,
    "validation": 0,
    "training_images": None,
}


def write(root: Path, *names: str, colour: int = 0) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (colour,) * 3).save(root / name)


def names_of(root: Path) -> list[str]:
    return [os.fsdecode(bytes(name)) for name in list_folder(root).names]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["10", "9", "0", "1"], ["0", "1", "9", "10"]),
        (["010", "009", "100"], ["009", "010", "100"]),
        (["3", "02", "1", "010"], ["1", "02", "3", "010"]),
        (["0", "-1", "1", "-10"], ["-10", "-1", "0", "1"]),
        (["0.5", "0.25", "1"], ["0.25", "0.5", "1"]),
        (["class_10", "class_9", "class_0"], ["class_0", "class_9", "class_10"]),
        (["c-10", "c-9"], ["c-9", "c-10"]),
        (["10", "background", "9"], ["9", "10", "background"]),
        (["a2b10", "a2b9", "a10b1"], ["a2b9", "a2b10", "a10b1"]),
        (["n01443537", "n01440764", "n02123045"], ["n01440764", "n01443537", "n02123045"]),
        (["dog", "Cat", "cat"], ["Cat", "cat", "dog"]),
        (["٣", "2"], ["2", "٣"]),
    ],
)
def test_numbers_in_names_are_ordered_as_numbers(given: Sequence[str], expected: Sequence[str]):
    assert in_natural_order(given, Path("train")) == expected


@pytest.mark.parametrize("pair", [("1", "01"), ("0", "-0"), ("1.0", "1")])
def test_two_folders_of_one_number_are_refused(pair: tuple[str, str], tmp_path: Path):
    write(tmp_path, *(f"{name}/a.png" for name in pair), "7/a.png")
    with pytest.raises(RunError, match="which are the same number"):
        list_folder(tmp_path)


def test_a_folder_data_set_of_numbered_classes(tmp_path: Path):
    for split in ("train", "test"):
        write(tmp_path / split, *(f"{n}/a.png" for n in range(12)))
    data = load_data(make_plan(**FOLDER, num_classes=12), data_root=tmp_path, workers=0)
    assert data.class_names == tuple(map(str, range(12)))
    assert data.test.source.labels.tolist() == list(range(12))


def of_a_hundred_classes() -> ExperimentData:
    """A data set whose classes have numbers and no names, as CIFAR-100's."""
    return replace(load_data(make_plan()), plan=make_plan(num_classes=100))


def entry(mode: str) -> Evaluation:
    return EVALUATIONS.read({"mode": mode, "root": "C"}, fills=True)


def test_corruptions_and_perturbations_pair_numbers_with_classes(tmp_path: Path):
    """Folder k is class k, whatever its name is as text."""
    data = of_a_hundred_classes()
    write(tmp_path / "C/fog/1", *(f"{n}/a.png" for n in range(100)))
    files = list_corrupted(tmp_path / "C/fog/1", data)
    assert [int(files[n].parent.name) for n in range(100)] == files.labels.tolist()
    assert list(corruption_sets(entry("corruptions"), tmp_path)) == ["fog/1"]
    (tmp_path / "C").rename(tmp_path / "moved")
    write(tmp_path / "C/tilt", *(f"c{n}/video/frame{f}.png" for n in range(100) for f in (1, 2)))
    videos = perturbation_videos(entry("perturbations"), data, tmp_path)["tilt"]
    assert [(video.path.parent.name, video.label) for video in videos] == [
        (f"c{n}", n) for n in range(100)
    ]


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        ([f"class_{n}" for n in range(12)], range(12)),
        ([f"{n:03}" for n in reversed(range(12))], reversed(range(12))),
        ([f"set2_{n}_b" for n in range(12)], range(12)),
    ],
)
def test_numbers_may_have_text_around_them(names: list[str], numbers: Sequence[int]):
    found = number_classes(Path("C"), names, None, 12)
    assert found == dict(zip(names, numbers, strict=True))


@pytest.mark.parametrize(
    "names",
    [
        [str(n) for n in range(1, 13)],
        [str(-n) for n in range(12)],
        [f"c{n}" for n in range(11)] + ["d11"],
        [f"{n}_{n}" for n in range(12)],
        [chr(ord("a") + n) for n in range(12)],
        [str(n) for n in range(11)] + ["010"],
        [f"{n}.5" for n in range(11)] + ["11"],
    ],
)
def test_folders_that_do_not_say_their_class_are_refused(names: list[str]):
    with pytest.raises(RunError, match="nothing says which folder") as error:
        number_classes(Path("C"), names, None, 12)
    assert "0 to 11" in str(error.value)


def test_the_remedy_for_unnumbered_folders_works():
    names = [f"{n:03}" for n in range(12)]
    assert number_classes(Path("C"), names, None, 12)["007"] == 7
    with pytest.raises(RunError, match="has 11 classes, the model has 12"):
        number_classes(Path("C"), names[1:], None, 12)


def test_official_names_of_numbered_classes():
    numerals = ["eight", "five", "four", "nine", "one", "seven", "six", "three", "two", "zero"]
    from wavetwin.ir.datasets import DATASETS

    found = number_classes(Path("C"), numerals, None, 10, DATASETS["mnist"].class_names)
    assert (found["zero"], found["eight"]) == (0, 8)
    animals = [name.upper() for name in DATASETS["cifar10"].class_names or ()]
    assert number_classes(Path("C"), animals, None, 10, DATASETS["cifar10"].class_names)["DOG"] == 5


def test_a_subset_reads_its_classes_of_all_of_imagenet():
    known = ("n01440764", "n02123045")
    every = ["n01440764", "n01443537", "n02123045"]
    assert number_classes(Path("C"), every, known, 2) == {"n01440764": 0, "n02123045": 1}
    with pytest.raises(RunError, match="none of n02123045"):
        number_classes(Path("C"), every[:2], known, 2)
    with pytest.raises(RunError, match="__MACOSX, which the data set does not have"):
        number_classes(Path("C"), [*every, "__MACOSX"], known, 2)
    with pytest.raises(RunError, match="cow, which the data set does not have"):
        number_classes(Path("C"), ["cat", "cow", "dog"], ("cat", "dog"), 2)


def test_frames_are_ordered_as_numbers(tmp_path: Path):
    for number in (10, 2, 1):
        write(tmp_path, f"v/frame{number}.png", colour=number)
    write(tmp_path, "v/.frame3.png", "v/.thumbs/frame4.png", colour=99)
    assert read_video(tmp_path / "v", 3)[:, 0, 0, 0].tolist() == [1, 2, 10]
    write(tmp_path, "v/frame02.PNG")
    with pytest.raises(RunError, match="two frames of one number"):
        read_video(tmp_path / "v", 3)
    (tmp_path / "v/frame02.PNG").rename(tmp_path / "v/last.png")
    with pytest.raises(RunError, match=r"frames without a number: last\.png"):
        read_video(tmp_path / "v", 3)


def test_hidden_names_are_left_out_at_every_depth(tmp_path: Path):
    write(
        tmp_path,
        "cat/1.png",
        "cat/.@__thumb/1.png",
        "cat/deep/.hidden/2.png",
        "cat/deep/er/3.PNG",
        "cat/.4.png",
        "dog/1.png",
        ".trash/1.png",
    )
    assert names_of(tmp_path) == ["cat/1.png", "cat/deep/er/3.PNG", "dog/1.png"]
    assert [name for name, _ in list_images(tmp_path / "cat")] == ["1.png", "deep/er/3.PNG"]


@pytest.mark.parametrize("target", ["a", ".", "b", "b/deep", "..", "/"])
def test_links_that_lead_back_or_into_a_class_are_refused(tmp_path: Path, target: str):
    root = tmp_path / "train"
    write(root, "a/1.png", "b/1.png", "b/deep/2.png")
    link = root / "a/again"
    link.symlink_to(root / target, target_is_directory=True)
    with pytest.raises(RunError) as error:
        list_folder(root)
    assert error.value.headline.startswith(f"{link} leads ")
    # The remedy: without the link, every image counts once.
    assert str(error.value).endswith(f": delete the link, rm {link}")
    link.unlink()
    assert len(list_folder(root)) == 3


def test_two_classes_that_are_one_folder_are_refused(tmp_path: Path):
    write(tmp_path, "store/x/1.png", "train/c/1.png")
    for name in ("a", "b"):
        (tmp_path / "train" / name).symlink_to(tmp_path / "store/x", target_is_directory=True)
    with pytest.raises(
        RunError, match=r"train/b leads to \S+train/a, which is read under its own name"
    ):
        list_folder(tmp_path / "train")


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_file_that_is_reached_twice_is_refused(tmp_path: Path, order: str):
    """Whichever of link and file comes first."""
    linked, real = order
    write(tmp_path, f"{real}/1.png", f"{linked}/0.png")
    link = tmp_path / linked / "again.png"
    link.symlink_to(f"../{real}/1.png")
    with pytest.raises(RunError) as error:
        list_folder(tmp_path)
    assert (
        error.value.headline
        == f"{link} leads to {tmp_path / real / '1.png'}, which is read under its own name"
    )
    link.unlink()
    assert len(list_folder(tmp_path)) == 2


def test_two_links_to_one_file_elsewhere_are_refused(tmp_path: Path):
    write(tmp_path, "store/1.png")
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.png").symlink_to(tmp_path / "store/1.png")
    with pytest.raises(RunError, match=r"b/1\.png leads to \S+a/1\.png"):
        list_folder(tmp_path / "train")


def test_links_out_of_the_folder_are_followed(tmp_path: Path):
    """Classes and images that lie elsewhere; equal images of a store that keeps one file of them."""
    write(tmp_path, "disk/dog/1.png", "disk/2.png", "disk/.annex/SHA256-5.png")
    write(tmp_path, "train/cat/1.png")
    (tmp_path / "train/dog").symlink_to(tmp_path / "disk/dog", target_is_directory=True)
    (tmp_path / "train/cat/2.png").symlink_to(tmp_path / "disk/2.png")
    for name in ("cat/3.png", "cat/4.png"):
        (tmp_path / "train" / name).symlink_to(tmp_path / "disk/.annex/SHA256-5.png")
    os.link(tmp_path / "train/cat/1.png", tmp_path / "train/cat/5.png")
    assert names_of(tmp_path / "train") == [*(f"cat/{n}.png" for n in range(1, 6)), "dog/1.png"]


@pytest.mark.parametrize("name", ["a/2.png", "a/more", "dog"])
def test_dangling_links_are_named(tmp_path: Path, name: str):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / name).symlink_to("nowhere")
    with pytest.raises(RunError, match="leads to nowhere, which is not there") as error:
        list_folder(tmp_path)
    assert str(tmp_path / name) in error.value.headline
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(Path(name).name)
    with pytest.raises(RunError, match="leads to itself"):
        list_folder(tmp_path)


def test_what_is_no_file_is_refused(tmp_path: Path):
    write(tmp_path, "a/1.png")
    os.mkfifo(tmp_path / "a/2.png")
    with pytest.raises(RunError, match=r"2\.png is no file"):
        list_folder(tmp_path)


def test_folders_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also for root, for whom every folder can be read."""
    write(tmp_path, "a/1.png", "a/deep/2.png")
    scandir = os.scandir

    def refuse(folder: str | Path) -> object:
        if str(folder).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(RunError, match=r"a/deep cannot be read: Permission denied") as error:
        list_folder(tmp_path)
    assert "chmod" in str(error.value)


def test_deep_trees_and_names_that_are_not_utf8(tmp_path: Path):
    deep = "/".join(["d"] * 300)
    write(tmp_path, f"a/{deep}/1.png")
    odd = os.fsdecode(b"caf\xe9\n")
    write(tmp_path, f"{odd}/1.JPeG", "b/1.TIF")
    assert len(list_folder(tmp_path)) == 3
    with pytest.raises(RunError) as error:
        number_classes(tmp_path, [odd, "x"], None, 2)
    assert r"caf\udce9\n" in error.value.headline


def test_strays_in_train_are_said_of_train(tmp_path: Path):
    for wnid in ("n01440764", "n01443537"):
        write(tmp_path, f"train/{wnid}/a.JPEG", f"train/{wnid}/b.JPEG", f"val/{wnid}/c.JPEG")
    write(tmp_path, "train/__MACOSX/x.JPEG")
    plan = make_plan(
        dataset="imagenet",
        num_classes=2,
        channels=3,
        validation=1,
        validation_per_class=True,
        training_images=None,
    )
    train = tmp_path / "train"
    with pytest.raises(RunError) as strict:
        read_imagenet(plan.data, tmp_path, Official())
    assert strict.value.headline.startswith(f"{train} has 3 classes of 2")
    assert f"move __MACOSX out of {train}" in str(strict.value)
    with pytest.raises(RunError) as error:
        read_imagenet(plan.data, tmp_path, Official(allow_other=True))
    assert error.value.remedy == f"{train} has 3 classes of 2: move __MACOSX away"
    # The remedy.
    (train / "__MACOSX").rename(tmp_path / "away")
    assert len(read_imagenet(plan.data, tmp_path, Official(allow_other=True)).train.labels) == 4
    # The other way round: what val lacks is said of val.
    (tmp_path / "val/n01443537").rename(tmp_path / "kept")
    with pytest.raises(RunError) as error:
        read_imagenet(plan.data, tmp_path, Official(allow_other=True))
    assert error.value.remedy == f"{tmp_path / 'val'} has 1 classes of 2: add n01443537"


def test_strays_of_a_folder_data_set(tmp_path: Path):
    for split in ("train", "test"):
        write(tmp_path / split, *(f"{n}/a.png" for n in range(7)))
    with pytest.raises(RunError, match="has 7 classes, the spec says 5") as error:
        load_data(make_plan(**FOLDER, num_classes=5), data_root=tmp_path)
    assert "data: {num_classes: 7}" in str(error.value)
    load_data(make_plan(**FOLDER, num_classes=7), data_root=tmp_path)
    write(tmp_path, "train/extra/a.png")
    with pytest.raises(RunError) as error:
        load_data(make_plan(**FOLDER, num_classes=7), data_root=tmp_path)
    assert error.value.remedy == f"{tmp_path / 'train'} has 8 classes of 7: move extra away"
    (tmp_path / "train/extra/a.png").unlink()
    (tmp_path / "test/extra").mkdir()
    with pytest.raises(RunError, match=r"train has no images of extra") as error:
        load_data(make_plan(**FOLDER, num_classes=7), data_root=tmp_path)
    assert "move away what is no class" in str(error.value)


def test_an_image_that_cannot_be_cropped_is_named(tmp_path: Path):
    for split in ("train", "test"):
        write(tmp_path / split, "a/1.png", "b/1.png")
    data = load_data(make_plan(**FOLDER, num_classes=2), data_root=tmp_path, workers=0)

    def fail(image: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not enough memory\nmore about it")

    with pytest.raises(RunError) as error:
        list(data.evaluation_batches("test", fail))
    file = tmp_path / "test/a/1.png"
    assert str(error.value) == f"{file} (8 x 8 pixels) cannot be changed: not enough memory"
