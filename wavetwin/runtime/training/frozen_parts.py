"""Hold parts of a model fixed while the rest is trained."""

from __future__ import annotations

from torch import nn

from wavetwin.diagnostics.listing import list_some
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.parameters import find_parameters, held_fixed
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.errors import RunError

__all__ = ["FrozenParts"]


class FrozenParts:
    """The parts of a model that `plan.freeze` names: their parameters want no gradient.

    Args:
        model: built from the graph, or by its model.py.
        graph: as written.
        plan: says what is frozen, and how the batch norms in it work.

    Raises:
        RunError: model.py does not have some of it.
    """

    def __init__(self, model: nn.Module, graph: ModuleGraph, plan: TrainingPlan) -> None:
        fixed = {parameter.name for parameter in held_fixed(graph, plan.freeze)}
        own = dict(model.named_parameters())
        if missing := sorted(fixed - own.keys()):
            raise RunError(
                "script-modified",
                f"the plan freezes parameters that model.py does not have: {list_some(missing)}",
                "build again, or take them out of training.freeze",
            )
        for name in fixed:
            own[name].requires_grad_(False)
        modules = {each.name: each.name.rpartition(".")[0] for each in find_parameters(graph)}
        trained = {module for name, module in modules.items() if name not in fixed}
        frozen = {modules[name] for name in fixed} - trained
        norms = [
            ".".join(filter(None, (node.id, name)))
            for node in graph
            for name in node.operation.batch_norm_modules()
        ]
        self._norms = [
            model.get_submodule(norm)
            for norm in norms
            if plan.frozen_norms == "evaluation" and norm in frozen
        ]

    def set_mode(self) -> None:
        """Put the batch norms that are wholly frozen into evaluation mode, if the plan says so.

        They then use their running statistics and leave them as they are. It comes after each
        `model.train()`.
        """
        for norm in self._norms:
            norm.eval()
