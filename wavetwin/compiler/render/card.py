"""Collect what MODEL.md shows in its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.validate.conflict import value_text as written_text
from wavetwin.ir.build_names import build_name
from wavetwin.ir.node import Node
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.section import value_text
from wavetwin.ir.sides import size_text
from wavetwin.provenance.record import Provenance

_LABELS = ("wavetwin", "name", "summary", "tags", "published", "lint")


def card_info(compiled: Compiled, provenance: Provenance) -> dict[str, Any]:
    """Return what the template of MODEL.md needs beside the context of all templates."""
    graph = compiled.graph
    published = compiled.resolved.get("published", {})
    return {
        "layers": [_layer_row(node) for node in graph if node is not graph.input],
        "input_shape": shape_text(graph.input.output_shape),
        "output_shape": shape_text(graph.output.output_shape),
        "parameters": graph.parameters,
        "macs": graph.macs,
        "optimised_macs": compiled.optimised_graph.macs,
        "elementwise": graph.elementwise,
        "activation_megabytes": f"{graph.activation_bytes / 2**20:.1f}",
        "passes": [record for record in graph.passes if record.changed],
        "settings": list(_settings(compiled)),
        "training": list(_training_rows(compiled.plan)),
        "evaluation": [entry.describe() for entry in compiled.plan.evaluation],
        "published": [(key, value) for key, value in published.items()],
        "sources": provenance.sources,
        "uses_git": provenance.uses_git,
        "overrides": compiled.overrides,
    }


def folder_name(compiled: Compiled) -> str:
    """Return the name of the folder that the experiment is built to."""
    return build_name(compiled.name, compiled.digest, compiled.overrides)


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape for a reader: `3 x 224 x 224`."""
    return " x ".join(str(size) for size in shape)


def _layer_row(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "op": node.op,
        "shape": shape_text(node.output_shape) + (" complex" if node.is_complex else ""),
        "parameters": node.parameters,
        "macs": node.macs,
    }


def _settings(compiled: Compiled) -> Iterator[tuple[str, str, str]]:
    """Yield key path, value and location of what the spec and its overrides set themselves."""
    for path, value in _leaves(compiled.resolved, ""):
        if path.split(".", 1)[0] in _LABELS:
            continue
        location = compiled.loaded.origin(path)
        if location is not None and (location.startswith((f"{compiled.spec_path}:", "--set["))):
            yield path, _written_text(compiled, path, value), location


def _leaves(mapping: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _leaves(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _written_text(compiled: Compiled, path: str, value: Any) -> str:
    """Return a value as its line has it where that is a short text, else the resolved one."""
    node = compiled.loaded.node(path)
    if node is not None and not isinstance(node.value, dict):
        is_nested = isinstance(node.value, list) and any(
            isinstance(item.value, list | dict) for item in node.value
        )
        if not is_nested:
            return written_text(node)
    return _value_text(value)


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if any(isinstance(item, list | dict) for item in items):
            return f"{len(items)} entries"
        text = ", ".join(str(item) for item in items)
        return f"[{text}]" if len(text) <= 60 else f"{len(items)} numbers"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _training_rows(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    data, optimizer, schedule = plan.data, plan.optimizer, plan.schedule
    yield "data", f"{data.dataset}, {size_text(data.image_size)} px, {data.num_classes} classes"
    yield "augmentation", data.augmentation_text
    yield "normalised by", data.normalise
    yield "validation images", f"{data.validation}{' per class' * data.validation_per_class}"
    parts = f" in {plan.accumulate} parts" if plan.accumulate > 1 else ""
    yield "epochs and batch", f"{plan.epochs} epochs, batches of {plan.batch_size}{parts}"
    if plan.iterations_per_epoch is not None:
        yield "steps an epoch", str(plan.iterations_per_epoch)
    if plan.weights is not None:
        yield "starts from", plan.weights.describe()
        yield "their SHA-256", plan.weights.sha256 or "not known"
    yield "optimiser", f"{optimizer.describe()}, lr {optimizer.lr:g}"
    yield "schedule", schedule.describe(plan.epochs)
    if plan.loss is not None:
        yield "loss", plan.loss.describe()
    yield from _recipe_rows(plan)
    if plan.regularisation is not None:
        lambdas = ", ".join(str(value) for value in plan.regularisation.lambdas)
        yield "L1/Linf penalty", f"lambda {lambdas} on the bands of {plan.regularisation.node}"
    yield "precision", f"{plan.precision}{', compiled by torch.compile' * plan.compile}"
    yield "seed", str(plan.seed)


def _recipe_rows(plan: TrainingPlan) -> Iterator[tuple[str, str]]:
    """Yield what of a recipe is in use."""
    if plan.early_stopping is not None:
        yield "stops early", f"after {plan.early_stopping} epochs without a better validation loss"
    if plan.label_smoothing:
        yield "label smoothing", f"{plan.label_smoothing:g}"
    if plan.class_weights is not None:
        yield "class weights", value_text(plan.class_weights)
    for group in plan.groups:
        yield "parameter group", group.describe()
    if plan.freeze:
        norms = f", batch norms in {plan.frozen_norms} mode"
        yield "frozen in training", ", ".join(plan.freeze) + norms
    if plan.mixup is not None:
        yield "mixup", f"shares of Beta({plan.mixup:g}, {plan.mixup:g})"
    if plan.cutmix is not None:
        yield "cutmix", f"shares of Beta({plan.cutmix:g}, {plan.cutmix:g})"
    if plan.average_decay is not None:
        yield "weights averaged", f"decay {plan.average_decay:g} a step"
    if plan.clip_norm is not None:
        yield "gradients clipped", f"above a norm of {plan.clip_norm:g}"
