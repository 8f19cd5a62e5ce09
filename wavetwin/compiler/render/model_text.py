"""Write model.py's docstrings, names of variables, and long tuples of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from wavetwin.ir.node import Node
from wavetwin.ir.operations import Call

WIDTH = 100

BRANCHES = ("free", "wavelet")
"""Variables of the two values that a stem may give."""

VARIABLES = ("x", "y", "z", "u", "v", "w")
"""Names of values that are read later, in the order in which they are taken."""


_TITLES = {
    "stem": ("Stem", "The first layer"),
    "stem.wavelet": ("WaveletChannels", "The wavelet channels of the first layer"),
    "pool": ("Pool", "Norm, activation and pooling up to the next convolution"),
    "pool.free": ("FreePool", "The free channels' first pooling"),
    "pool.wavelet": ("WaveletPool", "The wavelet channels' first pooling"),
    "trunk": ("Trunk", "The layers after the first pooling"),
}
_WITHOUT_STEM = {"trunk": "The layers"}


def class_title(path: str, has_stem: bool) -> tuple[str, str]:
    """Return the name of a container's class and what its docstring begins with."""
    known = _TITLES.get(path)
    name = "_".join(part.capitalize() for part in path.split("."))
    name, title = known or (name, f"The part `{path}`")
    return name, title if has_stem else _WITHOUT_STEM.get(path, title)


def class_doc(title: str, shapes: str) -> str:
    """Return a docstring's text, on one line where it fits."""
    line = f"{title}: {shapes}"
    if 4 + len(f'"""{line}"""') <= WIDTH:
        return line
    return f"{title}.\n\n    {shapes}\n    "


def shapes_text(nodes: Sequence[Node]) -> str:
    """Return the shapes of one value or of two."""
    return " and ".join(str(node.output_shape) for node in nodes)


def outer_inputs(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return the ids of what some nodes read of others."""
    inside = {node.id for node in nodes}
    return tuple(
        dict.fromkeys(source for node in nodes for source in node.inputs if source not in inside)
    )


def choose_variable(name: str, source: str, is_last_use: bool) -> str:
    """Return the variable for an item's output: its branch's, or the input's where that is free."""
    for branch in BRANCHES:
        if name.endswith(branch):
            return branch
    return source if is_last_use and source != "image" else "x"


def wrap_numbers(numbers: Sequence[int]) -> tuple[str, ...]:
    """Return a tuple's source text: one line, or lines that the formatter leaves as they are."""
    flat = ", ".join(str(number) for number in numbers)
    if len(numbers) > 1 and len(flat) + len("KEPT_PACKETS = ()") <= WIDTH:
        return (f"({flat})",)
    lines = ["   "]
    for number in numbers:
        if len(lines[-1]) + len(f" {number},") > WIDTH - 4:
            lines.append("   ")
        lines[-1] += f" {number},"
    return ("(", *lines, ")  # fmt: skip")


def assign(target: str, call: Call, indent: int = 8) -> list[str]:
    """Return `target = call` as the formatter breaks it at `indent` spaces, without these."""
    joined = ", ".join(call.arguments)
    start = f"{target} = {call.name}("
    if indent + len(f"{start}{joined})") <= WIDTH:
        return [f"{start}{joined})"]
    if indent + 4 + len(joined) <= WIDTH:
        return [start, f"    {joined}", ")"]
    return [start, *(f"    {argument}," for argument in call.arguments), ")"]
