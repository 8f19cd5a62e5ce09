"""Say what a data set that the language knows by name is.

Data sets of one layout are one module of `wavetwin.ir.datasets`: a class derived from `Dataset`, which
names their reader, and a row for each of them. Everybody else asks the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from wavetwin.ir.frozen import frozen

__all__ = ["Dataset", "OwnDataset", "Package", "luminance_statistics"]


@frozen
class Package:
    """A package that images come with."""

    name: str
    """As it is installed."""
    module: str
    """As it is imported."""


@frozen(kw_only=True)
class Dataset:
    """What a spec need not say, where the images lie, and what the official ones are."""

    reader: ClassVar[str]
    """`module:function`, loaded when images are read: it needs NumPy, and the compiler does not."""
    own_fields: ClassVar[tuple[str, ...]] = ()
    """Fields of `data` by which a spec says where a user's own images lie, and how they are read; none
    of a data set that everybody has alike."""
    indexer: ClassVar[str] = ""
    """`module:function` that writes what the reader needs beside a user's own images; empty: nothing."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Those of them that a spec has to have."""
    lister: ClassVar[str] = ""
    """`module:function` that lists a user's own images for their lock; empty for others."""
    packing: ClassVar[str] = ""
    """What the names of files end in where they lie packed; empty where they do not."""

    name: str
    """In the spec language."""
    num_classes: int | None
    """None where only the disk knows: the spec says it then."""
    channels: int
    image_size: int
    """Usual height and width of what the network sees."""
    training_images: int | None
    """Official training images, before any are held out; None where only the disk knows."""
    train_per_class: int | None = None
    """Training images of each class, beside those that are held out; None: all that are left."""
    test_images: int | None
    """Images of the official test set; None where only the disk knows."""
    validation: int
    """Training images usually held out; per class where `per_class`."""
    per_class: bool
    augmentation: str
    """A name of `augmentations`."""
    mean: tuple[float, ...] | None
    """Per channel, of values in [0, 1]; None: measured when a run starts."""
    std: tuple[float, ...] | None
    class_names: tuple[str, ...] | None = None
    """Official names of the classes, in the order of their numbers; None where nothing but folders
    names them, or nothing does."""
    checksums: Mapping[str, str] = field(default_factory=dict[str, str])
    """MD5 of files, by their names; what is not here is not compared."""
    package: Package | None = None
    """What the images come with, so that no data root is needed; None where they lie in one."""
    how_to_get: str
    """The official page, and where the files go."""
    preparer: str | None = None
    """`module:function` that lays it out for `wavetwin data prepare`; None where nothing does."""
    archives: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """Names and MD5 of the official archives that the preparer unpacks, by their part."""

    @property
    def is_own(self) -> bool:
        """Whether its images are the user's own."""
        return bool(self.own_fields)

    @property
    def locations(self) -> tuple[str, ...]:
        """Return what lies below a data root, one of them; the reader looks closer."""
        return ()

    @property
    def files(self) -> tuple[str, ...]:
        """Return the files in the first location; none where the reader lists images itself.

        The other locations are archives of these files.
        """
        return ()


@frozen(kw_only=True)
class OwnDataset(Dataset):
    """Images of the user's own: the disk, and then the spec's lock, say how many there are of what."""

    num_classes: int | None = None
    channels: int = 3
    training_images: int | None = None
    test_images: int | None = None
    validation: int = 0
    per_class: bool = True
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def luminance_statistics(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[tuple[float], tuple[float]]:
    """Return one mean and one standard deviation for images of one channel: the averages."""
    return (round(sum(mean) / len(mean), 4),), (round(sum(std) / len(std), 4),)
