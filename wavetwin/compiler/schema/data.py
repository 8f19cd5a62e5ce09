"""Define the fields of `data`: the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag

from wavetwin.compiler.schema.augmentation import AugmentationField
from wavetwin.compiler.schema.declared import choice_of
from wavetwin.compiler.schema.model import SpecModel, scalar_or_list
from wavetwin.ir.datasets import DATASETS

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = choice_of(DATASETS)
Side = Annotated[int, Field(ge=4, le=4096)]


class DataSpec(SpecModel):
    """The images."""

    dataset: DatasetName
    """Data set."""
    num_classes: int | None = Field(default=None, ge=2, le=1000000)
    """Number of classes; known for named sets, required for `folder`."""
    image_size: (
        Annotated[
            Annotated[Side, Tag("scalar")]
            | Annotated[tuple[Side, Side], Field(strict=False), Tag("list")],
            Discriminator(scalar_or_list),
        ]
        | None
    ) = None
    """What the network sees, in pixels: the side of a square, or [height, width]; default: the data set's
    usual one."""
    channels: Literal[1, 3] | None = None
    """1: images are read as grey, colours by their luminance; 3: as colours, grey ones three times the
    same; for images of your own only, default: 3."""
    augmentation: AugmentationField | None = None
    """Random changes of training images: a short name, or a list of transforms in order, each by its
    name in `torchvision.transforms.v2`; default: the data set's usual ones."""
    normalise: Literal["dataset", "imagenet", "none"] | None = None
    """Whose mean and standard deviation images are normalised with; default: `imagenet` for colour
    images, `dataset` for images of one channel."""
    validation: int | None = Field(default=None, ge=0, le=10000000)
    """Training images held out (per class for folders of images); default: the data set's."""

    @property
    def num_channels(self) -> int:
        """The channels of what the network sees."""
        return self.channels or DATASETS[self.dataset].channels
