"""Lint of wavelet poolings: the posted net, and nets that are right."""

from __future__ import annotations

from pathlib import Path

import pytest

import wavetwin
from tests.support.diff_pairs import compiled
from wavetwin.commands import cli
from wavetwin.compiler.lint import LINT_RULES
from wavetwin.diagnostics import Diagnostic
from wavetwin.diagnostics.codes import DESCRIPTIONS

NET = """\
wavetwin: 1
backbone:
  arch: sequential
  input: image
  initial: {{name: xavier_uniform, gain: 1.4142135623730951}}
  layers:
    - {{name: conv1, conv: {{channels: 64, padding_mode: reflect}}{follows}}}
    - {{name: w1, {pool}}}
    - {{name: conv2, conv: {{channels: 128, padding_mode: reflect}}{follows}}}
    - {{name: w2, {pool}}}
    - {{name: conv3, conv: {{channels: 512, padding_mode: reflect}}{follows}}}
    - {{name: w3, {pool}}}
    - {{pool: {{kind: global_average}}}}
    - {{flatten: {{}}}}
    - {{linear: {{}}}}
data: {{dataset: folder, num_classes: 7, image_size: 32, augmentation: {augmentation}}}
training: {{optimizer: {{name: sgd, lr: 0.01, weight_decay: {decay}}}}}
"""
POSTED = "wavelet_pool: {wavelet: haar, bands: ll, normalise: orthonormal}"
MIX = "wavelet_pool: {bands: mix, normalise: dc}"


def warnings(folder: Path, pool: str, is_bare: bool = True) -> list[Diagnostic]:
    text = NET.format(
        pool=pool,
        follows=", relu: {}" if is_bare else ", norm: {}, relu: {}",
        augmentation="none" if is_bare else "pad_crop_flip",
        decay="0.0" if is_bare else "5e-4",
    )
    (folder / "net.yaml").write_text(text, encoding="utf-8")
    return list(wavetwin.compile(folder / "net.yaml").warnings)


def test_the_posters_net_is_explained_and_nothing_more(tmp_path: Path):
    """Its complaints: a loss that falls fast, no details after the first pooling, a gap."""
    found = {each.code: each for each in warnings(tmp_path, POSTED)}
    assert list(found) == ["haar-is-average", "bands-discarded", "no-regularisation", "static-gain"]
    assert "by 2 x 2 x 2" in found["static-gain"].headline
    assert "arrives 8 times as large; expect a first loss" in found["static-gain"].headline
    assert "exactly 2 times the mean of 2 x 2" in found["haar-is-average"].headline
    assert "keep 1 band of 4" in found["bands-discarded"].headline
    assert "unless they are 13,392," in found["no-regularisation"].headline
    # Each says where all three poolings stand.
    of_pools = ("static-gain", "haar-is-average", "bands-discarded")
    assert [len(found[code].origins) for code in of_pools] == [3, 3, 3]


def test_right_nets_are_left_alone(tmp_path: Path):
    assert warnings(tmp_path, MIX, is_bare=False) == []
    assert [each.code for each in warnings(tmp_path, MIX)] == ["no-regularisation"]
    # With norms the gain is set right, whatever it is; the bands are dropped all the same.
    codes = [each.code for each in warnings(tmp_path, POSTED, is_bare=False)]
    assert codes == ["haar-is-average", "bands-discarded"]


def test_details_behind_a_norm_reach_a_relu(tmp_path: Path):
    pool = "wavelet_pool: {bands: all}}\n    - {norm: {}}\n    - {dropout: {}}\n    - {relu: {}"
    found = [each for each in warnings(tmp_path, pool, False) if each.code == "details-into-relu"]
    assert len(found) == 3
    assert "trunk.relu1 reads the detail bands of trunk.w1" in found[0].headline


def test_a_section_of_a_named_backbone_is_one_warning():
    made = compiled("R18C", "pooling.free=wavelet", "backbone.downsampling=wavelet")
    found = {each.code: each for each in made.warnings}
    assert {"haar-is-average", "bands-discarded"} <= set(found)
    assert "pool.bands and 6 more nodes" in found["bands-discarded"].headline
    assert found["bands-discarded"].location is not None


@pytest.mark.parametrize("extra", ["groups: 8", "bias: true", "stride: 1", "frozen: false"])
def test_filters_that_are_no_bands_are_left_alone(tmp_path: Path, extra: str):
    """Of each channel alone, with a bias, overlapping, or trained."""
    fields = "channels: 8, kernel_size: 2, stride: 2, padding: 0, bias: false, frozen: true"
    name = extra.split(":")[0]
    kept = [part for part in fields.split(", ") if not part.startswith(f"{name}:")]
    for given, expected in ((fields, True), (", ".join([*kept, extra]), False)):
        (tmp_path / "x.yaml").write_text(
            "wavetwin: 1\nbackbone:\n  arch: sequential\n  input: image\n  layers:\n"
            f"    - {{conv: {{channels: 8}}, norm: {{}}}}\n    - {{conv: {{{given}}}}}\n"
            "    - {flatten: {}}\n    - {linear: {}}\ndata: {dataset: digits}\n",
            encoding="utf-8",
        )
        codes = [each.code for each in wavetwin.compile(tmp_path / "x.yaml").warnings]
        assert ("band-filter-mixes" in codes) == expected, given


def test_every_rule_has_cause_cure_and_number(capsys: pytest.CaptureFixture[str]):
    for each in LINT_RULES.values():
        assert all(
            text.endswith(".") for text in (each.meaning, each.cause, each.cure, each.number)
        )
        assert any(figure.isdigit() for figure in each.number)
    assert cli.main(["explain", "static-gain", "does-not-fit"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line] == [
        "static-gain:", "cause", "cure", "number", "does-not-fit:",
    ]  # fmt: skip
    assert out.endswith(f"does-not-fit: {DESCRIPTIONS['does-not-fit']}\n")
    assert cli.main(["explain", "static-gian"]) == 2
    assert "did you mean 'static-gain'?" in capsys.readouterr().err
