"""Compute what a packet's number says about its position in the frequency plane.

A packet's base-4 digits, from the first stage down, are `2 * (vertical is high) + (horizontal is
high)`; the dual-tree transform has two halves of `4**levels` packets. Standard library only; the
runtime's tests prove each rule against the filters themselves (arXiv:2212.00394).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from wavetwin.ir.frozen import frozen


@frozen
class PacketInfo:
    """Where one packet lies."""

    number: int
    digits: tuple[int, ...]
    """Base 4, from the first stage down."""
    vertical_cell: int
    """Frequency cell from 0 (around 0) to 2**levels - 1 (around pi)."""
    horizontal_cell: int
    vertical_sign: int
    """Sign of the centre's vertical frequency where the horizontal one is positive; 1 for `wpt`,
    whose packets are real."""

    @property
    def is_lowpass(self) -> bool:
        """Whether the packet holds frequency 0."""
        return not any(self.digits)

    @property
    def first_digit(self) -> int:
        """The first non-zero digit; 0 for a low-pass packet."""
        return next((digit for digit in self.digits if digit), 0)

    @property
    def dyadic_band(self) -> int:
        """1 for packets that leave the low-pass at the last stage; `levels + 1` is no band."""
        stage = next((i for i, digit in enumerate(self.digits) if digit), None)
        return 0 if stage is None else len(self.digits) - stage


def num_packets(transform: str, levels: int) -> int:
    """Return the number of packets per input channel."""
    return (2 if transform == "dtcwpt" else 1) * 4**levels


def packet_paths(levels: int, number: int) -> tuple[int, int]:
    """Return a packet's vertical and horizontal path: a bit a stage, 1 for high, the first on top."""
    digits = [(number % 4**levels) // 4**stage % 4 for stage in reversed(range(levels))]
    vertical = horizontal = 0
    for digit in digits:
        vertical, horizontal = 2 * vertical + digit // 2, 2 * horizontal + digit % 2
    return vertical, horizontal


@cache
def packet_info(transform: str, levels: int, number: int) -> PacketInfo:
    """Return where packet `number` lies.

    Raises:
        ValueError: there is no such packet.
    """
    if not 0 <= number < num_packets(transform, levels):
        raise ValueError(f"no packet {number} in {transform} with {levels} levels")
    half, index = divmod(number, 4**levels)
    digits = tuple(index >> 2 * (levels - 1 - stage) & 3 for stage in range(levels))
    vertical = tuple(digit >> 1 for digit in digits)
    horizontal = tuple(digit & 1 for digit in digits)
    sign = 1
    if transform == "dtcwpt":
        sign = _analytic_sign(vertical) * _analytic_sign(horizontal) * (-1 if half else 1)
    return PacketInfo(number, digits, _cell(vertical), _cell(horizontal), sign)


def plane_cells(transform: str, levels: int, number: int) -> tuple[tuple[int, int], ...]:
    """Return rows and columns of a packet's cells in the frequency plane, from its upper left.

    The plane is [-pi, pi] in both directions, 2**(levels + 1) cells a side, vertical frequencies
    growing downwards. A dual-tree packet has its cell and that at minus its frequency, a real one of
    `wpt` four.

    Raises:
        ValueError: there is no such packet.
    """
    info = packet_info(transform, levels, number)
    half = 2**levels
    if transform == "wpt":
        signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
    else:
        signs = ((info.vertical_sign, 1), (-info.vertical_sign, -1))
    return tuple(
        (
            _plane_line(info.vertical_cell, vertical, half),
            _plane_line(info.horizontal_cell, horizontal, half),
        )
        for vertical, horizontal in signs
    )


@cache
def dyadic_band(transform: str, levels: int, band: int) -> tuple[int, ...]:
    """Return a dyadic band's packets in the language's order.

    Negative vertical frequencies come first, then the first non-zero digit decides, then the number.
    """
    info = [
        packet_info(transform, levels, number) for number in range(num_packets(transform, levels))
    ]
    members = [packet for packet in info if packet.dyadic_band == band]
    members.sort(key=lambda packet: (packet.vertical_sign, packet.first_digit, packet.number))
    return tuple(packet.number for packet in members)


def excluded(transform: str, levels: int, rules: Iterable[str]) -> frozenset[int]:
    """Return the packets that the rules leave out.

    `lowpass`: frequency 0; `edges`: the highest frequency cell in either direction; `diagonal`:
    stage-1 high-pass in both directions.
    """
    chosen = set(rules)
    top = 2**levels - 1
    return frozenset(
        number
        for number in range(num_packets(transform, levels))
        for packet in (packet_info(transform, levels, number),)
        if ("lowpass" in chosen and packet.is_lowpass)
        or ("edges" in chosen and top in (packet.vertical_cell, packet.horizontal_cell))
        or ("diagonal" in chosen and packet.digits[0] == 3)
    )


def _plane_line(cell: int, sign: int, half: int) -> int:
    return half + cell if sign > 0 else half - 1 - cell


def _cell(path: tuple[int, ...]) -> int:
    """Return the frequency cell of a one-dimensional path.

    Its bits are a Gray code, as every high-pass child mirrors what lies below it.
    """
    cell = bit = 0
    for step in path:
        bit ^= step
        cell = 2 * cell + bit
    return cell


def _analytic_sign(path: tuple[int, ...]) -> int:
    """Return the sign of the frequencies that `f_a + i f_b` keeps, f_a and f_b the two trees' filters.

    Negative in the two outermost cells, whose filters differ by the one-sample shift of stage 1
    alone; positive wherever a later stage took the high-pass.
    """
    return 1 if any(path[1:]) else -1
