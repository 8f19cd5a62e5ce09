"""Say where files differ from the official ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from wavetwin.runtime.process.errors import RunError

__all__ = ["TAKE_IT_ALL_THE_SAME", "Official"]

TAKE_IT_ALL_THE_SAME = "; --allow-other-data takes it as it is"
"""The end of a remedy."""


@dataclass
class Official:
    """Compares what is read with the official data set.

    A difference is an error; where other data are allowed, it is noted.
    """

    allow_other: bool = False
    checks_sums: bool = True
    """Whether checksums are compared, which reads every byte once more."""
    notes: list[str] = field(default_factory=list)

    def differs(self, text: str, remedy: str, subject: Path | str | None = None) -> None:
        """Raise, or note, one difference.

        Args:
            text: what differs, as of `RunError`.
            remedy: beside taking it as it is.
            subject: the file or folder that the sentence is about.

        Raises:
            RunError: other data are not allowed.
        """
        self.refuse(
            RunError(
                "data-set-not-official", text, f"{remedy}{TAKE_IT_ALL_THE_SAME}", subject=subject
            )
        )

    def refuse(self, error: RunError) -> None:
        """Raise, or note, a difference whose remedy names the option.

        Raises:
            RunError: other data are not allowed.
        """
        if not self.allow_other:
            raise error
        if error.headline not in self.notes:
            self.notes.append(error.headline)

    def check_sum(self, name: str, content: bytes, expected: str) -> None:
        """Compare a file's MD5 with the official one.

        Raises:
            RunError: it is another one, and other data are not allowed.
        """
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            self.differs(
                f"has the MD5 {found}, the official file has {expected}",
                "the file is damaged or not the official one: fetch it again",
                name,
            )
