"""Rows of first poolings that are added, as a person would add them: to the table alone.

Run as a program, it adds them before anything reads the table, and writes what they lack.
"""

from __future__ import annotations

import json
import sys

from wavetwin.ir.operations import AveragePool
from wavetwin.ir.poolings import FREE_POOLINGS, MAX, POOLINGS, Fixed, Maximum, Pooling

AVERAGE = Pooling(
    name="max_average",
    paper_name="RMax with average",
    steps=(
        *MAX.steps[:-1],
        Maximum(),
        Fixed(name="average", operation=AveragePool(kernel_size=2, stride=2, padding=0)),
    ),
    statement="the mean of 2 x 2 maxima is a short low-pass before every second position is dropped",
)
SILENT = Pooling(name="silent_max", paper_name="silent RMax", steps=MAX.steps)

if __name__ == "__main__":
    for row in (AVERAGE, SILENT):
        FREE_POOLINGS[row.name] = POOLINGS[row.name] = row
    from tests.support.pooling_rows import missing_rows

    sys.stdout.write(json.dumps(missing_rows({AVERAGE.name, SILENT.name})))
