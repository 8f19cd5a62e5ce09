"""Warn of values that meant something where they were written, and mean another thing here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from wavetwin.compiler.lint.rule import LintContext, lint_rule
from wavetwin.compiler.parse.compose import Layer, LoadedSpec, find_node
from wavetwin.compiler.parse.tree import SpecNode
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.frozen import frozen
from wavetwin.ir.packets import num_packets
from wavetwin.ir.plane_cover import common_share, cover_of

_WAVELET = ("stem", "wavelet")
_DEFAULT_TRANSFORM = "dtcwpt"


@frozen
class _Numbering:
    """What packet numbers count: the packets of a transform's levels."""

    transform: str
    levels: int

    def __str__(self) -> str:
        return f"{self.transform} at J = {self.levels}"


@lint_rule(
    "packets-of-other-levels",
    meaning="Packets are kept by numbers that counted those of other levels.",
    cause="Packet numbers count other frequencies under other levels or another transform.",
    cure="List the packets anew beside the levels, or keep dyadic bands.",
    number="Packets 1 to 3 of J = 2 are a quarter of those frequencies at J = 3.",
)
def packets_of_other_levels(context: LintContext) -> Iterator[Diagnostic]:
    """Packets are kept by number, and a later file or --set changed what the numbers count."""
    wavelet = context.spec.stem.wavelet
    if wavelet is None or not _lists_numbers(context.loaded.node("stem.wavelet.keep")):
        return
    meant = _numbering_of_keep(context.loaded)
    read = _Numbering(wavelet.transform, wavelet.levels)
    if meant is None or meant == read:
        return
    numbers = [number for entry in wavelet.keep for number in entry.numbers]
    known = [number for number in numbers if number < num_packets(meant.transform, meant.levels)]
    covers = [cover_of(each.transform, each.levels, known) for each in (meant, read)]
    total = [num_packets(each.transform, each.levels) for each in (meant, read)]
    changed = ["levels"] if meant.levels != read.levels else []
    changed += ["transform"] if meant.transform != read.transform else []
    yield context.warn(
        "packets-of-other-levels",
        f"keep lists packets by number for {meant}, and here they are those of {read}: "
        f"{len(known)} of {total[0]} -> {len(numbers)} of {total[1]} packets, other frequencies "
        f"({100 * covers[0].share:.3g} % of the plane -> {100 * covers[1].share:.3g} %, "
        f"{100 * common_share(*covers):.3g} % in both)",
        ["stem.wavelet.keep", *(f"stem.wavelet.{field}" for field in changed)],
        help=f"list the packets of {read} in keep beside it, or keep them by `band`, or set "
        + " and ".join(f"stem.wavelet.{field} to {getattr(meant, field)}" for field in changed),
    )


def _lists_numbers(keep: SpecNode | None) -> bool:
    items = keep.value if keep is not None and isinstance(keep.value, list) else []
    return any(
        isinstance(item.value, dict)
        and "packets" in item.value
        and isinstance(item.value["packets"].value, list)
        for item in items
    )


def _numbering_of_keep(loaded: LoadedSpec) -> _Numbering | None:
    """Return what the numbers of `keep` counted where they were written; None where nothing says.

    That is what the file that lists them says, on top of its parents. Overrides count as one file:
    who writes them sees them together.
    """
    levels: int | None = None
    transform: str | None = None
    found: _Numbering | None = None
    for layers in _units(loaded.layers):
        lists_packets = False
        for layer in layers:
            wavelet = find_node(layer.tree, _WAVELET)
            stem = find_node(layer.tree, _WAVELET[:1])
            if (stem is not None and stem.value is None) or (
                wavelet is not None and wavelet.value is None
            ):
                levels = transform = found = None
                continue
            fields = _fields(wavelet)
            if "levels" in fields:
                levels = cast("int | None", fields["levels"].value)
            if "transform" in fields:
                transform = cast("str | None", fields["transform"].value)
            lists_packets |= "keep" in fields
        if lists_packets:
            found = None if levels is None else _Numbering(transform or _DEFAULT_TRANSFORM, levels)
    return found


def _units(layers: tuple[Layer, ...]) -> list[tuple[Layer, ...]]:
    files = [(layer,) for layer in layers if not layer.is_override]
    return [*files, tuple(layer for layer in layers if layer.is_override)]


def _fields(node: SpecNode | None) -> dict[str, SpecNode]:
    return node.value if node is not None and isinstance(node.value, dict) else {}
