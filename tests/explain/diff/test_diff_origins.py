"""Where a field that differs was set."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.support.own_code import change, own_project
from tests.support.shipped import ROOT, spec_of
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.explain.diff.declaration import leaves
from wavetwin.explain.diff.difference import Experiment, compare
from wavetwin.explain.diff.field_rows import declaration_rows
from wavetwin.explain.diff.origins import origin_of
from wavetwin.explain.show.origin_table import origin_table

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
        "pooling.free": (
            "default, by backbone.arch (specs/base/alexnet.yaml:5)",
            "specs/base/blur.yaml:7",
        ),
    }


def test_a_blur_decides_the_stride_of_an_alexnet_alone() -> None:
    loaded = compile_spec(spec_of("Rzh3I")).loaded
    label = origin_of(loaded, ("stem", "stride")).text()
    assert label == "default, by backbone.arch (specs/base/resnet34.yaml:5)"


def test_a_file_of_own_code_comes_from_the_field_that_names_it(tmp_path: Path) -> None:
    first, second = own_project(tmp_path / "first"), own_project(tmp_path / "second")
    change(second.parent / "own/windows.py", "(x, 2)", "(x, 2, 2)")
    (both,) = origins(first, second).values()
    assert both == ("default, by pooling.module.file (own.yaml:7)",) * 2


def test_a_packet_list_comes_from_its_band_and_the_rules(project: Path) -> None:
    found = child(project, "stem: {wavelet: {exclude: [lowpass, diagonal]}}\n")
    assert found["stem.wavelet.keep.0.packets"] == (
        "from band 2, exclude [lowpass] (a.yaml:11, 8)",
        "from band 2, exclude [lowpass, diagonal] (a.yaml:11 and b.yaml:2)",
    )


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


def test_a_value_that_was_made_says_what_its_line_says(project: Path) -> None:
    found = child(project, "stem: {wavelet: {regularisation: 0.1, exclude: diagonal}}\n")
    assert found["stem.wavelet.regularisation"] == (None, "from 0.1 (b.yaml:2)")
    first = "wavetwin: 1\nbackbone: {arch: resnet18}\ndata: {dataset: cifar10}\n"
    (project / "c.yaml").write_text(first, encoding="utf-8")
    added = origins(project / "c.yaml", project / "b.yaml")
    assert added["stem.wavelet.exclude"] == (None, "from diagonal (b.yaml:2)")
    added = origins(project / "c.yaml", project / "a.yaml", ("stem.wavelet.exclude=[diagonal]",))
    assert added["stem.wavelet.exclude"] == (None, "from [diagonal] (--set[1]:1)")
    assert added["stem.wavelet.keep.0.packets"] == (
        None,
        "from band 2, exclude [diagonal] (a.yaml:11 and --set[1]:1)",
    )


def test_an_item_told_in_one_row_names_every_line_that_set_it(project: Path) -> None:
    text = (
        "stem:\n  wavelet:\n    keep:\n      - {band: 2, channels: 12}\n      - band: 1\n"
        "        channels: 12\n        groups: 2\n"
    )
    (project / "b.yaml").write_text(f"extends: a.yaml\n{text}", encoding="utf-8")
    sides = (
        Experiment(name, compile_spec(project / f"{name}.yaml"), location_prefix="")
        for name in "ab"
    )
    rows = {row.name: row for row in declaration_rows(compare(*sides).fields)}
    assert rows["stem.wavelet.keep.1"].fields == 3
    assert rows["stem.wavelet.keep.1"].origins == (
        "from band 1, exclude [lowpass] (b.yaml:6 and a.yaml:8) and b.yaml:7 and b.yaml:8",
    )


@pytest.mark.parametrize("name", ["AwyI_mod", "Rwy0I", "twin_mod", "R18zo3wyC", "mnist_cmod"])
def test_a_line_that_is_named_has_the_value_that_is_shown(name: str) -> None:
    compiled = compile_spec(spec_of(name))
    named = 0
    for path, value in leaves(compiled.resolved):
        origin = origin_of(compiled.loaded, path, value)
        shown = [value] if not origin.written else []
        for location, written in zip_longest(origin.locations, origin.written):
            file, _, line = location.rpartition(":")
            lines = (ROOT / file).read_text(encoding="utf-8").split("\n")
            text = lines[int(line) - 1]
            for each in shown:
                items = each if isinstance(each, list) else [each]
                assert all(has_value(text, item) for item in items), (path, location)
            if written is not None:
                assert written.split(" ", 1)[-1] in text
            named += 1
    assert named > 10


def has_value(text: str, value: object) -> bool:
    """Whether a line has a value, in any spelling of a number."""
    if value is True or value is False:
        return str(value).lower() in text
    if not isinstance(value, int | float):
        return str(value) in text
    return any(float(found) == value for found in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text))


def test_show_and_the_model_card_show_what_lines_say(project: Path) -> None:
    text = "stem: {wavelet: {exclude: diagonal, regularisation: 0.1}}\n"
    (project / "b.yaml").write_text(f"extends: a.yaml\n{text}", encoding="utf-8")
    compiled = compile_spec(project / "b.yaml")
    rows = [line for line in origin_table(compiled).split("\n") if "b.yaml:2" in line]
    assert [row.split()[0] for row in rows] == [
        "stem.wavelet.keep.0.packets", "stem.wavelet.exclude", "stem.wavelet.regularisation",
    ]  # fmt: skip
    assert all("from" in row for row in rows)
    assert cli.main(["build", str(project / "b.yaml"), "--no-git"]) == 0
    card = (project / "generated" / "b" / "MODEL.md").read_text(encoding="utf-8")
    assert re.search(r"stem\.wavelet\.exclude.*diagonal.*b\.yaml:2", card)
    assert re.search(r"stem\.wavelet\.regularisation.* 0\.1 .*b\.yaml:2", card)
