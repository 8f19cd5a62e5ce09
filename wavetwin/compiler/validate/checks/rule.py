"""Define a check by the fields that it reads: it is left out where one of them is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.frozen import frozen

Path = tuple[str | int, ...]


@frozen
class CheckContext:
    """What a rule may ask beside the spec's values: where they were set."""

    loaded: LoadedSpec
    unreliable: frozenset[Path]
    """Values that are wrong or missing; the spec holds placeholders there."""

    def are_reliable(self, patterns: Iterable[str]) -> bool:
        """Return whether none of the values is wrong; a pattern's `*` is any index of a list."""
        return not any(
            _holds(path, pattern.split(".")) for pattern in patterns for path in self.unreliable
        )

    def is_whole(self, path: str) -> bool:
        """Return whether nothing below a key path is wrong, or unknown."""
        parts = path.split(".")
        return not any(
            [str(part) for part in each[: len(parts)]] == parts for each in self.unreliable
        )

    def conflict(
        self,
        code: str,
        headline: str,
        paths: Sequence[str],
        help: str | None = None,
        default_values: Mapping[str, object] | None = None,
    ) -> Diagnostic:
        """Return an error about the values at some key paths."""
        return conflict(
            self.loaded, code, headline, paths, help=help, default_values=default_values
        )


Check = Callable[[ExperimentSpec, CheckContext], Iterable[Diagnostic]]


@frozen
class Rule:
    """A check and the key paths of what it reads."""

    reads: tuple[str, ...]
    check: Check


def reads(*patterns: str) -> Callable[[Check], Rule]:
    """Return a decorator that makes a check a rule."""

    def make(check: Check) -> Rule:
        return Rule(patterns, check)

    return make


def _holds(path: Path, pattern: Sequence[str]) -> bool:
    """Return whether the path is that of the pattern's value or of something around it."""
    return len(path) <= len(pattern) and all(
        wanted in ("*", part) for part, wanted in zip(path, pattern, strict=False)
    )
