"""The specs that this repository ships, and the published facts about them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.paths import GOLDEN, ROOT
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.parse.compose import SourceCache

SPECS = tuple(
    sorted(
        path
        for path in (ROOT / "specs").glob("**/*.yaml")
        if "base" not in path.relative_to(ROOT).parts
    )
)
"""Every spec that can be built."""

SPEC_IDS = tuple(path.stem for path in SPECS)

_DEEPER = ("R34", "R50", "R101")
_SOME = (
    "R34wyC_mod", "R50zo3wyC_mod", "R101zh3wyC", "mnist_inv", "mnist_random", "mnist_dct", "mnist_wide",
    "cifar10_ref", "cifar10_invF_impulse", "cifar10_scatnetC", "alexnet_j2", "resnet34_j2", "posted",
    "posted_mix",
)  # fmt: skip
_MANY = frozenset({"scatternet", "sparse", "wavelet_pooling"})
KINDS = tuple(
    path
    for path in SPECS
    if path.stem in _SOME
    or not (path.stem.startswith(_DEEPER) or not _MANY.isdisjoint(path.relative_to(ROOT).parts))
)
"""Specs without those that repeat a ResNet-18's first layer and pooling before a deeper trunk, and
without those of seeds 001, 002 and 004 that differ in widths and places; each trunk of a ResNet and
each kind of layer is there. For what takes long and does not depend on how many there are."""

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
