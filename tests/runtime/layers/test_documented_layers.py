"""The snippets of docs/layers.md run, one after the other, and its tables name what there is."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch

import wavetwin.runtime
from tests.support.paths import ROOT
from wavetwin.runtime import layers

PAGE = (ROOT / "docs/layers.md").read_text(encoding="utf-8")
RUNNING = "".join(
    (ROOT / f"docs/{page}.md").read_text(encoding="utf-8") for page in ("running", "training")
)


def test_snippets_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    torch.manual_seed(0)
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(snippets) == 6
    names: dict[str, Any] = {"__name__": "snippets"}
    for number, snippet in enumerate(snippets):
        exec(compile(snippet, f"docs/layers.md, snippet {number}", "exec"), names)


def test_signatures_are_the_layers():
    documented = dict(re.findall(r"^\| `(\w+)\((.*?)\)` \|", PAGE, re.MULTILINE))
    for name, arguments in documented.items():
        if not hasattr(layers, name):
            continue
        own = inspect.signature(getattr(layers, name))
        given = [argument.split("=") for argument in re.split(r", ", arguments) if argument]
        assert [argument[0] for argument in given] == list(own.parameters), name
        for argument, *default in given:
            expected = own.parameters[argument].default
            value = repr(expected) if expected is not inspect.Parameter.empty else None
            assert (eval(default[0]) == expected) if default else value is None, (name, argument)
    public = {
        name for name in wavetwin.runtime.__all__ if inspect.isclass(getattr(layers, name, None))
    }
    assert public <= documented.keys()


def test_public_names_are_what_they_are_called():
    for name in wavetwin.runtime.__all__:
        assert getattr(wavetwin.runtime, name).__name__ == name
        # The others build what a spec says.
        others = ("build_module", "import_torchvision", "initialise")
        assert name in PAGE or f"`{name}`" in RUNNING or name in others, name
