"""Find the file and line that set a resolved field, or what gave it its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wavetwin.compiler.parse.compose import LoadedSpec, find_node
from wavetwin.compiler.parse.tree import SpecNode
from wavetwin.compiler.validate.conflict import value_text as written_text
from wavetwin.explain.diff.declaration import ABSENT, Path, dotted
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.poolings import FREE_POOLINGS

DECIDED_BY: dict[str, tuple[str, ...]] = {
    "stem.free_channels": ("backbone.arch",),
    "stem.kernel_size": ("backbone.arch",),
    "stem.stride": ("pooling.free", "backbone.arch"),
    "stem.padding": ("stem.kernel_size", "backbone.arch"),
    "stem.norm": ("backbone.arch",),
    "stem.initial_weights.channels": ("stem.free_channels",),
    "stem.wavelet.color_mixing.initial": ("backbone.arch",),
    "pooling.free": ("backbone.arch",),
    "pooling.wavelet": ("pooling.free",),
    "data.num_classes": ("data.lock.classes", "data.dataset"),
    "data.image_size": ("data.dataset",),
    "data.augmentation": ("data.dataset",),
    "data.normalise": ("data.channels", "data.dataset"),
    "data.validation": ("data.lock.sha256", "data.dataset"),
    "weights.sha256": ("weights.checkpoint", "weights.run"),
    "weights.which": ("weights.run",),
}
"""Fields whose default `resolve` takes from another field, and which."""


@dataclass(frozen=True, slots=True)
class FieldOrigin:
    """What set a field."""

    locations: tuple[str, ...]
    """`path:line` of what set it; several where fields set it together. Empty: a default."""
    decided_by: str | None = None
    """Of a default: the field that it follows."""
    decider_location: str | None = None
    """Where that one is set; None: it is a default itself."""
    is_removal: bool = False
    """Whether `locations` removed it by null."""
    written: tuple[str, ...] = ()
    """What each of `locations` says, where the value was made from that and is not what a reader finds
    there: `band 1`, `exclude [lowpass, diagonal]`. Empty: they say the value itself."""

    def text(self, prefix: str = "") -> str:
        """Return the origin as text; `prefix` is put before each location in a file."""
        if self.written:
            where = _joined([_shown(location, prefix) for location in self.locations])
            return f"from {', '.join(self.written)} ({where})"
        if self.locations:
            where = _joined([_shown(location, prefix) for location in self.locations])
            return f"removed by {where}" if self.is_removal else where
        if self.decided_by is None:
            return "default"
        location = self.decider_location
        return (
            f"default, by {self.decided_by} ({_shown(location, prefix) if location else 'default'})"
        )


def origin_of(loaded: LoadedSpec, path: Path, value: Any = ABSENT) -> FieldOrigin:
    """Return what set a resolved field, or removed it.

    Args:
        loaded: the spec as read.
        path: of the field.
        value: the field's in the resolved spec. Where the line says another one, which was expanded,
            the origin says what.
    """
    node = find_node(loaded.tree, path)
    if node is not None and node.value is not None:
        is_value = value is ABSENT or _plain(node) == value
        locations = [_location(node)]
        replacement = loaded.replacement_of(dotted(path))
        swap = None if replacement is None else loaded.node(replacement)
        if swap is not None and is_value:
            locations.append(_location(swap))
        return FieldOrigin(
            tuple(dict.fromkeys(locations)), written=() if is_value else (written_text(node),)
        )
    above = _nearest_above(loaded, path)
    if above is not None and above.value is None:
        return FieldOrigin((_location(above),), is_removal=True)
    if path[-1] == "packets":
        return _origin_of_band(loaded, path)
    if above is not None and path[-2:] == ("color_mixing", "position"):
        return FieldOrigin((_location(above),))
    if path[-2:-1] == ("files",):
        return _origin_of_own_file(loaded, path)
    return _default(loaded, dotted(path))


def _nearest_above(loaded: LoadedSpec, path: Path) -> SpecNode | None:
    """Return a value that is written in place of the mapping which holds a field.

    Either null, which removed it, or a short form.
    """
    for depth in range(1, len(path) + 1):
        node = find_node(loaded.tree, path[:depth])
        if node is None:
            return None
        if not isinstance(node.value, dict | list):
            return node
    return None


def _origin_of_band(loaded: LoadedSpec, path: Path) -> FieldOrigin:
    """Return what set an expanded packet list: the band, and the rules that leave packets out."""
    nodes = {
        "band": find_node(loaded.tree, (*path[:-1], "band")),
        "exclude": find_node(loaded.tree, (*path[:-3], "exclude")),
    }
    found = [(name, node) for name, node in nodes.items() if node and node.value is not None]
    return FieldOrigin(
        tuple(_location(node) for _, node in found),
        written=tuple(f"{name} {written_text(node)}" for name, node in found),
    )


def _origin_of_own_file(loaded: LoadedSpec, path: Path) -> FieldOrigin:
    """Return what the SHA-256 of a file of own code follows: the field that names the file or its importer."""
    named = (*path[:-2], "file")
    node = find_node(loaded.tree, named)
    return FieldOrigin((), dotted(named), None if node is None else _location(node))


def _plain(node: SpecNode) -> Any:
    """Return a value as plain values, as a resolved spec has them."""
    if isinstance(node.value, dict):
        return {key: _plain(item) for key, item in node.value.items()}
    return [_plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def _default(loaded: LoadedSpec, name: str) -> FieldOrigin:
    fields = DECIDED_BY.get(name, ())
    if name == "stem.stride" and not _pooling_decides_stride(loaded):
        fields = ("backbone.arch",)
    for field in fields:
        location = loaded.origin(field)
        if location is not None:
            return FieldOrigin((), field, location)
    return FieldOrigin((), fields[0] if fields else None)


def _pooling_decides_stride(loaded: LoadedSpec) -> bool:
    """Return whether the architecture's first stride is another one beside some first pooling."""
    node = find_node(loaded.tree, ("backbone", "arch"))
    assert node is not None, "validate asks for an architecture"
    architecture = ARCHITECTURES[str(node.value)]
    return any(
        architecture.first_stride(each) != architecture.stride for each in FREE_POOLINGS.values()
    )


def _joined(locations: list[str]) -> str:
    """Return locations as one text: lines of one file are `path:13, 11`."""
    files: dict[str, list[str]] = {}
    for location in locations:
        path, _, line = location.rpartition(":")
        files.setdefault(path, []).append(line)
    return " and ".join(f"{path}:{', '.join(lines)}" for path, lines in files.items())


def _shown(location: str, prefix: str) -> str:
    return location if location.startswith("--set[") else f"{prefix}{location}"


def _location(node: SpecNode) -> str:
    location = node.key_location or node.location
    return f"{location.path}:{location.line}"
