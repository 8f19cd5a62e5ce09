"""Describe one source: an experiment, a weights file, or a weights file with its experiment."""

from __future__ import annotations

from dataclasses import dataclass

from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.explain.diff.difference import Experiment
from wavetwin.explain.diff.weights_file import WeightsFile


@dataclass(frozen=True)
class SourceRequest:
    """What one argument of the command line means."""

    shown: str
    """As the user named it, the commit included."""
    kind: str
    """`spec`, `commit`, `build`, `run` or `weights`, as messages call it."""
    experiment: Experiment | None
    """None of weights that lie in no run."""
    weights: WeightsFile | None = None
    """Of a weights file; of a run only where values are asked for."""
    edit: str = ""
    """The difference of scripts that were edited by hand from those that were built."""
    left_out: str = ""
    """What of it is not compared, and how to take it in; empty where all of it is."""

    @property
    def label(self) -> str:
        """What the answer calls it."""
        return self.shown if self.experiment is None else self.experiment.label


def refused(code: str, headline: str, subject: str, help: str) -> CompileError:
    """Return the error for a source that cannot be compared."""
    return CompileError([Diagnostic(code, headline, subject=subject, help=help)])
