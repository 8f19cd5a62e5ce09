"""Make the demo's images: crops of real photographs, smeared along one of six directions.

The class of a crop is the direction of its smear, as a camera that moves in a straight line leaves it.
Each photograph is of one split alone, so that test crops are of photographs that were never trained on.
All photographs lie in the wheels of scikit-image and scikit-learn; nothing is downloaded. The same
packages give the same images.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from wavetwin.explain.study.photographs import find_photograph

NUM_DIRECTIONS = 6
"""Classes: smears at 0, 30, ... 150 degrees, counter-clockwise from a horizontal one."""
LENGTH = 9.0
"""Length of a smear in pixels."""
TRAIN_SIDE, TEST_SIDE = 48, 52
"""Sides of the crops in pixels: those of the test have room for shifts of up to 4 pixels."""
TRAIN_CROPS, TEST_CROPS = 50, 60
"""Crops of each photograph and direction."""
LEAST_DETAIL = 8.0
"""Root mean square of the differences between neighbouring pixels, of 255: a plain sky shows no smear."""
_SEED = 14


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph in a wheel."""

    file: str
    package: str
    licence: str
    """As the package documents it: scikit-image in skimage.data, scikit-learn in a README beside it."""

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return Path(self.file).stem

    def path(self) -> Path:
        """Return the file in the installed package.

        Raises:
            RunError: the package is not installed, or its wheel has no such file.
        """
        return find_photograph(self.package, self.file)

    def grey(self) -> np.ndarray:
        """Return the grey values, float64 (height, width) from 0 to 255."""
        with Image.open(self.path()) as image:
            return np.asarray(image.convert("L"), np.float64)


PHOTOGRAPHS = (
    Photograph("astronaut.png", "scikit-image", "public domain (NASA)"),
    Photograph("brick.png", "scikit-image", "CC0"),
    Photograph("camera.png", "scikit-image", "CC0 (Lav Varshney)"),
    Photograph("chelsea.png", "scikit-image", "CC0 (Stefan van der Walt)"),
    Photograph("china.jpg", "scikit-learn", "CC BY 2.0 (danielbuechele)"),
    Photograph("coffee.png", "scikit-image", "CC0 (Rachel Michetti)"),
    Photograph("coins.png", "scikit-image", "no known copyright restrictions (Brooklyn Museum)"),
    Photograph("flower.jpg", "scikit-learn", "CC BY 2.0 (vultilion)"),
    Photograph("grass.png", "scikit-image", "CC0 (linolafett)"),
    Photograph("gravel.png", "scikit-image", "CC0 (CC0Textures)"),
    Photograph("hubble_deep_field.jpg", "scikit-image", "public domain (NASA)"),
    Photograph("ihc.png", "scikit-image", "no known copyright restrictions (CMMI)"),
    Photograph("rocket.jpg", "scikit-image", "public domain (SpaceX)"),
)
"""By name. Left out: drawings, scans, faces, a picture that is smeared already, those without a stated
licence, and those with hardly a crop of enough detail (retina, cell, microaneurysms, moon)."""


def split_of(photograph: Photograph) -> str:
    """Return `test` for every third photograph by name, `train` for the others."""
    return "test" if PHOTOGRAPHS.index(photograph) % 3 == 2 else "train"


def smear_kernel(direction: int) -> np.ndarray:
    """Return a direction's line as weights, (side, side) with sum 1: points, spread bilinearly."""
    angle = math.pi * direction / NUM_DIRECTIONS
    reach = math.ceil(LENGTH / 2)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for along in np.linspace(-LENGTH / 2, LENGTH / 2, 8 * math.ceil(LENGTH) + 1):
        # Rows run down, angles up.
        row, column = reach - along * math.sin(angle), reach + along * math.cos(angle)
        rows = np.maximum(0, 1 - np.abs(np.arange(2 * reach + 1) - row))
        columns = np.maximum(0, 1 - np.abs(np.arange(2 * reach + 1) - column))
        kernel += np.outer(rows, columns)
    return kernel / kernel.sum()


def smear(grey: np.ndarray, direction: int) -> np.ndarray:
    """Return a photograph smeared along a direction, without the margin where the line leaves it."""
    kernel = smear_kernel(direction)
    height, width = (side - len(kernel) + 1 for side in grey.shape)
    smeared = np.zeros((height, width))
    for row, column in np.argwhere(kernel):
        smeared += kernel[row, column] * grey[row : row + height, column : column + width]
    return smeared


def crops_of(photograph: Photograph) -> Iterator[tuple[int, np.ndarray]]:
    """Yield direction and crop, uint8 (side, side), of one photograph, at random positions."""
    is_test = split_of(photograph) == "test"
    side, count = (TEST_SIDE, TEST_CROPS) if is_test else (TRAIN_SIDE, TRAIN_CROPS)
    random = np.random.default_rng([_SEED, PHOTOGRAPHS.index(photograph)])
    grey = photograph.grey()
    for direction in range(NUM_DIRECTIONS):
        smeared = smear(grey, direction)
        margin = (len(grey) - len(smeared)) // 2
        made = 0
        while made < count:
            top, left = (int(random.integers(length - side + 1)) for length in smeared.shape)
            window = grey[margin + top :, margin + left :][:side, :side]
            # Before the smear, so that no direction is preferred.
            if _detail(window) >= LEAST_DETAIL:
                crop = smeared[top : top + side, left : left + side]
                yield direction, np.round(crop).astype(np.uint8)
                made += 1


def _detail(grey: np.ndarray) -> float:
    squares = [np.mean(np.diff(grey, axis=axis) ** 2) for axis in (0, 1)]
    return math.sqrt(sum(squares) / 2)


def write_crops(folder: Path) -> dict[str, int]:
    """Write all crops as `SPLIT/DEGREES/PHOTOGRAPH-NUMBER.png`; return their number by split.

    What was in the folder is replaced.
    """
    shutil.rmtree(folder, ignore_errors=True)
    counts = {"train": 0, "test": 0}
    for photograph in PHOTOGRAPHS:
        split = split_of(photograph)
        for number, (direction, crop) in enumerate(crops_of(photograph)):
            degrees = 180 * direction // NUM_DIRECTIONS
            file = folder / split / f"{degrees:03}" / f"{photograph.name}-{number:03}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(crop).save(file)
            counts[split] += 1
    return counts
