"""Lay `backbone.replace` on the layers that it names.

A replacement is laid on its item: fields of the same kind of layer merge; another kind takes the place of
the one that was there, and has of it what both say alike (`LayerKind.hands_over`); what follows in
the item stays; a null takes away. Layers of a named trunk are not in the spec: what is said of them stays
in `backbone.replace`, and the graph's builder lays it on them. What comes of it is the list written out, so that both ways of
writing a network have one digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from wavetwin.compiler.parse.nodes import SpecNode
from wavetwin.compiler.parse.suggest import nearest
from wavetwin.diagnostics import Diagnostic, Origin
from wavetwin.ir.frozen import frozen
from wavetwin.ir.layer_kinds import known_layers
from wavetwin.ir.layer_kinds.identity import IdentityLayer
from wavetwin.ir.replaced_layers import handed_over, replacing_layers

__all__ = ["REPLACE", "Laid", "lay_on_item", "lay_on_list", "merge"]

REPLACE = ("backbone", "replace")
"""The key path of replacements, by the names of layers."""

Path = tuple[str | int, ...]


@frozen
class Laid:
    """What became of a list of layers."""

    tree: SpecNode
    """With the list written out, and without `backbone.replace`."""
    replaced: Mapping[str, SpecNode]
    """Replacements by the names of the layers."""
    diagnostics: tuple[Diagnostic, ...]
    """Names that no layer has."""


def merge(under: SpecNode, over: SpecNode, path: Path = ()) -> SpecNode:
    """Return `over` laid on `under`: mappings merge key by key, everything else replaces.

    Of replacements of one layer the later one is laid on the earlier as on an item.
    """
    if not isinstance(under.value, dict) or not isinstance(over.value, dict):
        return over
    if path[:-1] == REPLACE:
        return lay_on_item(under, over, is_item=False)
    merged: dict[str, SpecNode] = dict(under.value)
    for key, node in over.value.items():
        below = merged.get(key)
        merged[key] = node if below is None else merge(below, node, (*path, key))
    return SpecNode(merged, over.location, over.key_location)


def lay_on_item(under: SpecNode, over: SpecNode, *, is_item: bool = True) -> SpecNode:
    """Return an item, or an earlier replacement of it, with what a replacement says."""
    assert isinstance(under.value, dict)
    assert isinstance(over.value, dict)
    old, new = under.value, over.value
    before = _main_key(old)
    if before is not None and _follows(before) and not is_item:
        before = None  # which layer that is to follow, the item says
    after = _main_key(new, before)
    merged = dict(old)
    for key, node in new.items():
        known = merged.get(key)
        merged[key] = node if known is None else merge(known, node)
        for other in _same_place(key) if node.value is not None and key != before else ():
            merged.pop(other, None)
    if after is not None and before is not None and after != before:
        merged.pop(before, None)
        merged[after] = _with_handed_over(before, old[before], after, new[after])
    return SpecNode(merged, under.location, under.key_location)


def _with_handed_over(before: str, old: SpecNode, after: str, new: SpecNode) -> SpecNode:
    """Return a layer with what it has of the one that it replaces."""
    if not isinstance(old.value, dict) or not isinstance(new.value, dict):
        return new
    shared = handed_over(before, after)
    taken = {key: node for key, node in old.value.items() if key in shared}
    return replace(new, value={**taken, **new.value})


def _follows(key: str) -> bool:
    return known_layers()[key].follows is not None


def _same_place(key: str) -> Iterator[str]:
    """Yield the other layers that take the place of one among followers."""
    kind = known_layers().get(key)
    if kind is None or kind.follows is None:
        return
    for other, each in known_layers().items():
        if other != key and each.follows == kind.follows:
            yield other


def _main_key(item: Mapping[str, SpecNode], before: str | None = None) -> str | None:
    """Return the layer that an item is, or that takes the place of one; None where it is not one."""
    keys = (key for key, node in item.items() if key in known_layers() and node.value is not None)
    found = replacing_layers(before, keys)
    return found[0] if len(found) == 1 else None


def lay_on_list(tree: SpecNode) -> Laid:
    """Return a spec whose replacements are laid on the layers that it lists."""
    backbone = tree.value.get(REPLACE[0]) if isinstance(tree.value, dict) else None
    fields = backbone.value if backbone is not None else None
    if not isinstance(fields, dict) or not isinstance(tree.value, dict) or backbone is None:
        return Laid(tree, {}, ())
    layers, given = fields.get("layers"), fields.get(REPLACE[1])
    if given is None or not isinstance(given.value, dict):
        return Laid(tree, {}, ())
    if layers is None or layers.value == []:
        left = {name: _left_out(node) for name, node in given.value.items()}
        named = replace(backbone, value={**fields, REPLACE[1]: replace(given, value=left)})
        return Laid(replace(tree, value={**tree.value, REPLACE[0]: named}), given.value, ())
    if not isinstance(layers.value, list):
        return Laid(tree, {}, ())
    places = _names(layers)
    known = {name: node for name, node in given.value.items() if len(places.get(name, ())) == 1}
    found = {key: node for key, node in fields.items() if key != REPLACE[1]}
    found["layers"] = _lay(layers, known)
    laid = replace(backbone, value=found)
    faults = [
        _unknown(name, node, layers, places)
        for name, node in given.value.items()
        if name not in known
    ]
    whole: dict[str, SpecNode] = {**tree.value, REPLACE[0]: laid}
    return Laid(replace(tree, value=whole), known, tuple(faults))


def _left_out(node: SpecNode) -> SpecNode:
    """Return a replacement in a named trunk, whose layers are left out by an identity in their place."""
    if node.value is not None:
        return node
    return replace(node, value={IdentityLayer.key: SpecNode({}, node.location)}, left_out="")


def _lay(layers: SpecNode, known: Mapping[str, SpecNode]) -> SpecNode:
    """Return a list with its replacements, and with those of the lists within it."""
    assert isinstance(layers.value, list)
    items: list[SpecNode] = []
    for item in layers.value:
        over = known.get(_name(item) or "")
        if over is None:
            items.append(_lay_within(item, known))
        elif isinstance(over.value, dict):
            items.append(lay_on_item(_lay_within(item, known), over))
        elif over.value is not None:
            items.append(item)  # of the wrong type: the schema says so
    return replace(layers, value=items)


def _lay_within(item: SpecNode, known: Mapping[str, SpecNode]) -> SpecNode:
    """Return an item whose inner lists have their replacements."""
    if isinstance(item.value, list):
        return _lay(item, known)
    if not isinstance(item.value, dict):
        return item
    return replace(item, value={key: _lay_within(node, known) for key, node in item.value.items()})


def _name(item: SpecNode) -> str | None:
    node = item.value.get("name") if isinstance(item.value, dict) else None
    return node.value if node is not None and isinstance(node.value, str) else None


def _names(layers: SpecNode) -> dict[str, list[SpecNode]]:
    """Return the items of a list, and of lists within it, by their names."""
    found: dict[str, list[SpecNode]] = {}
    values = layers.value if isinstance(layers.value, list) else []
    for item in values:
        name = _name(item)
        if name is not None:
            found.setdefault(name, []).append(item)
        for layer in item.value.values() if isinstance(item.value, dict) else ():
            for inner in layer.value.values() if isinstance(layer.value, dict) else ():
                for key, items in _names(inner).items():
                    found.setdefault(key, []).extend(items)
    return found


def _unknown(
    name: str, node: SpecNode, layers: SpecNode, places: Mapping[str, list[SpecNode]]
) -> Diagnostic:
    several = places.get(name, [])
    if several:
        headline = f"{len(several)} layers are called {name!r}"
        origins = tuple(Origin(name, each.location) for each in several)
        help_text = "give the layer that is meant a name of its own"
    else:
        headline = f"no layer is called {name!r}"
        origins = (Origin("backbone.layers", layers.key_location or layers.location),)
        meant = nearest(name, list(places))
        named = ", ".join(places) or "none has a name"
        help_text = f"did you mean '{meant}'?" if meant else f"layers with a name: {named}"
    return Diagnostic(
        "unknown-layer",
        headline,
        node.key_location or node.location,
        origins=origins,
        help=help_text,
    )
