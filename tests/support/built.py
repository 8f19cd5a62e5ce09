"""A real build of a small experiment on a folder of images, for tests of what is deployed."""

from __future__ import annotations

import random
from pathlib import Path

from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.render.files import render
from wavetwin.compiler.render.write import Written, build_folder, write_build
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.package import imported_package
from wavetwin.provenance.record import collect_provenance

SPEC = """
wavetwin: 1
name: small
summary: "{summary}"
backbone: {{arch: sequential, layers: [{{flatten: {{}}}}, {{linear: {{}}}}]}}
stem:
  free_channels: 2
  kernel_size: 3
  stride: 4
  wavelet:
    levels: 2
    exclude: [lowpass, edges]
    keep: [{{band: 1, channels: 3, groups: 3}}]
data: {{dataset: folder, num_classes: 2, image_size: 16, validation: 1}}
training: {{epochs: {epochs}, batch_size: 4}}
evaluation: [{{mode: one_crop}}]
"""
IMAGES_PER_CLASS = 5


def write_spec(project: Path, summary: str = "s", epochs: int = 1) -> Path:
    project.mkdir(parents=True, exist_ok=True)
    (project / ".wavetwin.toml").touch()
    path = project / "small.yaml"
    path.write_text(SPEC.format(summary=summary, epochs=epochs), encoding="utf-8")
    return path


def write_images(root: Path) -> Path:
    """Two classes of noise, a dark and a bright one, in the layout of `folder`."""
    from PIL import Image

    draw = random.Random(0)
    for split in ("train", "val"):
        for name, light in (("bright", 150), ("dark", 0)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(IMAGES_PER_CLASS):
                pixels = bytes(light + draw.randrange(100) for _ in range(20 * 20 * 3))
                Image.frombytes("RGB", (20, 20), pixels).save(folder / f"{number}.png")
    return root


def build(spec: Path, standalone: bool = False, force: bool = False) -> Written:
    """Build without git, as `wavetwin build --no-git` does."""
    compiled = compile_spec(spec)
    provenance = collect_provenance(compiled.files, compiled.project, GitState(), no_git=True)
    copied = imported_package() if standalone else None
    files = render(compiled, provenance, standalone=copied)
    return write_build(files, build_folder(compiled), force)
