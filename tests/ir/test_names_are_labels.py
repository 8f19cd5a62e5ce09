"""No code compares a kind's name with a text: what a kind is stands in its row, and code asks that."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.poolings import POOLINGS

PACKAGE = Path(__file__).parents[2] / "wavetwin"


@dataclass(frozen=True)
class Kind:
    """A table of rows, and how source text speaks of their names."""

    title: str
    names: frozenset[str]
    """Of the rows: a comparison with one of them is an offence."""
    fields: frozenset[str]
    """Last words of expressions that hold such a name: a comparison of one with any text is."""
    homes: frozenset[str]
    """Files below the package that may: the table, and the schema for its defaults."""
    common_words: frozenset[str] = frozenset()
    """Names that are words of other tables, too: known by the field that they are compared with."""


KINDS = (
    Kind(
        "first pooling",
        frozenset(POOLINGS),
        frozenset({"free", "wavelet"}),
        frozenset({"ir/poolings.py", "compiler/schema/network.py"}),
        frozenset({"max", "module", "none", "modulus", "wavelet"}),
    ),
    Kind(
        "downsampling",
        frozenset(DOWNSAMPLINGS),
        frozenset({"downsampling"}),
        frozenset({"ir/blurring.py", "compiler/schema/network.py"}),
        frozenset({"blur", "adaptive_blur", "wavelet"}),
    ),
    Kind(
        "data set",
        frozenset(DATASETS),
        frozenset({"dataset"}),
        frozenset(),
        frozenset({"imagenet", "folder", "digits"}),
    ),
    Kind(
        "architecture",
        frozenset(ARCHITECTURES) | {each.family for each in ARCHITECTURES.values()},
        frozenset({"arch", "family"}),
        frozenset(),
    ),
)
"""A table joins by its line here."""


Comparison = tuple[int, str, list[str]]
"""Line, last word of what is compared, and the texts that it is compared with."""


def last_word(node: ast.expr) -> str:
    """Return the last name of `spec.pooling.free`; of a call that of what it is called on."""
    match node:
        case ast.Attribute():
            return node.attr
        case ast.Name():
            return node.id
        case ast.BoolOp():
            return last_word(node.values[0])
        case ast.Call(func=ast.Attribute(value=value)):
            return last_word(value)
        case _:
            return ""


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts that an expression is, or lists; of a mapping its keys."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Tuple() | ast.List() | ast.Set():
            for each in node.elts:
                yield from texts(each)
        case ast.Dict():
            for key in node.keys:
                if key is not None:
                    yield from texts(key)
        case _:
            pass


@cache
def package() -> dict[str, list[Comparison]]:
    """Return the comparisons of every module, read once for all tables."""
    # Parsing is the cost: modules without any of the words have nothing to compare.
    names = {f'"{name}' for kind in KINDS for name in kind.names - kind.common_words}
    fields = {field for kind in KINDS for field in kind.fields}
    words = re.compile("|".join([*names, rf"\b({'|'.join(fields)})\b"]))
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    return {
        path.relative_to(PACKAGE).as_posix(): list(comparisons(source))
        for path, source in sources.items()
        if words.search(source)
    }


def comparisons(source: str) -> Iterator[Comparison]:
    """Yield what a module compares with texts."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                word = next(filter(None, map(last_word, sides)), "")
                yield node.lineno, word, [text for side in sides for text in texts(side)]
            case ast.Match():
                patterns = [each for case in node.cases for each in ast.walk(case.pattern)]
                found = [
                    text
                    for each in patterns
                    if isinstance(each, ast.MatchValue)
                    for text in texts(each.value)
                ]
                yield node.lineno, last_word(node.subject), found
            case ast.Call(func=ast.Attribute(attr="startswith" | "endswith" | "removeprefix")):
                found = [text for each in node.args for text in texts(each)]
                yield node.lineno, last_word(node), found
            case ast.Subscript(value=ast.Dict()):
                yield node.lineno, last_word(node.slice), list(texts(node.value))
            case ast.Assign(value=ast.Dict()) | ast.AnnAssign(value=ast.Dict()):
                assert node.value is not None
                yield node.lineno, "", list(texts(node.value))
            case _:
                pass


def offences(kind: Kind, files: dict[str, list[Comparison]]) -> list[str]:
    distinct = kind.names - kind.common_words
    return [
        f"{path}:{line}: {word or '...'} is compared with {', '.join(found)}"
        for path, compared in files.items()
        if path not in kind.homes
        for line, word, found in compared
        if (found and word in kind.fields) or distinct.intersection(found)
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_no_name_decides_anything(kind: Kind) -> None:
    assert not offences(kind, package())


@pytest.mark.parametrize(
    "source",
    [
        "if spec.pooling.free != 'max': pass",
        "step = 4 if kind in ('max', 'max_blur') else 2",
        "(spec.pooling.wavelet or '').startswith('mod')",
        "match pooling.wavelet:\n    case 'none' | 'max': pass",
        "NAMES = {'max_blur': 'RMax with blur'}",
        "name = {'max': 'RMax'}[spec.pooling.free]",
    ],
)
def test_an_offence_is_found(source: str) -> None:
    assert offences(KINDS[0], {"compiler/other.py": list(comparisons(source))})
    assert not offences(KINDS[0], {"ir/poolings.py": list(comparisons(source))})


def test_an_offence_against_architectures_is_found() -> None:
    source = "if spec.backbone.arch != 'sequential' or row.family == 'ResNets': pass"
    assert offences(KINDS[-1], {"compiler/other.py": list(comparisons(source))})


def test_an_offence_against_data_sets_is_found() -> None:
    (kind,) = (each for each in KINDS if each.title == "data set")
    for source in ("if plan.data.dataset == 'digits': pass", "SIDES = {'cifar10': 32}"):
        assert offences(kind, {"runtime/other.py": list(comparisons(source))})


def test_other_tables_have_the_same_words() -> None:
    source = "if stem.norm == 'none' or pool.kind == 'max' or spec.pooling.free == other.free: pass"
    assert not offences(KINDS[0], {"compiler/other.py": list(comparisons(source))})
