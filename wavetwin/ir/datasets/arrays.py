"""Images of the user's own as arrays in one .npz file, as MedMNIST's are."""

from __future__ import annotations

from typing import ClassVar

from wavetwin.ir.dataset import OwnDataset
from wavetwin.ir.frozen import frozen

__all__ = ["DATASETS"]


@frozen(kw_only=True)
class Arrays(OwnDataset):
    """`train_images` and `train_labels` in a .npz file, the same of `val` and `test`."""

    reader: ClassVar[str] = "wavetwin.runtime.data.array_file:read_arrays"
    lister: ClassVar[str] = "wavetwin.runtime.data.array_file:list_arrays"
    own_fields: ClassVar[tuple[str, ...]] = ("folder", "file", "lock", "channels")
    needs: ClassVar[tuple[str, ...]] = ("file",)

    @property
    def locations(self) -> tuple[str, ...]:
        """Return what the file is called, about."""
        return ("*.npz",)


DATASETS = (
    Arrays(
        name="arrays",
        image_size=28,
        augmentation="pad_crop",
        how_to_get="put the .npz file that data.file names in the data root: train_images and "
        "train_labels, the same of val or test; numpy.savez writes such a file",
    ),
)
