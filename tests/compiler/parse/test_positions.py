"""Every fault is reported at its own place: each value and key of each shipped spec is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.shipped import KINDS, SPECS
from wavetwin.compiler.parse.compose import SourceCache, load_spec
from wavetwin.compiler.parse.project import is_fragment
from wavetwin.compiler.parse.source import Source
from wavetwin.compiler.parse.tree import SpecNode, parse_bytes, parse_text
from wavetwin.compiler.validate.fields import form_at
from wavetwin.compiler.validate.spec import validate, validate_fragment
from wavetwin.diagnostics import Diagnostic, Location, render_text

FILES = sorted({*KINDS, *(ROOT / "specs/base").rglob("*.yaml")})
CHILDREN = [path for path in FILES if not is_fragment(path, ROOT)]

SHIPPED = SourceCache(ROOT)


@dataclass(frozen=True)
class Mutation:
    kind: str
    what: str
    text: str
    """The whole file after the edit."""
    line: int
    column: int
    length: int
    is_alone: bool = True
    """Whether nothing but the edit may be reported."""

    def covers(self, location: Location | None, path: str) -> bool:
        return (
            location is not None
            and location.path == path
            and location.line == self.line
            and self.column <= location.column < self.column + self.length
        )


def offset(source: Source, location: Location) -> int:
    return source.offset(location.line) + location.column - 1


def nodes(
    node: SpecNode, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], SpecNode, SpecNode]]:
    """Yield every value below a node with its path and the collection that holds it."""
    items = enumerate(node.value) if isinstance(node.value, list) else ()
    entries = node.value.items() if isinstance(node.value, dict) else items
    for key, child in entries:
        yield (*path, key), child, node
        yield from nodes(child, (*path, key))


def replaced(
    source: Source, location: Location, new: str, kind: str, what: str, is_alone: bool = True
) -> Mutation:
    start = offset(source, location)
    text = source.text[:start] + new + source.text[start + location.length :]
    return Mutation(kind, what, text, location.line, location.column, len(new), is_alone)


def written(node: SpecNode) -> Any:
    """Return a node as plain values, nulls among them: they remove what is inherited."""
    if isinstance(node.value, dict):
        return {key: written(item) for key, item in node.value.items()}
    return [written(item) for item in node.value] if isinstance(node.value, list) else node.value


def duplicated(source: Source, path: tuple[str | int, ...], node: SpecNode, parent: SpecNode):
    key, location = str(path[-1]), node.key_location
    assert location is not None
    start = offset(source, location)
    copy = f"{key}: {json.dumps(written(node))}"
    if source.text[offset(source, parent.location)] == "{":
        inserted = f"{copy}, "
        line, column = location.line, location.column + len(inserted)
    else:
        inserted = f"{copy}\n{' ' * (location.column - 1)}"
        line, column = location.line + 1, location.column
    text = source.text[:start] + inserted + source.text[start:]
    return Mutation("duplicate", key, text, line, column, location.length)


def mutations(source: Source) -> Iterator[Mutation]:
    tree = parse_text(source).tree
    assert tree is not None
    for path, node, parent in nodes(tree):
        what = ".".join(map(str, path))
        if node.key_location is not None:
            key = str(path[-1])
            yield replaced(source, node.key_location, key + "q", "misspelt key", what)
            yield replaced(source, node.key_location, "zzzzz", "other key", what, is_alone=False)
            yield duplicated(source, path, node, parent)
        if isinstance(node.value, dict | list):
            continue
        yield replaced(source, node.location, "{x: 1}", "mapping", what)
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            yield replaced(source, node.location, "abc", "text for a number", what)
        form = form_at(path)
        assert form is not None
        choices = [form, *(branch for _, branch in form.branches)]
        if isinstance(node.value, str) and any(node.value in each.choices for each in choices):
            yield replaced(source, node.location, node.value + "q", "near miss", what)


def find(file: Path, text: str, through: Path) -> tuple[Diagnostic, ...]:
    """Return what is found in a spec where one file has another text."""
    cache = SourceCache(ROOT)
    cache.sources = dict(SHIPPED.sources)
    cache.sources[file.resolve()] = parse_bytes(text.encode(), SHIPPED.display(file))
    loaded = load_spec(through, ROOT, (), cache)
    if is_fragment(through, ROOT):
        return validate_fragment(loaded)
    return validate(loaded)[1]


def child_of(file: Path) -> Path:
    for child in (*CHILDREN, *SPECS):
        if file.resolve() in load_spec(child, ROOT, (), SHIPPED).files:
            return child
    raise AssertionError(f"nothing extends {file}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_an_edit_is_reported_at_its_location(file: Path):
    """A sixteenth of the edits; the slow test has all of them."""
    edit_everywhere(file, every=16)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_edit_is_reported_at_its_location(file: Path):
    edit_everywhere(file, every=1)


def edit_everywhere(file: Path, every: int) -> None:
    name = SHIPPED.display(file)
    source = Source(name, file.read_text(encoding="utf-8"))
    throughs = {file, child_of(file)}
    seen = 0
    for mutation in list(mutations(source))[::every]:
        for through in throughs:
            found = find(file, mutation.text, through)
            at_edit = [each for each in found if mutation.covers(each.location, name)]
            assert at_edit, (mutation, found)
            assert found == tuple(at_edit) or not mutation.is_alone, (mutation, found)
            lines = mutation.text.splitlines()
            assert all(each.source_line == lines[mutation.line - 1] for each in at_edit)
            seen += 1
    assert seen


FRAGMENTS = [
    *("null", "[]", "{}", "5", "-1", "abc", "true", "1e9", ".nan", "[1, 2]", "{x: 1}", "[null]"),
    *("&a ", "*a", "<<: {}", "!!str", "'", "[", "{", "- ", "? ", ": ", "# ", "\n", "  ", "\t"),
    *("max_blur", "modulus", "wpt", "sequential", "folder", "milestones", "adamw", "packets"),
    *("band: 9", "levels: 4"),
]


@pytest.mark.parametrize("seed", range(4))
def test_random_edits_give_a_spec_or_diagnostics(seed: int):
    random = Random(seed)
    for _ in range(40):
        file = random.choice(FILES)
        text = file.read_text(encoding="utf-8")
        for _ in range(random.randint(1, 3)):
            start = random.randrange(len(text))
            stop = random.choice((start, start, start + random.randint(1, 20)))
            text = text[:start] + random.choice(FRAGMENTS) + text[stop:]
        found = find(file, text, child_of(file))
        rendered = render_text(found)
        assert all(f" {each.code}: " in rendered for each in found)
        assert len(set(found)) == len(found)
