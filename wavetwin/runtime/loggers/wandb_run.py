"""Log a run with Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping

from torch import Tensor, nn

from wavetwin.runtime.loggers.logger import LoggedRun, Logger, Pixels

__all__ = ["WandbRun"]

_CONNECT_SECONDS = 30.0


class WandbRun(Logger):
    """One W&B run for all sessions of a run.

    `[wandb]` in the user's settings may name `project` (default: the experiment's name), `entity`, and
    `mode`: `online`, or `offline` (the default, unless WANDB_MODE says otherwise), whose files
    `wandb sync` sends later; they lie in the run's folder.
    """

    def __init__(self, run: LoggedRun) -> None:
        import wandb  # pyright: ignore[reportMissingImports]

        settings = run.config.section("wandb")
        mode = settings.text("mode") or os.environ.get("WANDB_MODE") or "offline"
        if mode not in ("online", "offline"):
            raise settings.refuse(f"says that mode is {mode!r}: it is online or offline")
        self._image = wandb.Image
        self._run = wandb.init(
            project=settings.text("project") or run.name,
            entity=settings.text("entity"),
            id=run.identity,
            name=f"{run.name}/{run.folder.name}",
            dir=str(run.folder),
            config=dict(run.settings),
            mode=mode,
            resume="allow",
            # What the script prints is not taken: it is nobody else's.
            settings=wandb.Settings(silent=True, console="off", init_timeout=_CONNECT_SECONDS),
        )
        for section in ("step", "epoch"):
            self._run.define_metric(section)
            self._run.define_metric(f"{section}/*", step_metric=section)

    def add(self, section: str, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers of a record, on the axis of steps or of epochs."""
        axis, _, _ = section.partition("/")
        self._run.log({f"{section}/{name}": value for name, value in values.items()} | {axis: step})

    def add_picture(self, name: str, epoch: int, pixels: Pixels) -> None:
        """Take a picture, on the axis of epochs."""
        self._run.log({f"epoch/{name}": self._image(pixels), "epoch": epoch})

    def add_graph(self, model: nn.Module, images: Tensor) -> None:
        """Do nothing: W&B draws no graph of operations."""

    def flush(self) -> None:
        """Do nothing: W&B sends by itself."""

    def close(self, outcome: str) -> None:
        """End the session; W&B counts one that did not finish as failed."""
        self._run.finish(exit_code=0 if outcome == "finished" else 1)
