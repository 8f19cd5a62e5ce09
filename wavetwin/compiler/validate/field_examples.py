"""Give an example of every field that a spec may have: a part of a spec that the checks accept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from wavetwin.compiler.schema import SpecModel
from wavetwin.compiler.schema.declared import KindModel
from wavetwin.compiler.validate.fields import Form, default_at, field_forms, form_at, model_at
from wavetwin.compiler.validate.json_schema import WHOLE
from wavetwin.ir.section import declaration_of, declared_fields

__all__ = ["example_of", "value_at"]

ANY = "*"
"""An item of a list, or a name that the spec gives, in a key path."""

_VALUES: dict[str, Any] = {
    "extends": "wavetwin:resnet34/RwyI.yaml",
    "name": "RwyI_wide",
    "summary": "The twin with a wider stem",
    "tags": ["imagenet", "twin"],
    "free_channels": 40,
    "num_classes": 10,
    "image_size": 224,
    "data.augmentation": [
        {"random_resized_crop": {"scale": [0.2, 1.0]}},
        {"random_horizontal_flip": {}},
        {"random_erasing": {"p": 0.25}},
    ],
    "degrees": 10.0,
    "translate": [0.1, 0.1],
    "random_affine.scale": [0.9, 1.1],
    "shear": 5.0,
    "bits": 4,
    "threshold": 128,
    "sharpness_factor": 2.0,
    "fill": 128,
    "folder": "birds",
    "split_list": "splits.csv",
    "file": "bloodmnist.npz",
    "data.channels": 1,
    "lock.classes": ["robin", "wren"],
    "lock.train": [120, 90],
    "lock.val": [15, 12],
    "lock.test": [30, 25],
    "sha256": "9f3a" * 16,
    "list_sha256": "1c70" * 16,
    "validation": 50,
    "checkpoint": "weights/RI.safetensors",
    "initial_weights.channels": [0, 1, 2],
    "wavelet.levels": 2,
    "keep": [{"band": 1, "channels": 12, "groups": 6}],
    "keep.packets": [1, 2, 19, 17, 18, 3],
    "keep.band": 1,
    "keep.channels": 12,
    "keep.groups": 6,
    "exclude": ["lowpass", "edges"],
    "regularisation": [0.0, 0.0041],
    "color_mixing.initial": [0.3, 0.59, 0.11],
    "color_mixing": "after",
    "layers": [{"conv": {"channels": 64, "kernel_size": 3}}, {"relu": {}}],
    "replace": {"trunk.conv3": {"conv": {"channels": 256, "kernel_size": 3, "padding": 1}}},
    "body": [{"conv": {"channels": 64, "kernel_size": 3, "padding": 1}}],
    "shortcut": [{"conv": {"channels": 64, "kernel_size": 1}}],
    "initial": "xavier_uniform",
    "levels": 2,
    "probability": 0.5,
    "slope": 0.01,
    "smoothing": 0.01,
    "wavelet_pool.wavelet": "haar",
    "channels": 64,
    "features": 256,
    "kernel_size": 3,
    "stride": 2,
    "padding": 1,
    "gain": 1.4142,
    "module": {"file": "own/pooling.py", "name": "PowerPool"},
    "module.file": "own/pooling.py",
    "module.name": "PowerPool",
    "module.arguments": {"power": 2.0},
    "module.files": {"own/pooling.py": 64 * "0"},
    "loss": {"file": "own/losses.py", "name": "focal"},
    "loss.file": "own/losses.py",
    "loss.name": "focal",
    "loss.arguments": {"gamma": 2.0},
    "loss.files": {"own/losses.py": 64 * "0"},
    "metrics.name": "balanced",
    "metrics.module": {"file": "own/metrics.py", "name": "balanced_accuracy"},
    "metrics.module.file": "own/metrics.py",
    "metrics.module.name": "balanced_accuracy",
    "metrics.module.arguments": {"adjusted": True},
    "metrics.module.files": {"own/metrics.py": 64 * "0"},
    "norm.groups": 8,
    "conv.groups": 2,
    "size": 4,
    "layers.name": "conv2",
    "replace.name": "conv2",
    "body.name": "conv2",
    "shortcut.name": "conv2",
    "early_stopping": 10,
    "label_smoothing": 0.1,
    "class_weights": [0.5, 1.5],
    "freeze": ["stem", "norms"],
    "match": ["norms", "biases"],
    "lr_factor": 0.1,
    "weight_decay": 5e-4,
    "lr": 0.1,
    "momentum": 0.9,
    "eps": 1e-8,
    "betas": [0.9, 0.999],
    "alpha": 0.99,
    "mixup": 0.2,
    "cutmix": 1.0,
    "average_decay": 0.999,
    "clip_norm": 1.0,
    "step_epochs": 30,
    "milestones": [30, 60, 80],
    "end_factor": 0.01,
    "patience": 5,
    "power": 1.0,
    "first_epochs": 10,
    "multiplier": 2,
    "start_factor": 0.04,
    "rise": 0.3,
    "gamma": 0.1,
    "warmup_epochs": 1,
    "max_shift": 8,
    "pixel_divide": 2,
    "max_step": 4,
    "calibration_bins": 10,
    "predictions": True,
    "root": "imagenet-p",
    "source": "table 2, model A",
    "parameters": 61089433,
    "top1_error": 0.4334,
    "top5_error": 0.2051,
    "ten_crops_top1_error": 0.4101,
    "ten_crops_top5_error": 0.1874,
    "epochs": 30,
    "batch_size": 128,
    "accumulate": 2,
    "seed": 7,
    "threads": 4,
    "checkpoint_every": 10,
    "run": "RI/1a2b3c4d-s0",
    "state_dict": "model",
    "weights.parts": ["trunk"],
    "reason": "the published model was trained so",
}
"""Values by the end of their key path, the longer one first; what is a choice takes one of its own, and
what has none here its default, or a number of its range."""
_BESIDE: dict[str, dict[str, Any]] = {
    "keep.channels": {"band": 1},
    "keep.groups": {"band": 1},
    "groups.match": {"lr_factor": 0.1},
    "data.folder": {"dataset": "folder"},
    "data.split_list": {"dataset": "folder"},
    "data.channels": {"dataset": "folder"},
    "data.file": {"dataset": "arrays"},
    "data.lock": {"dataset": "folder", "folder": "birds"},
}
"""What stands beside a field so that the example does something."""


def example_of(path: Sequence[str]) -> dict[str, Any]:
    """Return a part of a spec that sets a field, as plain values.

    Beside the field it has what the field cannot be without: the kind that it belongs to, what an item
    of a list requires.

    Args:
        path: keys from the top, `*` for an item.

    Raises:
        LookupError: no example is known; a test asks for one of every field.
    """
    document = _around(tuple(path), 0)
    assert isinstance(document, dict)
    return cast("dict[str, Any]", document)


def _around(path: tuple[str, ...], depth: int) -> Any:
    """Return the value at `path[:depth]` with the field in it."""
    if depth == len(path):
        return _value(path)
    part = path[depth]
    inner = _around(path, depth + 1)
    if part == ANY:
        form = form_at(_asked(path[:depth]))
        assert form is not None
        return {"conv1": inner} if form.values is not None else [inner]
    model = model_at(_asked(path[:depth]))
    assert model is not None
    found = {**_companions(path[:depth], model, part), part: inner}
    return {name: found[name] for name in model.model_fields if name in found}


def _companions(path: tuple[str, ...], model: type[SpecModel], field: str) -> dict[str, Any]:
    """Return what a section has to say beside a field."""
    found = dict(_BESIDE.get(".".join((*_named(path), field)[-2:]), {}))
    if issubclass(model, KindModel) and field != model.kinds.tag:
        found[model.kinds.tag] = model.kinds.with_field(field)[0]
    if model.__name__ in WHOLE:
        for name, each in model.model_fields.items():
            if each.is_required() and name not in (field, *found):
                found[name] = _value((*path, name))
    return found


def _value(path: tuple[str, ...]) -> Any:
    form = form_at(_asked(path))
    assert form is not None
    named = _named(path)
    for start in range(len(named) if not form.choices else 0):
        known = _VALUES.get(".".join(named[start:]))
        if known is not None:
            return known
    return _from_form(path, form)


def _named(path: Sequence[str]) -> tuple[str, ...]:
    return tuple(part for part in path if part != ANY)


def _from_form(path: tuple[str, ...], form: Form) -> Any:
    """Return a value of a form: a section, a choice or a switch that is not the default, or that."""
    default = default_at(_asked(path))
    if form.model is not None:
        return _section(path, form.model)
    if form.values is not None or (form.item is not None and form.item.model is not None):
        return _around((*path, ANY), len(path))
    if form.item is not None and form.item.choices:
        return [form.item.choices[0]]
    if form.choices:
        return next((each for each in form.choices if each != default), form.choices[0])
    if isinstance(default, bool) or form == Form("true or false"):
        return not default
    if default is not None:
        return list(cast("tuple[Any, ...]", default)) if isinstance(default, tuple) else default
    within = _within(path)
    if within is None:
        raise LookupError(".".join(path))
    return within if form.label == "a whole number" else float(within)


def _within(path: tuple[str, ...]) -> float | None:
    """Return a number above the least that a field is declared to be; None where it has no least one."""
    section = model_at(_asked(path[:-1]))
    for declared in section.declared if section is not None else ():
        for each in declared_fields(declared):
            limits = declaration_of(each).limits
            least = limits.get("gt", limits.get("ge"))
            if each.name == path[-1] and least is not None:
                most = limits.get("lt", limits.get("le", math.inf))
                return least + 1 if least + 1 < most else (least + most) / 2
    return None


def _section(path: tuple[str, ...], model: type[SpecModel]) -> dict[str, Any]:
    """Return a section as small as it may be: what it requires, or its first field that has an example."""
    if issubclass(model, KindModel):
        return {model.kinds.tag: next(iter(model.kinds))}
    required = [name for name, each in model.model_fields.items() if each.is_required()]
    names = (
        required or [name for name, form in field_forms(model).items() if form.model is None][:1]
    )
    return {name: _value((*path, name)) for name in names}


def _asked(path: Sequence[str]) -> tuple[str | int, ...]:
    """Return a path as the schema is asked: any index stands for an item."""
    asked: list[str | int] = []
    for part in path:
        form = form_at(asked)
        is_item = part == ANY and form is not None and form.values is None
        asked.append(0 if is_item else part)
    return tuple(asked)


def value_at(document: Any, keys: Sequence[str]) -> Any:
    """Return the value of a key path in an example; of `*` the first item, or the first value."""
    for key in keys:
        if key != ANY:
            document = document[key]
        elif isinstance(document, list):
            document = cast("list[Any]", document)[0]
        else:
            document = next(iter(cast("dict[str, Any]", document).values()))
    return document
