"""Small data sets in the official layouts, made from real photographs."""

from __future__ import annotations

import functools
import io
import pickle  # noqa: TID251 (CIFAR's own format)
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_images

WNIDS = ("n01440764", "n01443537", "n02123045")
TINY = {"image_size": 16, "mean": (0.5,) * 3, "std": (0.25,) * 3, "channels": 3}


@functools.cache
def photographs() -> tuple[np.ndarray, ...]:
    """China, flower, astronaut, cat, coffee and rocket: uint8 (height, width, 3)."""
    own = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]
    return (*load_sample_images().images, *own, skimage.data.rocket())


def cut(number: int, height: int, width: int) -> np.ndarray:
    """A window of a photograph, another one for each number."""
    photograph = photographs()[number % 6]
    top = 37 * number % (photograph.shape[0] - height)
    left = 53 * number % (photograph.shape[1] - width)
    return photograph[top : top + height, left : left + width]


def cifar_batch(first: int, count: int, key: str = "labels", classes: int = 10) -> dict[str, Any]:
    images = [cut(first + n, 32, 32).transpose(2, 0, 1).reshape(-1) for n in range(count)]
    labels = [(first + n) % classes for n in range(count)]
    return {"batch_label": "a batch", key: labels, "data": np.stack(images)}


def cifar_files(dataset: str) -> dict[str, bytes]:
    """The batch files, of ten images each, by name."""
    if dataset == "cifar10":
        names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
        batches = {name: cifar_batch(10 * n, 10) for n, name in enumerate(names)}
    else:
        batches = {
            name: cifar_batch(100 * n, 100, "fine_labels", 100)
            | {"coarse_labels": [label // 5 for label in range(100)]}
            for n, name in enumerate(("train", "test"))
        }
    return {name: pickle.dumps(batch, protocol=2) for name, batch in batches.items()}


def write_cifar(root: Path, dataset: str) -> dict[str, bytes]:
    folder = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}[dataset]
    files = cifar_files(dataset)
    (root / folder).mkdir(parents=True)
    for name, content in files.items():
        (root / folder / name).write_bytes(content)
    return files


def write_tar(file: Path, members: Mapping[str, bytes]) -> None:
    """Write an archive, compressed where its name says so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def jpeg(number: int, mode: str = "RGB", height: int = 40, width: int = 56) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(cut(number, height, width)).convert(mode)
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def imagenet_images(per_class: int, wnids: tuple[str, ...] = WNIDS) -> dict[str, bytes]:
    """Training images by path; in each class the second is grey and the third CMYK."""
    modes = ("RGB", "L", "CMYK")
    return {
        f"{wnid}/{wnid}_{n}.JPEG": jpeg(7 * n + at, modes[n] if n < 3 else "RGB")
        for at, wnid in enumerate(wnids)
        for n in range(per_class)
    }


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def write_imagenet(root: Path, per_class: int = 4, flat: bool = False) -> Path:
    """ImageNet with three classes and two test images of each; returns its folder."""
    folder = root / "imagenet"
    write_all(folder / "train", imagenet_images(per_class))
    for at, wnid in enumerate(flat_classes()):
        name = f"ILSVRC2012_val_{at + 1:08}.JPEG"
        write_all(folder / "val", {name if flat else f"{wnid}/{name}": jpeg(60 + at)})
    return folder


def flat_classes() -> list[str]:
    """Classes of the six test images, in the order of their numbers."""
    return [WNIDS[n] for n in (2, 0, 1, 1, 0, 2)]


def write_tiny_imagenet(root: Path) -> Path:
    """Three classes of four training and two validation images; returns the folder."""
    folder = root / "tiny-imagenet-200"
    files = {
        f"train/{name.replace('/', '/images/')}": content
        for name, content in imagenet_images(4).items()
    }
    lines = []
    for n, wnid in enumerate((*WNIDS, *WNIDS)):
        files[f"val/images/val_{n}.JPEG"] = jpeg(40 + n, height=64, width=64)
        lines.append(f"val_{n}.JPEG\t{wnid}\t0\t0\t63\t63\n")
    files["val/val_annotations.txt"] = "".join(lines).encode()
    # The official list is not sorted either.
    files["wnids.txt"] = "\n".join(reversed(WNIDS)).encode()
    write_all(folder, files)
    return folder
