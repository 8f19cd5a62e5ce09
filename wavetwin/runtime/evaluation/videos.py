"""Read short videos below class folders: `.mp4` files, or folders of numbered frames."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wavetwin.diagnostics.listing import list_some
from wavetwin.runtime.data.decode import decode_image
from wavetwin.runtime.data.image_walk import IMAGE_SUFFIXES, visible
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.packages import require

__all__ = ["Video", "check_decoder", "list_videos", "read_video", "read_videos", "videos_digest"]

_LAST_NUMBER = re.compile(r"([0-9]+)[^0-9]*$")


@dataclass(frozen=True, slots=True)
class Video:
    """One video, and its class as a number from 0."""

    path: Path
    label: int
    name: str
    """Below the perturbation's folder, without the suffix: one photograph has one name."""


@dataclass(frozen=True, slots=True)
class ReadVideo:
    """A video's frames, or why there are none."""

    position: int
    frames: Tensor | None
    """uint8 (frames, channels, height, width)."""
    failure: RunError | None


def list_videos(folder: Path, class_names: Sequence[str]) -> list[Video]:
    """Return the videos of each class, in the order of the classes and of their names.

    Raises:
        RunError: a class has none.
    """
    videos: list[Video] = []
    for label, class_folder in enumerate(folder / name for name in class_names):
        paths = [
            Path(entry.path)
            for entry in visible(class_folder)
            if entry.name.lower().endswith(".mp4") or entry.is_dir()
        ]
        if not paths:
            raise RunError(
                "no-images",
                "has no videos",
                "a video is an .mp4 file, or a folder of numbered frames",
                subject=class_folder,
            )
        videos += [
            Video(
                path,
                label,
                f"{class_folder.name}/{path.stem if path.suffix.lower() == '.mp4' else path.name}",
            )
            for path in paths
        ]
    return videos


def check_decoder(videos: Sequence[Video]) -> None:
    """Make sure that `.mp4` files can be read where there are some.

    Raises:
        RunError: PyAV is not installed.
    """
    if any(video.path.suffix.lower() == ".mp4" for video in videos):
        _import_av()


def read_video(path: Path, channels: int) -> Tensor:
    """Return all frames as uint8 (frames, channels, height, width).

    Raises:
        RunError: it is damaged, has fewer than two frames, or frames of different sizes.
    """
    frames = _read_frames(path, channels) if path.is_dir() else _decode(path, channels)
    if len(frames) < 2:
        raise RunError(
            "image-damaged", f"has {len(frames)} frames: flips need two at least", subject=path
        )
    if len({frame.shape for frame in frames}) > 1:
        raise RunError("image-damaged", "has frames of different sizes", subject=path)
    return torch.from_numpy(np.stack(frames))


def read_videos(
    videos: Sequence[Video], groups: Sequence[Sequence[int]], channels: int, workers: int
) -> Iterator[list[ReadVideo]]:
    """Yield groups of videos by position, read ahead by so many processes."""
    loader = DataLoader(
        _Reader(videos, channels),
        batch_sampler=[list(group) for group in groups],
        num_workers=workers,
        collate_fn=_as_it_is,
        generator=torch.Generator(),
        multiprocessing_context="fork" if workers else None,
    )
    return iter(loader)


def videos_digest(videos: Sequence[Video]) -> str:
    """Return a SHA-256 over names and sizes; the pixels are not read."""
    digest = hashlib.sha256()
    for video in videos:
        size = video.path.stat().st_size if video.path.is_file() else len(visible(video.path))
        digest.update(f"{video.name}\0{size}\n".encode())
    return digest.hexdigest()


class _Reader(Dataset[ReadVideo]):
    """What a DataLoader calls with a video's position."""

    def __init__(self, videos: Sequence[Video], channels: int) -> None:
        self._videos, self._channels = videos, channels

    def __getitem__(self, index: int) -> ReadVideo:
        # An error is handed on as it is: raised in a worker, it would arrive as a traceback's text.
        try:
            return ReadVideo(index, read_video(self._videos[index].path, self._channels), None)
        except RunError as error:
            return ReadVideo(index, None, error)


def _read_frames(folder: Path, channels: int) -> list[np.ndarray]:
    """Return the frames in the order of their numbers: the last number in a name counts."""
    names = [entry.name for entry in visible(folder) if entry.name.lower().endswith(IMAGE_SUFFIXES)]
    numbers = {name: _LAST_NUMBER.search(Path(name).stem) for name in names}
    without = [name for name, number in numbers.items() if number is None]
    if without:
        raise RunError(
            "image-damaged",
            f"has frames without a number: {list_some(without)}",
            "number all frames of a video, or move what is no frame away",
            subject=folder,
        )
    by_number: dict[int, str] = {}
    for name, number in numbers.items():
        assert number is not None
        first = by_number.setdefault(int(number[1]), name)
        if first != name:
            raise RunError(
                "image-damaged",
                f"has two frames of one number: {list_some([first, name])}",
                "rename one of them, or move what is no frame away",
                subject=folder,
            )
    return [decode_image(folder / name, channels) for _, name in sorted(by_number.items())]


def _decode(file: Path, channels: int) -> list[np.ndarray]:
    av = _import_av()
    try:
        with av.open(str(file)) as container:
            decoded = container.decode(video=0)
            if channels == 1:
                return [frame.to_ndarray(format="gray")[np.newaxis] for frame in decoded]
            return [frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in decoded]
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise RunError(
            "image-damaged", f"cannot be read as a video: {error}", subject=file
        ) from error


def _import_av() -> Any:
    require("av", "reading a video")
    import av

    return av


def _as_it_is(batch: Any) -> Any:
    return batch
