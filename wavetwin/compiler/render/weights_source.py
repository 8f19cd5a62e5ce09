"""Write what draws the weights of single layers in model.py."""

from __future__ import annotations

from wavetwin.compiler.render.model_text import WIDTH
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import KAIMING, NORMAL, XAVIER, Conv2d, Linear, UserModule, literal

_DRAWN = (KAIMING, XAVIER)
"""Laws that torch's layers do not begin with, of layers that specs list."""


def single_draws(graph: ModuleGraph) -> tuple[str, ...]:
    """Return the lines that draw the trunk's weights, where its layers do not begin alike.

    Where they do, as in the networks that have names, one loop over the modules draws them; not where a
    module of the project is among these, whose layers begin as it says.
    """
    trunk = [node for node in graph.section("trunk") if isinstance(node.operation, Conv2d | Linear)]
    laws: dict[type, set[tuple[str | None, bool]]] = {Conv2d: set(), Linear: set()}
    for node in trunk:
        operation = node.operation
        assert isinstance(operation, Conv2d | Linear)
        own = operation.initial
        laws[type(operation)].add((own, own in _DRAWN and operation.bias))
    in_loops = {Conv2d: KAIMING, Linear: NORMAL}
    if graph.find(UserModule) is None and all(
        len(found) < 2 and all(law not in _DRAWN or law == in_loops[kind] for law, _ in found)
        for kind, found in laws.items()
    ):
        return ()
    lines: list[str] = []
    for node in trunk:
        operation = node.operation
        module = _module(node.id)
        assert isinstance(operation, Conv2d | Linear)
        if operation.initial == XAVIER:
            gain = f", gain={literal(operation.gain)}" if operation.gain != 1.0 else ""
            lines.append(f"nn.init.xavier_uniform_({module}.weight{gain})")
        elif operation.initial == KAIMING:
            options = 'mode="fan_out", nonlinearity="relu"'
            lines.append(f"nn.init.kaiming_normal_({module}.weight, {options})")
        elif operation.initial == NORMAL:
            lines.append(f"nn.init.normal_({module}.weight, 0, 0.01)")
        if operation.initial in (*_DRAWN, NORMAL) and operation.bias:
            lines.append(f"nn.init.zeros_({module}.bias)")
    return tuple(each for line in lines for each in _wrapped(line))


def _wrapped(line: str) -> list[str]:
    """Return a call as the formatter breaks it within a method."""
    if len(line) + 8 <= WIDTH:
        return [line]
    start, _, arguments = line.partition("(")
    return [f"{start}(", f"    {arguments.removesuffix(')')}", ")"]


def _module(node_id: str) -> str:
    """Return a node's module as source text: numbers are items of sequences."""
    parts = node_id.split(".")
    return "self" + "".join(f".{part}" if part.isidentifier() else f"[{part}]" for part in parts)
