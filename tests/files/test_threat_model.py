"""Each line of docs/threat-model.md names a test that is there."""

from __future__ import annotations

import re

from tests.support.paths import ROOT

ROW = re.compile(r"^\| (?!What it tries|-)(.+?) \| .+ \| `(.+?)::(.+?)` \|$")


def test_every_line_has_its_test() -> None:
    lines = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and "What it tries" not in line]
    assert len(rows) > 30
    missing = []
    for row in rows:
        found = ROW.match(row)
        assert found, row
        threat, file, name = found.groups()
        text = (ROOT / file).read_text(encoding="utf-8") if (ROOT / file).is_file() else ""
        if not re.search(rf"^def {name}\(", text, re.MULTILINE):
            missing.append(f"{threat}: {file}::{name}")
    assert missing == []
