"""Define how a sweep finds its points."""

from __future__ import annotations

from wavetwin.ir.frozen import frozen

__all__ = ["SEARCHES", "Search"]


@frozen
class Search:
    """A way to find points."""

    name: str
    text: str
    """What it does, as a clause."""
    draws: bool
    """Whether it draws as many points as are asked for; otherwise it takes all."""
    follows_results: bool
    """Whether a point depends on how earlier ones did; otherwise all are known before any is trained."""


SEARCHES = {
    each.name: each
    for each in (
        Search(
            "grid", "every combination of the listed values", draws=False, follows_results=False
        ),
        Search(
            "random",
            "points drawn at random, each another one, all known beforehand",
            draws=True,
            follows_results=False,
        ),
        Search(
            "tpe",
            "points that a tree of Parzen estimators expects to do well, after earlier results",
            draws=True,
            follows_results=True,
        ),
    )
}
"""The ways to search, by name."""
