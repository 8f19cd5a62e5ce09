"""Write how model.py imports classes of the project: from the copies beside it."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Set

from wavetwin.compiler.render.model_text import WIDTH
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import UserModule
from wavetwin.ir.own_code import FOLDER, module_name

__all__ = ["own_import_lines", "own_names"]

_TAKEN = frozenset(
    {"Model", "Tensor", "annotations", "build_model", "check_images", "nn", *vars(builtins)}
)
"""Names that mean something else in model.py, beside its own classes and the layers that it imports."""


def own_names(graph: ModuleGraph, written: Set[str]) -> dict[tuple[str, str], str]:
    """Return what each class of the project is called in model.py, by its file and its name.

    Args:
        graph: that has the modules.
        written: names of model.py's classes, and of the layers that it imports.
    """
    taken = _TAKEN | written | {"KEPT_PACKETS"}
    found: dict[tuple[str, str], str] = {}
    for each in graph.all_of(UserModule):
        key = each.operation.file, each.operation.name
        name, number = key[1], 1
        while key not in found and (name in taken or name in found.values()):
            number += 1
            name = f"Own{key[1]}" if number == 2 else f"Own{key[1]}{number - 1}"
        found.setdefault(key, name)
    return found


def own_import_lines(names: Mapping[tuple[str, str], str]) -> tuple[str, ...]:
    """Return the import statements of these classes, as the formatter writes them."""
    by_module: dict[str, list[str]] = {}
    for (file, name), called in sorted(names.items()):
        text = name if called == name else f"{name} as {called}"
        by_module.setdefault(f"{FOLDER}.{module_name(file)}", []).append(text)
    lines: list[str] = []
    for module in sorted(by_module):
        line = f"from {module} import {', '.join(by_module[module])}"
        if len(line) <= WIDTH:
            lines.append(line)
        else:
            lines += [
                f"from {module} import (",
                *(f"    {each}," for each in by_module[module]),
                ")",
            ]
    return tuple(lines)
