"""Structure: what the schema refuses, each fault at its place in the text.

pydantic finds the faults; here each becomes one diagnostic at the key or the value that is wrong,
with the name that was probably meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import ValidationError

from wavetwin.compiler.compose import find_node
from wavetwin.compiler.faults import Fault, Path, explain_fault, wrong_type
from wavetwin.compiler.fields import untagged_path
from wavetwin.compiler.parse import SpecNode
from wavetwin.compiler.schema import LANGUAGE_VERSION, ExperimentSpec
from wavetwin.diagnostics import Place

_INTEGER_CHOICES: tuple[Path, ...] = (("wavetwin",), ("pooling", "max_kernel"))
"""Enumerations of numbers: pydantic takes `true` for 1 and 3.0 for 3 there."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The outcome of holding a tree against the schema."""

    spec: ExperimentSpec | None
    faults: tuple[Fault, ...]


def to_plain(node: SpecNode) -> Any:
    """Return a node as plain values; what a mapping gives as null is left out."""
    value = node.value
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items() if item.value is not None}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return value


def check_structure(tree: SpecNode, line_text: Callable[[Place], str | None]) -> Structure:
    """Hold a tree against the schema and explain every fault."""
    spec: ExperimentSpec | None = None
    faults: list[Fault] = []
    try:
        spec = ExperimentSpec.model_validate(to_plain(tree))
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            fault = explain_fault(tree, each["type"], untagged_path(each["loc"]))
            if fault is not None:
                faults.append(fault)
    for path in _INTEGER_CHOICES:
        node = find_node(tree, path)
        if node is not None and isinstance(node.value, bool | float):
            faults = [fault for fault in faults if fault.path != path]
            faults.append(wrong_type(path, node))
            spec = None
    meant = {fault.meant for fault in faults if fault.meant is not None}
    return Structure(
        spec,
        tuple(
            replace(fault, is_silent=True)
            if fault.is_missing and fault.path in meant
            else _with_line(fault, line_text)
            for fault in faults
        ),
    )


def _with_line(fault: Fault, line_text: Callable[[Place], str | None]) -> Fault:
    place = fault.diagnostic.place
    assert place is not None, fault
    return replace(fault, diagnostic=replace(fault.diagnostic, source_line=line_text(place)))


def prune(plain: dict[str, Any], faults: Sequence[Fault]) -> set[Path]:
    """Take what is wrong out of plain values, so that the rest can be checked.

    A required field gets a stand-in. Returns the paths that no check may rely on.
    """
    unreliable = {fault.path for fault in faults}
    unreliable |= {fault.meant for fault in faults if fault.meant is not None}
    for fault in faults:
        _prune_path(plain, fault.path, unreliable)
    return unreliable


STAND_INS: dict[str, Any] = {
    "wavetwin": LANGUAGE_VERSION,
    "backbone": {"arch": "alexnet"},
    "backbone.arch": "alexnet",
    "backbone.layers.*": {"flatten": {}},
    "backbone.layers.*.conv.channels": 1,
    "stem.initial_weights.checkpoint": "-",
    "stem.wavelet.levels": 2,
    "stem.wavelet.keep": [{"packets": [1], "channels": 1}],
    "stem.wavelet.keep.*": {"packets": [1], "channels": 1},
    "stem.wavelet.keep.*.channels": 1,
    "data": {"dataset": "imagenet"},
    "data.dataset": "imagenet",
    "evaluation.*": {"mode": "one_crop"},
    "evaluation.*.mode": "one_crop",
    "published.source": "-",
    "lint.allow.*": {"rule": "static-gain", "reason": "-"},
    "lint.allow.*.rule": "static-gain",
    "lint.allow.*.reason": "-",
}
"""What is put where a required field is wrong or missing; no check sees it."""


def _prune_path(plain: dict[str, Any], path: Path, unreliable: set[Path]) -> None:
    holder: Any = plain
    for part in path[:-1]:
        if isinstance(holder, dict):
            holder = cast("dict[str, Any]", holder).get(str(part))
        elif isinstance(holder, list) and isinstance(part, int):
            holder = cast("list[Any]", holder)[part]
        if not isinstance(holder, dict | list):
            return  # taken out already, with what is around it
    last = path[-1]
    pattern = ".".join("*" if isinstance(part, int) else part for part in path)
    if pattern in STAND_INS:
        stand_in = STAND_INS[pattern]
        if isinstance(holder, list) and isinstance(last, int):
            cast("list[Any]", holder)[last] = stand_in
        elif isinstance(holder, dict):
            cast("dict[str, Any]", holder)[str(last)] = stand_in
    elif isinstance(last, int):
        # A list without one of its items says something else: the list goes.
        unreliable.add(path[:-1])
        _prune_path(plain, path[:-1], unreliable)
    elif isinstance(holder, dict):
        cast("dict[str, Any]", holder).pop(str(last), None)
