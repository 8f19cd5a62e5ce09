"""Read what `discrepancy` and `stability` measure with: options, images, banks of filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wavetwin.explain.study.banks import BORDER, ComplexBank, GratingBank
from wavetwin.explain.study.images import SIZE, Batch, ImageSource, find_images, read_batches
from wavetwin.explain.study.photographs import bundled_photographs
from wavetwin.explain.study.positions import PacketPosition, packet_positions
from wavetwin.runtime.bank.filters import QSHIFT_FILTERS, packet_kernels
from wavetwin.runtime.layers import DualTreePackets
from wavetwin.runtime.process.devices import open_device
from wavetwin.runtime.process.errors import RunError

__all__ = ["ImageOptions", "StudyBank", "StudyImages", "make_banks", "prepare_images", "protocol"]

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What the command line says of both studies."""

    images: tuple[Path, ...]
    """None named: the bundled photographs."""
    limit_images: int | None
    levels: tuple[int, ...]
    filters: str
    gratings: float | None
    """Standard deviation in pixels of gratings to take instead of packets."""
    device: str
    seed: int


@dataclass(frozen=True, eq=False)
class StudyBank:
    """Filters, and where they lie."""

    label: str
    """In file names: `J2`, `gratings_J2`."""
    levels: int
    """J of the packets, or of those whose cells the gratings have."""
    bank: ComplexBank
    kernels: Tensor
    """Of the same filters, (filters, height, width), complex."""
    positions: tuple[PacketPosition, ...]
    border: int
    """Output samples that are cut off on every side."""

    @property
    def caption(self) -> str:
        """What the bank is, for titles."""
        kind = "gratings, " if isinstance(self.bank, GratingBank) else ""
        return f"{kind}J = {self.levels}, m = {self.bank.stride}"


@dataclass(frozen=True, slots=True)
class StudyImages:
    """Images, and what they are computed on."""

    sources: tuple[ImageSource, ...]
    device: torch.device
    dtype: torch.dtype

    def batches(self) -> Iterator[Batch]:
        """Yield the images' windows; once for each bank.

        Raises:
            RunError: an image cannot be used.
        """
        return read_batches(self.sources, _AT_ONCE, self.device, self.dtype)


def prepare_images(options: ImageOptions) -> StudyImages:
    """Return the images that the command line names, or the bundled ones; none is read yet.

    Raises:
        RunError: a path or a device is not there.
    """
    sources = find_images(options.images) if options.images else bundled_photographs()
    device = open_device(options.device)
    # MPS has no float64.
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return StudyImages(tuple(sources[: options.limit_images]), device, dtype)


def make_banks(options: ImageOptions, images: StudyImages) -> Iterator[StudyBank]:
    """Yield a bank for each number of levels, the last stage of its packets not decimated.

    Raises:
        RunError: there are no such filters, or gratings reach over the whole image.
    """
    if options.filters not in QSHIFT_FILTERS:
        raise RunError(
            "unknown-name", f"no filters {options.filters!r}", f"one of {', '.join(QSHIFT_FILTERS)}"
        )
    for levels in options.levels:
        stride = 2 ** (levels - 1)
        positions = packet_positions(levels, options.filters)
        if options.gratings is None:
            kernels = packet_kernels(levels, options.filters)
            bank = DualTreePackets(levels, stride, options.filters)
            border, label = BORDER, f"J{levels}"
        else:
            centres = torch.tensor([position.centre for position in positions], dtype=torch.float64)
            bank = GratingBank(centres, options.gratings, stride)
            kernels, border = bank.kernels(), bank.border
            label = f"gratings_J{levels}"
        if SIZE // (2 * stride) <= 2 * border:
            raise RunError(
                "bad-argument",
                f"gratings of {options.gratings:g} pixels reach over the whole image at J = {levels}",
                "choose a smaller --gratings, or fewer --levels",
            )
        bank = bank.to(images.device, images.dtype)
        yield StudyBank(label, levels, bank, kernels, positions, border)


def protocol(
    options: ImageOptions, images: StudyImages, banks: Sequence[StudyBank]
) -> dict[str, Any]:
    """Return how it was measured, for study.json."""
    return {
        "image_size": SIZE,
        "grey": "Pillow's L (ITU-R 601), 0 to 255, the image's mean taken off",
        "levels": list(options.levels),
        "strides": [each.bank.stride for each in banks],
        "filters": options.filters,
        "gratings_sigma": options.gratings,
        "borders": [each.border for each in banks],
        "windows": "maximum of 3x3 samples centred on the samples that the modulus keeps",
        "precision": str(images.dtype).removeprefix("torch."),
        "device": images.device.type,
        "threads": torch.get_num_threads(),
        "source": "named images" if options.images else "bundled photographs",
    }
