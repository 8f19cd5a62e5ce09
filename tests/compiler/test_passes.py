from dataclasses import replace

import pytest

import wavetwin
from tests.shipped import spec_of
from wavetwin.compiler.catalogue import complete
from wavetwin.compiler.graph import ModuleGraph, Node, ParameterCounts
from wavetwin.compiler.passes import PASSES, run_passes
from wavetwin.compiler.passes.invariants import InvariantError


def graph_of(name: str, *overrides: str) -> ModuleGraph:
    return wavetwin.compile(spec_of(name), overrides).graph


def test_real_part_moves_before_the_mixing() -> None:
    graph = graph_of("AwyI")
    after, records = run_passes(graph)
    assert [name for name, _ in PASSES] == [record.name for record in records]
    assert after.node("stem.wavelet.real").inputs == ("stem.wavelet.packets",)
    assert after.node("stem.wavelet.keep").inputs == ("stem.wavelet.real",)
    assert not after.node("stem.wavelet.mixing").is_complex
    assert 2 * after.node("stem.wavelet.mixing").macs == graph.node("stem.wavelet.mixing").macs


def test_modulus_keeps_both_parts() -> None:
    graph = graph_of("AwyI_mod")
    after, records = run_passes(graph)
    assert after is graph
    assert all(record.macs_before == record.macs_after for record in records)


def test_identities_are_dropped() -> None:
    graph = graph_of("twin_mod", "pooling.wavelet=modulus_blur")
    assert graph.node("pool.wavelet.subsample").attributes["step"] == 1
    after, _ = run_passes(graph)
    assert "pool.wavelet.subsample" not in {node.id for node in after}
    assert after.node("pool.wavelet.modulus").inputs == ("pool.wavelet.complex",)


def _change(graph: ModuleGraph, node_id: str, **changes: object) -> ModuleGraph:
    nodes = [replace(n, **changes) if n.id == node_id else n for n in graph.nodes]
    return replace(graph, nodes=tuple(nodes))


def _rewire(graph: ModuleGraph, node_id: str, source: str) -> ModuleGraph:
    done: dict[str, Node] = {}
    for node in graph:
        inputs = (source,) if node.id == node_id else node.inputs
        rewired = replace(node, inputs=inputs)
        done[node.id] = complete(rewired, [done[name] for name in inputs])
    return replace(graph, nodes=tuple(done.values()))


BROKEN = {
    "two nodes": lambda g: replace(g, nodes=(*g.nodes, g.nodes[-1])),
    "facts are not the catalogue's": lambda g: _change(g, "trunk.relu1", macs=1),
    "before it is computed": lambda g: _change(g, "trunk.relu1", inputs=("trunk.linear1",)),
    "across a section's border": lambda g: _rewire(g, "trunk.conv1", "stem.free"),
    "no such-op": lambda g: _change(g, "trunk.relu1", op="such-op"),
    "input or output changed": lambda g: replace(g, nodes=g.nodes[:-1]),
    "facts": lambda g: _change(g, "trunk.conv1", parameters=ParameterCounts()),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_pass_that_breaks_an_invariant_is_stopped(message: str) -> None:
    graph = graph_of("cnn")
    with pytest.raises(InvariantError, match=message):
        run_passes(graph, [("broken", BROKEN[message])])
