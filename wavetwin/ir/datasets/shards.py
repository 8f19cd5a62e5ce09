"""Images of the user's own in tar files, which are read without unpacking them."""

from __future__ import annotations

from typing import ClassVar

from wavetwin.ir.dataset import OwnDataset
from wavetwin.ir.frozen import frozen

__all__ = ["DATASETS"]


@frozen(kw_only=True)
class Shards(OwnDataset):
    """`train-*.tar`, and `test-*.tar`, `val-*.tar` or both, of `<class>/*`, with an index."""

    reader: ClassVar[str] = "wavetwin.runtime.data.tar_shards:read_shards"
    lister: ClassVar[str] = "wavetwin.runtime.data.tar_shards:list_shards"
    indexer: ClassVar[str] = "wavetwin.runtime.data.tar_shards:write_index"
    own_fields: ClassVar[tuple[str, ...]] = ("folder", "lock", "channels")

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the index."""
        return ("index.npz",)


DATASETS = (
    Shards(
        name="shards",
        image_size=224,
        augmentation="crop_flip",
        how_to_get="pack your images as train-*.tar and test-*.tar or val-*.tar, <class>/* in each; "
        "`wavetwin data prepare SPEC` writes index.npz beside them",
    ),
)
