"""Multiplies as the learnable ScatterNet's sources count them, and as here, for its four networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.shipped import compiled_once, spec_of
from wavetwin.commands import cli
from wavetwin.explain.show.source_counting import source_counts, source_macs


@pytest.mark.parametrize(
    ("name", "millions"), [("A", 165.4), ("B", 166.7), ("C", 251.1), ("D", 293.7)]
)
def test_the_scripts_multiplies_of_the_scatnets(name: str, millions: float) -> None:
    """As the script gives them; three are not what the networks have, which test_scatternet_counts holds."""
    graph = compiled_once(spec_of(f"cifar10_scatnet{name}")).graph
    assert round(source_macs(graph) / 1e6, 1) == millions
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
