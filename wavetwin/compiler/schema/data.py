"""Define the fields of `data`: the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Discriminator, Field, Tag

from wavetwin.compiler.schema.augmentation import AugmentationField
from wavetwin.compiler.schema.declared import choice_of, model_of, section_of
from wavetwin.compiler.schema.model import NAME_PATTERN, SpecModel, scalar_or_list
from wavetwin.ir.data_lock import DataLock
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.sides import Sides, height_and_width

if TYPE_CHECKING:

    class DataLockSpec(SpecModel):
        """The lock, as `ir` declares it."""

        classes: tuple[str, ...]

    DatasetName = str
else:
    DataLockSpec = model_of("DataLockSpec", DataLock)
    DatasetName = choice_of(DATASETS)
Side = Annotated[int, Field(ge=4, le=4096)]


class DataSpec(SpecModel):
    """The images."""

    dataset: DatasetName
    """Data set."""
    folder: str | None = Field(default=None, pattern=NAME_PATTERN)
    """Of images of your own: the folder below the data root that has them; default: the data root."""
    split_list: str | None = Field(default=None, pattern=NAME_PATTERN)
    """Of images of your own: a CSV in their folder with the columns path, label and split (train, val or
    test), in the place of folders."""
    file: str | None = Field(default=None, pattern=NAME_PATTERN)
    """Of `arrays`: the .npz file, in the folder."""
    lock: DataLockSpec | None = None
    """Of images of your own: what `wavetwin data prepare` found of them; it writes a file to extend."""
    num_classes: int | None = Field(default=None, ge=2, le=1000000)
    """Number of classes; known for named sets and from a lock, else required for images of your own."""
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
    same; for images of your own, default: 3."""
    augmentation: AugmentationField | None = None
    """Random changes of training images: a short name, or a list of transforms in order, each by its
    name in `torchvision.transforms.v2`; default: the data set's usual ones."""
    normalise: Literal["dataset", "imagenet", "none"] | None = None
    """Whose mean and standard deviation images are normalised with; default: `imagenet` for colour
    images, `dataset` for images of one channel."""
    validation: int | None = Field(default=None, ge=0, le=10000000)
    """Training images held out (per class for folders of images); default: the data set's; of images of
    your own with a lock a tenth of the smallest class, none where they have a `val` beside `test`."""

    @property
    def num_channels(self) -> int:
        """The channels of what the network sees."""
        return self.channels or DATASETS[self.dataset].channels

    @property
    def sides(self) -> Sides:
        """Height and width of what the network sees."""
        return height_and_width(self.image_size or DATASETS[self.dataset].image_size)

    @property
    def class_count(self) -> int | None:
        """The number of classes; None where neither spec, lock nor data set says it."""
        locked = None if self.lock is None else len(self.lock.classes)
        return self.num_classes or locked or DATASETS[self.dataset].num_classes

    @property
    def num_held_out(self) -> int:
        """The training images held out, of each class where the data set says so."""
        if self.validation is not None:
            return self.validation
        if self.lock is not None:
            return self.locked.usual_validation
        return DATASETS[self.dataset].validation

    @property
    def locked(self) -> DataLock:
        """The lock, where there is one."""
        assert self.lock is not None
        return section_of(self.lock, DataLock)
