"""Own images read as grey or as colour: the language, what is read, and training on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.data_files import cut
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.diagnostics import CompileError
from wavetwin.explain.diff.difference import Experiment, compare
from wavetwin.ir.datasets.imagenet import IMAGENET_MEAN
from wavetwin.runtime.data import load_data
from wavetwin.runtime.network.build import build_module

SPEC = """wavetwin: 1
backbone: {{arch: {arch}}}
stem:
  free_channels: 40
  wavelet:
    levels: 2
    keep:
      - {{packets: [1, 2, 19, 17, 18, 3], channels: 12, groups: 6}}
      - {{packets: [5, 23, 10, 27], channels: 12, groups: 4}}
data: {{dataset: {dataset}, image_size: 32, augmentation: none{more}}}
training: {{batch_size: 4}}
"""


def compiled(folder: Path, more: str, dataset: str = "folder", arch: str = "resnet18") -> Compiled:
    path = folder / "spec.yaml"
    path.write_text(SPEC.format(arch=arch, dataset=dataset, more=more), encoding="utf-8")
    return compile_spec(path, project=folder)


def test_one_channel_and_three(tmp_path: Path) -> None:
    classes = ", num_classes: 2"
    usual = compiled(tmp_path, classes)
    colour = compiled(tmp_path, f"{classes}, channels: 3")
    grey = compiled(tmp_path, f"{classes}, channels: 1")
    assert colour.digest == usual.digest
    assert colour.resolved == usual.resolved
    assert usual.plan.data.mean == IMAGENET_MEAN
    assert grey.model_digest != usual.model_digest
    assert grey.resolved["data"]["channels"] == 1
    # A resolved spec is a spec: what it says again is the same experiment.
    assert grey.spec.data.num_channels == grey.plan.data.channels == 1
    assert (grey.plan.data.normalise, grey.plan.data.mean) == ("dataset", None)
    assert grey.graph.input.output_shape == (1, 32, 32)
    assert grey.spec.stem.wavelet is not None
    assert grey.spec.stem.wavelet.color_mixing is None
    assert {node.op for node in usual.graph} - {node.op for node in grey.graph} == {"colour_mixing"}
    found = compare(Experiment("a", usual), Experiment("b", grey))
    (effect,) = (each for each in found.effects if "data.channels" in each.fields)
    assert effect.kind == "colours"
    for normalise, length in (("none", 1), ("imagenet", 1)):
        plan = compiled(tmp_path, f"{classes}, channels: 1, normalise: {normalise}").plan
        assert plan.data.mean is not None
        assert len(plan.data.mean) == length


def test_other_data_sets_have_their_own(tmp_path: Path) -> None:
    for dataset, own in (("cifar10", "3 channels"), ("mnist", "1 channel")):
        with pytest.raises(CompileError) as refused:
            compiled(tmp_path, ", channels: 1", dataset)
        (diagnostic,) = refused.value.diagnostics
        assert diagnostic.code == "field-does-not-apply"
        assert f"not of {dataset}, whose images have {own}" in diagnostic.headline


def write_images(root: Path) -> dict[str, np.ndarray]:
    """Grey, colour, transparent and 16-bit files; returns the colours that they have in 8 bits."""
    colours: dict[str, np.ndarray] = {}
    for number, kind in enumerate(("L", "RGB", "RGBA", "I;16") * 2):
        pixels = cut(number, 32, 32)
        for split in ("train", "test"):
            file = root / split / "ab"[number % 2] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            if kind == "I;16":
                wide = pixels[..., 0].astype(np.uint16) << 8 | 0x7F
                Image.fromarray(wide).save(file)
                colours[file.name] = np.stack([pixels[..., 0]] * 3, -1)
            else:
                image = Image.fromarray(pixels).convert(kind)
                image.save(file)
                colours[file.name] = np.array(image.convert("RGB"))
    return colours


@pytest.mark.parametrize("channels", [1, 3])
def test_files_of_any_kind_are_read_as_the_spec_says(tmp_path: Path, channels: int) -> None:
    colours = write_images(tmp_path)
    of = compiled(tmp_path, f", num_classes: 2, channels: {channels}, normalise: dataset")
    data = load_data(of.plan, data_root=tmp_path, workers=0)
    (batch,) = data.evaluation_batches("test", lambda x: x, 8)
    names = ["0.png", "2.png", "4.png", "6.png", "1.png", "3.png", "5.png", "7.png"]
    for image, name in zip(batch.images, names, strict=True):
        expected = torch.from_numpy(colours[name]).permute(2, 0, 1).double()
        if channels == 1:
            weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
            expected = torch.einsum("c,chw->hw", weights, expected).unsqueeze(0)
        assert image.shape == (channels, 32, 32)
        assert float((255 * image - expected).abs().max()) <= 0.51
    assert len(data.mean) == len(data.std) == channels
    assert data.mean == pytest.approx(batch.images.mean((0, 2, 3)).tolist(), abs=1e-6)
    model = build_module(of.optimised_graph).eval()
    assert model(data.normalise(batch.images)).shape == (8, 2)
