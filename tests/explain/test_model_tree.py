from __future__ import annotations

import math
import re

import pytest

from tests.support.shipped import KIND_IDS, KINDS, compiled_once, spec_of
from wavetwin.explain.model_tree import Alike, Branch, folded, model_tree
from wavetwin.explain.packet_use import centre, packet_choice
from wavetwin.explain.show.location_keys import file_keys, short_locations
from wavetwin.explain.show.origin_table import origin_table
from wavetwin.explain.show.packet_table import packet_table
from wavetwin.explain.show.tree_table import model_table, tree_table


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_the_tree_is_the_whole_model_in_100_columns(path) -> None:
    compiled = compiled_once(path)
    root = model_tree(compiled.graph)
    assert tuple(root.nodes) == compiled.graph.nodes
    assert root.macs == compiled.graph.macs
    assert root.parameters == compiled.graph.parameters
    for full in (False, True):
        table = model_table(compiled, full=full)
        assert max(map(len, table.splitlines())) <= 100
        assert f"{compiled.graph.macs:,} MACs an image as written" in table
        assert compiled.digest in table
    rows = tree_table(compiled.graph, full=True).splitlines()
    names = [line.split()[0] for line in rows[1 : rows.index("") - 1]]
    nodes = [node.id.rsplit(".", 1)[-1] for node in compiled.graph]
    # Every node has its row, in its order; the others are those of branches.
    rest = iter(names)
    assert all(name in rest for name in nodes)


def test_rows_say_what_the_flat_table_said() -> None:
    table = tree_table(compiled_once(spec_of("AwyI")).graph)
    for row in (
        "layer operation output parameters MACs from",
        "free conv2d 32 x 55 x 55 11,648 35,138,400 b5 c5",
        "wavelet 32 x 57 x 57 241 69,867,228",
        "packets packets 128 x 57 x 57 * 68,378,112 c7,8,9",
        "trunk 1000 61,077,544 643,911,680",
        "total 61,089,433 748,917,308",
        "b specs/base/alexnet.yaml",
    ):
        assert row in [" ".join(line.split()) for line in table.splitlines()]


def test_lines_are_those_of_the_specs() -> None:
    compiled = compiled_once(spec_of("AwyI_mod"), "stem.frozen=true")
    table = tree_table(compiled.graph)
    assert re.search(r"mixing .* 206 frozen .* c12 d1\n", table)
    assert re.search(r"^d +--set\[1\]$", table, re.MULTILINE)
    letters = file_keys(["one.yaml:3", "two.yaml:1"])
    assert short_locations(["two.yaml:9", "one.yaml:3", "two.yaml:1"], letters) == "b1,9 a3"
    many = file_keys(f"{number}.yaml:1" for number in range(28))
    assert list(many.values())[24:] == ["y", "z", "aa", "ab"]


def test_blocks_that_are_alike_are_told_once() -> None:
    graph = compiled_once(spec_of("R101C")).graph
    trunk = next(m for m in model_tree(graph).members if isinstance(m, Branch) and m.id == "trunk")
    layer3 = next(m for m in trunk.members if isinstance(m, Branch) and m.name == "layer3")
    first, others = folded(layer3.members)
    assert isinstance(first, Branch)
    assert isinstance(others, Alike)
    assert others.names == tuple(map(str, range(1, 23)))
    assert first.macs + 22 * others.first.macs == layer3.macs
    table = tree_table(graph)
    assert re.search(r"1\.\.22 +each of 22 +1024 x 2 x 2 +1,117,184 +4,456,448\n", table)
    assert (others.first.parameters.total, others.first.macs) == (1117184, 4456448)
    assert "1..22" not in tree_table(graph, full=True)
    assert len(table.splitlines()) < 125


def test_origins_name_every_field_and_its_place() -> None:
    compiled = compiled_once(spec_of("Azh3wyI_mod"), "training.seed=3")
    lines = [re.sub(" {2,}", " | ", line) for line in origin_table(compiled).splitlines()]
    for line in (
        "field | value | set by",
        "name | Azh3wyI_mod | default, by the file's name",
        "backbone.arch | alexnet | specs/base/alexnet.yaml:5",
        "pooling.wavelet | modulus | specs/alexnet/Azh3wyI_mod.yaml:5",
        "training.seed | 3 | --set[1]:1",
        "training.threads | 2 | default",
        "stem.wavelet.keep.2.channels | 8 | specs/base/alexnet_twin.yaml:15",
    ):
        assert line in lines
    kept = next(line for line in lines if line.startswith("stem.wavelet.keep.2.packets"))
    assert "[17, 18, ...] (64 in all)" in kept
    assert "specs/base/alexnet_twin.yaml:15" in kept
    stride = next(line for line in lines if line.startswith("stem.stride"))
    assert "default, by pooling.free" in stride
    text = spec_of("AwyI").parents[1] / "base" / "alexnet_twin.yaml"
    assert "band: 3" in text.read_text(encoding="utf-8").splitlines()[14]
    full = origin_table(compiled, full=True)
    assert "45, 46, 47, 97, 98, 100, 101, 104, 106]" in full
    assert "summary" in full


def test_packets_are_told_with_their_place_and_use() -> None:
    choice = packet_choice(compiled_once(spec_of("RwyI")).graph)
    assert choice is not None
    table = packet_table(choice)
    rows = [" ".join(line.split()) for line in table.splitlines()]
    assert rows[0] == "16 of 32 packets kept: dtcwpt, 2 levels, filters qshift_a"
    plane = table.splitlines()[4:12]
    assert plane == [
        "  . . . . . . . .",
        "  . 5 4 4 2 2 3 .",
        "  . 4 1 1 1 1 2 .",
        "  . 4 1 . . 1 2 .",
        "  . 2 1 . . 1 4 .",
        "  . 2 1 1 1 1 4 .",
        "  . 3 2 2 4 4 5 .",
        "  . . . . . . . .",
    ]
    for row in (
        "packet down, rad/px right, rad/px angle, degrees dyadic band band group channels rule",
        "3 +1.18 1.18 45 1 1 6 10 to 11",
        "31 -1.96 1.96 -45 2 3 1 16 to 17 diagonal",
        "15 +1.96 1.96 45 2 5 1 22 to 23 diagonal",
        "0 +0.39 0.39 - - lowpass",
        "28 -2.75 2.75 -45 2 - - edges",
    ):
        assert row in rows
    assert len([row for row in rows if row.endswith("edges")]) == 14
    assert centre(choice.uses[0].info, 2) == (-math.pi / 8, 3 * math.pi / 8)


def test_real_packets_are_told_apart() -> None:
    overrides = [
        "stem.wavelet={transform: wpt, levels: 2, filters: db4, keep: [{band: 1, channels: 24}]}",
        "stem.free_channels=40",
    ]
    choice = packet_choice(compiled_once(spec_of("RI"), *overrides).graph)
    assert choice is not None
    assert choice.num_kept == 3
    table = packet_table(choice)
    assert "packets of wpt are real" in table
    assert table.splitlines()[6] == "  . . 1 1 1 1 . ."
