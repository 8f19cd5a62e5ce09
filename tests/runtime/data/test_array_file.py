"""Images of one's own in a .npz file, mapped or compressed, as MedMNIST's files are."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.data_files import cut
from wavetwin.commands.data_check import check_data
from wavetwin.commands.data_lock import lock_images
from wavetwin.compiler.compiled import compile_spec
from wavetwin.diagnostics import CompileError
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.array_file import list_arrays, read_arrays
from wavetwin.runtime.data.official import Official
from wavetwin.runtime.process.errors import RunError

SPEC = """wavetwin: 1
backbone: {arch: sequential, layers: [{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, kernel_size: 3, norm: batch}
data: {dataset: arrays, file: cells.npz, num_classes: 3, image_size: [8, 12], normalise: none}
training: {batch_size: 6, epochs: 1}
"""


def colours(first: int, count: int) -> np.ndarray:
    return np.stack([cut(first + n, 20, 24) for n in range(count)])


def arrays(**changes: np.ndarray) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for number, (split, count) in enumerate((("train", 12), ("val", 3), ("test", 6))):
        found[f"{split}_images"] = colours(20 * number, count)
        found[f"{split}_labels"] = (np.arange(count) % 3).reshape(-1, 1).astype(np.uint8)
    return found | changes


def write(root: Path, content: Mapping[str, np.ndarray], *, packed: bool = False) -> Path:
    file = root / "cells.npz"
    (np.savez_compressed if packed else np.savez)(file, allow_pickle=False, **content)
    return file


@pytest.fixture
def plan(tmp_path: Path) -> TrainingPlan:
    path = tmp_path / "cells.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return compile_spec(path, project=tmp_path).plan


@pytest.mark.parametrize("packed", [False, True])
def test_every_split_is_read(tmp_path: Path, plan: TrainingPlan, packed: bool) -> None:
    given = arrays()
    write(tmp_path, given, packed=packed)
    found = read_arrays(plan.data, tmp_path, Official())
    assert found.train.is_mapped == (not packed)
    data = load_data(plan, data_root=tmp_path)
    for split in ("train", "validation", "test"):
        source = data.split(split).source
        name = {"validation": "val"}.get(split, split)
        expected = torch.from_numpy(given[f"{name}_images"]).permute(0, 3, 1, 2)
        indices = list(range(len(expected)))[::-1]
        assert torch.equal(source.load(indices), expected.flip(0))
        assert source.labels.tolist() == given[f"{name}_labels"][:, 0].tolist()
    (batch, _) = data.training_batches(0)
    assert batch.images.shape == (6, 3, 8, 12)
    assert data.validation_note == "validation: the 3 images of val"


def test_mapped_and_packed_files_are_one_data_set(tmp_path: Path, plan: TrainingPlan) -> None:
    write(tmp_path, arrays())
    first = load_data(plan, data_root=tmp_path).fingerprint
    write(tmp_path, arrays(), packed=True)
    assert load_data(plan, data_root=tmp_path).fingerprint == first
    other = arrays()
    other["train_images"][0, 0, 0, 0] ^= 1
    write(tmp_path, other)
    assert load_data(plan, data_root=tmp_path).fingerprint != first


def test_a_mapped_image_is_read_when_it_is_asked_for(tmp_path: Path, plan: TrainingPlan) -> None:
    file = write(tmp_path, arrays())
    data = load_data(plan, data_root=tmp_path)
    image = data.test.source.load([5])
    content = bytearray(file.read_bytes())
    start = content.index(arrays()["test_images"][5].tobytes())
    content[start : start + 10] = bytes(10)
    with file.open("r+b") as stream:
        stream.write(content)
    changed = data.test.source.load([5])
    assert not torch.equal(changed, image)
    assert torch.equal(changed.flatten(2)[..., 4:], image.flatten(2)[..., 4:])
    # The checksum in the file is that of the pixels of before.
    complete, text = check_data(plan, tmp_path, verify=True)
    assert not complete
    assert "has other bytes in test_images.npy than its checksum says" in text


@pytest.mark.parametrize("stored", ["L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_are_those_of_files(tmp_path: Path, stored: str, channels: int) -> None:
    images = [Image.fromarray(pixels).convert(stored) for pixels in colours(3, 6)]
    pixels = np.stack([np.asarray(image) for image in images])
    given = {f"{split}_images": pixels for split in ("train", "test")}
    given |= {f"{split}_labels": np.arange(6) % 3 for split in ("train", "test")}
    write(tmp_path, given)
    path = tmp_path / "cells.yaml"
    path.write_text(SPEC, encoding="utf-8")
    data = load_data(
        compile_spec(path, [f"data.channels={channels}"], tmp_path).plan, data_root=tmp_path
    )
    mode = "L" if channels == 1 else "RGB"
    expected = np.stack([np.asarray(image.convert(mode)) for image in images])
    expected = expected[:, None] if channels == 1 else expected.transpose(0, 3, 1, 2)
    assert torch.equal(data.test.source.load(range(6)), torch.from_numpy(expected.copy()))


def test_other_forms_of_arrays(tmp_path: Path, plan: TrainingPlan) -> None:
    given = arrays()
    columns = {name: np.asfortranarray(each) for name, each in given.items()}
    write(tmp_path, columns | {"info": np.arange(3.0)})
    own = list_arrays(plan.data, tmp_path)
    assert np.array_equal(own.sets["val"].images, given["val_images"].transpose(0, 3, 1, 2))
    only = {name: each for name, each in given.items() if name.startswith("test")}
    write(tmp_path, only)
    data = load_data(plan, data_root=tmp_path)
    assert len(data.test) == 6
    with pytest.raises(RunError, match=r"no training images: .*\.npz has no train_images") as error:
        data.split("train")
    assert "add train_images and train_labels" in (error.value.remedy or "")


WRONG: dict[str, tuple[dict[str, np.ndarray | None], str]] = {
    "floats": ({"train_images": np.zeros((12, 8, 8), np.float32)}, "train_images of float32"),
    "four channels": ({"val_images": np.zeros((3, 8, 8, 4), np.uint8)}, "3 x 8 x 8 x 4"),
    "several labels": ({"test_labels": np.zeros((6, 2), np.uint8)}, "test_labels of uint8, 6 x 2"),
    "fewer labels": ({"test_labels": np.zeros(5, np.uint8)}, "5, beside 6 images"),
    "negative": ({"train_labels": np.arange(12) - 1}, "has the class -1 in train_labels"),
    "no labels": ({"val_labels": None}, "has no val_labels"),
    "no test": ({"val_images": None, "test_images": None}, "no test_images and no val_images"),
    "classes": ({"test_labels": np.arange(6)}, "has 6 classes, the spec says 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arrays_are_named(tmp_path: Path, plan: TrainingPlan, name: str) -> None:
    changes, message = WRONG[name]
    given = {key: each for key, each in (arrays() | changes).items() if each is not None}
    write(tmp_path, given)
    with pytest.raises(RunError, match=message):
        read_arrays(plan.data, tmp_path, Official())


def test_nothing_is_unpickled_and_other_files_are_named(tmp_path: Path, plan: TrainingPlan) -> None:
    objects = np.array([{"a": 1}] * 12, dtype=object)
    np.savez(tmp_path / "cells.npz", **(arrays() | {"train_labels": objects}))
    with pytest.raises(RunError, match=r"has objects in train_labels\.npy"):
        read_arrays(plan.data, tmp_path, Official())
    for content in (b"version https://git-lfs.github.com/spec/v1\n", b"", b"PK\x03\x04"):
        (tmp_path / "cells.npz").write_bytes(content)
        with pytest.raises(RunError, match=r"cannot be read as a \.npz file"):
            read_arrays(plan.data, tmp_path, Official())
    with zipfile.ZipFile(tmp_path / "cells.npz", "w") as archive:
        archive.writestr("test_images.npy", b"no array")
    with pytest.raises(RunError, match="has no test_labels"):
        read_arrays(plan.data, tmp_path, Official())
    (tmp_path / "cells.npz").unlink()
    with pytest.raises(RunError, match=r"cells\.npz is not there"):
        read_arrays(plan.data, tmp_path, Official())


def test_the_lock_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cells.yaml"
    path.write_text(SPEC.replace(" num_classes: 3,", ""), encoding="utf-8")
    write(tmp_path, arrays())
    text = lock_images(path, project=tmp_path, data_root=tmp_path)
    assert "3 classes; images: 12 train, 3 val, 6 test" in text
    path.write_text(
        SPEC.replace(" num_classes: 3,", "").replace(
            "wavetwin: 1", "wavetwin: 1\nextends: _cells.yaml"
        ),
        encoding="utf-8",
    )
    plan = compile_spec(path, project=tmp_path).plan
    assert plan.data.lock is not None
    assert plan.data.lock.classes == ("0", "1", "2")
    assert plan.data.training_images == 12
    load_data(plan, data_root=tmp_path)
    other = arrays()
    other["train_images"][3, 2, 2, 2] ^= 255
    write(tmp_path, other)
    with pytest.raises(RunError, match="as many images as the spec's lock says"):
        load_data(plan, data_root=tmp_path)


def test_a_spec_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cells.yaml"
    path.write_text(SPEC.replace(" file: cells.npz,", ""), encoding="utf-8")
    with pytest.raises(CompileError) as refused:
        compile_spec(path, project=tmp_path)
    (fault,) = refused.value.diagnostics
    assert (fault.code, fault.headline) == ("missing-field", "dataset: arrays needs data.file")
    with pytest.raises(CompileError, match=r"needs data\.file"):
        lock_images(path, project=tmp_path)
    path.write_text(SPEC, encoding="utf-8")
    with pytest.raises(CompileError, match="split_list is a field of folder, not of arrays"):
        compile_spec(path, ["data.split_list=a.csv"], tmp_path)
