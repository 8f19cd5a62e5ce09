import json
from pathlib import Path

import pytest

from tests.support.shipped import KIND_IDS, KINDS, compiled_once, published, spec_of
from wavetwin.compiler.passes.invariants import check_invariants
from wavetwin.explain.text_table import pass_table, show_document
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan

PUBLISHED = published()


@pytest.mark.parametrize("name", PUBLISHED)
def test_graph_has_the_published_parameters(name: str) -> None:
    compiled = compiled_once(spec_of(name))
    info = PUBLISHED[name]
    assert compiled.graph.parameters.trainable == info["trainable_parameters"]
    assert compiled.graph.parameters.frozen == 0
    assert compiled.spec.published is not None
    assert compiled.spec.published.parameters == info["trainable_parameters"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_plan_has_the_published_hyper_parameters(name: str) -> None:
    plan = compiled_once(spec_of(name)).plan
    info = PUBLISHED[name]
    assert plan.epochs == info["epochs"]
    assert plan.optimizer.lr == info["lr"]
    assert plan.optimizer.momentum == info["momentum"]
    assert plan.optimizer.weight_decay == info["weight_decay"]
    assert plan.batch_size == info["batch_size"]
    assert plan.accumulate == info["batch_accumulation"]
    assert plan.schedule.name == "step"
    assert f"StepLR{plan.schedule.step_epochs}" == info["lr_scheduler"]
    lambdas = None if plan.regularisation is None else list(plan.regularisation.lambdas)
    assert lambdas == info["lambdas"]
    # The published counts vary by the loader's handling of short batches.
    assert plan.iterations_per_epoch is not None
    steps = plan.iterations_per_epoch * plan.epochs
    assert abs(steps - info["iterations"]) <= 0.0011 * info["iterations"]


def test_macs_of_the_plain_networks() -> None:
    assert compiled_once(spec_of("AI")).graph.macs == 714_188_480
    assert compiled_once(spec_of("RI")).graph.macs == 3_663_761_408


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_documents_survive_json(path: Path) -> None:
    compiled = compiled_once(path)
    for graph in (compiled.graph, compiled.optimised_graph):
        assert ModuleGraph.from_text(json.dumps(graph.to_json())) == graph
    assert TrainingPlan.from_text(json.dumps(compiled.plan.to_json())) == compiled.plan


def test_documents_of_another_version_are_refused() -> None:
    compiled = compiled_once(spec_of("cnn"))
    with pytest.raises(ValueError, match="wavetwin_graph is 2"):
        ModuleGraph.from_json(compiled.graph.to_json() | {"wavetwin_graph": 2})
    with pytest.raises(ValueError, match="wavetwin_plan is None"):
        TrainingPlan.from_json({})


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_graphs_keep_their_invariants(path: Path) -> None:
    compiled = compiled_once(path)
    check_invariants(compiled.optimised_graph, compiled.graph)
    assert compiled.optimised_graph.macs <= compiled.graph.macs


def test_nodes_name_the_lines_that_they_come_from() -> None:
    graph = compiled_once(spec_of("Azh3wyI_mod")).graph
    origin = graph.node("pool.wavelet.modulus").origin
    path, line = origin[0].split(":")
    assert path == "specs/alexnet/Azh3wyI_mod.yaml"
    text = spec_of("Azh3wyI_mod").read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert text.strip() == "wavelet: modulus"
    assert any("base/alexnet_twin.yaml" in location for location in graph.node("stem.free").origin)


def test_show_document_has_what_the_contract_names() -> None:
    compiled = compiled_once(spec_of("AwyI"))
    document = show_document(compiled)
    assert document["input_shape"] == [3, 224, 224]
    assert document["output_shape"] == [1000]
    assert document["digest"] == compiled.digest
    assert document["parameters"]["trainable"] == 61_089_433
    assert sum(node["macs"] for node in document["nodes"]) == document["macs"]
    fields = {"id", "op", "inputs", "attributes", "output_shape", "parameters", "macs"}
    assert fields | {"activation_bytes", "origin"} <= document["nodes"][5].keys()


def test_the_table_of_passes_names_them() -> None:
    compiled = compiled_once(spec_of("twin_mod"))
    assert "take the real part early" in pass_table(compiled)


@pytest.mark.parametrize(
    ("overrides", "node_id"),
    [
        (["data.image_size=20"], "trunk.pool5"),
        (["data.image_size=8", "stem.kernel_size=23"], "stem.free"),
    ],
)
def test_images_too_small_are_refused_at_the_node(overrides: list[str], node_id: str) -> None:
    from wavetwin.diagnostics import CompileError

    with pytest.raises(CompileError) as caught:
        compiled_once(spec_of("AI"), *overrides)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "does-not-fit"
    assert "has no output" in diagnostic.headline
