"""The specs of docs/sequential.md compile, and its table names every kind and every field of `conv`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.paths import ROOT
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.section import declared_fields

PAGE = (ROOT / "docs" / "sequential.md").read_text(encoding="utf-8")
SPECS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_spec_compiles(tmp_path: Path):
    (tmp_path / "parent.yaml").write_text(SPECS[0], encoding="utf-8")
    compiled: list[Compiled] = []
    for index, text in enumerate(SPECS):
        path = tmp_path / f"spec{index}.yaml"
        path.write_text(text, encoding="utf-8")
        compiled.append(compile_spec(path, project=tmp_path))
    swapped = [node.id for node in compiled[2].graph][1:5]
    assert swapped == [
        "trunk.layer1.invariant",
        "trunk.layer1.norm",
        "trunk.layer2.conv",
        "trunk.layer2.norm",
    ]
    replaced = {node.id: node.op for node in compiled[3].graph}
    assert replaced["trunk.layer2.0.conv1"] == "invariant"


def test_a_swap_before_a_pooling_is_told_what_the_published_networks_do(tmp_path: Path):
    (tmp_path / "parent.yaml").write_text(SPECS[0], encoding="utf-8")
    path = tmp_path / "spec.yaml"
    swap = "extends: parent.yaml\nbackbone: {replace: {layer1: {invariant: {}}}}\n"
    path.write_text(swap, encoding="utf-8")
    found = {each.code: each for each in compile_spec(path, project=tmp_path).warnings}
    help_text = found["invariant-upsampled-before-pool"].help or ""
    assert help_text.endswith("replace: {layer1: {invariant: {stride: 2}}, pool1: null}")


def test_the_table_has_every_kind_and_the_fields_of_a_convolution():
    cells = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = re.findall(r"`(\w+)`", " ".join(cells))
    assert sorted(named) == sorted(known_layers())
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| `conv`"))
    fields = [each.name for each in declared_fields(known_layers()["conv"])]
    assert [name for name in fields if f"`{name}`" not in row] == []
