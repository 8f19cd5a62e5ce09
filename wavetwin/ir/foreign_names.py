"""Name modules as the published twins' implementation and torchvision do.

Parts that several families of backbones share. Twins have `freeconv` and `wptblock` in the first layer
and `low` (free) and `high` (wavelet) branches in the first pooling. Without free channels the first
layer is the wavelet block itself, without `wptblock`, and the first pooling one sequence without
branches.
"""

from __future__ import annotations

from collections.abc import Iterable

from wavetwin.ir.architecture import NoForeignNamesError
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node
from wavetwin.ir.operations import AdaptiveAveragePool, Flatten

__all__ = ["branch_names", "check_twin", "counted_names", "has_free_channels", "twin_stem_names"]


def check_twin(graph: ModuleGraph) -> None:
    """Raise a NoForeignNamesError for a twin that the published implementation cannot build."""
    if not any(node.id == "stem.wavelet.colour" for node in graph):
        raise NoForeignNamesError(f"{graph.name}: the reference's twins are of images in colour")


def twin_stem_names(graph: ModuleGraph, prefix: str) -> dict[str, str]:
    """Return the names of a twin's first layer below `prefix`."""
    block = f"{prefix}wptblock." if has_free_channels(graph) else prefix
    return {
        "stem.free": f"{prefix}freeconv.",
        "stem.wavelet.colour": f"{block}colormix.",
        "stem.wavelet.packets": f"{block}wpt.",
        "stem.wavelet.mixing": f"{block}featmapmix.",
    }


def has_free_channels(graph: ModuleGraph) -> bool:
    """Return whether a twin's first layer has channels that are trained freely."""
    return any(node.id == "stem.free" for node in graph)


def branch_names(graph: ModuleGraph, prefix: str, is_always_branch: bool) -> dict[str, str]:
    """Count the layers of a twin's first pooling below `prefix`, of each branch where there are two.

    Args:
        graph: of a twin.
        prefix: of the first pooling.
        is_always_branch: whether the wavelet channels are a branch also where there are no others.
    """
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    branches = {"free": "low.", "wavelet": "high."}
    if not has_free_channels(graph) and not is_always_branch:
        branches["wavelet"] = ""
    for node in graph.section("pool"):
        # What splits and joins the branches is no layer of theirs.
        if node.operation.moves_values:
            continue
        parts = node.id.split(".")
        branch = branches[parts[1]] if len(parts) == 3 else ""
        names[node.id] = f"{prefix}{branch}{counts.get(branch, 0)}."
        counts[branch] = counts.get(branch, 0) + 1
    return names


def counted_names(nodes: Iterable[Node], first: int) -> dict[str, str]:
    """Count layers: `features.N` from `first` up to the average pooling, then `classifier.N`."""
    names: dict[str, str] = {}
    section, index = "features", first
    for node in nodes:
        if isinstance(node.operation, AdaptiveAveragePool):
            section, index = "classifier", 0
        elif not isinstance(node.operation, Flatten):
            names[node.id] = f"{section}.{index}."
            index += 1
    return names
