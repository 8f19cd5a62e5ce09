"""The model: layers aligned by meaning, whose differences add up to those of the networks."""

from __future__ import annotations

from functools import cache
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shipped import spec_of
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.explain.diff.alignment import align
from wavetwin.explain.diff.costs import Cost
from wavetwin.explain.diff.layer_rows import MAX_ROWS, layer_rows
from wavetwin.explain.diff.layers import ModelChanges, compare_models
from wavetwin.ir.graph import ModuleGraph

FAMILY = (
    "AI", "AwyI_mod", "Azh3wyI", "RI", "Rzh3wyI_abl", "Rzo3wyI_mod", "R50wyC", "cnn",
    "twin_mod", "mnist_rmax",
)  # fmt: skip


@cache
def compiled(name: str) -> Compiled:
    return compile_spec(spec_of(name))


def changes(first: Compiled, second: Compiled) -> ModelChanges:
    return compare_models(first.graph, second.graph, first.optimised_graph, second.optimised_graph)


def kinds(model: ModelChanges) -> dict[str, str]:
    """What became of each layer that differs, by its id in the second network."""
    return {layer.node.id: layer.kind for layer in model.differing}


def counted(graph: ModuleGraph) -> tuple[int, ...]:
    """The totals as the graph itself states them."""
    counts = graph.parameters
    return (
        counts.trainable,
        counts.frozen,
        counts.buffers,
        graph.macs,
        graph.elementwise,
        graph.activation_bytes,
    )


def numbers(cost: Cost) -> tuple[int, ...]:
    return (
        cost.trainable,
        cost.frozen,
        cost.buffers,
        cost.macs,
        cost.elementwise,
        cost.activation_bytes,
    )


@pytest.mark.parametrize(("first", "second"), tuple(permutations(FAMILY, 2)))
def test_layers_and_rows_add_up_to_the_totals(first: str, second: str) -> None:
    ours, theirs = compiled(first), compiled(second)
    model = changes(ours, theirs)
    apart = tuple(b - a for a, b in zip(counted(ours.graph), counted(theirs.graph), strict=True))
    assert numbers(sum((layer.cost for layer in model.differing), Cost())) == apart
    for full in (False, True):
        rows = layer_rows(model, full=full)
        assert numbers(sum((row.cost for row in rows), Cost())) == apart
    assert len(layer_rows(model)) <= MAX_ROWS + 3
    seen = [layer.before.id for layer in model.layers if layer.before is not None]
    assert sorted(seen) == sorted(node.id for node in ours.graph)
    assert [layer.after.id for layer in model.layers if layer.after is not None] == [
        node.id for node in theirs.graph
    ]


@pytest.mark.parametrize("name", FAMILY)
def test_a_network_is_the_same_as_itself(name: str) -> None:
    one = compiled(name)
    model = changes(one, one)
    assert not model.differing
    assert model.before == model.after


def test_modulus_leaves_the_trunk_and_pairs_the_free_channels_pooling() -> None:
    model = changes(compiled("AwyI"), compiled("AwyI_mod"))
    found = kinds(model)
    assert not [name for name in found if name.startswith("trunk")]
    assert found["stem.wavelet.real"] == "removed"
    assert found["pool.wavelet.modulus"] == "added"
    (whole,) = [layer for layer in model.layers if layer.node.id == "pool.free.max"]
    assert whole.before is not None
    assert (whole.before.id, whole.kind) == ("pool.max", "resized")


def test_a_norm_of_another_kind_is_one_changed_layer() -> None:
    model = changes(compiled("Rzh3wyI_abl"), compiled("Rzh3wyI_mod"))
    assert kinds(model)["pool.wavelet.norm"] == "changed"
    (row,) = [row for row in layer_rows(model) if row.name == "pool.wavelet.norm"]
    assert row.what == "batch_norm -> energy_norm"


def test_a_deeper_trunk_adds_blocks_and_keeps_the_others() -> None:
    shallow, deep = (
        compile_spec(spec_of("R18C"), (f"backbone.arch={arch}",))
        for arch in ("resnet18", "resnet34")
    )
    model = changes(shallow, deep)
    assert set(kinds(model).values()) == {"added"}
    blocks = {".".join(name.split(".")[:3]) for name in kinds(model)}
    assert blocks == {
        *(f"trunk.layer1.{n}" for n in (2,)),
        *(f"trunk.layer2.{n}" for n in (2, 3)),
        *(f"trunk.layer3.{n}" for n in (2, 3, 4, 5)),
        "trunk.layer4.2",
    }
    assert {row.what for row in layer_rows(model)} == {"7 layers"}


def sequential(*layers: str) -> Compiled:
    """A network on digits of these layers, each a conv's number of channels or a layer's name."""
    texts = [
        f"{{conv: {{channels: {layer}}}}}" if layer.isdigit() else f"{{{layer}: {{}}}}"
        for layer in layers
    ]
    tail = "{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}"
    return compile_spec(
        spec_of("cnn"), (f"backbone.layers=[{', '.join([*texts, tail])}]",), optimise=False
    )


def test_a_layer_put_before_others_is_one_addition() -> None:
    model = changes(sequential("8", "relu", "16"), sequential("4", "8", "relu", "16"))
    assert kinds(model) == {
        "trunk.conv1": "added",
        "trunk.conv2": "changed",  # its inputs are fewer
        "trunk.conv3": "renamed",
    }


def test_a_sequential_layer_is_aligned_by_what_it_is() -> None:
    model = changes(sequential("8", "relu", "norm", "16"), sequential("8", "norm", "24", "relu"))
    assert kinds(model)["trunk.conv2"] == "changed"
    assert model.count("added") == model.count("removed") == 1


def best_by_trying(first: str, second: str) -> float:
    """The largest likeness of any pairing that keeps both orders."""
    if not first or not second:
        return 0.0
    options = [best_by_trying(first[1:], second), best_by_trying(first, second[1:])]
    if likeness(first[0], second[0]):
        options.append(likeness(first[0], second[0]) + best_by_trying(first[1:], second[1:]))
    return max(options)


def likeness(one: str, other: str) -> float:
    if one == other:
        return 3.0
    return 1.0 if {one, other} == {"a", "b"} else 0.0


@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_alignment_is_the_likest_one(first: str, second: str) -> None:
    pairs = align(first, second, likeness)
    assert [i for i, _ in pairs if i is not None] == list(range(len(first)))
    assert [j for _, j in pairs if j is not None] == list(range(len(second)))
    paired = [(i, j) for i, j in pairs if i is not None and j is not None]
    assert all(likeness(first[i], second[j]) for i, j in paired)
    assert sum(likeness(first[i], second[j]) for i, j in paired) == best_by_trying(first, second)


def test_alignment_of_all_short_lists_keeps_equal_ends() -> None:
    for first, second in product(("", "a", "ab", "abc"), repeat=2):
        shared = len(set(first) & set(second))
        both = [pair for pair in align(first, second, likeness) if None not in pair]
        assert len(both) >= shared
