"""What diff says of layers of moduli: a sentence of every pair of mixings, with the pair's numbers."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import wavetwin
from wavetwin.compiler.compiled import Compiled
from wavetwin.explain.diff.difference import Experiment, compare
from wavetwin.explain.diff.effects import Effect
from wavetwin.ir.mixings import MIXINGS

SPEC = """\
wavetwin: 1
backbone: {{arch: sequential, layers: [{}, {{flatten: {{}}}}, {{linear: {{}}}}]}}
stem: {{free_channels: 4}}
data: {{dataset: digits}}
"""


def _compiled(folder: Path, layer: str) -> Compiled:
    path = folder / "x.yaml"
    path.write_text(SPEC.format(layer), encoding="utf-8")
    return wavetwin.compile(path)


def _effects(before: Compiled, after: Compiled) -> dict[str, Effect]:
    found = compare(Experiment("a", before), Experiment("b", after)).effects
    return {each.kind: each for each in found}


def test_every_ordered_pair_of_mixings_has_its_sentence(tmp_path: Path) -> None:
    rest = 4 * 16 * 16 * 10 + 10
    layer = "{{invariant: {{channels: 4, mixing: {}}}}}"
    sides = {name: _compiled(tmp_path, layer.format(name)) for name in MIXINGS}
    for first, second in permutations(MIXINGS, 2):
        found = _effects(sides[first], sides[second])[f"{first} -> {second}"]
        assert f"`{first}` {MIXINGS[first].statement}; `{second}`" in found.text
        weights = [4 + 28 * 4 * {"learned": 9, "dct": 3}.get(name, 1) for name in (first, second)]
        totals = [f"{number + rest:,}" for number in weights]
        expected = f"the same {totals[0]}" if totals[0] == totals[1] else " -> ".join(totals)
        assert f"The trunk has {expected}" in found.numbers


def test_layers_that_come_and_strides_that_change(tmp_path: Path) -> None:
    convolution = _compiled(tmp_path, "{conv: {channels: 4}}")
    full, half = (
        _compiled(tmp_path, f"{{invariant: {{channels: 4, stride: {stride}}}}}")
        for stride in (1, 2)
    )
    found = _effects(convolution, full)["moduli of wavelets"]
    assert found.numbers.startswith("0 -> 1 invariant layers; the trunk has")
    effects = _effects(full, half)
    assert effects["up-sampling"].numbers == "1 -> 0 of the invariant layers up-sample."
    assert "moduli of wavelets" not in effects
