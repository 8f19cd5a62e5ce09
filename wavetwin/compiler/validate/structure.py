"""Check a tree against the schema, each fault at its location in the text.

pydantic finds the faults; here each becomes one diagnostic at the key or the value that is wrong,
with the name that was probably meant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import MISSING, replace
from functools import cache
from typing import Any, cast

from pydantic import ValidationError

from wavetwin.compiler.parse.compose import find_node
from wavetwin.compiler.parse.nodes import SpecNode, to_plain
from wavetwin.compiler.parse.replacement import REPLACE
from wavetwin.compiler.schema import LANGUAGE_VERSION, ExperimentSpec, SpecModel
from wavetwin.compiler.validate.faults import (
    Fault,
    Path,
    explain_fault,
    too_long_lists,
    unknown_field,
    wrong_type,
)
from wavetwin.compiler.validate.fields import (
    SPECS,
    Language,
    field_forms,
    model_at,
    untagged_path,
)
from wavetwin.diagnostics import Location
from wavetwin.ir.frozen import frozen
from wavetwin.ir.image_transforms import known_transforms
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.section import declaration_of, declared_fields


@frozen
class Structure:
    """The outcome of holding a tree against the schema."""

    spec: ExperimentSpec | None
    faults: tuple[Fault, ...]


def check_structure(tree: SpecNode, line_text: Callable[[Location], str | None]) -> Structure:
    """Hold a tree against the schema of specs and explain every fault."""
    spec, faults = hold_against(tree, line_text, SPECS)
    return Structure(cast("ExperimentSpec | None", spec), faults)


def hold_against(
    tree: SpecNode, line_text: Callable[[Location], str | None], language: Language
) -> tuple[SpecModel | None, tuple[Fault, ...]]:
    """Hold a tree against the schema of a language; return the document and every fault, explained."""
    document: SpecModel | None = None
    faults: list[Fault] = []
    try:
        document = language.root.model_validate(to_plain(tree))
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            path = untagged_path(each["loc"], language)
            fault = explain_fault(tree, each["type"], path, line_text, language)
            if fault is not None:
                faults.append(fault)
    faults += too_long_lists(tree, [fault.path for fault in faults], language)
    for path in language.integer_choices:
        node = find_node(tree, path)
        if node is not None and isinstance(node.value, bool | float):
            faults = [fault for fault in faults if fault.path != path]
            faults.append(wrong_type(path, node, line_text(node.location), language))
    for path, node in _nulls(tree, ()):
        # A plain null is no value to pydantic, whatever its key; a wrong section is reported already.
        section = model_at(path[:-1], language)
        if section is not None and path[-1] not in field_forms(section):
            faults.append(unknown_field(tree, path, node, language))
    if faults:
        document = None
    # Half a number may be wrong for being half.
    cut = {fault.meant for fault in faults if fault.is_cut}
    meant = {fault.meant for fault in faults if fault.meant is not None}
    return document, tuple(
        replace(fault, is_silent=True)
        if fault.path in cut or (fault.is_missing and _is_below(fault.path, meant))
        else _with_line(fault, line_text)
        for fault in faults
    )


def _is_below(path: Path, others: Collection[Path]) -> bool:
    """Return whether a path is one of others, or of something in one: what is missing there was misspelt."""
    return any(path[:length] in others for length in range(1, len(path) + 1))


def _nulls(node: SpecNode, path: Path) -> Iterator[tuple[Path, SpecNode]]:
    """Yield what mappings give as null, at any depth."""
    value = node.value
    if isinstance(value, dict):
        for key, item in value.items():
            if item.value is None:
                yield (*path, key), item
            else:
                yield from _nulls(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nulls(item, (*path, index))


def find_left_empty(tree: SpecNode, language: Language = SPECS) -> list[tuple[Path, SpecNode]]:
    """Return the fields of the language whose value is not written."""
    found: list[tuple[Path, SpecNode]] = []
    for path, node in _nulls(tree, ()):
        section = model_at(path[:-1], language) if node.left_out else None
        if section is not None and path[-1] in field_forms(section):
            found.append((path, node))
    return found


def _with_line(fault: Fault, line_text: Callable[[Location], str | None]) -> Fault:
    location = fault.diagnostic.location
    assert location is not None, fault
    return replace(fault, diagnostic=replace(fault.diagnostic, source_line=line_text(location)))


def prune(plain: dict[str, Any], faults: Sequence[Fault]) -> set[Path]:
    """Take what is wrong out of plain values, so that the rest can be checked.

    A required field gets a placeholder. Returns the paths that no check may rely on.
    """
    unreliable = {fault.path for fault in faults}
    unreliable |= {fault.meant for fault in faults if fault.meant is not None}
    pruned: set[Path] = set()
    # The outermost first: what goes as a whole needs no mending within.
    for fault in sorted(faults, key=lambda fault: len(fault.path)):
        _prune_path(plain, fault.path, pruned)
    return unreliable | pruned


def _item_placeholders(path: str) -> Iterator[tuple[str, Any]]:
    """Yield placeholders of what the items of a list of layers require, and of lists within it."""
    yield f"{path}.*", {"flatten": {}}
    for key, kind in known_layers().items():
        for each in declared_fields(kind):
            known = declaration_of(each)
            if each.default is MISSING:
                yield f"{path}.*.{key}.{each.name}", known.limits.get("ge", "-")
            elif known.holds_items and "*" not in path:
                yield from _item_placeholders(f"{path}.*.{key}.{each.name}")


def _transform_placeholders(path: str) -> Iterator[tuple[str, Any]]:
    """Yield placeholders of what the transforms of a list require."""
    for key, kind in known_transforms().items():
        for each in declared_fields(kind):
            if each.default is MISSING:
                yield f"{path}.*.{key}.{each.name}", declaration_of(each).limits.get("ge", "-")


@cache
def placeholders() -> dict[str, Any]:
    """Return what is put where a required field is wrong or missing; no check sees it."""
    return {
        "wavetwin": LANGUAGE_VERSION,
        "backbone": {"arch": "alexnet"},
        "backbone.arch": "alexnet",
        **dict(_item_placeholders("backbone.layers")),
        "stem.initial_weights.checkpoint": "-",
        "pooling.module.file": "-",
        "pooling.module.name": "-",
        "stem.wavelet.levels": 2,
        "stem.wavelet.keep": [{"packets": [1], "channels": 1}],
        "stem.wavelet.keep.*": {"packets": [1], "channels": 1},
        "stem.wavelet.keep.*.channels": 1,
        "data": {"dataset": "imagenet"},
        "data.dataset": "imagenet",
        "data.augmentation.*": {"random_horizontal_flip": {}},
        **dict(_transform_placeholders("data.augmentation")),
        "data.lock.classes": ["a", "b"],
        "data.lock.sha256": "0" * 64,
        "training.loss.file": "-",
        "training.loss.name": "-",
        "training.groups.*": {"match": ["norms"]},
        "training.groups.*.match": ["norms"],
        "evaluation.*": {"mode": "one_crop"},
        "evaluation.*.mode": "one_crop",
        "evaluation.*.metrics.*": {"name": "own", "module": {"file": "-", "name": "-"}},
        "evaluation.*.metrics.*.name": "own",
        "evaluation.*.metrics.*.module": {"file": "-", "name": "-"},
        "evaluation.*.metrics.*.module.file": "-",
        "evaluation.*.metrics.*.module.name": "-",
        "published.source": "-",
        "lint.allow.*": {"rule": "static-gain", "reason": "-"},
        "lint.allow.*.rule": "static-gain",
        "lint.allow.*.reason": "-",
    }


def _prune_path(plain: dict[str, Any], path: Path, pruned: set[Path]) -> None:
    if any(path[:length] in pruned for length in range(1, len(path) + 1)):
        return
    holder = _holder_of(plain, path)
    if holder is None:
        return  # taken out already, with what is around it
    last = path[-1]
    pattern = ".".join(
        "*" if isinstance(part, int) or path[:index] == REPLACE else part
        for index, part in enumerate(path)
    )
    if pattern in placeholders():
        holder[last] = deepcopy(placeholders()[pattern])
    elif isinstance(last, int):
        # A list without one of its items says something else: the list goes.
        _prune_path(plain, path[:-1], pruned)
        return
    elif isinstance(holder, dict):
        cast("dict[str, Any]", holder).pop(last, None)
    pruned.add(path)


def _holder_of(plain: dict[str, Any], path: Path) -> Any:
    """Return the mapping or list that a path ends in; None where there is none."""
    holder: Any = plain
    for part in path[:-1]:
        if isinstance(holder, dict):
            holder = cast("dict[str, Any]", holder).get(str(part))
        elif isinstance(holder, list) and isinstance(part, int):
            holder = cast("list[Any]", holder)[part]
    kind = list if isinstance(path[-1], int) else dict
    return cast("Any", holder) if isinstance(holder, kind) else None
