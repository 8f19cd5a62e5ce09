"""Write TensorBoard's event files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from wavetwin.runtime.loggers.logger import LoggedRun, Logger, Pixels

__all__ = ["TensorBoardEvents"]


class TensorBoardEvents(Logger):
    """Events of one session in the run's `events`; it replaces the events after its checkpoint."""

    def __init__(self, run: LoggedRun) -> None:
        with warnings.catch_warnings():
            # Deprecations inside tensorboard are not this program's to mend.
            warnings.simplefilter("ignore", DeprecationWarning)
            from torch.utils.tensorboard import SummaryWriter

            # Steps are counted from 1: what has the number of the next one or more is replaced, also
            # where an attempt was killed before its first checkpoint.
            self._writer = SummaryWriter(
                str(run.folder / "events"), purge_step=run.steps_before + 1
            )

    def add(self, section: str, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a record."""
        for name, value in values.items():
            self._writer.add_scalar(f"{section}/{name}", value, step)

    def add_picture(self, name: str, epoch: int, pixels: Pixels) -> None:
        """Write a picture."""
        self._writer.add_image(name, pixels, epoch, dataformats="HWC")

    def add_graph(self, model: nn.Module, images: Tensor) -> None:
        """Write the network as torch traces it, in evaluation mode; it is left as it was."""
        was_training = [module for module in model.modules() if module.training]
        model.eval()
        try:
            with warnings.catch_warnings(), torch.no_grad():
                # Tracing warns of branches that depend on sizes; the picture is of these.
                warnings.simplefilter("ignore")
                self._writer.add_graph(model, images)
        finally:
            for module in was_training:
                module.training = True

    def flush(self) -> None:
        """Hand everything to the file."""
        self._writer.flush()

    def close(self, outcome: str) -> None:
        """Close the file."""
        self._writer.close()
