"""`wavetwin data check --sheet`: a page with the numbers and a few images of each class."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.html_pages import Page
from tests.support.photographs import piece
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.runtime.data import load_data
from wavetwin.runtime.data.transforms import augment, fit
from wavetwin.runtime.process.random_streams import image_random

SPEC = """wavetwin: 1
backbone: {arch: sequential, layers: [{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, kernel_size: 3, norm: batch}
data: DATA
"""
OWN = "{dataset: folder, num_classes: 2, image_size: [16, 24], validation: 1, augmentation: pad_crop_flip}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAVETWIN_DATA", str(tmp_path))
    return tmp_path


def write_images(root: Path) -> None:
    for split, count in (("train", 12), ("test", 3)):
        for n in range(count):
            file = root / split / ("<i>jay", "wren & co")[n % 2] / f"{n:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            piece(n, 32).save(file)


def strips(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def test_the_page_shows_what_training_and_evaluation_see(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(project)
    (project / "train/wren & co/03.png").write_bytes(b"no image")
    path = project / "own.yaml"
    path.write_text(SPEC.replace("DATA", OWN), encoding="utf-8")
    assert cli.main(["data", "check", "own.yaml", "--sheet", "sheet.html"]) == 0
    assert capsys.readouterr().out.endswith("sheet: sheet.html\n")
    page = (project / "sheet.html").read_text(encoding="utf-8")
    Page(page)
    assert "<i>jay" not in page
    assert "0: &lt;i&gt;jay (5 train, 1 validation, 2 test)" in page
    assert "1: wren &amp; co (5 train, 1 validation, 1 test)" in page
    plan = compile_spec(path, project=project).plan
    first, second = strips(page)
    # 64 pixels are four times 16. The first image of a class is held out, a damaged one left out.
    assert first.shape == (64, 4 * (96 + 2) + 10 + 2 * (96 + 2), 3)
    assert second.shape == (64, 3 * (96 + 2) + 10 + 96 + 2, 3)
    assert "03.png cannot be read as an image" in page
    for place, number in enumerate((2, 4, 6, 8)):
        index = number // 2  # in the training images, class by class
        image = torch.from_numpy(np.array(piece(number, 32))).permute(2, 0, 1) / 255
        seen = augment(image, "pad_crop_flip", (16, 24), image_random(plan.seed, 0, index))
        part = first[::4, place * 98 : place * 98 + 96 : 4]
        assert np.array_equal(part, (255 * seen).round().byte().permute(1, 2, 0).numpy())
    image = torch.from_numpy(np.array(piece(2, 32))).permute(2, 0, 1) / 255
    part = first[::4, 4 * 98 + 10 + 98 : 4 * 98 + 10 + 98 + 96 : 4]
    expected = (255 * fit(image, (16, 24))).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(part, expected)


def test_arrays_and_test_images_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "digits.yaml").write_text(
        SPEC.replace("DATA", "{dataset: digits}"), encoding="utf-8"
    )
    assert cli.main(["data", "check", "digits.yaml", "--sheet", "digits.html"]) == 0
    page = (project / "digits.html").read_text(encoding="utf-8")
    Page(page)
    data = load_data(compile_spec(project / "digits.yaml", project=project).plan)
    counts = torch.bincount(data.train.source.labels[data.train.indices]).tolist()
    assert [f"{counts[n]} train" in page for n in range(10)] == [True] * 10
    assert len(strips(page)) == 10
    assert strips(page)[0].ndim == 2
    write_images(project)
    (project / "train").rename(project / "away")
    (project / "own.yaml").write_text(SPEC.replace("DATA", OWN), encoding="utf-8")
    assert cli.main(["data", "check", "own.yaml", "--sheet", "own.html"]) == 1
    assert "(0 train, 0 validation, 2 test)" in (project / "own.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["data", "check", "own.yaml", "--sheet", "own.txt"]) == 2
    assert "a sheet is a page, not own.txt" in capsys.readouterr().err
    assert not (project / "own.txt").exists()
