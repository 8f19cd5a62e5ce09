"""Images of one's own in tar files, read by an index without unpacking them."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.photographs import piece
from wavetwin.commands.data_check import check_data
from wavetwin.commands.data_lock import lock_images
from wavetwin.compiler.compiled import compile_spec
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.tar_shards import INDEX
from wavetwin.runtime.process.errors import RunError

SPEC = """wavetwin: 1
backbone: {arch: sequential, layers: [{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, kernel_size: 3, norm: batch}
data: {dataset: shards, folder: birds, image_size: [8, 12], augmentation: crop_flip, normalise: none}
training: {batch_size: 5, epochs: 1}
"""
CLASSES = ("jay", "robin", "wren")


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    piece(number, 16).save(buffer, "PNG")
    return buffer.getvalue()


def pack(file: Path, names: Sequence[str], first: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for number, name in enumerate(names, start=first):
            member = tarfile.TarInfo(name)
            content = png(number)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def names(first: int, count: int) -> list[str]:
    return [f"{CLASSES[n % 3]}/{n:02}.png" for n in range(first, first + count)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pack(tmp_path / "birds/train-000.tar", ["README.txt", ".hidden/a.png", *names(0, 9)], first=-2)
    pack(tmp_path / "birds/train-001.tar", names(9, 9), first=9)
    pack(tmp_path / "birds/test-000.tar", names(20, 6), first=20)
    return tmp_path


def locked(root: Path) -> TrainingPlan:
    path = root / "birds.yaml"
    path.write_text(SPEC, encoding="utf-8")
    lock_images(path, project=root, data_root=root)
    path.write_text(SPEC.replace("1\n", "1\nextends: _birds.yaml\n", 1), encoding="utf-8")
    return compile_spec(path, project=root).plan


def test_images_are_those_that_were_packed(root: Path) -> None:
    path = root / "birds.yaml"
    path.write_text(SPEC, encoding="utf-8")
    text = lock_images(path, project=root, data_root=root)
    assert f"{root}/birds/index.npz: written, 24 images in 3 tar files\n" in text
    assert "3 classes; images: 18 train, 6 test" in text
    plan = locked(root)
    data = load_data(plan, data_root=root, workers=0)
    assert data.class_names == CLASSES
    assert [len(x) for x in (data.train, data.validation, data.test)] == [15, 3, 6]
    (batch,) = data.evaluation_batches("test", lambda x: x, 6)
    for position, image in enumerate(batch.images):
        pixels = torch.from_numpy(np.array(piece(20 + position, 16)))
        assert torch.equal((255 * image).round().permute(1, 2, 0).long(), pixels)
    assert batch.labels.tolist() == [(20 + n) % 3 for n in range(6)]
    # By several processes, and from the second step on.
    whole = list(data.training_batches(0))
    for found, expected in zip(
        load_data(plan, data_root=root, workers=2).training_batches(0, 1), whole[1:], strict=True
    ):
        assert torch.equal(found.images, expected.images)
    complete, shown = check_data(plan, root, verify=False)
    assert complete
    assert f"  found: {root}/birds\n" in shown


def test_test_images_alone(root: Path) -> None:
    for file in (root / "birds").glob("train-*.tar"):
        file.unlink()
    data = load_data(locked(root), data_root=root, workers=0)
    assert (len(data.train), len(data.test)) == (0, 6)
    with pytest.raises(RunError, match=r"no training images: there is no .*/birds/train-\*\.tar"):
        data.split("train")


def test_other_tar_files_than_those_of_the_index(root: Path) -> None:
    plan = locked(root)
    pack(root / "birds/train-002.tar", names(30, 3), first=30)
    with pytest.raises(RunError, match=r"is of other tar files .*: train-002\.tar"):
        load_data(plan, data_root=root)
    (root / "birds/train-002.tar").unlink()
    shard = root / "birds/train-001.tar"
    shard.write_bytes(shard.read_bytes() + bytes(512))
    with pytest.raises(RunError, match=r"is of other tar files .*: train-001\.tar"):
        load_data(plan, data_root=root)
    (root / "birds" / INDEX).write_bytes(b"no index")
    with pytest.raises(RunError, match=r"index\.npz cannot be read"):
        load_data(plan, data_root=root)
    (root / "birds" / INDEX).unlink()
    with pytest.raises(RunError, match="the index of the tar files") as error:
        load_data(plan, data_root=root)
    assert error.value.remedy == "`wavetwin data prepare SPEC` writes it"


def test_a_damaged_image_is_named_by_both_names(root: Path) -> None:
    plan = locked(root)
    shard = root / "birds/test-000.tar"
    content = bytearray(shard.read_bytes())
    start = content.index(png(21))
    content[start : start + 8] = bytes(8)
    shard.write_bytes(content)
    data = load_data(plan, data_root=root, workers=0)
    with pytest.raises(
        RunError, match=r"birds/test-000\.tar/jay/21\.png cannot be read as an image"
    ):
        list(data.evaluation_batches("test", lambda x: x, 6))
    skipping = load_data(plan, data_root=root, workers=0, on_bad_image="skip")
    (batch,) = skipping.evaluation_batches("test", lambda x: x, 6)
    assert batch.positions.tolist() == [0, 2, 3, 4, 5]
    shard.write_bytes(content[:start])
    with pytest.raises(RunError, match="is cut off"):
        data.test.source.load([1])


FAULTS = {
    "no class": (["a.png"], "has a.png, which is in no class"),
    "out": (["../jay/a.png"], r"has \.\./jay/a\.png, which is in no class"),
    "twice": (["jay/a.png", "jay/a.png"], "has jay/a.png twice"),
    "in two": (["jay/00.png"], r"train-002\.tar has jay/00\.png, which train-000\.tar has, too"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_tar_files_are_named(root: Path, name: str) -> None:
    members, message = FAULTS[name]
    pack(root / "birds/train-002.tar", members)
    with pytest.raises(RunError, match=message):
        locked(root)
    assert not (root / "birds" / INDEX).exists()


def test_packed_and_missing_tar_files(root: Path) -> None:
    packed = root / "birds/train-001.tar"
    packed.write_bytes(gzip.compress(packed.read_bytes()))
    with pytest.raises(RunError, match="cannot be read as a plain tar file"):
        locked(root)
    packed.unlink()
    pack(root / "birds/test-001.tar", ["owl/1.png"])
    with pytest.raises(RunError, match=r"different classes; owl in .*test-\*\.tar alone"):
        locked(root)
    for file in (root / "birds").glob("*.tar"):
        file.unlink()
    with pytest.raises(RunError, match=r"has no train-\*\.tar"):
        locked(root)


def test_a_model_of_other_classes(root: Path) -> None:
    plan = locked(root)
    other = replace(plan, data=replace(plan.data, num_classes=4, lock=None))
    with pytest.raises(RunError, match="has 3 classes, the spec says 4"):
        load_data(other, data_root=root)
