"""Join the processes of a run: one, or several that torchrun started.

Everything that the processes have to agree on goes through here: sums, gathered results, decisions.
Decisions travel over gloo on the CPU even where gradients use NCCL, so that agreeing never waits for
the accelerator.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from wavetwin.diagnostics.terminal import complain
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.progress import say

__all__ = ["ALONE", "Processes", "join_processes"]

T = TypeVar("T")

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
"""What torchrun sets for each process; a process without them is alone."""
_WAIT = datetime.timedelta(minutes=30)
"""For the slowest process: the first one may measure a whole training set's statistics."""


@dataclass(frozen=True)
class Processes:
    """Who this process is among those of a run."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Number on this machine: chooses the GPU."""
    control: dist.ProcessGroup | None = None
    """Gloo group of all processes; None where there is one."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes, in double precision, on all of them."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(list(values), dtype=torch.float64)
        with self._together():
            dist.all_reduce(total, group=self.control)
        return total.tolist()

    def any(self, *flags: int) -> list[int]:
        """Return the largest of each flag over all processes: one that stops, stops all."""
        if self.count == 1:
            return list(flags)
        highest = torch.tensor(flags, dtype=torch.int64)
        with self._together():
            dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=self.control)
        return [int(flag) for flag in highest]

    def gather(self, value: T) -> list[T]:
        """Return every process's value, in the order of ranks, on all of them.

        Values are pickled on the way between the processes of this run, never read from a file.
        """
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        with self._together():
            dist.all_gather_object(values, value, group=self.control)
        return values

    def from_first(self, value: T) -> T:
        """Return the first process's value on all of them."""
        if self.count == 1:
            return value
        values = [value]
        with self._together():
            dist.broadcast_object_list(values, src=0, group=self.control)
        return values[0]

    def run_first(self, function: Callable[[], T]) -> T:
        """Return on all processes what the function returns on the first, the only one to call it.

        Raises:
            RunError: the function raised it, on the first process; the others exit quietly with 2.
        """
        return self.from_first(self.in_turn(lambda: function() if self.is_first else None))  # type: ignore[arg-type]

    def in_turn(self, function: Callable[[], T]) -> T:
        """Call a function on the first process, then on the others: they find what it left on disk.

        Raises:
            RunError: the function raised it. Where the first process did, the others exit with 2.
        """
        if self.is_first:
            try:
                value = function()
            except BaseException:
                self.from_first(False)
                raise
            self.from_first(True)
            return value
        if not self.from_first(None):
            raise SystemExit(2)
        return function()

    def say(self, text: str) -> None:
        """Write one line, once for all processes."""
        if self.is_first:
            say(text)

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            with self._together():
                dist.barrier(group=self.control)

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the first one's buffers: each has running statistics of its own share."""
        if self.count == 1:
            return
        for buffer in model.buffers():
            value = buffer.detach().cpu()
            with self._together():
                dist.broadcast(value, src=0, group=self.control)
            buffer.copy_(value)

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return the model whose backward pass averages gradients over the processes.

        Alone it is the model itself. Buffers (running statistics) are the first process's.
        """
        if self.count == 1:
            return model
        ids = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids)

    def exchange(self, network: nn.Module, wanted: bool) -> AbstractContextManager[None]:
        """Return the context in which a backward pass of what `wrap` returned exchanges gradients.

        Where it is not wanted the pass leaves them to a later one.
        """
        if wanted or not isinstance(network, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return network.no_sync()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Leave quietly where another process has gone: it has reported why."""
        try:
            yield
        except RuntimeError as error:
            complain(f"process {self.rank}: another process has ended, see its message\n")
            raise SystemExit(2) from error


ALONE = Processes()


@contextmanager
def join_processes(environment: Mapping[str, str] | None = None) -> Iterator[Processes]:
    """Join the processes that torchrun started with this one; alone without its variables.

    Raises:
        RunError: some of torchrun's variables are missing or not numbers.
    """
    variables = os.environ if environment is None else environment
    given = [variables.get(name) for name in _VARIABLES]
    if all(value is None for value in given):
        yield ALONE
        return
    if not all(value is not None and value.isdigit() for value in given):
        shown = ", ".join(f"{n}={v}" for n, v in zip(_VARIABLES, given, strict=True))
        raise RunError(
            "launcher-incomplete",
            f"the variables of torchrun are not whole: {shown}",
            "start several processes with torchrun, or unset RANK, WORLD_SIZE and LOCAL_RANK",
        )
    rank, count, local_rank = (int(value or 0) for value in given)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_WAIT)
    try:
        control = dist.new_group(backend="gloo", timeout=_WAIT)
        assert isinstance(control, dist.ProcessGroup)
        yield Processes(rank, count, local_rank, control)
    finally:
        dist.destroy_process_group()
