"""The specs that this repository ships, and the published facts about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.paths import GOLDEN, ROOT
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse.compose import SourceCache
from wavetwin.compiler.render.files import render
from wavetwin.ir.sweeps import SWEEP_SUFFIX
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.record import collect_provenance

SPECS = tuple(
    sorted(
        path
        for path in (ROOT / "specs").glob("**/*.yaml")
        if "base" not in path.relative_to(ROOT).parts and not path.name.endswith(SWEEP_SUFFIX)
    )
)
"""Every spec that can be built."""

SPEC_IDS = tuple(path.stem for path in SPECS)

_KIND_NAMES = (
    "twin", "twin_mod", "Azh3wyI", "Azh3wyI_mod", "AwyI_mod", "R18zh3wyC", "R18zo3wyC", "R18zo3wyC_mod",
    "R50zh3wyC_mod", "R101C", "Rzh3wyI_abl", "Rzo3wyI_abl", "V16I", "V16bI", "V11bwI", "V16bwI_mod",
    "alexnet_j2", "alexnet_wpt", "alexnet_frozen_trained", "resnet34_j2", "resnet34_frozen_trained",
    "mnist_dct_glorot", "mnist_gaussian", "mnist_impulse_linear", "mnist_learned_linear",
    "mnist_random", "cifar100_scatnetA", "tiny_invBD", "posted", "posted_average", "posted_dc",
    "posted_right",
)  # fmt: skip
KINDS = tuple(path for path in SPECS if path.stem in _KIND_NAMES)
"""Specs that together contain what any shipped spec contains, for what takes long: `contents` says
what that is, and a test beside the digests' names what is missing here."""

KIND_IDS = tuple(path.stem for path in KINDS)


def published() -> dict[str, dict[str, Any]]:
    """Parameters and hyper-parameters of the 35 published classifiers."""
    text = (GOLDEN / "published.json").read_text(encoding="utf-8")
    return json.loads(text)


def spec_of(name: str) -> Path:
    """Return the shipped spec of this name."""
    return next(path for path in SPECS if path.stem == name)


_SOURCES = SourceCache(ROOT)


@cache
def compiled_once(path: Path, *overrides: str) -> Compiled:
    """Return a shipped spec compiled: each file is read, and each spec compiled, once a process."""
    return compile_spec(path, overrides, ROOT, _SOURCES)


@cache
def rendered_once(path: Path) -> dict[str, bytes]:
    """Return what a build of a shipped spec writes, made once a process, without asking git."""
    compiled = compiled_once(path)
    provenance = collect_provenance(compiled.files, compiled.project, GitState(), no_git=True)
    return render(compiled, provenance)


def contents(compiled: Compiled) -> set[tuple[Any, ...]]:
    """Return what a spec contains of the language and of the graphs.

    Its fields with a choice, a truth value or nothing, whether lists have none, one or several items,
    its operations with what is chosen in them, and the operations of its first layer and pooling in
    their order, before and after the passes. Numbers, labels and the names of folders do not count.
    """
    sections = compiled.resolved.keys() - {"name", "summary", "tags", "published", "lint"}
    found = {
        line for name in sections for line in _choices(compiled.resolved[name], ("spec", name))
    }
    for moment, graph in (("written", compiled.graph), ("optimised", compiled.optimised_graph)):
        for node in graph:
            chosen = tuple(
                (key, value)
                for key, value in node.attributes.items()
                if isinstance(value, str | bool)
            )
            found.add((moment, node.section, node.op, chosen))
        for section in ("stem", "pool"):
            found.add((moment, section, tuple(node.op for node in graph.section(section))))
    return found | {("pass", record.name) for record in compiled.graph.passes}


def _choices(value: object, path: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        is_named = "layers" in path
        for key, item in value.items():
            is_label = (is_named and key == "name") or (*path, key) == ("spec", "data", "folder")
            if not is_label:
                yield from _choices(item, (*path, key))
    elif isinstance(value, list):
        yield (*path, min(len(value), 2))
        for item in value:
            yield from _choices(item, (*path, "each"))
    elif value is None or isinstance(value, str | bool):
        yield (*path, value)
