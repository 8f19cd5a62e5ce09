"""Make the model of `data.augmentation`: a short name, or a list of transforms in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pydantic
from pydantic import Discriminator, Field, Tag

from wavetwin.compiler.schema.declared import choice_of, model_of, section_of
from wavetwin.compiler.schema.model import SpecModel, scalar_or_list
from wavetwin.ir.augmentations import AUGMENTATIONS
from wavetwin.ir.image_transforms import TRANSFORMS, ImageTransform

__all__ = [
    "TRANSFORM_MODELS",
    "AugmentationField",
    "TransformItem",
    "read_transforms",
    "transforms_of",
]


class _Item(SpecModel):
    """One transform of training images: its name, and its fields."""

    field_texts: ClassVar[Mapping[str, str]] = {
        key: (kind.__doc__ or "").splitlines()[0].partition(";")[0].removesuffix(".") + "."
        for key, kind in TRANSFORMS.items()
    }


def transforms_of(item: SpecModel) -> dict[str, ImageTransform]:
    """Return the transforms that an item has, by their keys: one, where it is without fault."""
    found = {key: getattr(item, key) for key in TRANSFORMS}
    return {
        key: section_of(model, TRANSFORMS[key]) for key, model in found.items() if model is not None
    }


def read_transforms(items: Sequence[SpecModel]) -> tuple[ImageTransform, ...]:
    """Return the transforms of a list that is without fault, as the plan has them."""
    return tuple(each for item in items for each in transforms_of(item).values())


TRANSFORM_MODELS = {key: model_of(kind.__name__, kind) for key, kind in TRANSFORMS.items()}
"""The model of each kind, by the keys of items."""
_fields: Any = {key: (model | None, None) for key, model in TRANSFORM_MODELS.items()}
TransformItem = pydantic.create_model(
    "TransformItem", __base__=_Item, __module__=__name__, __doc__=_Item.__doc__, **_fields
)
"""An item of a list."""
_Short = Annotated[choice_of(AUGMENTATIONS), Tag("scalar")]
_List = Annotated[
    tuple[TransformItem, ...], Field(min_length=1, max_length=64, strict=False), Tag("list")
]
if TYPE_CHECKING:
    AugmentationField = str | tuple[SpecModel, ...]
else:
    AugmentationField = Annotated[_Short | _List, Discriminator(scalar_or_list)]
