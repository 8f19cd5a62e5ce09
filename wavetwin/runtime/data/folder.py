"""Reader of `folder`: `train/<class>/*` and `test/<class>/*` or `val/<class>/*` images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wavetwin.compiler.plan import DataPlan
from wavetwin.runtime.data.root import ROOT_REMEDY
from wavetwin.runtime.data.sources import SourcePair
from wavetwin.runtime.errors import RunError
from wavetwin.runtime.torchvision_compat import import_torchvision


class FolderImages:
    """Image files below class folders, read when they are asked for."""

    def __init__(self, folder: Path, channels: int) -> None:
        """List the files.

        Raises:
            RunError: no classes, or a class without images.
        """
        datasets = import_torchvision().datasets
        try:
            listing = datasets.ImageFolder(str(folder))
        except (FileNotFoundError, OSError) as error:
            raise RunError(
                f"{folder} has no classes of images: {error}",
                "each class is a folder of image files",
            ) from error
        self.folder = folder
        self.class_names: tuple[str, ...] = tuple(listing.classes)
        self.files: tuple[Path, ...] = tuple(Path(path) for path, _ in listing.samples)
        self.labels: Tensor = torch.tensor([label for _, label in listing.samples])
        self.maximum = 255
        self._mode = "L" if channels == 1 else "RGB"

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names below the folder and sizes in bytes; the pixels are not read."""
        digest = hashlib.sha256()
        for file in self.files:
            name = file.relative_to(self.folder).as_posix()
            digest.update(f"{name}\0{file.stat().st_size}\n".encode())
        return digest.hexdigest()

    def load(self, indices: Sequence[int]) -> list[Tensor]:
        """Return decoded images, each of its own size.

        Raises:
            RunError: a file is not a readable image.
        """
        return [self._decode(self.files[index]) for index in indices]

    def _decode(self, file: Path) -> Tensor:
        try:
            with Image.open(file) as image:
                pixels = np.array(image.convert(self._mode), dtype=np.uint8)
        except (OSError, ValueError) as error:
            raise RunError(f"{file} cannot be read as an image: {error}") from error
        tensor = torch.from_numpy(pixels)
        return tensor.unsqueeze(0) if tensor.ndim == 2 else tensor.permute(2, 0, 1)


def read_folder(data: DataPlan, root: Path | None) -> SourcePair:
    """Return the images below the data root.

    `test` is the test set; without it `val` is. Where both are there and the plan sets no training
    images aside, `val` is the validation set.

    Raises:
        RunError: a folder is missing, or the classes differ from the plan's or among the sets.
    """
    if root is None:
        raise RunError("no data root is known, and 'folder' is read from disk", ROOT_REMEDY)
    if not (root / "train").is_dir() or not any((root / n).is_dir() for n in ("test", "val")):
        raise RunError(
            f"{root} needs train/<class>/* and test/<class>/* or val/<class>/*",
            ROOT_REMEDY,
        )
    names = [name for name in ("train", "test", "val") if (root / name).is_dir()]
    sets = {name: FolderImages(root / name, data.channels) for name in names}
    train = sets["train"]
    if len(train.class_names) != data.num_classes:
        raise RunError(
            f"{root / 'train'} has {len(train.class_names)} classes, the spec says "
            f"{data.num_classes}",
            "set data.num_classes, or point --data-root at another folder",
        )
    for name in names[1:]:
        different = sorted(set(sets[name].class_names) ^ set(train.class_names))
        if different:
            raise RunError(
                f"{root / name} and {root / 'train'} have different classes: "
                + ", ".join(different[:8])
            )
    validation = sets.get("val") if "test" in sets and data.validation == 0 else None
    return SourcePair(train, sets.get("test") or sets["val"], validation)
