"""Make the model of an item of `backbone.layers` from the kinds that `ir` declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import pydantic

from wavetwin.compiler.schema.declared import model_of, section_of
from wavetwin.compiler.schema.model import SpecModel
from wavetwin.ir.layer_kind import LayerKind
from wavetwin.ir.layer_kinds import LAYER_KINDS

__all__ = ["LAYER_MODELS", "SequentialLayer", "layers_of"]

LAYER_MODELS = {key: model_of(kind.__name__, kind) for key, kind in LAYER_KINDS.items()}
"""The model of each kind, by the keys of items."""


class _Item(SpecModel):
    """One layer of a `sequential` backbone: a mapping with exactly one of these keys."""

    field_texts: ClassVar[Mapping[str, str]] = {
        key: (kind.__doc__ or "").splitlines()[0].partition(";")[0].removesuffix(".") + "."
        for key, kind in LAYER_KINDS.items()
    }


SequentialLayer = cast(
    "type[SpecModel]",
    cast("Any", pydantic.create_model)(
        "SequentialLayer",
        __base__=_Item,
        __module__=__name__,
        __doc__=_Item.__doc__,
        **{key: (model | None, None) for key, model in LAYER_MODELS.items()},
    ),
)
"""One layer of a `sequential` backbone."""


def layers_of(item: SpecModel) -> dict[str, LayerKind]:
    """Return the layers that an item has, by their keys."""
    found = {key: getattr(item, key) for key in LAYER_MODELS}
    return {
        key: section_of(model, LAYER_KINDS[key])
        for key, model in found.items()
        if model is not None
    }
