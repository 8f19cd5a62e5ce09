"""Write a difference as JSON values, complete."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from wavetwin.explain.diff.costs import Cost
from wavetwin.explain.diff.declaration import ABSENT, FieldChange
from wavetwin.explain.diff.difference import Difference, SourcedChange
from wavetwin.explain.diff.layers import LayerChange
from wavetwin.explain.diff.scores import ScoreRow
from wavetwin.explain.diff.tensors import TensorChanges, TensorInfo
from wavetwin.ir.node import Node


def difference_document(difference: Difference) -> dict[str, Any]:
    """Return every level of a difference; a field that a side lacks has no key for that side."""
    model, plan = difference.model, difference.plan
    return {
        "declaration": [_field(each) for each in difference.fields],
        "own_code": [asdict(each) for each in difference.own_code],
        "labels": [_values(each) for each in difference.labels],
        "model": {
            "layers": [_layer(layer) for layer in model.differing],
            "same_layers": model.count("same"),
            "before": _cost(model.before),
            "after": _cost(model.after),
            "difference": _cost(model.after - model.before),
            "executed_before": _cost(model.executed_before),
            "executed_after": _cost(model.executed_after),
        },
        "mathematics": [asdict(effect) for effect in difference.effects],
        "training": {
            "same": plan.same_training,
            "rows": [asdict(row) for row in plan.rows],
            "notes": list(plan.notes),
        },
        "scores": [score_document(row) for row in difference.scores],
    }


def score_document(row: ScoreRow) -> dict[str, Any]:
    """Return a score of several sources, null where one has none."""
    return {
        "name": row.name,
        "origin": row.origin,
        "values": [
            None if each is None else {"value": each.value, "low": each.low, "high": each.high}
            for each in row.values
        ],
        "difference": row.difference,
    }


def tensors_document(changes: TensorChanges) -> dict[str, Any]:
    """Return the tensors that differ, and how many do not."""
    return {
        "same": len(changes.same),
        "added": list(changes.added),
        "removed": list(changes.removed),
        "changed": [
            {"name": name, "before": _tensor(before), "after": _tensor(after)}
            for name, before, after in changes.changed
        ],
    }


def _tensor(info: TensorInfo) -> dict[str, Any]:
    return {"shape": list(info.shape), "dtype": info.dtype}


def _values(change: FieldChange) -> dict[str, Any]:
    document: dict[str, Any] = {"field": change.name, "kind": change.kind}
    if change.before is not ABSENT:
        document["before"] = change.before
    if change.after is not ABSENT:
        document["after"] = change.after
    return document


def _field(sourced: SourcedChange) -> dict[str, Any]:
    return _values(sourced.change) | {
        "before_origin": sourced.before_origin,
        "after_origin": sourced.after_origin,
    }


def _layer(layer: LayerChange) -> dict[str, Any]:
    return {
        "kind": layer.kind,
        "before": _node(layer.before),
        "after": _node(layer.after),
        "attributes": [
            {"name": name, "before": before, "after": after}
            for name, before, after in layer.attributes
        ],
        "difference": _cost(layer.cost),
    }


def _node(node: Node | None) -> dict[str, Any] | None:
    if node is None:
        return None
    return {
        "id": node.id,
        "op": node.op,
        "output_shape": list(node.output_shape),
        "complex": node.is_complex,
        "origin": list(node.origin),
    }


def _cost(cost: Cost) -> dict[str, int]:
    return asdict(cost)
