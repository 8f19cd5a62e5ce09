"""Images of the studies: what is read, cut, turned upright, and refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.photographs import piece
from wavetwin.explain.study import photographs
from wavetwin.explain.study.images import (
    MARGIN,
    SIZE,
    ImageSource,
    crop,
    find_images,
    read_batches,
)
from wavetwin.runtime.process.errors import RunError

SIDE = SIZE + 2 * MARGIN


def windows_of(sources: list[ImageSource]) -> torch.Tensor:
    batches = read_batches(sources, 3, torch.device("cpu"), torch.float64)
    return torch.cat([batch.windows for batch in batches])


def test_the_list_has_28_windows_apart_from_each_other() -> None:
    sources = photographs.bundled_photographs()
    assert len(sources) == len({source.name for source in sources}) == 28
    by_file: dict[Path, list[tuple[int, int, int]]] = {}
    for source in sources:
        assert source.window is not None
        by_file.setdefault(source.file, []).append(source.window)
    for file, positions in by_file.items():
        with Image.open(file) as image:
            width, height = image.size
        for number, (top, left, side) in enumerate(positions):
            assert 0 <= top <= height - side
            assert 0 <= left <= width - side
            for other_top, other_left, _ in positions[:number]:
                assert max(abs(top - other_top), abs(left - other_left)) >= side


def test_windows_are_the_photographs_pixels_without_the_images_mean() -> None:
    source = photographs.bundled_photographs()[0]
    assert source.window is not None
    top, left, side = source.window
    with Image.open(source.file) as image:
        grey = np.array(image.convert("L"), dtype=np.float64)[top : top + side, left : left + side]
    inside = grey[MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
    (window,) = windows_of([source])
    assert window.numpy() == pytest.approx(grey - inside.mean(), abs=1e-9)


def test_another_photograph_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(RunError, match="needs scikit-learn, which is not installed") as stop:
        photographs.bundled_photographs()
    assert stop.value.remedy is not None
    assert "wavetwin[data]" in stop.value.remedy


def test_shifts_are_crops_of_the_window() -> None:
    window = torch.arange(SIDE * SIDE, dtype=torch.float64).reshape(1, SIDE, SIDE)
    still, moved = crop(window), crop(window, (2, 3))
    # Two pixels down, three to the right: what was at (5, 7) is at (7, 10).
    assert moved[0, 7, 10] == still[0, 5, 7]
    assert torch.equal(moved[:, 2:, 3:], still[:, :-2, :-3])
    # What comes in was outside of the image, not on its other side.
    assert moved[0, 0, 0] == window[0, MARGIN - 2, MARGIN - 3]


def test_a_folder_is_read_in_order_and_orientation_is_kept(tmp_path: Path) -> None:
    upright = piece(0, 250).convert("L")
    (tmp_path / "b").mkdir()
    upright.save(tmp_path / "b" / "plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    sources = find_images([tmp_path])
    assert [source.name for source in sources] == ["a.png", "b/plain.png"]
    turned, plain = windows_of(sources)
    assert torch.equal(turned, plain)


def test_a_large_image_is_resized_to_a_short_side_of_256(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    image = piece(0, 300).convert("L").resize((1024, 512))
    image.save(file)
    (window,) = windows_of(find_images([file]))
    small = np.array(image.resize((512, 256), Image.Resampling.BILINEAR), dtype=np.float64)
    cut = small[8:248, 136:376]
    assert window.numpy() == pytest.approx(cut - cut[8:232, 8:232].mean(), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("small.png", lambda: piece(0, 239), "239 x 239"),
        ("flat.png", lambda: Image.new("L", (250, 250), 7), "of one grey level"),
    ],
)
def test_images_that_cannot_be_studied_are_named(
    tmp_path: Path, name: str, image, message: str
) -> None:
    image().save(tmp_path / name)
    with pytest.raises(RunError, match=f"{name} is .*{message}"):
        windows_of(find_images([tmp_path / name]))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(RunError, match=r"broken\.jpg cannot be read") as stop:
        windows_of(find_images([tmp_path]))
    assert stop.value.remedy == "leave it out of --images"


def test_folders_and_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no image"):
        find_images([tmp_path])
    with pytest.raises(RunError, match="is not there"):
        find_images([tmp_path / "nothing.png"])
