"""Names and shapes of a weights file's tensors, read without torch and without their values."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from wavetwin.files.tensor_shapes import read_tensor_shapes

SHAPES = {"conv.weight": (4, 3, 2, 2), "norm.steps": (), "fc.weight": (10, 4)}
STATE = {name: torch.zeros(shape) for name, shape in SHAPES.items()}


def test_safetensors(tmp_path: Path):
    save_file(STATE, tmp_path / "w.safetensors", {"format": "pt"})
    assert read_tensor_shapes(tmp_path / "w.safetensors") == SHAPES


class Settings:
    """A class that nobody else has, beside the weights."""

    def __init__(self) -> None:
        self.rate = 0.1


def test_what_torch_saves(tmp_path: Path):
    file = tmp_path / "w.pth"
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    torch.save(model.state_dict(), file)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert read_tensor_shapes(file) == expected
    content: dict[str, Any] = {
        "state_dict": STATE,
        "settings": Settings(),
        "parameter": torch.nn.Parameter(torch.zeros(2, 5)),
        "half": torch.zeros(3, dtype=torch.bfloat16),
        "callbacks": [Settings(), {"a": {1, 2}}],
    }
    torch.save(content, file)
    below = {f"state_dict.{name}": shape for name, shape in SHAPES.items()}
    assert read_tensor_shapes(file) == {**below, "parameter": (2, 5), "half": (3,)}


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("made-by-a-pickle",)


def test_nothing_of_a_pickle_is_run_or_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "w.pth"
    torch.save({"state_dict": STATE, "hostile": Hostile()}, file)
    assert read_tensor_shapes(file) == {f"state_dict.{k}": v for k, v in SHAPES.items()}
    assert not (tmp_path / "made-by-a-pickle").exists()
    code = (
        "import sys; from pathlib import Path\n"
        "from wavetwin.files.tensor_shapes import read_tensor_shapes\n"
        "assert read_tensor_shapes(Path(sys.argv[1])); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"weights", b"\xff" * 40, (20).to_bytes(8, "little") + b"{}", b"\x80\x02}q\x00."],
)
def test_what_says_nothing_is_left_to_who_reads_the_file(tmp_path: Path, content: bytes):
    (tmp_path / "w.pth").write_bytes(content)
    assert read_tensor_shapes(tmp_path / "w.pth") is None
    assert read_tensor_shapes(tmp_path) is None
    assert read_tensor_shapes(tmp_path / "other") is None


def test_a_file_that_is_cut_off(tmp_path: Path):
    file = tmp_path / "w.pth"
    torch.save(STATE, file)
    file.write_bytes(file.read_bytes()[:-100])
    assert read_tensor_shapes(file) is None


def test_few_bytes_that_name_one_dictionary_very_often_take_no_time(tmp_path: Path):
    inner: dict[str, Any] = dict(STATE)
    for _ in range(4):
        inner = {str(number): inner for number in range(300)}
    torch.save(inner, tmp_path / "w.pth")
    start = time.process_time()
    assert read_tensor_shapes(tmp_path / "w.pth") is None
    assert time.process_time() - start < 5
