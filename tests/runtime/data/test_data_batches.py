"""Batches: augmentation in memory, pools of processes, damaged images, shares of processes."""

from __future__ import annotations

import io
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tests.support.data_files import TINY, cut, jpeg, write_all
from tests.support.paths import ROOT
from tests.support.plans import make_plan
from wavetwin.ir.augmentations import CROP_ATTEMPTS
from wavetwin.ir.image_transforms import known_transforms
from wavetwin.runtime.data import Batch, ExperimentData, load_data
from wavetwin.runtime.data.batch_augment import BatchAugment, random_windows, resample_windows
from wavetwin.runtime.data.decode import BadImageError, decode_image
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import STOP_SIGNALS

LISTED = tuple(
    known_transforms()[key]()
    for key in ("random_resized_crop", "random_horizontal_flip", "rand_augment", "random_erasing")
)
AUGMENTATIONS = ["crop_flip", "pad_crop_flip", "pad_crop", "none", pytest.param(LISTED, id="list")]
FOLDER = TINY | {
    "dataset": "folder",
    "num_classes": 3,
    "validation": 1,
    "validation_per_class": True,
    "training_images": None,
}


def write_folder(root: Path, per_class: int = 6) -> None:
    for at, split in enumerate(("train", "test")):
        for label in range(3):
            for number in range(per_class):
                picture = jpeg(11 * number + label + 50 * at, height=24 + number, width=30)
                write_all(root / split / f"class{label}", {f"{number}.jpg": picture})


def load(root: Path, workers: int | None = 0, on_bad_image: str = "stop", **changes: object):
    plan = make_plan(**FOLDER | changes)
    return load_data(plan, data_root=root, workers=workers, on_bad_image=on_bad_image)


def assert_equal(first: Iterable[Batch], second: Iterable[Batch]) -> None:
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)


def by_position(batches: Iterable[Batch]) -> dict[int, Tensor]:
    return {
        position: image
        for batch in batches
        for position, image in zip(batch.positions.tolist(), batch.images, strict=True)
    }


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_augmentation_depends_on_seed_epoch_and_image_alone(augmentation: Any):
    """Bit by bit the same, whatever the batch size, the first step and the processes."""
    plan = make_plan(augmentation=augmentation)
    data = load_data(plan, workers=0)
    whole = list(data.training_batches(1))
    assert [len(batch.labels) for batch in whole] == [8, 8, 8, 8, 5]
    assert_equal(whole[2:], data.training_batches(1, first_step=2))
    images = by_position(whole)
    assert sorted(images) == list(range(37))
    for size, processes in ((3, 1), (37, 1), (8, 3)):
        other = load_data(make_plan(augmentation=augmentation, batch_size=size), workers=0)
        shares = [
            by_position(other.training_batches(1, rank=rank, processes=processes))
            for rank in range(processes)
        ]
        joined = {position: image for share in shares for position, image in share.items()}
        assert sum(map(len, shares)) == 37
        assert all(torch.equal(joined[position], images[position]) for position in images)
    assert_equal(data.training_batches(1), whole)
    if augmentation != "none":
        another = by_position(data.training_batches(2))
        assert sum(not torch.equal(another[p], images[p]) for p in images) > 25


def test_shares_of_processes_make_the_batch_and_may_be_empty(tmp_path: Path):
    write_folder(tmp_path)
    folder = load(tmp_path, batch_size=4)
    for data in (load_data(make_plan(batch_size=4)), folder):
        whole = list(data.training_batches(0))
        shares = [list(data.training_batches(0, rank=rank, processes=6)) for rank in range(6)]
        for step, batch in enumerate(whole):
            parts = [share[step] for share in shares]
            assert [len(part.labels) for part in parts][4:] == [0, 0]
            assert all(part.images.shape[1:] == batch.images.shape[1:] for part in parts)
            joined = Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
            assert_equal([batch], [joined])
    assert folder.steps_per_epoch == 4


def test_evaluation_batches_are_whole_whatever_the_processes():
    data = load_data(make_plan(batch_size=50))
    whole = list(data.evaluation_batches("test", lambda x: fit(x, 12)))
    assert [len(batch.labels) for batch in whole] == [50] * 7 + [10]
    assert torch.cat([batch.positions for batch in whole]).tolist() == list(range(360))
    for rank in range(3):
        own = data.evaluation_batches("test", lambda x: fit(x, 12), rank=rank, processes=3)
        assert_equal(whole[rank::3], own)
    data.limit_batches = 2
    assert_equal(
        data.evaluation_batches("test", lambda x: fit(x, 12), rank=1, processes=3), whole[1:2]
    )
    assert list(data.evaluation_batches("test", lambda x: x, rank=2, processes=3)) == []


@pytest.mark.parametrize(("stored", "size"), [((32, 32), 32), ((40, 24), 16), ((20, 31), 28)])
def test_windows_are_resized_as_torch_does_one_by_one(stored: tuple[int, int], size: int):
    height, width = stored
    images = torch.stack(
        [
            torch.from_numpy(cut(n, height, width).transpose(2, 0, 1) / 255).float()
            for n in range(60)
        ]
    )
    generator = torch.Generator().manual_seed(3)
    heights = torch.randint(1, height + 1, (60,), generator=generator)
    widths = torch.randint(1, width + 1, (60,), generator=generator)
    tops = (torch.rand(60, generator=generator) * (height - heights + 1)).long()
    lefts = (torch.rand(60, generator=generator) * (width - widths + 1)).long()
    windows = torch.stack((tops, lefts, heights, widths), 1)
    expected = torch.cat(
        [
            functional.interpolate(
                image[None, :, t : t + h, x : x + w], (size, size), mode="bilinear", antialias=True
            )
            for image, (t, x, h, w) in zip(images, windows.tolist(), strict=True)
        ]
    )
    assert torch.allclose(resample_windows(images, windows, size), expected, atol=1e-5, rtol=0)


def window_one_by_one(height: int, width: int, row: list[float]) -> tuple[int, int, int, int]:
    """RandomResizedCrop's rule in plain Python, from the same uniform numbers."""
    for at in range(0, 4 * CROP_ATTEMPTS, 4):
        area = height * width * (0.08 + 0.92 * row[at])
        low, high = math.log(3 / 4), math.log(4 / 3)
        ratio = math.exp(low + (high - low) * row[at + 1])
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(row[at + 2] * (height - h + 1)), int(row[at + 3] * (width - w + 1)), h, w
    if width < 3 / 4 * height:
        h = round(width / (3 / 4))
        return (height - h) // 2, 0, h, width
    if width > 4 / 3 * height:
        w = round(height * 4 / 3)
        return 0, (width - w) // 2, height, w
    return 0, 0, height, width


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 31), (6, 60), (60, 4), (1, 1)])
def test_random_windows_follow_the_rule(height: int, width: int):
    generator = torch.Generator().manual_seed(height)
    uniform = torch.rand(300, 4 * CROP_ATTEMPTS, generator=generator, dtype=torch.float64)
    expected = [window_one_by_one(height, width, row) for row in uniform.tolist()]
    assert [tuple(row) for row in random_windows(height, width, uniform).tolist()] == expected


def test_windows_stay_inside_for_numbers_just_below_one():
    uniform = torch.full((1, 4 * CROP_ATTEMPTS), 1 - 2**-24, dtype=torch.float64)
    uniform[:, 0::4] = 0.5
    ((top, left, height, width),) = random_windows(32, 32, uniform).tolist()
    assert (top, left) == (32 - height, 32 - width)


def test_padded_crops_in_memory_move_and_mirror():
    """Every place is reached, the margin is black, and only `flip` mirrors."""
    image = (torch.arange(16 * 16) % 250 + 1).to(torch.uint8).reshape(1, 1, 16, 16)
    images, indices = image.expand(400, 1, 16, 16), torch.arange(400)
    padded = functional.pad(image, (2, 2, 2, 2))[0, 0].float() / 255
    offsets = {
        (top, left): padded[top : top + 16, left : left + 16]
        for top in range(5)
        for left in range(5)
    }
    for name in ("pad_crop", "pad_crop_flip"):
        found, mirrored = set(), 0
        for result in BatchAugment(name, 16, 7, 0, 400)(images, indices, 255)[:, 0]:
            straight = [offset for offset, crop in offsets.items() if torch.equal(crop, result)]
            flipped = [p for p, crop in offsets.items() if torch.equal(crop.flip(-1), result)]
            assert len(straight) + len(flipped) == 1
            found.update(straight, flipped)
            mirrored += len(flipped)
        assert found == set(offsets)
        assert mirrored == 0 if name == "pad_crop" else 150 < mirrored < 250


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_pools_give_the_same_batches(tmp_path: Path, augmentation: Any):
    write_folder(tmp_path, 4)
    data = load(tmp_path, augmentation=augmentation)
    whole = list(data.training_batches(1))
    assert [len(batch.labels) for batch in whole] == [8, 1]
    tested = list(data.evaluation_batches("test", lambda x: fit(x, 16)))
    for workers in (1, 2):
        data.loading.workers = workers
        assert_equal(data.training_batches(1), whole)
        assert_equal(data.training_batches(1, first_step=1), whole[1:])
        assert_equal(data.evaluation_batches("test", lambda x: fit(x, 16)), tested)


def test_pools_change_images_in_memory_by_a_list():
    data = load_data(make_plan(augmentation=LISTED), workers=0)
    whole = list(data.training_batches(1))
    data.loading.workers = 2
    assert_equal(data.training_batches(1), whole)


def test_reading_draws_nothing_from_the_global_stream(tmp_path: Path):
    write_folder(tmp_path)
    data = load(tmp_path, workers=1)
    before = torch.get_rng_state()
    list(data.training_batches(0))
    list(load_data(make_plan()).training_batches(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_number_of_workers(tmp_path: Path):
    write_folder(tmp_path)
    assert load(tmp_path, None).workers == min(8, len(os.sched_getaffinity(0)))
    assert load(tmp_path, 3).workers == 3
    assert load_data(make_plan()).workers == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_stops_the_run_and_is_named(tmp_path: Path, workers: int):
    write_folder(tmp_path)
    data = load(tmp_path, workers)
    file = tmp_path / "test/class1/2.jpg"
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(RunError) as error:
        list(data.evaluation_batches("test", lambda x: fit(x, 16)))
    assert error.value.headline.startswith(f"{file} cannot be read as an image: ")
    assert "--on-bad-image skip" in (error.value.remedy or "")


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_images_are_left_out(
    tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]
):
    write_folder(tmp_path)
    data = load(tmp_path, workers, "skip", batch_size=3)
    whole = by_position(data.evaluation_batches("test", lambda x: fit(x, 16)))
    files = [tmp_path / f"test/class{n // 6}/{n % 6}.jpg" for n in (4, 6, 7, 8)]
    for file in files:
        file.write_bytes(b"" if file is files[0] else file.read_bytes()[:400])
    for _ in range(2):
        batches = list(data.evaluation_batches("test", lambda x: fit(x, 16)))
        assert [len(batch.labels) for batch in batches] == [3, 2, 0, 3, 3, 3]
        assert batches[2].images.shape == (0, 3, 16, 16)
        kept = by_position(batches)
        assert sorted(whole.keys() - kept.keys()) == [4, 6, 7, 8]
        assert all(torch.equal(kept[position], whole[position]) for position in kept)
    assert list(data.bad_images) == [str(file) for file in files]
    assert data.bad_images[str(files[0])].endswith("it is empty")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("warning: left out: ") for line in lines)


def test_a_file_that_is_gone_always_stops(tmp_path: Path):
    write_folder(tmp_path)
    data = load(tmp_path, 1, "skip")
    (tmp_path / "test/class0/0.jpg").unlink()
    with pytest.raises(RunError, match=r"0\.jpg cannot be read: No such file"):
        list(data.evaluation_batches("test", lambda x: fit(x, 16)))
    with pytest.raises(ValueError, match="neither 'stop' nor 'skip'"):
        load(tmp_path, on_bad_image="ignore")


def test_a_killed_process_is_said_to_be_killed(tmp_path: Path):
    """And it is said where the batch is asked for, not between any two lines of the run's."""
    write_folder(tmp_path)
    data = load(tmp_path, workers=1)
    own = os.getpid()

    def die(image: Tensor) -> Tensor:
        assert os.getpid() != own
        os.kill(os.getpid(), signal.SIGKILL)
        return image

    before = signal.getsignal(signal.SIGCHLD)
    with pytest.raises(RunError, match="a process that reads images was killed") as error:
        list(data.evaluation_batches("test", die))
    assert "memory" in (error.value.remedy or "")
    assert signal.getsignal(signal.SIGCHLD) == before


def test_signals_to_the_group_do_not_kill_the_workers(tmp_path: Path):
    """Stopping is the run's business: it saves first, with batches still coming."""
    write_folder(tmp_path)
    data = load(tmp_path, workers=1)

    def signalled(image: Tensor) -> Tensor:
        for number in STOP_SIGNALS:
            os.kill(os.getpid(), number)
        return fit(image, 16)

    assert len(list(data.evaluation_batches("test", signalled))) == 3


def test_a_process_that_fails_does_not_wait_for_its_workers(tmp_path: Path):
    """What is left of the workers when Python exits would be waited for, and it takes no SIGTERM."""
    write_folder(tmp_path)
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.support.plans import make_plan
from wavetwin.runtime.data import load_data
plan = make_plan(**{FOLDER | {"batch_size": 2}!r})
data = load_data(plan, data_root=Path({str(tmp_path)!r}), workers=1)
batches = data.training_batches(0)
next(batches)
raise SystemError("a fault of the run's")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "a fault of the run's" in done.stderr


def test_batches_outside_the_main_thread(tmp_path: Path):
    write_folder(tmp_path)
    data: ExperimentData = load(tmp_path, workers=1)
    found: list[int] = []
    thread = threading.Thread(
        target=lambda: found.extend(len(batch.labels) for batch in data.training_batches(0))
    )
    thread.start()
    thread.join()
    assert found == [8, 7]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_images_of_every_kind(tmp_path: Path):
    """Grey, CMYK, palette, transparent, two-colour and 16-bit files."""
    pixels = cut(3, 40, 56)
    colour = Image.fromarray(pixels)
    grey = np.array(colour.convert("L"))
    palette = colour.quantize(64)
    palette.info["transparency"] = 3
    sixteen = Image.fromarray(grey.astype(np.uint16) * 256 + 200)
    files = {
        "grey.jpg": (saved(colour.convert("L"), "JPEG", quality=95), 3),
        "cmyk.jpg": (saved(colour.convert("CMYK"), "JPEG", quality=95), 6),
        "palette.png": (saved(palette, "PNG"), 40),
        "clear.png": (saved(colour.convert("RGBA"), "PNG"), 0),
        "sixteen.png": (saved(sixteen, "PNG"), 0),
        "colour.webp": (saved(colour, "WEBP", lossless=True), 0),
    }
    for name, (content, furthest) in files.items():
        (tmp_path / name).write_bytes(content)
        read = decode_image(tmp_path / name, 3)
        assert (read.dtype, read.shape) == (np.dtype(np.uint8), (3, 40, 56))
        is_grey = name in ("grey.jpg", "sixteen.png")
        expected = np.stack([grey] * 3) if is_grey else pixels.transpose(2, 0, 1)
        difference = np.abs(read.astype(int) - expected)
        assert np.quantile(difference, 0.9) <= furthest, name
        assert decode_image(tmp_path / name, 1).shape == (1, 40, 56)
    (tmp_path / "two.png").write_bytes(saved(colour.convert("1"), "PNG"))
    assert set(np.unique(decode_image(tmp_path / "two.png", 1))) == {0, 255}


def test_files_that_are_no_images(tmp_path: Path):
    colour = Image.fromarray(cut(1, 40, 56))
    png = saved(colour, "PNG")
    # Of the first data chunk, after 8 bytes of signature and 25 of header: its length is wrong.
    broken = png[:35] + bytes([png[35] ^ 1]) + png[36:]
    files = {
        "cut.png": png[:1200],
        "broken.png": broken,
        "text.jpg": b"GIF or so",
        "empty.jpg": b"",
        "fractions.tif": saved(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"),
        "wide.tif": saved(Image.fromarray(np.full((4, 4), 70000, np.int32)), "TIFF"),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadImageError, match=f"{name} cannot be read as an image: ."):
            decode_image(tmp_path / name, 3)
