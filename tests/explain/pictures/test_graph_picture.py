from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.drawn_pictures import apart, assert_sound, crosses, inside
from tests.support.shipped import KIND_IDS, KINDS, SPEC_IDS, SPECS, compiled_once, spec_of
from wavetwin.explain.pictures.graph_items import FIXED, TRAINED, graph_items
from wavetwin.explain.pictures.graph_picture import draw_graph
from wavetwin.explain.pictures.lanes import lay_out
from wavetwin.explain.pictures.shapes import Drawing, Lines, Rectangle
from wavetwin.ir.graph import ModuleGraph


def check(drawing: Drawing) -> None:
    assert_sound(drawing)
    boxes = [s.box for s in drawing.shapes if isinstance(s, Rectangle) and s.width > 60]
    assert apart(boxes)
    for lines in (s for s in drawing.shapes if isinstance(s, Lines) and s.width == 1.2):
        assert not any(crosses(lines, box) for box in boxes)
    for label in list(drawing.texts)[1:]:
        in_legend = label.box[1] > max(box[3] for box in boxes)
        assert in_legend or any(inside(label, box) for box in boxes), label


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_pictures_of_shipped_specs_are_legible(path):
    compiled = compiled_once(path)
    for graph in (compiled.graph, compiled.optimised_graph):
        check(draw_graph(graph))


@pytest.mark.parametrize("name", ["R50C", "R18zo3wyC_mod", "AwyI_mod", "mnist_cmod"])
def test_pictures_of_every_node_are_legible(name: str):
    check(draw_graph(compiled_once(spec_of(name)).graph, full=True))


def test_resnet50_fits_a_page():
    drawing = draw_graph(compiled_once(spec_of("R50zo3wyC_mod")).graph)
    assert drawing.width < 1200
    assert drawing.height < 1700


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("path", SPECS[::5], ids=SPEC_IDS[::5])
def test_boxes_hold_the_whole_model(path, full: bool):
    graph = compiled_once(path).graph
    items = graph_items(graph, full=full)
    counts = [
        int(part.split(" ")[0].replace(",", ""))
        for item in items
        for part in item.lines[-1].split(", ")
        if part.endswith(" MACs")
    ]
    assert sum(counts) == graph.macs
    for index, item in enumerate(items):
        assert all(source < index for source in item.inputs)
        assert item.inputs or index == 0
    if full:
        assert [item.lines[0] for item in items] == [node.id for node in graph]


def test_residual_blocks_that_are_alike_are_one_box():
    names = [item.lines[0] for item in graph_items(compiled_once(spec_of("R50C")).graph)]
    assert "trunk.layer3.0" in names
    assert "trunk.layer3.1 to 5" in names
    assert len(names) == 16


def test_roles_tell_what_is_trained():
    roles = {i.lines[0]: i.role for i in graph_items(compiled_once(spec_of("AwyI")).graph)}
    assert roles["stem.wavelet.packets"] == FIXED
    assert roles["stem.wavelet.mixing"] == TRAINED


@st.composite
def acyclic(draw: st.DrawFn) -> list[list[int]]:
    inputs: list[list[int]] = [[]]
    for item in range(1, draw(st.integers(1, 25))):
        count = draw(st.integers(1, min(3, item)))
        inputs.append(
            draw(st.lists(st.integers(0, item - 1), min_size=count, max_size=count, unique=True))
        )
    return inputs


@given(acyclic())
def test_lanes_keep_items_and_lines_apart(inputs: list[list[int]]):
    lanes = lay_out(inputs)
    taken = list(lanes.spots)
    for reader, sources in enumerate(inputs):
        for source in sources:
            first, last = lanes.spots[source][0], lanes.spots[reader][0]
            assert first < last
            assert ((source, reader) in lanes.passes) == (last - first > 1)
            if last - first > 1:
                taken += [(row, lanes.passes[source, reader]) for row in range(first + 1, last)]
    assert len(taken) == len(set(taken))


def test_a_chain_is_one_lane():
    assert lay_out([[], [0], [1], [2]]).spots == [(0, 0), (1, 0), (2, 0), (3, 0)]


def test_a_graph_without_wavelets_is_drawn_after_the_passes():
    compiled = compiled_once(spec_of("cnn"))
    assert isinstance(compiled.optimised_graph, ModuleGraph)
    drawing = draw_graph(compiled.optimised_graph, label="after the passes")
    assert "cnn, after the passes: " in drawing.title
