"""Every block against every property: docs/blocks.md says what is measured here."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.blocks import (
    BLOCKS,
    PROPERTIES,
    REASONS,
    TABLE,
    TRACED,
    Block,
    measure,
    measure_traced,
    read_table,
    render_table,
)

EAGER = [name for name in PROPERTIES if name not in TRACED]
CELLS = read_table()


def _named(*names: str) -> tuple[Block, ...]:
    return tuple(block for block in BLOCKS if block.name.replace("`", "") in names)


QUICK: dict[str, Sequence[Block]] = {
    "compile": _named(
        "DualTreePacketMaps (a pair)",
        "PacketMixing",
        "MixedPackets (a pair)",
        "MixedPackets (a pair), native kernel",
        "Modulus",
        "EnergyNorm",
        "AdaptiveBlur, joint",
        "twin, RMax",
        "twin, CMod",
    ),
    "export": _named(
        "MixedPackets (a pair)", "PacketMixing", "AdaptiveBlur, per_group", "twin, CMod"
    ),
}
"""What is measured every time; the rest takes minutes."""


def test_the_table_has_every_block_and_property():
    assert CELLS.keys() == {(block.name, name) for block in BLOCKS for name in PROPERTIES}
    assert {key for key, cell in CELLS.items() if cell != "yes"} == REASONS.keys()
    assert render_table(CELLS) == TABLE.read_text(encoding="utf-8"), (
        "python -m tests.support.blocks writes the table"
    )


DEAR = ("gradcheck", "gradgradcheck", "bfloat16")
"""Properties that take seconds for a whole first layer: measured each time for some of them alone."""

FIRST_LAYERS = _named(
    "twin, RMax",
    "twin, CMod",
    "ResNet twin, colours mixed after, trained filters, CMod",
)

CELLS_OF_LAYERS = [
    pytest.param(
        name,
        block,
        id=f"{name}-{block.name.replace('`', '')}",
        marks=[pytest.mark.slow]
        if name in DEAR and block.of_layers and block not in FIRST_LAYERS
        else [],
    )
    for name in EAGER
    for block in BLOCKS
]


@pytest.mark.parametrize(("name", "block"), CELLS_OF_LAYERS)
def test_blocks(name: str, block: Block):
    _compare(block, name, measure(block, name))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUICK)
def test_blocks_under_the_compiler(name: str):
    column = measure_traced([name], QUICK[name])[name]
    assert len(column) == len(QUICK[name])
    for block in QUICK[name]:
        _compare(block, name, column[block.name])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [name for name in TRACED if QUICK.get(name) != BLOCKS])
def test_all_blocks_under_the_compiler(name: str):
    column = measure_traced([name])[name]
    for block in BLOCKS:
        _compare(block, name, column[block.name])


def _compare(block: Block, name: str, measured: str) -> None:
    """Compare a cell of the table with what was measured."""
    assert measured.split(":")[0] == CELLS[block.name, name], measured
