"""Backbones: a row is known wherever backbones are asked for, and its trunk tells it from others."""

from __future__ import annotations

import json
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.explain.diff.difference import Experiment, compare
from wavetwin.ir.architecture import Architecture, NoForeignNamesError
from wavetwin.ir.backbones import ARCHITECTURES, find_architecture
from wavetwin.ir.operations import MaxPool
from wavetwin.runtime.training.starting.reference_names import reference_to_graph_names

ROWS = tuple(ARCHITECTURES.values())
NAMED = tuple(row for row in ROWS if not row.lists_layers)
FIRST_OF_FAMILIES = tuple({row.family: row for row in reversed(ROWS)}.values())
LISTED = "  layers: [{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}]\n"


@cache
def compiled(folder: Path, row: Architecture, downsampling: str = "strided") -> Compiled:
    path = folder / f"{row.name}.yaml"
    path.write_text(
        f"wavetwin: 1\nbackbone:\n  arch: {row.name}\n  downsampling: {downsampling}\n"
        + LISTED * row.lists_layers
        + "stem: {free_channels: 64}\ndata: {dataset: imagenet}\n",
        encoding="utf-8",
    )
    return compile_spec(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbones")
    (folder / ".wavetwin.toml").touch()
    return folder


def first_layer_text(row: Architecture) -> str:
    width = f"{row.first_layer_width} channels, " if row.first_layer_width else ""
    norm = ", batch norm" * (row.norm == "batch" and not row.lists_layers)
    return f"{width}{row.kernel_size} x {row.kernel_size}, stride {row.stride}{norm}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_has_its_line_in_the_docs(folder: Path, row: Architecture) -> None:
    text = (ROOT / "docs/backbones.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith(f"| `{row.name}` |")]
    assert len(lines) == 1, f"docs/backbones.md has no line for {row.name}"
    graph = compiled(folder, row).graph
    maximum = graph.find(MaxPool, "pool")
    size = None if maximum is None else maximum.operation.kernel_size
    cells = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert cells[1:5] == [
        row.family,
        first_layer_text(row),
        "none" if size is None else f"maximum of {size} x {size}",
        "" if row.lists_layers else f"{graph.parameters.trainable:,}",
    ]
    try:
        names = reference_to_graph_names(graph)
    except NoForeignNamesError:
        assert not cells[5]
    else:
        assert cells[5]
        assert sorted(names.values()) == sorted(graph.state())


def test_the_schema_of_editors_has_every_row() -> None:
    document = json.loads((ROOT / "wavetwin/spec.schema.json").read_text(encoding="utf-8"))
    assert f'"enum": {json.dumps(list(ARCHITECTURES))}' in json.dumps(document)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_trunk_tells_its_architecture(folder: Path, row: Architecture) -> None:
    expected = None if row.lists_layers else row
    assert find_architecture(compiled(folder, row).graph) is expected
    if expected is not None:
        for downsampling in ("blur", "adaptive_blur"):
            assert find_architecture(compiled(folder, row, downsampling).graph) is row


def test_every_ordered_pair_has_its_sentence(folder: Path) -> None:
    pairs = {*permutations(FIRST_OF_FAMILIES, 2)} | {(ROWS[0], row) for row in ROWS[1:]}
    for pair in pairs:
        first, second = (compiled(folder, row) for row in pair)
        effects = compare(Experiment("a", first), Experiment("b", second)).effects
        (found,) = (each for each in effects if "backbone.arch" in each.fields)
        assert found.kind == f"{pair[0].name} -> {pair[1].name}"
        for each in (first, second):
            trunk = sum(node.parameters.trainable for node in each.graph.section("trunk"))
            assert f"{trunk:,}" in found.numbers
