"""Images of the user's own as arrays in one .npz file, as MedMNIST's are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from wavetwin.ir.dataset import Dataset

__all__ = ["DATASETS"]


@dataclass(frozen=True, kw_only=True)
class Arrays(Dataset):
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
        num_classes=None,
        channels=3,
        image_size=28,
        training_images=None,
        test_images=None,
        validation=0,
        per_class=True,
        augmentation="pad_crop",
        mean=None,
        std=None,
        how_to_get="put the .npz file that data.file names in the data root: train_images and "
        "train_labels, the same of val or test; numpy.savez writes such a file",
    ),
)
