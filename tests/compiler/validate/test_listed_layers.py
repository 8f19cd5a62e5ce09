"""Listed layers of which one is at fault: it is reported, and the checks of the others read on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compiler.validate.test_validate import found

LISTED = """\
wavetwin: 1
data: {dataset: digits}
backbone:
  arch: sequential
  input: image
"""
RESNET = """\
wavetwin: 1
data: {dataset: cifar10}
backbone:
  arch: resnet18
"""
END = "    - flatten: {}\n    - linear: {}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{LISTED}  layers:\n    - residual: {{shortcut: [{{conv: modulus}}]}}\n{END}",
            ["spec.yaml:7:36 wrong-type"],
        ),
        (
            f"{LISTED}  layers:\n    - residual: {{body: [{{flatten: {{}}, linear: {{}}}}]}}\n{END}",
            ["spec.yaml:7:25 not-one-layer"],
        ),
        (
            f"{LISTED}  layers:\n    - flatten: {{}}\n    - linear: {{initial: {{nam: default, gain: 2.0}}}}\n",
            ["spec.yaml:8:26 unknown-field"],
        ),
        (
            f"{LISTED}  layers:\n    - flatten: {{}}\n    - linear: {{initial: {{name: default, gain: 2.0}}}}\n",
            ["spec.yaml:8:47 field-does-not-apply"],
        ),
        (
            f"{LISTED}  initial: {{name: default, gain: 2.0}}\n  layers:\n{END}",
            ["spec.yaml:6:34 field-does-not-apply"],
        ),
        (
            f"{RESNET}  replace: {{layer1.0.conv1: {{conv: {{initial: {{name: default, gain: 2.0}}}}}}}}\n",
            ["spec.yaml:5:68 field-does-not-apply"],
        ),
    ],
)
def test_a_fault_in_a_layer_is_a_diagnostic(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert found(tmp_path, text) == expected


def test_the_remedy_for_a_law_that_is_inherited(tmp_path: Path) -> None:
    base = f"{LISTED}  layers:\n    - flatten: {{}}\n    - {{name: last, linear: {{initial: {{name: default}}}}}}\n"
    child = "extends: base.yaml\nbackbone: {replace: {last: {linear: {initial: {gain: 2.0}}}}}\n"
    assert found(tmp_path, child, base=base) == ["spec.yaml:2:54 field-does-not-apply"]
    assert found(tmp_path, child.replace("gain: 2.0", ""), base=base) == []
    named = child.replace("gain", "name: xavier_uniform, gain")
    assert found(tmp_path, named, base=base) == []
