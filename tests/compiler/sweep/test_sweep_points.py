"""Points of a sweep: what they are, that each is the `--set` variant it says, what is shared and left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.parse.nodes import to_plain
from wavetwin.compiler.parse.override import parse_override
from wavetwin.compiler.sweep.document import read_sweep
from wavetwin.compiler.sweep.members import CheckedPoint, CheckedSweep, check_sweep
from wavetwin.compiler.sweep.space import NUM_SAMPLES, Space, make_space
from wavetwin.diagnostics import CompileError

HEAD = "wavetwin_sweep: 1\nbase: cnn.yaml\nobjective: validation.top1_error\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "cnn.yaml").write_text("extends: wavetwin:digits/cnn.yaml\n", encoding="utf-8")
    return tmp_path


def write(project: Path, text: str) -> Path:
    file = project / "a.sweep.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return file


def check(project: Path, text: str) -> CheckedSweep:
    return check_sweep(write(project, text))


def space(project: Path, text: str) -> Space:
    return make_space(read_sweep(write(project, text), None))


def test_a_point_is_the_variant_of_the_base_that_its_options_make(project: Path) -> None:
    checked = check(
        project,
        """
space:
  training.optimizer.lr: {grid: [1e-2, 0.0316]}
  "training.schedule": {choices: [{name: cosine}, {name: step, step_epochs: 2}]}
  training.clip_norm: {choices: [null, 1.0]}
budget: {max_epochs: 4}
""",
    )
    assert len(checked.points) == 8
    first = checked.points[0].overrides
    assert first == (
        "training.optimizer.lr=1e-2",
        "training.schedule={name: cosine}",
        "training.clip_norm=null",
        "training.epochs=4",
    )
    for point in checked.points:
        compiled = compile_spec(project / "cnn.yaml", point.overrides)
        assert compiled.training_digest == point.training_digest
        assert compiled.graph.macs == point.graph.macs
        assert point.plan.epochs == 4


VALUES = [
    True,
    None,
    3,
    1e-07,
    2.5,
    "max",
    "no",
    "1e3",
    "a b",
    "it's",
    'x"y',
    [],
    {},
    [1, ["a", None]],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_reads_back_from_its_option(value: object, project: Path) -> None:
    import json

    made = space(project, f"space:\n  pooling.free: {{choices: [{json.dumps(value)}]}}\n")
    (point,) = made.grid()
    node = parse_override(point.overrides[0], 1).tree
    assert node is not None
    assert to_plain(node)["pooling"].get("free") == value


def test_the_last_field_of_a_grid_changes_first(project: Path) -> None:
    fields = "a.b: {int: [1, 2]}\n  a.c: {choices: [x, z]}\n  a.d: {choices: [y]}"
    made = space(project, f"space:\n  {fields}\n")
    labels = [point.label for point in made.grid()]
    assert labels == ["b=1,c=x", "b=1,c=z", "b=2,c=x", "b=2,c=z"]
    lists = "a.b: {int: [1, 2]}\n  d.b: {int: [3, 4]}\n  a.e: {choices: [[{c: 1}], none]}"
    labels = [point.label for point in space(project, f"space:\n  {lists}\n").grid()]
    assert labels[:2] == ["a.b=1,d.b=3,e=[{c: 1}]", "a.b=1,d.b=3,e=none"]
    assert made.size == 4


RANDOM = """
search: random
budget: {points: 12}
space:
  training.optimizer.lr: {log_uniform: [0.001, 1.0]}
  training.optimizer.momentum: {uniform: [0.0, 0.9]}
  training.batch_size: {int: [16, 64]}
"""


def test_more_drawn_points_keep_the_first_ones(project: Path) -> None:
    made = space(project, RANDOM)
    few, many = made.draw(5, 0), made.draw(50, 0)
    assert [each.overrides for each in many[:5]] == [each.overrides for each in few]
    assert made.draw(5, 1)[0].overrides != few[0].overrides
    assert len({each.overrides for each in many}) == 50
    for point in many:
        rate, momentum, size = (value.plain for _, value in point.values)
        assert 0.001 <= rate <= 1.0
        assert 0.0 <= momentum <= 0.9
        assert 16 <= size <= 64
        assert float(f"{rate:.4g}") == rate
    rates = sorted(value.plain for point in many for field, value in point.values[:1])
    assert rates[10] < 0.05  # by its logarithm, 30 of 50 are expected below 0.063
    assert made.size is None


def test_all_points_of_a_small_space_are_drawn(project: Path) -> None:
    made = space(project, "space:\n  a.b: {int: [1, 3]}\n  a.c: {choices: [x, z]}\n")
    drawn = [point.overrides for point in made.draw(6, 3)]
    assert sorted(drawn) == sorted(point.overrides for point in made.grid())
    assert drawn != [point.overrides for point in made.grid()]


def test_corners_and_every_listed_value_stand_for_points_that_depend_on_results(
    project: Path,
) -> None:
    text = RANDOM.replace("random", "tpe") + "  pooling.free: {choices: [max, max_blur, none]}\n"
    made = space(project, text)
    overrides = [point.overrides for point in made.probes(0)]
    assert len(overrides) == 16 + 1 + NUM_SAMPLES
    flat = {option for each in overrides for option in each}
    assert {f"pooling.free={name}" for name in ("max", "max_blur", "none")} <= flat
    assert {"training.optimizer.lr=0.001", "training.optimizer.lr=1.0"} <= flat
    assert {"training.batch_size=16", "training.batch_size=64"} <= flat


def test_points_that_are_one_training_are_one_point(project: Path) -> None:
    checked = check(project, "space:\n  training.optimizer.lr: {choices: [0.1, 1e-1, 0.2]}\n")
    assert [point.label for point in checked.points] == ["lr=0.1", "lr=0.2"]
    assert checked.repeated == 1


def test_a_sweep_without_a_space_is_the_base_with_its_seeds(project: Path) -> None:
    checked = check(project, "seeds: [0, 1, 2]\n")
    (point,) = checked.points
    assert (point.label, point.overrides) == ("cnn", ())
    assert [checked.seed_override(seed) for seed in checked.seeds] == [
        (),
        ("training.seed=1",),
        ("training.seed=2",),
    ]


def test_what_points_share_is_read_and_made_once(project: Path) -> None:
    checked = check(project, "space:\n  training.batch_size: {int: [8, 47]}\n")
    assert len(checked.points) == 40
    assert checked.cache.num_parses == 3  # the base, its parent and that one's parent
    assert len({id(point.graph) for point in checked.points}) == 1


def test_one_bad_member_refuses_all_and_says_which(project: Path) -> None:
    text = "space:\n  backbone.layers: {choices: [[{flatten: {}}, {linear: {}}], [{linear: {}}], [{conv: {}}]]}\n"
    with pytest.raises(CompileError) as caught:
        check(project, text)
    found = caught.value.diagnostics
    assert {each.location.path for each in found if each.location} == {"a.sweep.yaml"}
    assert any("in: 1 of 3 points, " in note for each in found for note in each.notes)


def test_a_point_of_a_search_is_compiled_when_it_is_asked_for(project: Path) -> None:
    checked = check(project, RANDOM.replace("random", "tpe"))
    assert not checked.are_all_known
    assert checked.num_points == 12
    (point,) = checked.space.draw(1, 99)
    made = checked.compile(point)
    assert made is checked.compile(point)
    assert isinstance(made, CheckedPoint)
    assert made.overrides == point.overrides


def test_ends_that_no_interval_can_have_are_refused(project: Path) -> None:
    text = "space:\n  training.batch_size: {int: [1, 99999999999999999999]}\n"
    with pytest.raises(CompileError) as caught:
        check(project, text)
    (fault,) = caught.value.diagnostics
    assert fault.code == "out-of-range"
    assert "space.training.batch_size.int.1 must be from" in fault.headline


def test_what_numbers_of_an_interval_have_in_common_is_said_once(project: Path) -> None:
    text = "search: random\nbudget: {points: 20}\n"
    text += "space:\n  training.batch_size: {uniform: [8, 16]}\n"
    with pytest.raises(CompileError) as caught:
        check(project, text)
    (fault,) = caught.value.diagnostics
    assert fault.code == "wrong-type"
    assert "not the number" in fault.headline
