"""Make the model of `data.augmentation`: a short name, or a list of transforms in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from pydantic import Discriminator, Field, Tag

from wavetwin.compiler.schema.declared import DeferredModel, choice_of, model_of, section_of
from wavetwin.compiler.schema.model import SpecModel, scalar_or_list
from wavetwin.ir.augmentations import AUGMENTATIONS
from wavetwin.ir.image_transforms import ImageTransform, known_transforms

__all__ = [
    "AugmentationField",
    "read_transforms",
    "transform_item",
    "transform_models",
    "transforms_of",
]


class _Item(SpecModel):
    """One transform of training images: its name, and its fields."""


@cache
def transform_models() -> dict[str, type[SpecModel]]:
    """Return the model of each kind, by the keys of items."""
    return {key: model_of(kind.__name__, kind) for key, kind in known_transforms().items()}


@cache
def transform_item() -> type[SpecModel]:
    """Return the model of an item of a list; made for the first spec that has such a list."""
    made: Any = {key: (model | None, None) for key, model in transform_models().items()}
    item = pydantic.create_model(
        "TransformItem", __base__=_Item, __module__=__name__, __doc__=_Item.__doc__, **made
    )
    item.field_texts = {
        key: (kind.__doc__ or "").splitlines()[0].partition(";")[0].removesuffix(".") + "."
        for key, kind in known_transforms().items()
    }
    return item


def transforms_of(item: SpecModel) -> dict[str, ImageTransform]:
    """Return the transforms that an item has, by their keys: one, where it is without fault."""
    found = {key: getattr(item, key) for key in known_transforms()}
    return {
        key: section_of(model, known_transforms()[key])
        for key, model in found.items()
        if model is not None
    }


def read_transforms(items: Sequence[SpecModel]) -> tuple[ImageTransform, ...]:
    """Return the transforms of a list that is without fault, as the plan has them."""
    return tuple(each for item in items for each in transforms_of(item).values())


_Short = Annotated[choice_of(AUGMENTATIONS), Tag("scalar")]
_List = Annotated[
    tuple[Annotated[Any, DeferredModel(transform_item)], ...],
    Field(min_length=1, max_length=64, strict=False),
    Tag("list"),
]
if TYPE_CHECKING:
    AugmentationField = str | tuple[SpecModel, ...]
else:
    AugmentationField = Annotated[_Short | _List, Discriminator(scalar_or_list)]
