"""Making a data set's official facts fit small files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wavetwin.ir.datasets import DATASETS


def change_dataset(monkeypatch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    """Replace fields of a data set's row until the test ends."""
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], **changes))
