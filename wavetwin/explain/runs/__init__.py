"""Index runs in a SQLite file beside the run folders, made from their files alone.

The files are the truth. The index only makes looking for runs quick, and can be deleted at any
time. No torch is imported here, and nothing but the index is written.
"""

from __future__ import annotations

from wavetwin.explain.runs.folders import RunInfo
from wavetwin.explain.runs.index import RunIndex, open_index
from wavetwin.explain.runs.scores import Score
from wavetwin.explain.runs.select import Filters, find_run, select_runs

__all__ = ["Filters", "RunIndex", "RunInfo", "Score", "find_run", "open_index", "select_runs"]
