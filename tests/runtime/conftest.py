"""Tests of the runtime run with its shape annotations executed (jaxtyping and beartype)."""

import sys
from pathlib import Path

from jaxtyping import install_import_hook

# pytest's importlib mode puts no test folder on the path; the helpers beside the tests are here.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

install_import_hook("wavetwin.runtime", "beartype.beartype")
