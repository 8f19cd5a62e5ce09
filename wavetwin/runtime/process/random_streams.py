"""Name random streams: every draw of a run comes from a generator named by what it is for.

A stream's seed depends on the plan's seed, the stream's name and the step of the run, never on
what was drawn before. A run therefore resumes exactly without saving the state
of any generator.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import numpy as np
import torch

from wavetwin.ir.plan import stream_seed

__all__ = [
    "epoch_order",
    "image_draws",
    "image_random",
    "mixing_random",
    "named_generator",
    "seed_step",
    "seeded",
]


def named_generator(seed: int, stream: str, epoch: int = 0) -> torch.Generator:
    """Return a CPU generator of its own for one stream and epoch."""
    return torch.Generator().manual_seed(stream_seed(seed, stream, epoch))


def epoch_order(seed: int, epoch: int, num_images: int) -> torch.Tensor:
    """Return the order in which an epoch visits the training images: a permutation of 0..n-1."""
    return torch.randperm(num_images, generator=named_generator(seed, "order", epoch))


def image_random(seed: int, epoch: int, index: int) -> Random:
    """Return the source of one image's augmentation in one epoch.

    Python documents that `Random.random` gives the same numbers in every version, and setting one
    up costs microseconds; so it can be done for each image, whichever worker reads it.
    """
    return Random(_number(stream_seed(seed, "augmentation", epoch), index))


@contextmanager
def image_draws(seed: int, epoch: int, index: int) -> Iterator[None]:
    """Let torch's global generator of the CPU give one image's draws in one epoch.

    Afterwards it goes on as if nothing had been drawn. Within, one thread computes: sums over an image
    then have the same bits in every process that may read it.
    """
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.default_generator.manual_seed(_number(stream_seed(seed, "augmentation", epoch), index))
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_rng_state(state)
        if threads > 1:
            torch.set_num_threads(threads)


def mixing_random(seed: int, epoch: int, step: int) -> Random:
    """Return the source of one step's mixing of images, the same in every process."""
    return Random(_number(stream_seed(seed, "mixing", epoch), step))


def seed_step(device: torch.device, seed: int, epoch: int, step: int, rank: int = 0) -> None:
    """Seed torch's global generators, of the CPU and of a device, for one training step.

    Dropout draws from them. `torch.manual_seed` would seed the devices that are not in use, too: each
    keeps the call, with a traceback, until it is used, so that a run on the CPU slows down and grows.
    """
    value = _number(stream_seed(seed, "dropout", epoch, rank), step)
    torch.default_generator.manual_seed(value)
    if device.type != "cpu":
        module = torch.get_device_module(device)
        getattr(module, "manual_seed_all", module.manual_seed)(value)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's, NumPy's and Python's generators, and give them back as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed % _NUMPY_SEEDS)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


_NUMPY_SEEDS = 1 << 32


def _number(stream: int, position: int) -> int:
    """Return the seed of one position of a stream: an image's, or a step's."""
    return int.from_bytes(hashlib.sha256(f"{stream},{position}".encode()).digest()[:8], "big")
