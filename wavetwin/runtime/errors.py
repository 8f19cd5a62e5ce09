"""What goes wrong at run time through no fault of the program: a headline and a remedy."""

from __future__ import annotations

import errno

ANOTHER_RUN = "or start another run with --new, which leaves this one as it is"
"""The end of a remedy where files of a run do not agree."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class RunError(Exception):
    """A run cannot start or go on; the script shows it as `error: ...` and exits with 2."""

    def __init__(self, headline: str, remedy: str | None = None) -> None:
        self.headline = headline
        self.remedy = remedy
        super().__init__(headline)

    def __str__(self) -> str:
        return self.headline if self.remedy is None else f"{self.headline}\n  help: {self.remedy}"


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that a disk is full, a quota used up, or a file as long as it may be."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM
