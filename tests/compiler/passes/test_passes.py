from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.shipped import KIND_IDS, KINDS, compiled_once, spec_of
from wavetwin.commands.cli import main
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.passes import PASSES, run_passes
from wavetwin.compiler.passes.invariants import InvariantError
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node, complete, make_node
from wavetwin.ir.operations import (
    BlurPool,
    MaxBlurPool,
    Modulus,
    NormMaxPool,
    ParameterCounts,
    Relu,
    ReluMaxPool,
)


def graph_of(name: str, *overrides: str) -> ModuleGraph:
    return compiled_once(spec_of(name), *overrides).graph


TRAINED = "stem.wavelet.trainable_filters=true"
"""Keeps the packets apart: the bank is for fixed filters."""


def by_pass(graph: ModuleGraph) -> dict[str, ModuleGraph]:
    """Return the graph after each pass, the ones before it included."""
    return {
        name: run_passes(graph, PASSES[: index + 1])[0] for index, (name, _) in enumerate(PASSES)
    }


def test_real_part_moves_before_the_mixing() -> None:
    graph = graph_of("AwyI", TRAINED)
    after, records = run_passes(graph)
    assert [name for name, _ in PASSES] == [record.name for record in records]
    assert after.node("stem.wavelet.real").inputs == ("stem.wavelet.packets",)
    assert after.node("stem.wavelet.keep").inputs == ("stem.wavelet.real",)
    assert not after.node("stem.wavelet.mixing").is_complex
    assert 2 * after.node("stem.wavelet.mixing").macs == graph.node("stem.wavelet.mixing").macs


def test_identities_are_dropped() -> None:
    graph = graph_of("twin_mod", "pooling.wavelet=modulus_blur")
    assert graph.node("pool.wavelet.subsample").attributes["step"] == 1
    after = by_pass(graph)["drop identities"]
    assert "pool.wavelet.subsample" not in {node.id for node in after}
    assert after.node("pool.wavelet.modulus").inputs == ("pool.wavelet.complex",)


def test_the_stem_of_branches_that_are_pooled_apart_gives_both() -> None:
    graph = graph_of("twin_mod")
    assert [node.id for node in graph.section_outputs["stem"]] == ["stem.concat"]
    after = by_pass(graph)["pool the branches apart"]
    joined = [node.id for node in after.section_outputs["stem"]]
    assert joined == ["stem.crop_free", "stem.crop_wavelet"]
    assert after.node("pool.free.norm").inputs == ("stem.crop_free",)
    assert "stem.concat" not in {node.id for node in after}
    alike = graph_of("twin")
    assert by_pass(alike)["pool the branches apart"].node("pool.norm").inputs == ("stem.concat",)


def test_complex_channels_are_passed_on_as_they_are() -> None:
    after = by_pass(graph_of("twin_mod"))["cancel interleaving"]
    assert not {"interleave", "deinterleave"} & {node.op for node in after}
    assert after.node("stem.crop_wavelet").is_complex
    assert after.node("stem.crop_free").inputs == ("stem.free", "stem.wavelet.mixing")


@pytest.mark.parametrize("name", ["AwyI", "AwyI_mod", "Rzh3wyI_abl", "mnist_cmod"])
def test_the_bank_owns_the_parameters_under_their_names(name: str) -> None:
    graph = graph_of(name)
    after = by_pass(graph)["merge the packet bank"]
    bank = after.node("stem.wavelet")
    assert bank.op == "packet_bank"
    parts = [node for node in graph if node.id.startswith("stem.wavelet.")]
    assert [part.id for part in bank.parts] == [p.id for p in parts if p.parameters.total]
    assert bank.parameters == sum((part.parameters for part in parts), ParameterCounts())
    assert bank.attributes["complex"] == bank.is_complex == (name in ("AwyI_mod", "mnist_cmod"))
    assert bank.macs < sum(part.macs for part in parts)
    merged = [part for part in parts if part.op != "interleave"]
    assert set(bank.origin) == {location for part in merged for location in part.origin}


def test_dead_packets_cost_nothing() -> None:
    """Of J=3 and 224 px: 16 filters along rows, 48 pairs of trees and paths along columns, twice."""
    bank = by_pass(graph_of("AwyI"))["push subsampling into the packet bank"].node("stem.wavelet")
    weights = 6 * 1 + 18 * 4 + 8 * 16
    rows, columns = 224 * 55 * 16 * 66, 55 * 55 * 2 * 47 * 66
    assert bank.macs == 3 * 224**2 + rows + columns + weights * 55**2


def test_subsampling_is_pushed_into_the_bank() -> None:
    graph = graph_of("Azh3wyI_mod")
    assert graph.node("pool.wavelet.subsample").attributes["step"] == 4
    after = by_pass(graph)["push subsampling into the packet bank"]
    bank = after.node("stem.wavelet")
    assert (bank.attributes["stride"], bank.attributes["subsample"]) == (2, 4)
    assert bank.inputs == ("input", "stem.crop_free")
    assert bank.output_shape == (32, 28, 28)
    assert after.node("pool.wavelet.modulus").inputs == ("stem.wavelet",)
    # The free branch is cropped to where the packets are, though they are not computed there.
    assert after.node("stem.crop_free").op == "crop_to_packets"
    assert after.node("stem.crop_free").inputs == ("stem.free", "input")
    assert not {"subsample", "packets"} & {node.op for node in after}


def test_maximum_and_blur_are_one() -> None:
    graph = graph_of("Azh3wyI_mod")
    after, _ = run_passes(graph)
    assert after.node("pool.free.blur2").op == "max_blur_pool"
    assert after.node("pool.free.blur2").inputs == ("pool.free.blur1",)
    # A blur that follows no maximum is itself.
    assert after.node("pool.free.blur1").op == "blur_pool"
    before = graph.node("pool.free.max").elementwise + graph.node("pool.free.blur2").elementwise
    assert after.node("pool.free.blur2").elementwise == before


WPT = (
    "stem.wavelet.transform=wpt",
    "stem.wavelet.filters=db3",
    "stem.wavelet.exclude=[]",
    "stem.wavelet.keep=[{packets: [1, 2, 3], channels: 16, groups: 1}]",
)


@pytest.mark.parametrize(
    ("name", "overrides"), [("twin_mod", (TRAINED,)), ("AwyI", (TRAINED,)), ("twin", WPT)]
)
def test_other_packets_stay_apart(name: str, overrides: tuple[str, ...]) -> None:
    graph = graph_of(name, *overrides)
    after, _ = run_passes(graph)
    assert after.node("stem.wavelet.packets") == graph.node("stem.wavelet.packets")


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_no_pass_makes_a_network_dearer(path: Path) -> None:
    compiled = compiled_once(path)
    for record in compiled.graph.passes:
        assert record.macs_after <= record.macs_before
        assert record.bytes_after <= record.bytes_before
        assert record.nodes_after <= record.nodes_before


def test_without_passes_the_graph_is_as_written() -> None:
    path = spec_of("AwyI_mod")
    compiled = compile_spec(path, optimise=False)
    assert compiled.optimised_graph == compiled.graph
    assert compiled.graph.passes == ()
    assert compiled.graph.nodes == compile_spec(path).graph.nodes


def test_the_command_line_chooses(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(spec_of("AwyI_mod"))
    assert main(["show", path, "--passes"]) == 0
    shown = capsys.readouterr().out
    for name, _ in PASSES:
        assert f"\n{name} " in shown
    assert "695,874,720 after the passes" in shown
    assert main(["show", path, "--no-passes"]) == 0
    assert "748,917,308 after the passes" in capsys.readouterr().out


def test_a_build_without_passes_is_another_build(tmp_path: Path) -> None:
    path, out = str(spec_of("twin_mod")), ["--out", str(tmp_path), "--allow-dirty"]
    assert main(["build", path, "--no-passes", *out]) == 0
    text = (tmp_path / "twin_mod" / "model.py").read_text(encoding="utf-8")
    assert "DualTreePacketMaps" in text
    assert "MixedPackets" not in text
    assert main(["build", path, "--no-passes", "--check", *out]) == 0
    assert main(["build", path, "--check", *out]) == 1


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


def _read_twice(graph: ModuleGraph) -> ModuleGraph:
    """Let the trunk read two values of the pooling."""
    (pooled,) = graph.section_outputs["pool"]
    second = make_node("trunk.second", Relu(), graph.inputs_of(pooled))
    return replace(graph, nodes=(*graph.nodes[:-1], second, graph.nodes[-1]))


BROKEN = {
    "pool gives 2 values": _read_twice,
    "two nodes": lambda g: replace(g, nodes=(*g.nodes, g.nodes[-1])),
    "its shape or cost is not": lambda g: _change(g, "trunk.relu1", macs=1),
    "before it is computed": lambda g: _change(g, "trunk.relu1", inputs=("trunk.linear1",)),
    "across a section's border": lambda g: _rewire(g, "trunk.conv1", "stem.free"),
    "cost is not the operation": lambda g: _change(
        g, "trunk.conv1", operation=replace(g.node("trunk.conv1").operation, groups=2)
    ),
    "input or output changed": lambda g: replace(g, nodes=g.nodes[:-1]),
    "shape or cost": lambda g: _change(g, "trunk.conv1", parameters=ParameterCounts()),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_pass_that_breaks_an_invariant_is_stopped(message: str) -> None:
    graph = graph_of("cnn")
    with pytest.raises(InvariantError, match=message):
        run_passes(graph, [("broken", BROKEN[message])])


def test_the_kernel_pools_what_the_stem_joined_in_parts() -> None:
    native = "training.kernels=native"
    twin = compiled_once(spec_of("RwyI"), native).optimised_graph
    assert [node.id for node in twin.section("pool")] == ["pool.norm"]
    assert twin.node("pool.norm").inputs == ("stem.crop_free", "stem.wavelet")
    plain = compiled_once(spec_of("AwyI"), native).optimised_graph
    assert [node.id for node in plain.section("pool")] == ["pool.max"]
    blurred = compiled_once(spec_of("Rzh3wyI_mod"), native).optimised_graph
    maximum = blurred.node("pool.free.norm").attributes
    assert (maximum["kernel_size"], maximum["stride"], maximum["padding"]) == (3, 1, 1)
    assert (maximum["blur_size"], maximum["blur_stride"]) == (3, 2)
    # So are the blurs of the trunk, but for one whose maps are read elsewhere, too.
    assert blurred.node("trunk.layer2.0.bn1").attributes["blur_size"] == 3
    assert isinstance(blurred.node("trunk.layer2.0.downsample.blur").operation, BlurPool)
    # A maximum that follows a blur stays with its own.
    twice = compiled_once(spec_of("Azh3wyI_mod"), native).optimised_graph
    assert isinstance(twice.node("pool.free.blur2").operation, MaxBlurPool)
    assert twice.node("pool.free.blur1").inputs == ("stem.crop_free",)
    assert twice.node("trunk.blur2").attributes["kernel_size"] == 3
    assert isinstance(twice.node("trunk.blur2").operation, ReluMaxPool)
    modulus = compiled_once(spec_of("AwyI_mod"), native).optimised_graph
    assert modulus.find(Modulus) is None
    assert not modulus.node("stem.wavelet").is_complex
    assert modulus.node("pool.free.max").inputs == ("stem.crop_free",)
    assert modulus.node("pool.wavelet.bias").inputs == ("stem.wavelet",)
    assert modulus.node("pool.wavelet.bias").attributes["relu"] is True


def test_torch_pools_layer_by_layer() -> None:
    for name in ("RwyI", "AwyI_mod"):
        compiled = compiled_once(spec_of(name))
        records = [record.name for record in compiled.graph.passes]
        assert records == [name for name, _ in PASSES]
        kinds = (NormMaxPool, ReluMaxPool)
        assert not any(isinstance(node.operation, kinds) for node in compiled.optimised_graph)
