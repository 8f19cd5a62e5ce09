"""`from:` lines of conflicts name values and lines that another YAML reader finds in the files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.shipped import ROOT

FOLDERS = sorted(
    path.parent
    for path in (ROOT / "tests/bad_specs").glob("*/expected.txt")
    # Of a key twice the other reader has one alone; two layers of one name are shown by it.
    if path.parent.name not in ("duplicate-key", "unknown-layer")
    and re.search(r"^  from: .*\.yaml:\d+\)", path.read_text(encoding="utf-8"), re.MULTILINE)
)
ENTRY = re.compile(r"([\w.]+)(?: (\(\d+ items\)|[^()]+))? \((\w+\.yaml):(\d+)\)(?:, |$)")
DEFAULT = re.compile(r"[\w.]+ [^()]+ \((?:default|--set\[\d+\]:\d+)\)(?:, |$)")


def find(document: Any, name: str) -> tuple[Any, set[int]]:
    """Return what stands at a dotted name, and the lines, from 1, of its key and of its value."""
    lines: set[int] = set()
    parts = name.split(".")
    while parts:
        # Names of layers have dots.
        lengths = [
            n
            for n in range(1, len(parts) + 1)
            if isinstance(document, list) or ".".join(parts[:n]) in document
        ]
        part, parts = ".".join(parts[: lengths[0]]), parts[lengths[0] :]
        key = int(part) if isinstance(document, list) else part
        lines = {number + 1 for number in document.lc.data[key][::2]}
        document = document[key]
    return document, lines


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_conflicts_show_the_lines_own_values(folder: Path) -> None:
    reader, values = YAML(), YAML(typ="safe")
    found = 0
    for line in (folder / "expected.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("  from: "):
            continue
        for name, value, file, number in ENTRY.findall(
            DEFAULT.sub("", line.removeprefix("  from: "))
        ):
            document = reader.load((folder / file).read_text(encoding="utf-8"))
            own, lines = find(document, name)
            assert int(number) in lines, (name, lines)
            found += 1
            if not value:
                continue
            if value.endswith(" items)"):
                assert value == f"({len(own)} items)"
                continue
            if value.endswith("..."):
                assert str(own).startswith(value.removesuffix("..."))
                continue
            shown = values.load(value)
            assert shown == own or (isinstance(own, list) and shown in own), (name, shown, own)
    assert found
