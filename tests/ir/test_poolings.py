"""The tables of first poolings and downsamplings are complete: what a row needs elsewhere is there."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import permutations

import pytest

from tests.support import pooling_rows
from tests.support.added_poolings import AVERAGE
from tests.support.diff_pairs import compiled, differ
from tests.support.paths import ROOT
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.blurring import DOWNSAMPLINGS, strongest
from wavetwin.ir.poolings import FREE_POOLINGS, POOLINGS


def test_every_row_has_its_docs_line_its_schema_entry_and_its_place_among_the_choices():
    for field, table in (
        ("pooling.free", FREE_POOLINGS),
        ("pooling.wavelet", POOLINGS),
        ("backbone.downsampling", DOWNSAMPLINGS),
    ):
        assert list(pooling_rows.missing_pages(dict.fromkeys(table, field))) == []


@pytest.mark.parametrize("base", pooling_rows.FREE, ids=lambda base: base[0])
def test_every_pair_of_free_poolings_has_a_true_sentence(base: pooling_rows.Settings):
    assert list(pooling_rows.false_sentences("pooling.free", FREE_POOLINGS, base)) == []


@pytest.mark.parametrize("base", pooling_rows.WAVELET, ids=lambda base: base[0])
def test_every_pair_of_wavelet_poolings_has_a_true_sentence(base: pooling_rows.Settings):
    assert list(pooling_rows.false_sentences("pooling.wavelet", POOLINGS, base)) == []


@pytest.mark.parametrize("name", ["AI", "R18C"])
def test_every_pair_of_downsamplings_has_the_sentence_of_its_blurs(name: str):
    for before, after in permutations(DOWNSAMPLINGS.values(), 2):
        sides = [compiled(name, f"backbone.downsampling={each.name}") for each in (before, after)]
        (effect,) = differ(*sides).effects
        blurring = strongest(before.blurring, after.blurring)
        own = [each.own_statement for each in (before, after) if each.own_statement]
        assert blurring is not None or own
        if blurring is not None:
            assert effect.text.startswith(blurring.statement.split("{")[0])
            assert effect.source == blurring.source
        assert all(f"{statement[1:]}." in effect.text for statement in own)


def test_a_row_that_is_added_works_and_what_it_lacks_is_named():
    """The rows are added to the table alone, as a person would; another process reads it anew."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.added_poolings"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = (
        "docs/poolings.md has no line of {name}",
        "wavetwin/spec.schema.json has no {name} in {field}",
        "tests/bad_specs/unknown-choice does not offer {name} in {field}",
    )
    # Both are built, compared and explained; `silent_max` alone has nothing to say beside `max`.
    expected: list[str] = []
    for field, bases in (
        ("pooling.free", pooling_rows.FREE),
        ("pooling.wavelet", pooling_rows.WAVELET),
    ):
        for name in ("max_average", "silent_max"):
            expected += [text.format(name=name, field=field) for text in pages]
        for base, _ in bases:
            for pair in ("max -> silent_max", "silent_max -> max"):
                expected.append(f"diff has no sentence for {pair} in {base}")
    assert json.loads(done.stdout) == expected


@pytest.mark.parametrize(
    ("name", "pooling", "stride"),
    [
        ("alexnet", "max", 4),
        ("alexnet", "max_blur", 2),
        ("alexnet", "max_adaptive_blur", 2),
        ("alexnet", "none", 4),
        ("alexnet", "wavelet", 4),
        ("resnet34", "max", 2),
        ("resnet34", "max_blur", 2),
        ("resnet34", "none", 2),
        ("sequential", "none", 1),
    ],
)
def test_the_first_stride_follows_what_the_pooling_takes_over(name: str, pooling: str, stride: int):
    assert ARCHITECTURES[name].first_stride(FREE_POOLINGS[pooling]) == stride
    assert ARCHITECTURES["alexnet"].first_stride(AVERAGE) == 4


def test_without_a_first_pooling_the_layers_begin_at_the_size_of_the_first_layer():
    for changes, kinds in (((), ["batch_norm", "relu"]), (("stem.norm=none",), ["relu"])):
        graph = compiled("cnn", "pooling.free=none", *changes).graph
        assert [node.op for node in graph.section("pool")] == kinds
        assert graph.section("pool")[-1].output_shape == graph.node("stem.free").output_shape
    twin = compiled("twin_mod", "pooling.free=none").graph
    shapes = [twin.node(name).output_shape[1:] for name in ("stem.wavelet.mixing", "pool.concat")]
    assert shapes[0] == shapes[1]
    together = compiled("twin", "pooling.free=none")
    assert together.spec.pooling.wavelet == together.spec.pooling.free
    assert [node.op for node in together.graph.section("pool")] == ["batch_norm", "relu"]
