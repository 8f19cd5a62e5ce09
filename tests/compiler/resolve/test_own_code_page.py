"""docs/own-code.md shows the project that the tests build and train."""

from __future__ import annotations

import re

from tests.support.own_code import PROJECT
from tests.support.paths import ROOT
from wavetwin.compiler.compiled import compile_spec
from wavetwin.explain.show.tree_table import model_table

PAGE = (ROOT / "docs/own-code.md").read_text(encoding="utf-8")


def test_the_page_has_every_file_of_the_project():
    shown = dict(re.findall(r"^`([\w./]+)`[^\n]*:[^\n]*\n\n```\w+\n(.*?)```\n", PAGE, re.M | re.S))
    files = {
        file.relative_to(PROJECT).as_posix(): file.read_text(encoding="utf-8")
        for file in PROJECT.rglob("*")
        if file.suffix in (".py", ".yaml")
    }
    assert shown == files


def test_the_page_shows_a_fault_as_it_is_told():
    expected = (ROOT / "tests/bad_specs/own-code-failed/expected.txt").read_text(encoding="utf-8")
    assert expected.removesuffix("exit code 2\n") in PAGE


def test_show_lists_the_code():
    text = model_table(compile_spec(PROJECT / "own.yaml", project=PROJECT))
    assert "\nown code    pooling.module: PowerPool(power=2.0) of own/pooling.py\n" in text
    assert "own code    backbone.layers.1.module: ScaledBlock(channels=6, dropout=0.1) of " in text
