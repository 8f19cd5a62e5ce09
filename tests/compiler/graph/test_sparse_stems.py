"""Whole first layers of packets: both parts as channels, all packets, counts of the sources."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.support.diff_pairs import compiled, differ
from tests.support.paths import ROOT
from tests.support.shipped import compiled_once, spec_of
from wavetwin.diagnostics import CompileError
from wavetwin.explain.packet_use import packet_choice
from wavetwin.explain.study.sparse_study import study_sparse
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import ColourMixingAfter
from wavetwin.runtime.network.build import build_module


@pytest.mark.parametrize(
    ("name", "before", "after", "size"),
    [
        ("resnet34_j2", 1027, 1120, 112),
        ("resnet34_j3", 4099, 4192, 114),
        ("alexnet_j2", 1027 + 64, 1120 + 64, 56),
        ("alexnet_j3", 4099 + 64, 4192 + 64, 57),
        ("alexnet_wpt", 4099 + 64, None, 57),
        ("resnet34_wpt", 4099, None, 114),
    ],
)
def test_counts_and_sizes_are_those_of_the_sources(
    name: str, before: int, after: int | None, size: int
):
    graph = compiled(name).graph
    stem = graph.section("stem")
    assert sum(node.parameters.trainable for node in stem) == before
    assert stem[-1].output_shape == (64, size, size)
    assert not stem[-1].is_complex
    if after is not None:
        mixed = compiled(name, "stem.wavelet.color_mixing=after").graph
        assert mixed.find(ColourMixingAfter) is not None
        assert sum(node.parameters.trainable for node in mixed.section("stem")) == after


@pytest.mark.parametrize(("network", "count"), [("alexnet", 23296), ("resnet34", 9408)])
def test_frozen_layers_train_nothing(network: str, count: int):
    for name in ("frozen", "frozen_trained"):
        made = compiled(f"{network}_{name}")
        (conv,) = made.graph.section("stem")
        assert (conv.parameters.trainable, conv.parameters.frozen) == (0, count)
        initial = made.spec.stem.initial_weights
        assert (initial is not None) == (name == "frozen_trained")
    frozen = compiled(f"{network}_j2", "stem.frozen=true").graph
    assert sum(node.parameters.trainable for node in frozen.section("stem")) == 0


def test_all_packets_are_the_list_of_them():
    listed = f"stem.wavelet.keep=[{{packets: {list(range(32))}, channels: 32}}]"
    assert compiled("alexnet_j2", listed).digest == compiled("alexnet_j2").digest


def _stem_of(graph: ModuleGraph) -> list[Node]:
    return [node for node in graph if node.section not in ("pool", "trunk")]


def test_parts_are_the_real_and_the_imaginary_part_of_each_map():
    """The same mixing with `parts: real` gives every second channel."""
    separate = compiled("alexnet_j2").graph
    real = compiled(
        "resnet34_j2", "stem.wavelet.parts=real", "stem.stride=4",
        "stem.wavelet.keep=[{packets: all, channels: 64}]",
    ).graph  # fmt: skip
    separate, real = (replace(each, nodes=tuple(_stem_of(each))) for each in (separate, real))
    both, one = build_module(separate).double(), build_module(real).double()
    with torch.no_grad():
        both.stem.wavelet.bias.bias.copy_(torch.linspace(-1, 1, 64))
        mixing = both.stem.wavelet.mixing[0].weight
        one.stem.wavelet.mixing[0].weight[:32] = mixing
        one.stem.wavelet.colour.weight.copy_(both.stem.wavelet.colour.weight)
        image = torch.randn(1, 3, 40, 44, dtype=torch.float64)
        maps = both.stem(image)
        reals = one.stem(image)[:, :32]
        bias = both.stem.wavelet.bias.bias
        torch.testing.assert_close(maps[:, 0::2] - bias[0::2, None, None], reals)
        imaginary = maps[:, 1::2] - bias[1::2, None, None]
        assert (imaginary - reals).abs().max() > 0.1


def test_channels_of_packets_are_counted_in_parts():
    choice = packet_choice(compiled("resnet34_j2").graph)
    assert choice is not None
    assert {use.channels for use in choice.uses} == {"0 to 63"}


def test_the_study_reads_the_folder_and_states_what_is_not_cropped():
    study = study_sparse([ROOT / "specs/sparse"], [])
    (table,) = study.summaries
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows["alexnet_j3"]["crop"] == "not cropped to alexnet's 55 x 55"
    assert rows["resnet34_j2"]["crop"] == ""
    assert rows["resnet34_j2"]["reduction"] == pytest.approx(9408 / 1027)
    assert rows["alexnet_j2"]["reduction"] == pytest.approx(23296 / 1091)
    assert rows["alexnet_frozen"]["frozen"] == 23296


def test_a_change_of_parts_has_its_sentence():
    other = compiled(
        "resnet34_j2", "stem.wavelet.parts=real", "stem.wavelet.keep=[{packets: all, channels: 64}]"
    )
    effects = differ(compiled("resnet34_j2"), other).effects
    (parts,) = [each for each in effects if each.kind == "parts separate -> real"]
    assert parts.numbers == (
        "64 -> 64 channels come from packets; the mixing has 1,024 -> 2,048 (+100.0 %) parameters."
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("pooling.wavelet=modulus", "modulus takes complex ones"),
        ("stem.wavelet={transform: wpt, filters: db4}", "those of wpt are real"),
    ],
)
def test_parts_of_what_has_none_are_refused(change: str, says: str):
    with pytest.raises(CompileError) as caught:
        compiled_once(spec_of("resnet34_j2"), change)
    (fault,) = caught.value.diagnostics
    assert fault.code == "field-does-not-apply"
    assert says in fault.headline


def test_channels_that_do_not_add_up_are_counted_in_parts():
    with pytest.raises(CompileError) as caught:
        compiled_once(spec_of("resnet34_j2"), "stem.wavelet.keep=[{packets: all, channels: 30}]")
    (fault,) = caught.value.diagnostics
    assert fault.code == "channels-do-not-add-up"
    assert "gives 60 channels" in fault.headline
    assert fault.help is not None
    assert "set stem.wavelet.keep.0.channels to 32" in fault.help
