"""Where a field that differs was set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shipped import spec_of
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.diff.difference import Experiment, compare
from wavetwin.compiler.diff.origins import origin_of

BASE = """\
wavetwin: 1
backbone: {arch: resnet18}
data: {dataset: cifar10}
stem:
  free_channels: 40
  wavelet:
    levels: 2
    exclude: [lowpass]
    color_mixing: after
    keep:
      - {band: 2, channels: 24, groups: 4}
"""


def origins(first: Path, second: Path, overrides: tuple[str, ...] = ()) -> dict[str, tuple]:
    sides = Experiment("a", compile_spec(first)), Experiment("b", compile_spec(second, overrides))
    return {
        each.change.name: (each.before_origin, each.after_origin) for each in compare(*sides).fields
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "a.yaml").write_text(BASE, encoding="utf-8")
    return tmp_path


def child(project: Path, text: str) -> dict[str, tuple]:
    (project / "b.yaml").write_text(f"extends: a.yaml\n{text}", encoding="utf-8")
    return origins(project / "a.yaml", project / "b.yaml")


def test_a_line_a_default_and_what_decides_it() -> None:
    assert origins(spec_of("AI"), spec_of("Azh3I")) == {
        "backbone.downsampling": ("default", "specs/base/blur.yaml:5"),
        "stem.stride": (
            "default, by backbone.arch (specs/base/alexnet.yaml:5)",
            "default, by pooling.free (specs/base/blur.yaml:7)",
        ),
        "pooling.free": ("default", "specs/base/blur.yaml:7"),
    }


def test_a_blur_decides_the_stride_of_an_alexnet_alone() -> None:
    loaded = compile_spec(spec_of("Rzh3I")).loaded
    words = origin_of(loaded, ("stem", "stride")).text()
    assert words == "default, by backbone.arch (specs/base/resnet34.yaml:5)"


def test_a_packet_list_comes_from_its_band_and_the_rules(project: Path) -> None:
    found = child(project, "stem: {wavelet: {exclude: [lowpass, diagonal]}}\n")
    assert found["stem.wavelet.keep.0.packets"] == ("a.yaml:11, 8", "a.yaml:11 and b.yaml:2")


def test_a_short_form_is_where_its_meaning_is_set(project: Path) -> None:
    found = child(project, "stem: {wavelet: {color_mixing: before}}\n")
    assert found["stem.wavelet.color_mixing.position"] == ("a.yaml:9", "b.yaml:2")
    assert found["stem.wavelet.color_mixing.initial"] == (
        None,
        "default, by backbone.arch (a.yaml:2)",
    )


def test_null_says_what_removed_a_part(project: Path) -> None:
    found = child(project, "stem:\n  free_channels: 64\n  wavelet: null\n")
    assert found["stem.wavelet.levels"] == ("a.yaml:7", "removed by b.yaml:4")


def test_an_override_is_a_place(project: Path) -> None:
    found = origins(project / "a.yaml", project / "a.yaml", ("training.seed=1",))
    assert found == {"training.seed": ("default", "--set[1]:1")}
