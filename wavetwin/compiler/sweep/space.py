"""Make points of a sweep's space: every combination, some drawn at random, or a sample to check."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from wavetwin.compiler.parse.nodes import ParsedSource, SpecNode, to_plain
from wavetwin.compiler.parse.source import Source
from wavetwin.compiler.render.spec_yaml import flow_text
from wavetwin.compiler.sweep.document import SweepFile
from wavetwin.compiler.validate.advice import raw_text
from wavetwin.diagnostics import Location
from wavetwin.ir.frozen import frozen
from wavetwin.ir.sweeps.ranges import ENDS, RANGES, IntervalRange, ListedRange, given_range

__all__ = ["MAX_POINTS", "Point", "Space", "SweptField", "Value", "make_space"]

MAX_POINTS = 10_000
"""Points of one sweep."""
NUM_SAMPLES = 64
"""Points that are checked of a space whose points depend on results, beside its corners."""
_MAX_CORNERS = 64
_TRIES = 1000
"""Draws of one point that is another one than all before."""


@frozen
class Value:
    """One value that a field takes, and where it is written."""

    plain: Any
    node: SpecNode
    """Of a number from an interval: at the interval."""
    text: str
    """As `--set` takes it: the text of the file where it stands on one line."""


@frozen
class SweptField:
    """A field that is varied."""

    path: str
    key_location: Location
    range: ListedRange | IntervalRange
    node: SpecNode
    """Of the range's values, or of its ends."""
    written: tuple[Value, ...]
    """Values that are listed one by one in the sweep."""

    @property
    def count(self) -> int | None:
        """The number of values; None of an interval."""
        return len(self.range.values) if isinstance(self.range, ListedRange) else None

    @property
    def varies(self) -> bool:
        """Whether members differ in it; a range of one value sets it in all."""
        return self.count != 1

    def item(self, position: int) -> Value:
        """Return a value that can be counted, from 0."""
        if self.written:
            return self.written[position]
        assert isinstance(self.range, ListedRange)
        return self.number(self.range.values[position])

    def position(self, value: Value) -> int:
        """Return which of the values that can be counted one is, from 0; the first of those alike.

        Raises:
            ValueError: it is none of them.
        """
        if self.written:
            return [each.text for each in self.written].index(value.text)
        assert isinstance(self.range, ListedRange)
        return self.range.values.index(value.plain)

    def items(self) -> Iterator[Value]:
        """Yield all values that can be counted."""
        return map(self.item, range(self.count or 0))

    def at(self, share: float) -> Value:
        """Return the value at a share from 0 to below 1."""
        if isinstance(self.range, ListedRange):
            return self.item(self.range.position(share))
        return self.number(self.range.value(share))

    def number(self, number: float) -> Value:
        """Return a number between the ends as a value."""
        return Value(number, SpecNode(number, self.node.location), repr(number))

    @property
    def ends(self) -> tuple[Value, ...]:
        """The first and the last value."""
        if isinstance(self.range, IntervalRange):
            return self.number(self.range.value(0.0)), self.number(self.range.value(1.0))
        last = len(self.range.values) - 1
        return (self.item(0), self.item(last)) if last else (self.item(0),)


@frozen
class Point:
    """Values of all fields."""

    values: tuple[tuple[SweptField, Value], ...]

    @property
    def overrides(self) -> tuple[str, ...]:
        """The `--set` options that make the member's spec of the base."""
        return tuple(f"{field.path}={value.text}" for field, value in self.values)

    @property
    def label(self) -> str:
        """What varies, for a reader: `lr=0.1,momentum=0.9`; a whole path where two fields have one name."""
        varying = [(field.path, value.text) for field, value in self.values if field.varies]
        names = [path.rpartition(".")[2] for path, _ in varying]
        return ",".join(
            f"{name if names.count(name) == 1 else path}={text}"
            for name, (path, text) in zip(names, varying, strict=True)
        )

    def layer(self, source: Source, more: Sequence[tuple[str, SpecNode]] = ()) -> ParsedSource:
        """Return the point as a layer over the base, each value where the sweep has it.

        Args:
            source: the sweep's text.
            more: further fields by their paths.
        """
        root: dict[str, Any] = {}
        top = Location(source.path, 1, 1)
        for field, value in self.values:
            _lay(root, field.path, value.node, field.key_location)
        for path, node in more:
            _lay(root, path, node, node.key_location or node.location)
        return ParsedSource(source, _as_node(root, top))


def _lay(root: dict[str, Any], path: str, node: SpecNode, key: Location) -> None:
    """Put a value into nested mappings; each part of the path is located in the key as it is written."""
    parts = path.split(".")
    column = key.column + (key.length - len(path) == 2)
    inside = root
    for number, part in enumerate(parts):
        length = len(part)
        location = Location(key.path, key.line, column, length)
        column += length + 1
        if number == len(parts) - 1:
            inside[part] = SpecNode(node.value, node.location, location)
        else:
            inside = inside.setdefault(part, (location, {}))[1]


def _as_node(fields: dict[str, Any], location: Location, key: Location | None = None) -> SpecNode:
    made = {
        name: each if isinstance(each, SpecNode) else _as_node(each[1], each[0], each[0])
        for name, each in fields.items()
    }
    return SpecNode(made, location, key)


@frozen
class Space:
    """All fields that are varied."""

    fields: tuple[SweptField, ...]

    @property
    def interval_locations(self) -> frozenset[Location]:
        """Where the numbers of intervals come from."""
        return frozenset(each.node.location for each in self.fields if not each.written)

    @property
    def size(self) -> int | None:
        """The number of points; None where a field is an interval."""
        counts = [each.count for each in self.fields]
        known = [each for each in counts if each is not None]
        return math.prod(known) if len(known) == len(counts) else None

    def grid(self) -> Iterator[Point]:
        """Yield every combination of listed values; the last field changes first."""
        for values in product(*(field.items() for field in self.fields)):
            yield Point(tuple(zip(self.fields, values, strict=True)))

    def draw(self, count: int, seed: int) -> tuple[Point, ...]:
        """Return so many points, each another one; fewer only where the space has no more of them.

        The first points stay the same where more are asked for.
        """
        drawn = random.Random(f"wavetwin sweep {seed}")
        found: dict[tuple[str, ...], Point] = {}
        tries = 0
        while len(found) < count and tries < _TRIES * count:
            tries += 1
            point = Point(tuple((field, field.at(drawn.random())) for field in self.fields))
            found.setdefault(point.overrides, point)
        if len(found) < count and self.size is not None:
            for point in self.grid():
                if len(found) < count:
                    found.setdefault(point.overrides, point)
        return tuple(found.values())

    def probes(self, seed: int) -> tuple[Point, ...]:
        """Return points to check in place of all: corners, every value that is written, and a sample."""
        corners = product(*(field.ends for field in self.fields))
        made = [Point(tuple(zip(self.fields, each, strict=True))) for each in _first(corners)]
        first = made[0].values
        for number, field in enumerate(self.fields):
            for value in field.written:
                made.append(Point((*first[:number], (field, value), *first[number + 1 :])))
        made += self.draw(NUM_SAMPLES, seed)
        return tuple({point.overrides: point for point in made}.values())


def _first(corners: Iterator[tuple[Value, ...]]) -> Iterator[tuple[Value, ...]]:
    for number, corner in enumerate(corners):
        if number == _MAX_CORNERS:
            return
        yield corner


def make_space(file: SweepFile) -> Space:
    """Return the space of a sweep whose fields were checked."""
    return Space(tuple(_swept(file, field) for field in file.spec.space))


def _swept(file: SweepFile, path: str) -> SweptField:
    (name,) = [each for each in RANGES if getattr(file.spec.space[path], each) is not None]
    holder, node = file.node("space", path), file.node("space", path, name)
    assert holder is not None
    assert holder.key_location is not None
    assert node is not None
    assert isinstance(node.value, list)
    made = given_range(name, to_plain(node))
    values = () if name in ENDS else tuple(_value(file, each) for each in node.value)
    return SweptField(path, holder.key_location, made, node, values)


def _value(file: SweepFile, node: SpecNode) -> Value:
    plain = to_plain(node)
    if isinstance(plain, str | list | dict):
        return Value(plain, node, flow_text(plain))
    line = file.parsed.source.line_text(node.location.line)
    return Value(plain, node, raw_text(node, line) or flow_text(plain))
