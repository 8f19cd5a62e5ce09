"""Compare compiled experiments and runs."""

from __future__ import annotations

from wavetwin.compiler.compiled import Compiled
from wavetwin.explain.diff.difference import Difference, Experiment, compare
from wavetwin.explain.diff.scores import Measured
from wavetwin.notebook.loaded_run import Run

__all__ = ["diff"]


def diff(before: Compiled | Run, after: Compiled | Run) -> Difference:
    """Return the difference; see `wavetwin.diff`."""
    return compare(_experiment(before), _experiment(after))


def _experiment(source: Compiled | Run) -> Experiment:
    if isinstance(source, Compiled):
        return Experiment(source.name, source)
    if not isinstance(source, Run):
        raise TypeError(
            f"diff takes what wavetwin.compile or wavetwin.load_run returns, not {source!r}"
        )
    measured = {
        name: Measured(name, score.value, score.low, score.high)
        for name, score in source.scores.items()
    }
    return Experiment(f"{source.name}/{source.path.name}", source.compiled, measured)
