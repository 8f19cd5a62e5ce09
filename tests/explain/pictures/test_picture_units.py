"""All pictures and tables count bands from 1 and have frequencies in radians a pixel.

The report's are in test_report_page.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from PIL import ImageDraw

from tests.support.shipped import ROOT, compiled_once, spec_of
from wavetwin.explain.packet_use import PacketChoice, packet_choice
from wavetwin.explain.pictures.packet_plane import draw_packets
from wavetwin.explain.pictures.svg import render_svg
from wavetwin.explain.show.kernel_picture import draw_kernels
from wavetwin.explain.show.packet_table import packet_table
from wavetwin.explain.study.discrepancy import POSITION_COLUMNS, position_cells
from wavetwin.explain.study.kernel_measures import COLUMNS
from wavetwin.explain.study.positions import packet_positions
from wavetwin.runtime.network.build import build_module
from wavetwin.runtime.network.kernels import ResultingKernel, resulting_kernel

UNIT = "radians a pixel"
TWINS = ["twin_mod", "RwyI"]


@pytest.fixture(scope="module", params=TWINS)
def twin(request: pytest.FixtureRequest) -> tuple[PacketChoice, ResultingKernel]:
    """A model's packets and its first layer's kernel, of initial weights."""
    graph = compiled_once(spec_of(request.param)).graph
    choice = packet_choice(graph)
    assert choice is not None
    with torch.no_grad():
        state = {
            name: value
            for name, value in build_module(graph).state_dict().items()
            if name.startswith("stem.")
        }
        return choice, resulting_kernel(state, graph)


def check(text: str, bands: set[int]) -> None:
    """Check the words of one picture or table."""
    assert "half a cycle" not in text
    assert UNIT in text
    assert {int(found) for found in re.findall(r"(?<!dyadic )\bband (\d+)", text)} == bands
    for label in re.findall(r"[^<>\n]*frequency[^<>\n]*(?=</text>)", text):
        assert UNIT in label, label


def bands_of(choice: PacketChoice) -> set[int]:
    return set(range(1, max(use.band or 0 for use in choice.uses) + 1))


def test_the_packets(twin: tuple[PacketChoice, ResultingKernel]) -> None:
    choice, _ = twin
    table = packet_table(choice)
    check(table, set())
    heads = next(line for line in table.split("\n") if line.startswith("packet "))
    assert "down, rad/px  right, rad/px  angle, degrees  dyadic band  band" in heads
    columns = {line.split()[5] for line in table.split("\n") if re.match(r" +\d+ +[+-]", line)}
    assert bands_of(choice) <= {int(each) for each in columns if each.isdigit()}
    check(render_svg(draw_packets(choice, "packets")), bands_of(choice))


def test_the_kernels(
    twin: tuple[PacketChoice, ResultingKernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    choice, kernel = twin
    texts: list[str] = []
    original = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, xy: object, label: str, *args: object, **options: object):
        texts.append(label)
        return original(self, xy, label, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    draw_kernels(kernel, "kernels")
    check("\n".join(texts), bands_of(choice))
    shown = [re.fullmatch(r"\(([-+.\d]+), ([.\d]+)\)", label) for label in texts]
    centres = [(float(each[1]), float(each[2])) for each in shown if each is not None]
    assert centres == [
        (pytest.approx(down, abs=5e-3), pytest.approx(right, abs=5e-3))
        for down, right in kernel.centre_frequencies().tolist()
    ]


def test_the_tables_of_studies() -> None:
    for name in (*POSITION_COLUMNS, *COLUMNS):
        assert ("frequency" in name or "centroid" in name) == name.endswith("_rad_per_px"), name
        assert name != "band"
    bands = {
        position_cells(position)[POSITION_COLUMNS.index("dyadic_band")]
        for position in packet_positions(2, "qshift_a")
    }
    assert bands == {0, 1, 2}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/pictures").glob("*.svg")), ids=lambda p: p.stem
)
def test_pictures_of_the_documentation(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "band 0" not in text
    assert "half a cycle" not in text
    if "frequency" in text:
        assert UNIT in text
