"""Images of the user's own, in class folders."""

from __future__ import annotations

from typing import ClassVar

from wavetwin.ir.dataset import OwnDataset
from wavetwin.ir.frozen import frozen

__all__ = ["DATASETS"]


@frozen(kw_only=True)
class Folder(OwnDataset):
    """Class folders in `train`, and in `test`, `val` or both; or a list that divides images."""

    reader: ClassVar[str] = "wavetwin.runtime.data.folder:read_folder"
    lister: ClassVar[str] = "wavetwin.runtime.data.folder:list_own_folder"
    own_fields: ClassVar[tuple[str, ...]] = ("folder", "split_list", "lock", "channels")

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the folder of training images."""
        return ("train",)


DATASETS = (
    Folder(
        name="folder",
        image_size=224,
        augmentation="crop_flip",
        how_to_get="lay your images out as train/<class>/* and test/<class>/* or val/<class>/*",
    ),
)
