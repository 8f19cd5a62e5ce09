"""docs/notebook.ipynb runs from top to bottom, and shows what its text says.

Its cells are executed in order in one namespace, as a kernel does; the last expression of a cell is
shown by `_repr_html_` or `repr`. Jupyter itself would bring some thirty packages for that.
"""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from tests.support.paths import ROOT

NOTEBOOK = ROOT / "docs/notebook.ipynb"


def cells() -> list[dict[str, Any]]:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    return document["cells"]


def shown(source: str, namespace: dict[str, Any]) -> str:
    """Run a cell; return what a notebook shows below it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), namespace)
    if not isinstance(last, ast.Expr):
        return ""
    value = eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), namespace)
    html = getattr(value, "_repr_html_", None)
    return html() if html is not None else repr(value)


def test_notebook_is_as_nbformat_wants_it_and_has_no_outputs() -> None:
    kinds = {"markdown": set(), "code": {"execution_count", "outputs"}}
    ids = [cell["id"] for cell in cells()]
    assert len(set(ids)) == len(ids)
    for cell in cells():
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | kinds[cell["cell_type"]]
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert all(line.endswith("\n") for line in cell["source"][:-1])


@pytest.mark.slow
def test_notebook_runs() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    outputs = [
        shown("".join(cell["source"]), namespace) for cell in cells() if cell["cell_type"] == "code"
    ]
    _, compiled, difference, run, metrics, maps, accuracies, error = outputs
    assert "trunk.conv1" in compiled
    assert "stem.free_channels" in difference
    assert "one_crop.test.top1_error" in run
    assert metrics.count(":") == 3
    assert maps.startswith("torch.Size([360, 16, ")
    assert accuracies.count(":") == 10
    assert error.startswith("Score(name='one_crop.test.expected_calibration_error'")
    # It learns something: by chance it would be 0.9.
    assert namespace["run"].scores["one_crop.test.top1_error"].value < 0.5
