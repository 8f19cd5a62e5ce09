"""What goes wrong at run time through no fault of the program: a headline and a remedy."""

from __future__ import annotations


class RunError(Exception):
    """A run cannot start or go on; the script shows it as `error: ...` and exits with 2."""

    def __init__(self, headline: str, remedy: str | None = None) -> None:
        self.headline = headline
        self.remedy = remedy
        super().__init__(headline)

    def __str__(self) -> str:
        return self.headline if self.remedy is None else f"{self.headline}\n  help: {self.remedy}"
