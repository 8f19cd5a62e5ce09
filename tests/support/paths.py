"""Where the repository's own files lie."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
GOLDEN = ROOT / "tests" / "golden"
CONSTRAINTS = os.environ.get("WAVETWIN_TEST_CONSTRAINTS", str(ROOT / "constraints.txt"))
"""Versions of what a test installs: those of this repository, or the lowest (tests/test_versions.py)."""
