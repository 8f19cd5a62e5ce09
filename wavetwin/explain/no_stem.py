"""Refuse what is asked of a first layer where a network has none."""

from __future__ import annotations

from wavetwin.ir.graph import ModuleGraph
from wavetwin.runtime.process.errors import RunError

__all__ = ["require_stem"]


def require_stem(graph: ModuleGraph) -> None:
    """Do nothing for a network with a first layer of its own.

    Raises:
        RunError: `no-stem`, its layers begin with the image.
    """
    if not graph.has_stem:
        raise RunError(
            "no-stem",
            "there is no first layer apart from the others: the layers begin with the image",
            "ask it of a network whose backbone.input is stem",
            subject=graph.name,
        )
