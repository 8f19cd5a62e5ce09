"""Group a built network's modules by the prefixes of their ids.

`trunk.layer4`, `trunk.layer1[0]` and `pool.free` can be called, hooked, replaced, copied and pickled,
as in the generated model.py. Children are in the order in which they compute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

__all__ = ["Container", "Step"]


@dataclass(frozen=True)
class Step:
    """One call of a child."""

    child: str
    takes: tuple[str, ...]
    """Names of values: `x`, `x[0]`, a child, or `child[0]`, one of what it returns."""


class Container(nn.Module):
    """Calls its children one after the other, each with values that are there; `code` shows how.

    Args:
        children: by name, in the order of the steps.
        steps: the calls.
        returns: names of the values to return; a tuple of them where there are several.
    """

    def __init__(
        self, children: Mapping[str, nn.Module], steps: Sequence[Step], returns: Sequence[str]
    ) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)
        self.steps = tuple(steps)
        self.returns = tuple(returns)
        last: dict[str, int] = {}
        for index, step in enumerate(self.steps):
            last |= dict.fromkeys((_root(name) for name in step.takes), index)
        kept = {_root(name) for name in self.returns}
        self._drops = tuple(
            tuple(name for name, index in last.items() if index == number and name not in kept)
            for number in range(len(self.steps))
        )

    def forward(self, x: Any) -> Any:
        """Return what the graph says of these nodes."""
        values: dict[str, Any] = {"x": x}
        for step, drops in zip(self.steps, self._drops, strict=True):
            child = self._modules[step.child]
            assert child is not None
            values[step.child] = child(*[_read(values, name) for name in step.takes])
            # Nothing is held longer than it is read.
            for name in drops:
                del values[name]
        results = [_read(values, name) for name in self.returns]
        return results[0] if len(results) == 1 else tuple(results)

    @property
    def code(self) -> str:
        """Return the calls as the text of a function."""
        lines = [
            f"    {_variable(step.child)} = self.{step.child}({', '.join(map(_variable, step.takes))})"
            for step in self.steps
        ]
        returns = ", ".join(map(_variable, self.returns))
        return "\n".join(["def forward(self, x):", *lines, f"    return {returns}", ""])


def _root(name: str) -> str:
    return name.partition("[")[0]


def _variable(name: str) -> str:
    return f"value_{name}" if name[0].isdigit() else name


def _read(values: Mapping[str, Any], name: str) -> Any:
    root, _, index = name.partition("[")
    return values[root][int(index[:-1])] if index else values[root]
