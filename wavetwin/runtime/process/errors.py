"""Report faults at run time that are not the program's: a headline and a remedy."""

from __future__ import annotations

import errno

from wavetwin.diagnostics.terminal import printable

ANOTHER_RUN = "or start another run with --new, which leaves this one as it is"
"""The end of a remedy where files of a run do not agree."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class RunError(Exception):
    """A run cannot start or go on; the script shows it as `error: ...` and exits with 2."""

    has_lines = False
    """Whether the headline has lines of its own, in which the names of others are printable."""

    def __init__(self, headline: str, remedy: str | None = None) -> None:
        self.headline = headline
        self.remedy = remedy
        super().__init__(headline)

    def __str__(self) -> str:
        # A name may have a line end, and so look like a message or a remedy of ours.
        headline = self.headline if self.has_lines else printable(self.headline)
        return headline if self.remedy is None else f"{headline}\n  help: {printable(self.remedy)}"


def is_full(error: BaseException | None) -> bool:
    """Return whether an error says that a disk is full, a quota used up, or a file as long as it may be."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM
