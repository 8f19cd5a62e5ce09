"""Frozen classes are dataclasses in all but how their methods are made."""

from __future__ import annotations

import copy
import re
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from tests.support.paths import ROOT
from wavetwin.ir.frozen import frozen


@frozen
class Point:
    """Two numbers."""

    x: int
    y: int = 0
    note: str = field(default="", compare=False, repr=False)


@frozen(kw_only=True)
class Named(Point):
    """A point with a name that must be given by its name, and one that follows."""

    name: str
    label: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.name.upper())


@frozen(eq=False)
class Single:
    """Equal to itself alone."""

    x: int


@frozen
class Alone:
    """One field."""

    x: float


@frozen
class Made:
    """Fields that are made for each instance."""

    x: int
    y: int = 5
    names: list[str] = field(default_factory=list[str])
    found: dict[str, int] = field(default_factory=dict[str, int], init=False)


@dataclass(frozen=True)
class Model:
    """What the standard library makes of the same fields as `Point`'s."""

    x: int
    y: int = 0
    note: str = field(default="", compare=False, repr=False)


def test_a_value_is_set_once() -> None:
    made: Any = Point(1, 2)
    for name in ("x", "note", "other"):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(made, name, 3)
        with pytest.raises(FrozenInstanceError, match=name):
            delattr(made, name)
    assert (made.x, made.y, made.note) == (1, 2, "")


def test_instances_are_compared_by_kind_and_compared_fields() -> None:
    assert Point(1, 2, note="a") == Point(1, 2, note="b")
    assert hash(Point(1, 2, note="a")) == hash(Point(1, 2, note="b"))
    assert Point(1, 2) != Point(1, 3)
    assert Point(1) != Named(1, name="a")
    assert Named(1, name="a") != Named(1, name="b")
    assert Single(1) != Single(1)
    nan = float("nan")
    assert Alone(nan) == Alone(nan)
    assert {Alone(1.0): "a"}[Alone(1.0)] == "a"


def test_the_text_is_that_of_a_dataclass() -> None:
    assert repr(Point(1, note="a")) == repr(Model(1, note="a")).replace("Model", "Point")
    assert repr(Named(1, name="a")) == "Named(x=1, y=0, name='a', label='A')"


def test_it_is_a_dataclass() -> None:
    assert [each.name for each in fields(Named)] == ["x", "y", "note", "name", "label"]
    changed = replace(Named(1, name="a"), name="b")
    assert (changed.x, changed.label) == (1, "B")


def test_fields_have_their_values_or_defaults() -> None:
    made = Made(2, names=["a"])
    assert (made.x, made.y, made.names, made.found) == (2, 5, ["a"], {})
    assert (Made(y=1, x=0).names, Made(0).names is Made(0).names) == ([], False)
    assert [each.name for each in fields(Made)] == ["x", "y", "names", "found"]


@pytest.mark.parametrize(
    ("values", "named", "message"),
    [
        ((1, 2, "", "a"), {}, "Named() takes 3 positional arguments, not 4"),
        ((1,), {"name": "a", "x": 2}, "Named() got two values of 'x'"),
        ((1,), {"name": "a", "colour": 2}, "Named() has no field 'colour'"),
        ((1,), {"name": "a", "label": "A"}, "Named() has no field 'label'"),
        ((1,), {"z": 2}, "Named() has no field 'z'"),
        ((), {"y": 2, "name": "a"}, "Named() needs 'x'"),
        ((), {}, "Named() needs 'name', 'x'"),
    ],
)
def test_a_wrong_call_is_told(values: tuple[Any, ...], named: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Named(*values, **named)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_equal_and_frozen(copied: Any) -> None:
    made = copied(Named(1, name="a"))
    assert made == Named(1, name="a")
    with pytest.raises(FrozenInstanceError):
        made.x = 2


def test_methods_that_a_class_writes_stay() -> None:
    @frozen
    class Own:
        x: int

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "own"

    assert Own(1) == 2
    assert (hash(Own(1)), repr(Own(1))) == (7, "own")


def test_modules_that_commands_wait_for_have_no_other_frozen_classes() -> None:
    for folder in ("ir", "compiler"):
        for path in (ROOT / "wavetwin" / folder).rglob("*.py"):
            assert "@dataclass(frozen=True" not in path.read_text(encoding="utf-8"), path
