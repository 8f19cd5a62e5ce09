"""Build the network of a compiled experiment: the body of `wavetwin.build_model`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from wavetwin.compiler.compiled import Compiled

__all__ = ["build_network"]


def build_network(
    compiled: Compiled, num_classes: int | None = None, optimise: bool = True
) -> nn.Module:
    """Return a network with its initial weights; the arguments are those of `wavetwin.build_model`.

    Raises:
        RunError: `needs-torch`, torch is not installed.
    """
    from wavetwin.runtime.process.packages import require

    require("torch", "wavetwin.build_model")
    from wavetwin.runtime.network.build import build_module, initialise

    graph = compiled.optimised_graph if optimise else compiled.graph
    model = build_module(graph, num_classes=num_classes, plan=compiled.plan)
    initialise(model, compiled.graph, compiled.plan.seed)
    return model
