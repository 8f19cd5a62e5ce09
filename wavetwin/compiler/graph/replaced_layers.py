"""Put what a spec says in the places of layers of a named trunk."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.schema import ExperimentSpec, given_fields
from wavetwin.ir.builder import GraphBuilder, Replacement
from wavetwin.ir.layer_kind import LayerOptions, Measure
from wavetwin.ir.node import ShapeError
from wavetwin.ir.operations import Operation
from wavetwin.ir.replaced_layers import replaced_item


def find_replacements(
    spec: ExperimentSpec, measure: Measure | None = None
) -> dict[str, Replacement]:
    """Return what takes a node's place, by the node's id; `measure` makes operations of own modules."""
    return dict(_replacements(spec, measure))


def _replacements(
    spec: ExperimentSpec, measure: Measure | None
) -> Iterator[tuple[str, Replacement]]:
    options = LayerOptions(spec.data.num_classes or 0, measure=measure)
    for name, said in spec.backbone.replace.items():
        field = f"backbone.replace.{name}"
        given = given_fields(said)

        def place(
            builder: GraphBuilder,
            node_id: str,
            operation: Operation,
            source: str,
            given: dict[str, dict[str, object]] = given,
            field: str = field,
        ) -> str:
            try:
                item = replaced_item(operation, given, field)
                return item.add(builder, node_id, source, options)
            except ShapeError as error:
                error.field = error.field or field
                raise

        yield f"trunk.{name}", place
