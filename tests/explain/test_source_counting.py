"""Multiplies as the learnable ScatterNet's sources count them, and as here, for its four networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wavetwin.commands import cli
from wavetwin.explain.show.source_counting import source_counts, source_macs
from wavetwin.ir.builder import GraphBuilder, add_batch_norm, add_conv, add_linear
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import (
    AdaptiveAveragePool,
    Flatten,
    Input,
    Invariant,
    Operation,
    Relu,
    Scattering,
)

SCATNETS: dict[str, tuple[int | None, tuple[Operation, Operation]]] = {
    "A": (None, (Scattering(), Scattering())),
    "B": (None, (Invariant(channels=21), Invariant(channels=147))),
    "C": (16, (Scattering(), Scattering())),
    "D": (16, (Invariant(channels=112), Invariant(channels=784))),
}
"""Table 1.7: outputs of a convolution before, and the two layers."""


def scatnet(name: str, num_classes: int = 10) -> ModuleGraph:
    """Return a network of table 1.7 on colour images of 32 pixels."""
    builder = GraphBuilder(name, lambda field: None)
    current = builder.add("input", Input(shape=(3, 32, 32)))
    before, layers = SCATNETS[name]

    def follow(node: str) -> str:
        return builder.add(f"{node}.relu", Relu(), add_batch_norm(builder, f"{node}.norm", node))

    if before is not None:
        current = follow(add_conv(builder, "trunk.before", current, before, 3, padding=1))
    for number, layer in enumerate(layers):
        current = follow(builder.add(f"trunk.order{number}", layer, current))
    for number, channels in enumerate((192, 192, 384, 384)):
        conv = add_conv(builder, f"trunk.conv{number}", current, channels, 3, padding=1)
        current = follow(conv)
    current = builder.add("trunk.average", AdaptiveAveragePool(output_size=1), current)
    add_linear(builder, "trunk.fc", builder.add("trunk.flat", Flatten(), current), num_classes, ())
    return builder.graph()


@pytest.mark.parametrize(
    ("name", "parameters", "of_100_classes", "millions", "source_millions"),
    [
        ("A", 2_582_938, 2_617_588, 165.20, 165.4),
        ("B", 2_605_156, 2_639_806, 166.70, 166.7),
        ("C", 3_685_594, 3_720_244, 237.41, 251.1),
        ("D", 4_313_690, 4_348_340, 279.96, 293.7),
    ],
)
def test_scatnets(
    name: str, parameters: int, of_100_classes: int, millions: float, source_millions: float
) -> None:
    graph = scatnet(name)
    assert graph.parameters.trainable == parameters
    assert scatnet(name, 100).parameters.trainable == of_100_classes
    assert round(graph.macs / 1e6, 2) == millions
    assert round(source_macs(graph) / 1e6, 1) == source_millions
    assert len(source_counts(graph)) == (name != "B")


def test_show_prints_both_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.yaml"
    layers = "[{invariant: {channels: 7, stride: 2}}, {flatten: {}}, {linear: {}}]"
    path.write_text(
        f"wavetwin: 1\nbackbone: {{arch: sequential, layers: {layers}}}\n"
        "stem: {free_channels: 4}\npooling: {free: none}\ndata: {dataset: digits}\n",
        encoding="utf-8",
    )
    assert cli.main(["show", str(path), "--counting", "source"]) == 0
    printed = capsys.readouterr().out
    # 3 * 3 * 4 * 32 * 32 for the one colour, and as if there were 96.
    assert "36,864      3,538,944  *" in printed
    assert "* flop_calcs.py gives the first convolution 96 input channels" in printed
    # 4 maps to 7: 7 * 4 * 7 * 256 of 9 * 4 * 7 * 1024, and 36 * 4 * 1024 of the transform.
    assert "mixing alone: 50,176" in printed
    assert "convolutions' 258,048, 0.194 (pointwise 7/36)" in printed
    assert "they are 197,632, 0.766. Weights: 196 of 252, 0.778." in printed
    assert cli.main(["show", str(path), "--counting", "source", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["source_counting"]["macs"] == document["macs"] + 3_538_944 - 36_864
    assert list(document["source_counting"]["nodes"]) == ["stem.free"]
