"""CIFAR in the official layouts, and pickles that are not what they should be."""

from __future__ import annotations

import hashlib
import io
import os
import pickle  # noqa: TID251 (to make hostile ones)
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.data_files import TINY, cifar_files, cut, write_cifar, write_tar
from tests.support.official_data import change_dataset
from tests.support.plans import make_plan
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.plain_pickle import read_plain_pickle
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.process.errors import RunError

CIFAR10 = TINY | {"dataset": "cifar10", "validation": 5, "training_images": 45}


def test_whole_path_of_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Files with the official checksums and counts load without being asked to be lenient."""
    files = write_cifar(tmp_path, "cifar10")
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    change_dataset(monkeypatch, "cifar10", checksums=sums, test_images=10)
    data = load_data(make_plan(**CIFAR10, augmentation="crop_flip"), data_root=tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (45, 5, 10)
    assert data.data_notes == []
    assert data.validation.indices.tolist() == [0, 1, 2, 3, 4]
    batch = next(data.training_batches(0))
    assert batch.images.shape == (8, 3, 16, 16)
    whole = next(data.evaluation_batches("test", lambda x: x, 10))
    assert whole.labels.tolist() == list(range(10))
    expected = torch.from_numpy(cut(50, 32, 32).transpose(2, 0, 1).copy()) / 255
    assert torch.equal(whole.images[0], expected)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_the_archive_is_read_without_unpacking_it(tmp_path: Path, dataset: str):
    folder = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[dataset]
    archive = {"cifar10": "cifar-10-python.tar.gz", "cifar100": "cifar-100-python.tar.gz"}[dataset]
    classes = {"cifar10": 10, "cifar100": 100}[dataset]
    members = {f"{folder}/{name}": content for name, content in cifar_files(dataset).items()}
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    write_tar(packed / archive, {f"{folder}/readme.html": b"<p>", **members})
    write_cifar(unpacked, dataset)
    plan = make_plan(**CIFAR10 | {"dataset": dataset, "num_classes": classes})
    loaded = [load_data(plan, data_root=r, allow_other_data=True) for r in (packed, unpacked)]
    assert loaded[0].fingerprint == loaded[1].fingerprint
    assert [path.name for path in packed.iterdir()] == [archive]
    assert loaded[0].test.source.labels.max() == classes - 1


def test_other_files_are_refused_or_noted(tmp_path: Path):
    write_cifar(tmp_path, "cifar10")
    plan = make_plan(**CIFAR10 | {"training_images": 45000})
    with pytest.raises(RunError, match=r"data_batch_1 has the MD5 \w{32}, the official") as refused:
        load_data(plan, data_root=tmp_path)
    assert "c99cafc152244af753f735de768cd75f" in refused.value.headline
    assert "--allow-other-data" in (refused.value.remedy or "")
    data = load_data(plan, data_root=tmp_path, allow_other_data=True)
    assert len(data.data_notes) == 8
    assert "leaves 45 training images, the plan was built for 45000" in data.data_notes[6]
    assert "10 test images, the official one has 10000" in data.data_notes[7]
    assert data.steps_per_epoch == 6


def test_cifar_that_is_not_whole(tmp_path: Path):
    plan = make_plan(**CIFAR10)

    def fault() -> str:
        with pytest.raises(RunError) as error:
            load_data(plan, data_root=tmp_path, allow_other_data=True)
        assert error.value.remedy
        return error.value.headline

    assert "no cifar-10-batches-py and no cifar-10-python.tar.gz in" in fault()
    members = {f"cifar-10-batches-py/{n}": c for n, c in cifar_files("cifar10").items()}
    archive = tmp_path / "cifar-10-python.tar.gz"
    write_tar(archive, members)
    archive.write_bytes(archive.read_bytes()[:-20000])
    assert "cifar-10-python.tar.gz cannot be read" in fault()
    members.pop("cifar-10-batches-py/data_batch_3")
    write_tar(archive, members)
    assert "has no cifar-10-batches-py/data_batch_3" in fault()
    write_cifar(tmp_path, "cifar10")
    batch = tmp_path / "cifar-10-batches-py/data_batch_2"
    batch.write_bytes(batch.read_bytes()[:-1000])
    assert "data_batch_2 is not a whole pickle" in fault()
    batch.write_bytes(pickle.dumps({"data": np.zeros((2, 5), np.uint8), "labels": [0, 1]}))
    assert "data_batch_2 has not the images (data) and classes (labels)" in fault()
    batch.unlink()
    assert fault().endswith("cifar-10-batches-py has no data_batch_2")


class _Hostile:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, protocol: int):
    sentinel = tmp_path / "sentinel"
    calls = (
        (os.system, f"touch {sentinel}"),
        (eval, f"open({str(sentinel)!r}, 'w')"),
        (io.open, str(sentinel), "w"),
        (np.load, str(sentinel)),
    )
    for call in calls:
        content = pickle.dumps({"data": _Hostile(*call), "labels": []}, protocol=protocol)
        with pytest.raises(RunError, match=r"batch asks for \w+\.\w+, .*nothing was run"):
            read_plain_pickle(content, "batch")
        assert not sentinel.exists()


def test_a_hostile_batch_file_names_what_it_asked_for(tmp_path: Path):
    write_cifar(tmp_path, "cifar10")
    sentinel = tmp_path / "sentinel"
    (tmp_path / "cifar-10-batches-py/data_batch_1").write_bytes(
        pickle.dumps(_Hostile(os.system, f"touch {sentinel}"), protocol=2)
    )
    with pytest.raises(RunError, match=r"data_batch_1 asks for posix\.system"):
        load_data(make_plan(**CIFAR10), data_root=tmp_path, allow_other_data=True)
    assert not sentinel.exists()


def test_plain_values_and_arrays_are_read():
    value = {
        "a": [1, -2.5, "text", b"\x00\xff", None, True, (3, 4)],
        "b": np.arange(6, dtype=np.int16).reshape(2, 3),
        "c": np.asfortranarray(np.arange(6.0).reshape(3, 2)),
        "d": np.arange(3, dtype=">i4"),
    }
    for protocol in (0, 1, 2, 3, 4):
        read = read_plain_pickle(pickle.dumps(value, protocol=protocol), "file")
        assert read["a"] == value["a"]
        for name in "bcd":
            np.testing.assert_array_equal(read[name], value[name])


def test_arrays_of_objects_are_refused():
    for array in (np.array([{}, []], dtype=object), np.array(["2020-01-01"], "M8[D]")):
        with pytest.raises(RunError, match="not of numbers"):
            read_plain_pickle(pickle.dumps(array, protocol=2), "file")


def test_evaluation_of_small_images_at_another_size(tmp_path: Path):
    write_cifar(tmp_path, "cifar10")
    data = load_data(make_plan(**CIFAR10), data_root=tmp_path, allow_other_data=True)
    one = [batch.images for batch in data.evaluation_batches("test", lambda x: fit(x, 20), 1)]
    (whole,) = data.evaluation_batches("test", lambda x: fit(x, 20), 10)
    assert torch.equal(torch.cat(one), whole.images)


def test_the_type_of_an_array_is_one_of_numbers_and_nothing_to_evaluate() -> None:
    for code in ("01", "2,i8", "(1,)u1", "O", "U3", "i3", ""):
        content = pickle.dumps(np.zeros(2, np.uint8), protocol=2).replace(
            b"X\x02\x00\x00\x00u1", b"X" + struct.pack("<I", len(code)) + code.encode()
        )
        with pytest.raises(RunError, match="is not a whole pickle of plain values"):
            read_plain_pickle(content, "data_batch_1")


def test_a_length_beyond_the_file_takes_no_memory() -> None:
    """A bytearray of 256 MiB, of which two bytes are there."""
    content = b"\x80\x05\x96" + (1 << 28).to_bytes(8, "little") + b"ab."
    tracemalloc.start()
    with pytest.raises(RunError, match="is not a whole pickle of plain values"):
        read_plain_pickle(content, "data_batch_1")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert read_plain_pickle(pickle.dumps([bytearray(b"ab")], protocol=5), "file") == [b"ab"]


def test_a_large_number_of_a_value_takes_no_memory() -> None:
    """Six bytes that name an empty list 2,147,483,647: the reader in C would take 32 GiB for it."""
    assert read_plain_pickle(b"\x80\x02]r\xff\xff\xff\x7f.", "data_batch_1") == []
