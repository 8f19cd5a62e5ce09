"""Send a run to an MLflow server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from wavetwin.runtime.loggers.logger import LoggedRun, Logger, Pixels

__all__ = ["MlflowRun"]

_AT_MOST = 500
"""Metrics in one request; MLflow takes 1,000."""
_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_TAG = "wavetwin.run"


class MlflowRun(Logger):
    """One MLflow run for all sessions of a run, found again by a tag.

    `[mlflow]` in the user's settings may name `tracking_uri` and `experiment`; else
    MLFLOW_TRACKING_URI and the experiment's name are taken. A session that goes on from a checkpoint
    sends the steps after it again, with the same values.
    """

    def __init__(self, run: LoggedRun) -> None:
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]

        settings = run.config.section("mlflow")
        self._client = MlflowClient(tracking_uri=settings.text("tracking_uri"))
        self._metric: type[Any] = Metric
        experiment = self._experiment(settings.text("experiment") or run.name)
        found = self._client.search_runs(
            [experiment], f"tags.`{_TAG}` = '{run.identity}'", max_results=1
        )
        if found:
            self._id: str = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            made = self._client.create_run(
                experiment, tags={_TAG: run.identity}, run_name=f"{run.name}/{run.folder.name}"
            )
            self._id = made.info.run_id
            for name, value in run.settings.items():
                self._client.log_param(self._id, name, value)
        self._waiting: list[Any] = []

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name))

    def add(self, section: str, step: int, values: Mapping[str, float]) -> None:
        """Keep the numbers of a record until there are enough for a request."""
        now = int(time.time() * 1000)
        for name, value in values.items():
            self._waiting.append(self._metric(f"{section}/{name}", float(value), now, step))
        if len(self._waiting) >= _AT_MOST:
            self.flush()

    def add_picture(self, name: str, epoch: int, pixels: Pixels) -> None:
        """Send a picture to the artifacts."""
        self._client.log_image(self._id, pixels, key=name.replace(" ", "_"), step=epoch)

    def add_graph(self, model: nn.Module, images: Tensor) -> None:
        """Do nothing: MLflow draws no graph of operations."""

    def flush(self) -> None:
        """Send what was kept."""
        for first in range(0, len(self._waiting), _AT_MOST):
            self._client.log_batch(self._id, metrics=self._waiting[first : first + _AT_MOST])
        self._waiting = []

    def close(self, outcome: str) -> None:
        """Send what is left, and how the session ended."""
        self.flush()
        self._client.set_terminated(self._id, _STATUS[outcome])
