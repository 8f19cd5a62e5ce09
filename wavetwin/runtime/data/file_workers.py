"""Load and augment batches in worker processes, an image at a time: those of files, mostly.

The same tensors come whatever the number of processes and wherever a run starts: an image's random
numbers depend on its epoch and position alone.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import signal
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wavetwin.diagnostics.terminal import complain
from wavetwin.runtime.data.decode import BadImageError
from wavetwin.runtime.data.sources import Batch, ImageSet
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import STOP_SIGNALS

__all__ = ["FileTransform", "read_files"]

FileTransform = Callable[[Tensor, int], Tensor]
"""Of one stored image, uint8 (channels, height, width), and its position in the source."""

_PREFETCH = 2
"""Batches that each process reads ahead."""


class _Fetched(NamedTuple):
    """What a process sends back: an exception that is raised there would arrive as a traceback."""

    batch: Batch
    bad: list[tuple[str, str]]
    """Damaged files that were left out, with the reasons."""
    error: RunError | None
    """What stops the run."""


@dataclass(frozen=True)
class _Fetcher(Dataset[_Fetched]):
    """What a DataLoader calls with the positions of one batch in the split."""

    images: ImageSet
    transform: FileTransform
    skips_bad: bool

    def __getitems__(self, offsets: Sequence[int]) -> _Fetched:
        source = self.images.source
        results: list[Tensor] = []
        kept: list[int] = []
        bad: list[tuple[str, str]] = []
        error: RunError | None = None
        for offset in offsets:
            index = int(self.images.indices[offset])
            try:
                (image,) = source.load([index])
            except BadImageError as damage:
                if self.skips_bad:
                    bad.append((source.label(index), damage.headline))
                    continue
                error = damage
                break
            except RunError as fault:
                error = fault
                break
            try:
                results.append(self.transform(image, index))
            except (RuntimeError, ValueError, MemoryError) as fault:
                # A reading process would give a traceback without the file's name.
                height, width = image.shape[-2:]
                reason = str(fault).split("\n", 1)[0] or type(fault).__name__
                error = RunError(
                    "data-do-not-fit",
                    f"({width} x {height} pixels) cannot be changed: {reason}",
                    subject=source.label(index),
                )
                break
            kept.append(offset)
        if error is not None:
            return _Fetched(Batch(torch.zeros(0), torch.zeros(0), torch.zeros(0)), bad, error)
        images = torch.stack(results) if results else self._nothing()
        positions = torch.tensor(kept, dtype=torch.int64)
        labels = source.labels[self.images.indices[positions]]
        return _Fetched(Batch(images, labels, positions), bad, error)

    def _nothing(self) -> Tensor:
        """Return no images, of the size that the transform gives."""
        blank = torch.zeros(self.images.source.channels, 8, 8, dtype=torch.uint8)
        return self.transform(blank, 0).unsqueeze(0)[:0]


def read_files(
    images: ImageSet,
    batches: Sequence[Tensor],
    transform: FileTransform,
    *,
    workers: int,
    skips_bad: bool,
    bad_images: dict[str, str],
    pins: bool,
) -> Iterator[Batch]:
    """Yield batches of these positions in a split, loaded image by image.

    Args:
        images: the split; its source is on the CPU.
        batches: int64 positions in the split.
        transform: what happens to each image.
        workers: processes; 0: this one reads.
        skips_bad: leave damaged images out; else the first one stops.
        bad_images: gets what was left out: file, reason.
        pins: put batches into memory that CUDA copies from fastest.

    Raises:
        RunError: an image is damaged, the disk does not give it, or a process was killed.
    """
    loader = DataLoader(
        _Fetcher(images, transform, skips_bad),
        batch_sampler=[batch.tolist() for batch in batches],
        num_workers=workers,
        prefetch_factor=_PREFETCH if workers else None,
        collate_fn=_as_it_is,
        pin_memory=pins,
        worker_init_fn=_leave_signals_to_the_run,
        # Without a generator of its own each iterator draws from torch's global one.
        generator=torch.Generator(),
        # Processes never touch torch's state, so a copy of this process will do.
        multiprocessing_context="fork" if workers else None,
    )
    fetched = _start(loader)
    try:
        while (result := _next(fetched)) is not None:
            for file, reason in result.bad:
                if file not in bad_images:
                    bad_images[file] = reason
                    complain(f"warning: left out: {reason}\n")
            if result.error is not None:
                raise result.error
            yield result.batch
    finally:
        # The workers end with their last reference; a traceback would keep this frame's.
        del fetched


def _start(loader: DataLoader[_Fetched]) -> Iterator[_Fetched]:
    """Return the loader's iterator, with SIGCHLD as it was.

    torch's handler would raise a dead process's error between any two lines of the run's; without
    it the error comes where the next batch is asked for.
    """
    if loader.num_workers == 0:
        return iter(loader)
    own, others = _processes_to_end(), set(multiprocessing.active_children())
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGCHLD)
    fetched = iter(loader)
    if is_main and before is not None:
        signal.signal(signal.SIGCHLD, before)
    own.update(set(multiprocessing.active_children()) - others)
    return fetched


@functools.cache
def _processes_to_end() -> weakref.WeakSet[BaseProcess]:
    """Return the set of reading processes; what is left of them when this process exits is killed.

    They take no SIGTERM, with which Python would ask them to end, and then wait for them for ever.
    """
    processes: weakref.WeakSet[BaseProcess] = weakref.WeakSet()

    def end() -> None:
        for process in processes:
            if process.is_alive():
                process.kill()

    atexit.register(end)
    return processes


def _next(fetched: Iterator[_Fetched]) -> _Fetched | None:
    try:
        return next(fetched, None)
    except RuntimeError as error:
        # torch has no class of its own for this.
        if not str(error).startswith("DataLoader worker"):
            raise
        headline = f"a process that reads images was killed: {error}"
    # Without the cause, whose traceback would keep the other workers alive.
    raise RunError(
        "reader-killed",
        headline,
        "was memory short? The system's log says so; start again with fewer --workers",
    )


def _leave_signals_to_the_run(worker: int) -> None:
    """A signal to the whole group stops the run, which then ends the workers by itself."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _as_it_is(batch: Any) -> Any:
    return batch
