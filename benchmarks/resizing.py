"""How far scores of moved images differ between `resize: float` and `resize: pil`.

A small network is trained to tell apart the 28 windows of bundled photographs that the studies take,
in colour, and is then evaluated on them: divergences and flip rates between an image and its moved
copies, with each resizing, not normalised, as the published scores are. Nothing is downloaded.
Never run by the tests.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

import wavetwin
from wavetwin.explain.study.photographs import bundled_photographs
from wavetwin.ir.evaluations import Shifts
from wavetwin.runtime.data import ExperimentData, load_data
from wavetwin.runtime.data.transforms import fit
from wavetwin.runtime.evaluation.entries import evaluate_entry

SIZE = 64
MARGIN = 8
SPEC = f"""\
wavetwin: 1
name: resizing
backbone:
  arch: sequential
  layers:
    - conv: {{channels: 64, kernel_size: 3}}
    - norm: {{}}
    - relu: {{}}
    - pool: {{kind: global_average}}
    - flatten: {{}}
    - linear: {{}}
stem: {{free_channels: 32, kernel_size: 7, stride: 2, norm: batch}}
pooling: {{free: max}}
data: {{dataset: folder, num_classes: 28, image_size: {SIZE}, normalise: none}}
training: {{batch_size: 28}}
evaluation:
  - {{mode: shifts, direction: diagonal, max_shift: {MARGIN}, metric: kl_divergence, normalise: false}}
  - {{mode: shifts, direction: diagonal, max_shift: {MARGIN}, metric: kl_divergence,
     pixel_divide: 2, normalise: false}}
  - {{mode: shifts, direction: diagonal, max_shift: {MARGIN}, metric: flip_rate,
     max_step: {MARGIN}, normalise: false}}
"""


def write_windows(folder: Path) -> None:
    """Write each window as a class of one image, to train and to test on."""
    for number, source in enumerate(bundled_photographs()):
        assert source.window is not None
        top, left, side = source.window
        with Image.open(source.file) as photograph:
            window = photograph.convert("RGB").crop((left, top, left + side, top + side))
        for split in ("train", "test"):
            made = folder / split / f"{number:02}"
            made.mkdir(parents=True)
            window.save(made / "window.png")


def train(model: nn.Module, data: ExperimentData, steps: int) -> float:
    """Train on windows moved at random; return the last loss."""
    stored = data.test.source
    images = torch.stack(list(stored.load(list(range(28))))).float() / 255
    images = fit(images, SIZE + MARGIN)
    labels = torch.arange(len(images))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss = torch.zeros(())
    model.train()
    for _ in range(steps):
        top, left = torch.randint(MARGIN + 1, (2,)).tolist()
        moved = images[..., top : top + SIZE, left : left + SIZE]
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(moved), labels)
        loss.backward()
        optimizer.step()
    return loss.item()


def flatten(scores: dict[str, float] | list[float] | list[list[float]]) -> Tensor:
    """Return an entry's figures, shift by shift or step by step."""
    values = list(scores.values()) if isinstance(scores, dict) else scores
    return torch.tensor(values, dtype=torch.float64).flatten()


def main() -> None:
    """Print the figures of each entry with both resizings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="of training; default: 40")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".wavetwin.toml").touch()
        (folder / "resizing.yaml").write_text(SPEC, encoding="utf-8")
        write_windows(folder)
        compiled = wavetwin.compile(folder / "resizing.yaml")
        data = load_data(compiled.plan, data_root=folder, workers=0)
        model = wavetwin.build_model(compiled)
        loss = train(model, data, options.steps)
        print(f"{options.steps} steps of training, loss {loss:.3g}")
        for entry in compiled.plan.evaluation:
            assert isinstance(entry, Shifts)
            both: list[Tensor] = []
            for how in ("float", "pil"):
                scored = replace(entry, resize=how)
                found = evaluate_entry(scored, model, data, torch.device("cpu"), is_shown=False)
                both.append(flatten(found.scores[str(entry.metric)]))
            print(f"\n{entry.metric}, diagonal, pixel_divide {entry.pixel_divide or 1}")
            print("        float        pil         pil - float")
            for ours, theirs in zip(*(each.tolist() for each in both), strict=True):
                share = f"{theirs / ours - 1:+.2%}" if ours else ""
                print(f"  {ours:.4e}   {theirs:.4e}   {theirs - ours:+.1e} {share}")


if __name__ == "__main__":
    main()
