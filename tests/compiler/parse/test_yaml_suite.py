"""The public YAML test suite: every document is read as it is meant, or refused for a named reason.

Slow, and only where the environment variable names the suite's folder: one folder for each document,
with `in.yaml`, `in.json` where it has one, and `error` where it is no YAML.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning, YAMLError

from wavetwin.compiler.parse.nodes import SpecNode
from wavetwin.compiler.parse.source import Source
from wavetwin.compiler.parse.tree import parse_bytes, parse_value

SUITE = os.environ.get("WAVETWIN_YAML_TEST_SUITE")
ON_PURPOSE = {
    "directive": "a spec says all of itself",
    "duplicate-key": "one of two values would be lost",
    "key-and-colon-apart": "within brackets, only keys on one line with their ':' and a space",
    "merge-key": "inheritance is `extends`",
    "non-scalar-key": "a key is a word: no list, mapping, alias, nor nothing",
    "second-document": "a spec is one document",
    "tag": "a spec has no types of its own",
}
"""Why a document that is YAML is refused all the same."""


def values(node: SpecNode | None) -> Any:
    """Return a node's plain values, null ones too."""
    if node is None:
        return None
    if isinstance(node.value, dict):
        return {key: values(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [values(item) for item in node.value]
    return node.value


def are_same(first: Any, second: Any) -> bool:
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return list(first) == list(second) and all(
            are_same(first[key], second[key]) for key in first
        )
    if isinstance(first, list):
        return len(first) == len(second) and all(map(are_same, first, second))
    return first == second or (
        isinstance(first, float) and math.isnan(first) and math.isnan(second)
    )


def expected_values(folder: Path, text: str) -> list[Any]:
    """Return what ruamel's safe loader reads; where it does not, what the suite says in JSON."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            return list(YAML(typ="safe", pure=True).load_all(text))
    except YAMLError:
        written = (folder / "in.json").read_text(encoding="utf-8").strip()
    found: list[Any] = []
    while written:
        value, end = json.JSONDecoder().raw_decode(written)
        found.append(value)
        written = written[end:].strip()
    return found


def read_suite(suite: Path) -> None:
    documents = sorted(suite.rglob("in.yaml"))
    assert len(documents) > 400
    wrong: list[str] = []
    for document in documents:
        name = str(document.parent.relative_to(suite))
        text = document.read_bytes().decode("utf-8")
        parsed = parse_value(Source(name, text), 0)
        codes = {each.code for each in parsed.diagnostics}
        # as a spec, too: whatever it is, it gives a mapping or a diagnostic
        spec = parse_bytes(document.read_bytes(), name)
        if spec.tree is None and not spec.diagnostics:
            wrong.append(f"{name}: nothing is said")
        if (document.parent / "error").exists():
            if not codes:
                wrong.append(f"{name}: taken, and it is no YAML")
        elif codes & set(ON_PURPOSE):
            continue
        elif codes - {"empty-document"}:
            wrong.append(f"{name}: refused for {sorted(codes)}")
        else:
            expected = expected_values(document.parent, text)
            if not are_same(values(parsed.tree), expected[0] if expected else None):
                wrong.append(f"{name}: {values(parsed.tree)!r}, not {expected!r}")
    assert not wrong, "\n".join(wrong)


if SUITE:  # without the folder there is nothing to test; tests of ours have each kind

    @pytest.mark.slow
    def test_the_suite_is_read_as_it_is_meant_or_refused_on_purpose() -> None:
        read_suite(Path(str(SUITE)))
