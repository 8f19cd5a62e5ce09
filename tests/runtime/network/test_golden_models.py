"""Whole networks against the reference's outputs (tests/golden/README.md)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from tests.support.golden_weights import (
    golden_arrays,
    golden_shapes,
    golden_state,
    golden_tensor,
    relative_error,
)
from tests.support.paths import ROOT
from tests.support.shipped import compiled_once
from wavetwin.importing.weights import convert_state_dict
from wavetwin.runtime.layers import MixedPackets, use_native_kernel
from wavetwin.runtime.network.build import Network, build_module
from wavetwin.runtime.training.losses import regularisation
from wavetwin.runtime.training.starting.reference_names import (
    reference_constants,
    reference_to_graph_names,
)

FLOAT64 = 1e-9
FLOAT32_STORED = 1e-7
FLOAT32 = 2e-4
"""golden/README.md's tolerances, relative to the entry's largest value."""

STEMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "AwyI": ("alexnet/AwyI", ()),
    "AwyI_mod": ("alexnet/AwyI_mod", ()),
    "Azh3wyI": ("alexnet/Azh3wyI", ()),
    "Azh3wyI_mod": ("alexnet/Azh3wyI_mod", ()),
    "RwyI": ("resnet34/RwyI", ()),
    "RwyI_mod": ("resnet34/RwyI_mod", ()),
    "Rzh3wyI_mod": ("resnet34/Rzh3wyI_mod", ()),
    "Rzo3wyI": ("resnet34/Rzo3wyI", ()),
    "AlexNet color after": ("alexnet/AwyI", ("stem.wavelet.color_mixing=after",)),
    "AlexNet color after CMod": ("alexnet/AwyI_mod", ("stem.wavelet.color_mixing=after",)),
    "ResNet-34 all packets": ("resnet34/Rwy0I", ()),
    "ResNet-34 all packets CMod": ("resnet34/Rwy0I", ("pooling.wavelet=modulus",)),
}
"""The spec and what is changed in it, by the entry's name."""

LOGITS = [
    (f"logits_{file}.npz", folder, entry)
    for file, folder, entries in (
        ("imagenet_alexnet", "alexnet", "AI AwyI AwyI_mod Azh3I Azh3wyI Azh3wyI_mod"),
        (
            "imagenet_resnet34",
            "resnet34",
            "RI RwyI RwyI_mod Rzh3I Rzh3wyI Rzh3wyI_mod Rzo3I Rzo3wyI Rzo3wyI_mod "
            "Rzh3wyI_abl Rzo3wyI_abl",
        ),
        (
            "cifar10_resnet18",
            "cifar10",
            "R18C R18wyC R18wyC_mod R18zh3C R18zh3wyC R18zh3wyC_mod R18zo3C R18zo3wyC "
            "R18zo3wyC_mod",
        ),
    )
    for entry in entries.split()
]
"""File, folder of the spec, and the entry's name, which is the spec's."""

EACH_TIME = (
    "AI", "AwyI", "AwyI_mod", "Azh3wyI_mod", "RI", "RwyI_mod", "Rzh3wyI_mod", "Rzo3wyI", "Rzo3wyI_abl",
    "R18C", "R18wyC_mod", "R18zh3wyC", "R18zo3wyC_mod",
)  # fmt: skip
"""Every kind of pooling and downsampling in each architecture; the others take as long again."""

TRAIN_STEPS = {
    "AwyI": ("alexnet/AwyI", 1e-5),
    "R18wyC_mod": ("cifar10/R18wyC_mod", 0.01),
    "R18zo3wyC_mod": ("cifar10/R18zo3wyC_mod", 0.01),
}
"""Spec and learning rate, by the entry's name."""


def _network(
    spec: str, file: str, entry: str, overrides: Sequence[str] = (), optimise: bool = False
) -> Network:
    """Build a spec's network in float64 with the golden weights.

    What the weights leave out (counters, filters) keeps the value that the network is built with.
    """
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)
    shapes = golden_shapes(file, entry)
    names = reference_to_graph_names(compiled.graph)
    assert shapes.keys() == names.keys() | reference_constants(compiled.graph)
    # The weights are not drawn twice: built without memory, then filled.
    with torch.device("meta"):
        num_classes = next(reversed(shapes.values()))[0]
        graph = compiled.optimised_graph if optimise else compiled.graph
        network = build_module(graph, num_classes, plan=compiled.plan)
    network.double().to_empty(device="cpu")
    state = convert_state_dict(compiled.graph, golden_state(file, entry), num_classes).state
    network.load_state_dict(state)
    return network.eval()


def test_every_entry_is_compared():
    assert _entries("stems.npz") == STEMS.keys() | {"input"}
    assert _entries("train_steps.npz") == TRAIN_STEPS.keys()
    for file in {file for file, _, _ in LOGITS}:
        assert _entries(file) == {entry for f, _, entry in LOGITS if f == file} | {"input"}


def _entries(file: str) -> set[str]:
    return {key.split("/")[0] for key in golden_arrays(file)}


def first_layer(entry: str, optimise: bool, *more: str) -> nn.ModuleDict:
    """Return the stem and the first pooling of an entry of stems.npz, with its weights, in float64."""
    spec, overrides = STEMS[entry]
    overrides = (*overrides, *more)
    # Without the trunk, whose weights take time to draw.
    compiled = compiled_once(ROOT / "specs" / f"{spec}.yaml", *overrides)
    names = reference_to_graph_names(compiled.graph)
    state = {
        ours: value.squeeze(-1) if value.ndim == 5 else value
        for theirs, ours in names.items()
        if not ours.startswith("trunk.") and not ours.endswith("num_batches_tracked")
        for value in [golden_tensor(theirs, golden_shapes("stems.npz", entry)[theirs])]
    }
    with torch.device("meta"):
        network = build_module(compiled.optimised_graph if optimise else compiled.graph)
    sections = nn.ModuleDict({"stem": network.stem, "pool": network.pool})
    sections.double().to_empty(device="cpu").eval()
    missing, unknown = sections.load_state_dict(state, strict=False)
    assert not unknown
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return sections


@pytest.mark.parametrize("optimise", [False, True], ids=["written", "optimised"])
@pytest.mark.parametrize("entry", STEMS)
def test_stems(entry: str, optimise: bool):
    sections = first_layer(entry, optimise)
    arrays = golden_arrays("stems.npz")
    with torch.no_grad():
        stem = sections["stem"](arrays["input"])
        pooled = sections["pool"](stem)
    # After the passes the stem may give what the pooling reads, and no more.
    gives_all = isinstance(stem, torch.Tensor)
    assert gives_all or optimise
    if gives_all:
        assert relative_error(stem, arrays[f"{entry}/stem"]) < FLOAT32_STORED
    assert relative_error(pooled, arrays[f"{entry}/pooled"]) < FLOAT32_STORED
    sections.float()
    with torch.no_grad():
        stem = sections["stem"](arrays["input"].float())
        pooled = sections["pool"](stem)
    if gives_all:
        assert relative_error(stem.double(), arrays[f"{entry}/stem"]) < FLOAT32
    assert relative_error(pooled.double(), arrays[f"{entry}/pooled"]) < FLOAT32


@pytest.mark.parametrize(
    "entry", ["AwyI", "AwyI_mod", "Azh3wyI", "Azh3wyI_mod", "RwyI", "RwyI_mod", "Rzh3wyI_mod"]
)
def test_stems_by_the_native_kernel(entry: str):
    sections = first_layer(entry, True, "training.kernels=native")
    assert use_native_kernel(sections)
    assert any(isinstance(module, MixedPackets) and module.native for module in sections.modules())
    arrays = golden_arrays("stems.npz")
    image = arrays["input"].contiguous(memory_format=torch.channels_last)
    for dtype, tolerance in ((torch.float64, FLOAT32_STORED), (torch.float32, FLOAT32)):
        sections.to(dtype)
        with torch.no_grad():
            pooled = sections["pool"](sections["stem"](image.to(dtype)))
        assert relative_error(pooled.double(), arrays[f"{entry}/pooled"]) < tolerance


@pytest.mark.parametrize(
    "optimise",
    [pytest.param(False, id="written", marks=pytest.mark.slow), pytest.param(True, id="optimised")],
)
@pytest.mark.parametrize(
    ("file", "folder", "entry"),
    [
        pytest.param(*each, id=each[2], marks=[] if each[2] in EACH_TIME else pytest.mark.slow)
        for each in LOGITS
    ],
)
def test_logits(file: str, folder: str, entry: str, optimise: bool):
    arrays = golden_arrays(file)
    network = _network(f"{folder}/{entry}", file, entry, optimise=optimise)
    with torch.no_grad():
        assert relative_error(network(arrays["input"]), arrays[entry]) < FLOAT64
        network.float()
        logits = network(arrays["input"].float())
    assert relative_error(logits.double(), arrays[entry]) < FLOAT32


@pytest.mark.parametrize(
    ("entry", "optimise"),
    [
        pytest.param("AwyI", True, marks=pytest.mark.slow),
        pytest.param("R18wyC_mod", False, marks=pytest.mark.slow),
        ("R18wyC_mod", True),
        ("R18zo3wyC_mod", True),
        pytest.param("R18zo3wyC_mod", False, marks=pytest.mark.slow),
    ],
)
def test_train_steps(entry: str, optimise: bool):
    spec, lr = TRAIN_STEPS[entry]
    arrays = {
        key.split("/")[1]: value
        for key, value in golden_arrays("train_steps.npz").items()
        if key.startswith(f"{entry}/")
    }
    network = _network(spec, "train_steps.npz", entry, optimise=optimise)
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    labels = torch.arange(8) % 10
    optimizer = torch.optim.SGD(network.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    losses: list[tuple[float, float]] = []
    for _ in range(5):
        cross_entropy = nn.functional.cross_entropy(network(arrays["input"]), labels)
        penalty = regularisation(network)
        losses.append((cross_entropy.item(), penalty.item()))
        optimizer.zero_grad()
        (cross_entropy + penalty).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        logits = network(arrays["input"])
    cross_entropies, penalties = torch.tensor(losses, dtype=torch.float64).unbind(1)
    assert relative_error(cross_entropies, arrays["cross_entropy"]) < FLOAT64
    assert relative_error(logits, arrays["eval_logits"]) < FLOAT64
    if arrays["regulariser"].any():
        assert relative_error(penalties, arrays["regulariser"]) < FLOAT64
    else:
        assert not penalties.any()
