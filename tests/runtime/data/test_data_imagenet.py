"""ImageNet, its subsets and Tiny ImageNet: small archives in the official layouts."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from tests.support.data_files import (
    TINY,
    WNIDS,
    flat_classes,
    imagenet_images,
    jpeg,
    write_all,
    write_imagenet,
    write_tar,
    write_tiny_imagenet,
)
from tests.support.official_data import change_dataset
from tests.support.plans import make_plan
from wavetwin.ir.datasets import DATASETS
from wavetwin.runtime.data import ExperimentData, FileImages, load_data
from wavetwin.runtime.data.prepare import prepare_imagenet
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.process.errors import RunError

IMAGENET = TINY | {
    "dataset": "imagenet",
    "num_classes": 3,
    "validation": 1,
    "validation_per_class": True,
    "training_images": 9,
    "augmentation": "crop_flip",
}


@pytest.fixture(autouse=True)
def six_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("imagenet", "imagenet20", "imagenet_t100", "tiny_imagenet"):
        change_dataset(monkeypatch, name, test_images=6)


def load(root: Path, **changes: object) -> ExperimentData:
    return load_data(make_plan(**IMAGENET | changes), data_root=root, workers=0)


def fault(root: Path, **changes: object) -> str:
    with pytest.raises(RunError) as error:
        load(root, **changes)
    assert error.value.remedy
    return error.value.headline


def test_whole_path_of_imagenet(tmp_path: Path):
    """Colour, grey and CMYK files train and are evaluated."""
    write_imagenet(tmp_path)
    data = load(tmp_path)
    assert data.data_notes == []
    assert data.validation.indices.tolist() == [0, 4, 8]
    assert data.train.source.class_names == WNIDS
    batches = list(data.training_batches(0))
    assert [len(batch.labels) for batch in batches] == [8, 1]
    assert batches[0].images.shape == (8, 3, 16, 16)
    tested = torch.cat([b.labels for b in data.evaluation_batches("test", lambda x: fit(x, 16))])
    assert tested.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("name", ["ILSVRC2012", "."])
def test_other_names_of_the_folder(tmp_path: Path, name: str):
    folder = write_imagenet(tmp_path)
    fingerprint = load(tmp_path).fingerprint
    target = tmp_path / "other" / name
    target.mkdir(parents=True)
    for part in ("train", "val"):
        (folder / part).rename(target / part)
    assert load(tmp_path / "other").fingerprint == fingerprint


def devkit_files() -> dict[str, bytes]:
    """The devkit with its classes numbered in another order than the sorted one."""
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O")]
    synsets = np.zeros(4, dtype=[*kinds, ("num_children", "O")])
    for n, wnid in enumerate((WNIDS[2], WNIDS[0], WNIDS[1])):
        synsets[n] = (n + 1, wnid, f"animal {n}, beast {n}", "a gloss", 0)
    synsets[3] = (4, "n00001740", "entity", "a gloss", 3)
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets})
    numbers = {WNIDS[2]: 1, WNIDS[0]: 2, WNIDS[1]: 3}
    truth = "".join(f"{numbers[wnid]}\n" for wnid in flat_classes())
    return {
        "ILSVRC2012_devkit_t12/data/meta.mat": stream.getvalue(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
    }


def test_flat_validation_images_with_each_list(tmp_path: Path):
    folder = write_imagenet(tmp_path, flat=True)
    assert "nothing says its classes" in fault(tmp_path)
    numbers = [WNIDS.index(wnid) for wnid in flat_classes()]
    lists = {
        "imagenet_2012_validation_synset_labels.txt": "\n".join(flat_classes()) + "\n",
        "LOC_val_solution.csv": "ImageId,PredictionString\n"
        + "".join(
            f"ILSVRC2012_val_{n:08},{wnid} 1 2 3 4 {wnid} 5 6 7 8 \n"
            for n, wnid in reversed(list(enumerate(flat_classes(), start=1)))
        ),
    }
    fingerprints = set()
    for name, text in lists.items():
        (folder / name).write_text(text, encoding="utf-8")
        data = load(tmp_path)
        assert data.test.source.labels.tolist() == numbers
        fingerprints.add(data.fingerprint)
        (folder / name).unlink()
    write_all(folder, devkit_files())
    data = load(tmp_path)
    assert data.test.source.labels.tolist() == numbers
    assert fingerprints == {data.fingerprint}


def test_lists_that_do_not_fit(tmp_path: Path):
    folder = write_imagenet(tmp_path, flat=True)
    labels = folder / "imagenet_2012_validation_synset_labels.txt"
    labels.write_text("\n".join(flat_classes()[:5]), encoding="utf-8")
    assert "has 5 classes" in fault(tmp_path)
    labels.write_text("\n".join([WNIDS[0]] * 6), encoding="utf-8")
    assert f"has no images of {WNIDS[1]}, {WNIDS[2]}" in fault(tmp_path)
    labels.unlink()
    kaggle = folder / "LOC_val_solution.csv"
    kaggle.write_text(f"ILSVRC2012_val_00000001,{WNIDS[0]} 1 2 3 4\n", encoding="utf-8")
    assert "has no class for ILSVRC2012_val_00000002.JPEG" in fault(tmp_path)
    kaggle.unlink()
    write_all(folder, devkit_files())
    meta = folder / "ILSVRC2012_devkit_t12/data/meta.mat"
    meta.write_bytes(meta.read_bytes()[:100])
    assert "cannot be understood" in fault(tmp_path)


def test_missing_and_empty_classes_are_named(tmp_path: Path):
    folder = write_imagenet(tmp_path)
    kept = tmp_path / "kept"
    (folder / f"train/{WNIDS[1]}").rename(kept)
    assert f"has 2 classes of 3; missing: {WNIDS[1]}" in fault(tmp_path)
    (folder / f"train/{WNIDS[1]}").mkdir()
    assert f"has no images of {WNIDS[1]}" in fault(tmp_path)
    (folder / f"train/{WNIDS[1]}").rmdir()
    kept.rename(folder / f"train/{WNIDS[1]}")
    (folder / f"val/{WNIDS[2]}").rename(kept)
    assert f"different classes; {WNIDS[2]} in {folder / 'train'} alone" in fault(tmp_path)
    assert "is not there: none of" in fault(tmp_path / "nowhere")


def test_counts_are_the_official_ones(tmp_path: Path):
    folder = write_imagenet(tmp_path)
    assert "leaves 9 training images, the plan was built for 90" in fault(
        tmp_path, training_images=90
    )
    next((folder / "val" / WNIDS[0]).iterdir()).unlink()
    assert "has 5 test images, the official one has 6" in fault(tmp_path)


def test_validation_that_uses_a_class_up_names_it(tmp_path: Path):
    folder = write_imagenet(tmp_path)
    for file in sorted((folder / "train" / WNIDS[1]).iterdir())[2:]:
        file.unlink()
    assert fault(tmp_path, validation=2, training_images=None) == (
        f"data.validation 2 leaves no training images of {WNIDS[1]} (2)"
    )


def test_hidden_files_are_no_images(tmp_path: Path):
    folder = write_imagenet(tmp_path)
    fingerprint = load(tmp_path).fingerprint
    (folder / f"train/{WNIDS[0]}/._{WNIDS[0]}_0.JPEG").write_bytes(b"of another system")
    (folder / f"train/{WNIDS[0]}/Thumbs.db").write_bytes(b"of another system")
    (folder / "train/.cache").mkdir()
    assert load(tmp_path).fingerprint == fingerprint


def test_subset_of_classes(tmp_path: Path):
    """Without a list the first classes in sorted order; with one, those; the fingerprint differs."""
    write_imagenet(tmp_path)
    subset = {"dataset": "imagenet20", "num_classes": 2, "training_images": None}
    with pytest.raises(RunError, match="has 4 test images"):
        load(tmp_path, **subset)

    def lenient() -> ExperimentData:
        plan = make_plan(**IMAGENET | subset)
        return load_data(plan, data_root=tmp_path, workers=0, allow_other_data=True)

    first = lenient()
    assert first.train.source.class_names == WNIDS[:2]
    assert len(first.train) == 6
    (tmp_path / "imagenet20.txt").write_text(f"{WNIDS[2]}\n{WNIDS[0]}\n", encoding="utf-8")
    chosen = lenient()
    assert chosen.train.source.class_names == (WNIDS[0], WNIDS[2])
    assert chosen.test.source.labels.tolist() == [0, 0, 1, 1]
    assert chosen.fingerprint != first.fingerprint
    (tmp_path / "imagenet20.txt").write_text(f"{WNIDS[0]}\n", encoding="utf-8")
    assert "imagenet20.txt lists 1 different classes" in fault(tmp_path, **subset)
    (tmp_path / "imagenet20.txt").write_text(f"{WNIDS[0]}\nn99999999\n", encoding="utf-8")
    assert "has no folder for n99999999" in fault(tmp_path, **subset)


def test_100_images_a_class_come_after_those_that_validate(tmp_path: Path):
    folder = tmp_path / "imagenet"
    picture = jpeg(0)
    for wnid, count in zip(WNIDS, (103, 105, 102), strict=True):
        names = [f"{wnid}/{n:04}.JPEG" for n in range(count)]
        write_all(folder / "train", dict.fromkeys(names, picture))
        write_all(folder / "val", {f"{wnid}/a.JPEG": picture, f"{wnid}/b.JPEG": picture})
    t100 = {"dataset": "imagenet_t100", "validation": 2, "training_images": 300}
    data = load(tmp_path, **t100)
    assert data.validation.indices.tolist() == [0, 1, 103, 104, 208, 209]
    assert data.train.indices.tolist() == [*range(2, 102), *range(105, 205), *range(210, 310)]
    (folder / "train" / WNIDS[2] / "0050.JPEG").unlink()
    assert f"there are fewer of {WNIDS[2]} (101)" in fault(tmp_path, **t100)


def test_tiny_imagenet(tmp_path: Path):
    write_tiny_imagenet(tmp_path)
    tiny = {"dataset": "tiny_imagenet", "augmentation": "pad_crop_flip"}
    data = load(tmp_path, **tiny)
    assert isinstance(data.test.source, FileImages)
    assert data.train.source.class_names == WNIDS
    assert [file.name for file in data.test.source.files][:2] == ["val_0.JPEG", "val_1.JPEG"]
    assert data.test.source.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert next(data.training_batches(0)).images.shape == (8, 3, 16, 16)


def test_tiny_imagenet_that_is_not_whole(tmp_path: Path):
    folder = write_tiny_imagenet(tmp_path)
    tiny = {"dataset": "tiny_imagenet"}
    annotations = folder / "val/val_annotations.txt"
    text = annotations.read_text(encoding="utf-8")
    annotations.write_text(text.replace(WNIDS[1], "n99999999"), encoding="utf-8")
    assert (
        "val_annotations.txt:2 does not give an image and a class of wnids.txt: 'val_1.JPEG"
        in fault(tmp_path, **tiny)
    )
    annotations.write_text(text.rsplit("val_5", 1)[0], encoding="utf-8")
    assert "val_annotations.txt has no class for val_5.JPEG" in fault(tmp_path, **tiny)
    annotations.write_bytes(b"\xff\xfe\x00")
    assert "val_annotations.txt cannot be read: it is not a text" in fault(tmp_path, **tiny)
    annotations.write_text(text, encoding="utf-8")
    (folder / "val/images/val_3.JPEG").unlink()
    assert "images has no val_3.JPEG" in fault(tmp_path, **tiny)
    shutil.rmtree(folder / "train" / WNIDS[0])
    assert f"train has no folder for {WNIDS[0]}" in fault(tmp_path, **tiny)
    (folder / "wnids.txt").unlink()
    assert "wnids.txt cannot be read: No such file" in fault(tmp_path, **tiny)
    assert "'tiny_imagenet' is not there" in fault(tmp_path / "nowhere", **tiny)


def official_archives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three archives of ImageNet with small contents, and their checksums where they belong."""
    inner = {}
    for wnid in WNIDS:
        members = {
            Path(name).name: content
            for name, content in imagenet_images(4).items()
            if name.startswith(wnid)
        }
        write_tar(folder / "inner.tar", members)
        inner[f"{wnid}.tar"] = (folder / "inner.tar").read_bytes()
    (folder / "inner.tar").unlink()
    validation = {f"ILSVRC2012_val_{n + 1:08}.JPEG": jpeg(60 + n) for n in range(6)}
    contents = {"train": inner, "val": validation, "devkit": devkit_files()}
    official = {}
    for kind, (name, _) in DATASETS["imagenet"].archives.items():
        write_tar(folder / name, contents[kind])
        official[kind] = name, hashlib.md5((folder / name).read_bytes()).hexdigest()
    change_dataset(monkeypatch, "imagenet", archives=official)


def test_prepare_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    official_archives(tmp_path / "archives", monkeypatch)
    lines = prepare_imagenet(DATASETS["imagenet"], tmp_path / "root", tmp_path / "archives")
    assert [line.rsplit(": ")[1] for line in lines] == ["unpacked", "unpacked"]
    assert sorted(path.name for path in (tmp_path / "root/imagenet").iterdir()) == ["train", "val"]
    # The archive's numbering is not sorted: class folders hold the images of their own class.
    write_imagenet(tmp_path / "expected")
    assert load(tmp_path / "root").fingerprint == load(tmp_path / "expected").fingerprint
    assert sorted(path.suffix for path in (tmp_path / "archives").iterdir()) == [
        ".gz",
        ".tar",
        ".tar",
    ]
    again = prepare_imagenet(DATASETS["imagenet"], tmp_path / "root", tmp_path / "archives")
    assert [line.rsplit(": ")[1] for line in again] == ["already there", "already there"]


def test_prepare_imagenet_needs_only_the_archives_of_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archives, target = tmp_path / "archives", tmp_path / "root/imagenet"
    official_archives(archives, monkeypatch)
    for kind in ("val", "devkit"):
        (archives / DATASETS["imagenet"].archives[kind][0]).unlink()
    (target / "val").mkdir(parents=True)
    lines = prepare_imagenet(DATASETS["imagenet"], tmp_path / "root", archives)
    assert [line.rsplit(": ")[1] for line in lines] == ["already there", "unpacked"]
    assert sorted(path.name for path in (target / "train").iterdir()) == sorted(WNIDS)


def test_an_archive_of_imagenet_that_leads_elsewhere_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archives, target = tmp_path / "archives", tmp_path / "root/imagenet"
    official_archives(archives, monkeypatch)
    (target / "train").mkdir(parents=True)
    name, _ = DATASETS["imagenet"].archives["val"]
    images = {f"ILSVRC2012_val_{n + 1:08}.JPEG": jpeg(60 + n) for n in range(6)}
    cases = {
        r"has a file '\.\./\.\./elsewhere', which is not flat": {"../../elsewhere": b"x"},
        "has 5 validation images, and the devkit 6 classes": dict(list(images.items())[:5]),
    }
    for message, members in cases.items():
        write_tar(archives / name, members)
        md5 = hashlib.md5((archives / name).read_bytes()).hexdigest()
        official = {**DATASETS["imagenet"].archives, "val": (name, md5)}
        change_dataset(monkeypatch, "imagenet", archives=official)
        with pytest.raises(RunError, match=message):
            prepare_imagenet(DATASETS["imagenet"], tmp_path / "root", archives)
        assert [path.name for path in target.iterdir()] == ["train"]
    assert not list(tmp_path.rglob("elsewhere"))


def test_prepare_imagenet_from_what_is_not_official(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(RunError, match=r"has no ILSVRC2012_img_train\.tar, ILSVRC2012_img_val"):
        prepare_imagenet(DATASETS["imagenet"], tmp_path / "root", tmp_path)
    archives = tmp_path / "archives"
    official_archives(archives, monkeypatch)
    with (archives / "ILSVRC2012_img_val.tar").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(RunError, match=r"ILSVRC2012_img_val\.tar has not the official MD5"):
        prepare_imagenet(DATASETS["imagenet"], tmp_path / "root", archives)
    assert list((tmp_path / "root/imagenet").iterdir()) == []
    (tmp_path / "root/imagenet/being-unpacked").mkdir()
    with pytest.raises(RunError, match="being-unpacked is there"):
        prepare_imagenet(DATASETS["imagenet"], tmp_path / "root", archives)
