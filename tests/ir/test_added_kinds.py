"""What a person adds in one place works everywhere, and docs/adding.md shows what a test runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"From `([^`]+)`:\n\n```python\n(.*?)```\n", PAGE, re.DOTALL)


def test_an_operation_and_a_backbone_that_are_added_work():
    """Another process adds them to the tables alone, and builds a network of them."""
    found = _run("tests.support.added_kinds")
    assert found["logits"] == [2, 10]
    assert found["state"]
    # 5x5 with bias, 5x5 with bias, the scale, and two linear layers of 16 maps of 8 x 8.
    expected = 16 * 25 + 16 + 16 * 16 * 25 + 16 + 16 + 1024 * 64 + 64 + 64 * 10 + 10
    assert found["parameters"] == [expected, expected]
    assert found["ops"] == [
        ["channel_scale", "relu", "max_pool", "flatten"],
        ["channel_scale", "relu", "max_pool", "blur_pool"],
    ]


def test_a_layer_that_is_added_is_in_the_language_and_in_the_graph():
    found = _run("tests.support.added_layer_kind")
    assert found == {
        "logits": [2, 10],
        "ids": ["trunk.scale1", "trunk.flatten1", "trunk.linear1"],
        "description": "A weight for each channel.",
        "refused": ["backbone.layers.0.scale has no field 'by'"],
    }


def test_a_lint_rule_that_is_added_is_in_the_language_and_explained():
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.added_rule"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    warned, *explained = done.stdout.splitlines()
    assert json.loads(warned) == [["odd-batch"], []]
    assert [line.split()[0] for line in explained] == ["odd-batch:", "cause", "cure", "number"]


def _run(module: str) -> dict[str, Any]:
    """Return what a program that adds kinds writes."""
    done = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_has_an_example_of_every_kind_that_it_names():
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    without = [
        heading
        for heading, text in zip(
            headings, re.split(r"^## .+$", PAGE, flags=re.MULTILINE)[1:], strict=True
        )
        if "```" not in text
    ]
    assert without == []


@pytest.mark.parametrize(("file", "example"), EXAMPLES, ids=[file for file, _ in EXAMPLES])
def test_an_example_is_what_a_test_runs(file: str, example: str):
    text = (ROOT / file).read_text(encoding="utf-8")
    parts = [part.strip("\n") for part in re.split(r"^ *\.\.\.\n", example, flags=re.MULTILINE)]
    missing = [part for part in parts if part not in text]
    assert missing == [], f"{file} has no longer what docs/adding.md shows of it"
