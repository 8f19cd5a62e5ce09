"""Log a session of a training run: its numbers, its network and its first layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.loggers import LoggedRun, Loggers, chosen_loggers
from wavetwin.runtime.loggers.kernel_grid import kernel_grid
from wavetwin.runtime.network.kernels import resulting_kernel
from wavetwin.runtime.process.processes import Processes
from wavetwin.runtime.process.user_config import read_user_config
from wavetwin.runtime.training.run_folder import RunFolder

__all__ = ["SessionLog"]


class SessionLog:
    """What the chosen loggers are told; only the first process speaks to them.

    Raises:
        RunError: `bad-config`, the user's settings cannot be read or name no logger.
    """

    def __init__(
        self,
        run: RunFolder,
        plan: TrainingPlan,
        graph: ModuleGraph,
        model: nn.Module,
        processes: Processes,
    ) -> None:
        self._run, self._plan, self._graph, self._model = run, plan, graph, model
        self._config = read_user_config()
        self._kinds = chosen_loggers(self._config) if processes.is_first else ()
        self.loggers = Loggers()

    def begin(self, steps_before: int, epoch: int) -> None:
        """Open the loggers; a run's first session hands over the network."""
        logged = LoggedRun(
            self._run.path,
            self._plan.name,
            steps_before,
            _settings(self._plan.to_json()),
            self._run.identity,
            self._config,
        )
        self.loggers.open(self._kinds, logged)
        if steps_before == 0:
            device = next((each.device for each in self._model.parameters()), None)
            shape = (1, *self._graph.input.output_shape)
            self.loggers.add_graph(self._model, torch.zeros(shape, device=device))
            self.add_first_layer(epoch)

    def add_first_layer(self, epoch: int) -> None:
        """Hand over a picture of the first layer's kernels, where there is a first layer."""
        if self._graph.has_stem:
            self.loggers.add_picture("first layer", epoch, self._draw)

    def _draw(self) -> Any:
        with torch.no_grad():
            return kernel_grid(resulting_kernel(self._model, self._graph))


def _settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return numbers and texts of a plan by dotted names; lists are left out."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _settings(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float | str):
            found[f"{prefix}{name}"] = value
    return found
