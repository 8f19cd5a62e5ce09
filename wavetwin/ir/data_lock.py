"""Declare the lock of a user's own images: what `wavetwin data prepare` found of them.

It is a part of a spec, written once and committed, so that a build reads no images and two builds of
one commit know the same classes.
"""

from __future__ import annotations

from wavetwin.ir.frozen import frozen
from wavetwin.ir.section import Section, declare

__all__ = ["SPLITS", "DataLock"]

SPLITS = ("train", "val", "test")
"""Names of the parts of a user's own images: of folders, and in lists."""

_SHA256 = r"^[0-9a-f]{64}$"
_COUNT = {"ge": 0, "le": 1000000000}
_MOST_CLASSES = 1000000


@frozen(kw_only=True)
class DataLock(Section):
    """What the disk had of the images, written by `wavetwin data prepare`; a run compares."""

    classes: tuple[str, ...] = declare(
        min_length=2, max_length=_MOST_CLASSES, items={"min_length": 1, "max_length": 255}
    )
    """Names of the classes, in the order of their numbers."""
    train: tuple[int, ...] = declare((), max_length=_MOST_CLASSES, items=_COUNT)
    """Training images of each class; absent: there are none."""
    val: tuple[int, ...] = declare((), max_length=_MOST_CLASSES, items=_COUNT)
    """Images of each class in `val`; absent: there is no such split."""
    test: tuple[int, ...] = declare((), max_length=_MOST_CLASSES, items=_COUNT)
    """Images of each class in `test`; absent: there is no such split."""
    sha256: str = declare(pattern=_SHA256)
    """Of the images' names, sizes and classes, in order; of files of arrays, of their bytes."""
    list_sha256: str | None = declare(None, pattern=_SHA256)
    """Of the list that divides the images, where one does."""

    @property
    def counts(self) -> dict[str, tuple[int, ...]]:
        """The images of each class, by split."""
        return {split: getattr(self, split) for split in SPLITS}

    @property
    def has_own_validation(self) -> bool:
        """Whether `val` validates: beside `test`, it is not the test set."""
        return bool(self.val and self.test)

    @property
    def smallest_class(self) -> int:
        """Training images of the class that has fewest of them; classes without any do not count."""
        return min(filter(None, self.train), default=0)

    @property
    def usual_validation(self) -> int:
        """Training images of each class that are held out where a spec does not say.

        0 where `val` validates; else a tenth of the smallest class, one at least where it has two.
        """
        if self.has_own_validation or self.smallest_class < 2:
            return 0
        return max(1, self.smallest_class // 10)
