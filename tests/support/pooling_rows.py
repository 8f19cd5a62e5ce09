"""What the rows of first poolings and downsamplings need elsewhere, and what of it is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import permutations

from tests.support.diff_pairs import ALL_WAVELET
from tests.support.paths import ROOT
from tests.support.shipped import spec_of
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.parse.compose import SourceCache
from wavetwin.explain.diff.difference import Experiment, compare
from wavetwin.ir.blurring import ADAPTIVE, BINOMIAL, Blurring
from wavetwin.ir.operations import Blur
from wavetwin.ir.poolings import (
    FREE_POOLINGS,
    MAX,
    POOLINGS,
    Maximum,
    Pooling,
)

Settings = tuple[str, tuple[str, ...]]
"""A shipped spec and what is set in it."""

_SOURCES = SourceCache(ROOT)

FREE: tuple[Settings, ...] = (("AI", ()), ("R18C", ()))
WAVELET: tuple[Settings, ...] = tuple(
    (name, (*ALL_WAVELET, "stem.wavelet.exclude=[]")) for name in ("AwyI", "R18wyC")
)
"""An AlexNet and a ResNet each. All channels are wavelet channels, so that any pooling goes beside
that of the free ones."""


OWN = "pooling.module={file: tests/support/own_pooling.py, name: MeanPool}"
"""What the pooling `module` needs besides."""


def missing_pages(names: Mapping[str, str]) -> Iterator[str]:
    """Yield what docs, schema and bad specs lack of a field's choices; names by their fields."""
    docs = (ROOT / "docs" / "poolings.md").read_text(encoding="utf-8")
    schema = json.loads((ROOT / "wavetwin" / "spec.schema.json").read_text(encoding="utf-8"))
    bad = ROOT / "tests" / "bad_specs" / "unknown-choice" / "expected.txt"
    refused = bad.read_text(encoding="utf-8")
    for name, field in names.items():
        section, key = field.split(".")
        model = schema["$defs"][f"{section.capitalize()}Spec"]
        if not re.search(rf"^\| `{name}` \| ", docs, re.MULTILINE):
            yield f"docs/poolings.md has no line of {name}"
        if f'"{name}"' not in json.dumps(model["properties"][key]):
            yield f"wavetwin/spec.schema.json has no {name} in {field}"
        choices = re.search(rf"{field} cannot be .*\n.*\n.*\n  help: choose (.*)", refused)
        if choices is None or name not in re.split(r", | or ", choices[1]):
            yield f"tests/bad_specs/unknown-choice does not offer {name} in {field}"


def false_sentences(field: str, rows: Mapping[str, Pooling], base: Settings) -> Iterator[str]:
    """Yield what `wavetwin diff` says amiss of a change of a pooling, of every ordered pair."""
    spec, overrides = base
    sides = {
        name: compile_spec(
            spec_of(spec),
            (*overrides, f"{field}={name}", *[OWN] * row.takes_module),
            ROOT,
            _SOURCES,
            optimise=False,
        )
        for name, row in rows.items()
    }
    for before, after in permutations(rows, 2):
        difference = compare(Experiment("a", sides[before]), Experiment("b", sides[after]))
        effects = [each for each in difference.effects if field in each.fields]
        pair = f"{before} -> {after} in {spec}"
        if not effects or not all(each.text.endswith(".") for each in effects):
            yield f"diff has no sentence for {pair}"
        blurs = [
            sum(isinstance(node.operation, Blur) for node in sides[name].graph.section("pool"))
            for name in (before, after)
        ]
        for each in effects:
            text = f"{each.text} {each.numbers}"
            yield from (f"{pair}: {fault}" for fault in _faults(text, rows[before], rows[after]))
            counts = re.search(r"(\d+) -> (\d+) blurs?", each.numbers)
            if counts is not None and [int(counts[1]), int(counts[2])] != blurs:
                yield f"{pair}: {counts[0]}, not {blurs}"


def _faults(text: str, before: Pooling, after: Pooling) -> Iterator[str]:
    """Yield the claims of a text that are not true of both rows' recipes."""
    rows = before, after
    blurrings: set[Blurring | None] = {row.blurring for row in rows}
    takes_maximum = any(isinstance(step, Maximum) for row in rows for step in row.steps)
    claims = {
        "blur": blurrings != {None},
        "binomial": BINOMIAL in blurrings,
        "adaptive": ADAPTIVE in blurrings,
        "maxim": takes_maximum,
        "RMax": takes_maximum,
        "modulus": before.takes_complex or after.takes_complex,
        "no position is dropped": any(
            not row.takes_complex and row.keeps_every(False) == 1 for row in rows
        ),
    }
    for words, is_true in claims.items():
        if words in text and not is_true:
            yield f"'{words}' is said of it"


def missing_rows(names: set[str]) -> list[str]:
    """Return what some first poolings lack anywhere."""
    found: list[str] = []
    tables = (("pooling.free", FREE_POOLINGS, FREE), ("pooling.wavelet", POOLINGS, WAVELET))
    for field, table, bases in tables:
        found += missing_pages({name: field for name in table if name in names})
        rows = {name: row for name, row in table.items() if name in names or row is MAX}
        for base in bases:
            found += false_sentences(field, rows, base)
    return found
