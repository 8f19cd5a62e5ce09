"""Define the weights that a training starts from, as the spec says it and the plan has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.parameters import MAX_LENGTH, Parameter, matches
from wavetwin.ir.section import Section, declare

__all__ = ["StartingWeights", "find_state", "is_asked_for"]

RUN_FILES = {"best": "best.safetensors", "last": "last/model.safetensors"}
"""Weights of a run, below its `checkpoints/`, by the value of `which`."""
_RUN_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}/[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$"


@frozen(kw_only=True)
class StartingWeights(Section):
    """Weights that the training starts from, in place of random ones."""

    checkpoint: str | None = declare(None, is_location=True, min_length=1, max_length=4096)
    """Path of a weights file that anybody wrote, relative to the project root and inside it."""
    run: str | None = declare(
        None,
        is_location=True,
        pattern=_RUN_PATTERN,
        rule="a run is named as `wavetwin runs list` has it: the experiment's name, a slash, the run's id",
    )
    """A run of this project instead, as `runs/` has it: `name/id`."""
    which: Literal["best", "last"] | None = declare(None, is_location=True)
    """Which weights of the run: those of the lowest validation error, or the last ones; default:
    best."""
    state_dict: str | None = declare(None, min_length=1, max_length=MAX_LENGTH)
    """Key of the state dict in the file where there are several, or what the names to take begin
    with."""
    sha256: str | None = declare(
        None,
        pattern=r"^[0-9a-f]{64}$",
        rule="a SHA-256 has 64 digits from 0 to 9 and a to f, in quotes",
    )
    """Of the file; default: as the file is when the spec is compiled. Where it is given, the file is
    needed only where the training starts."""
    parts: tuple[str, ...] = declare(
        (), max_length=64, items={"min_length": 1, "max_length": MAX_LENGTH}
    )
    """What is loaded, by the names that `training.freeze` takes: `stem.free`, `trunk`, `norms`, any
    node's id; absent: everything. The rest begins as it does without weights."""
    classifier: Literal["keep", "new"] = declare("keep")
    """Whether the last layer is loaded, too, or begins anew: for other classes."""
    stem: Literal["load", "project"] = declare("load")
    """Whether the file has this network's first layer, or a plain CNN's, onto whose kernels the twin's
    free and wavelet channels are fitted."""
    on_mismatch: Literal["error", "skip"] = declare("error")
    """What happens where tensors are missing, left over or of another shape: the run does not start,
    or what fits is loaded and the rest is named."""

    @property
    def file(self) -> str:
        """The file's path, relative to the project root."""
        if self.checkpoint is not None:
            return self.checkpoint
        return f"runs/{self.run}/checkpoints/{RUN_FILES[self.which or 'best']}"

    @property
    def field(self) -> str:
        """The field that names the file."""
        return "checkpoint" if self.run is None else "run"

    def describe(self) -> str:
        """Return what is loaded, as text: `weights/cnn.pth (trunk; a new classifier)`."""
        parts = [", ".join(self.parts)] if self.parts else []
        parts += ["a new classifier"] * (self.classifier == "new")
        parts += ["the first layer projected"] * (self.stem == "project")
        parts += ["what fits"] * (self.on_mismatch == "skip")
        return self.file + (f" ({'; '.join(parts)})" if parts else "")


def find_state(graph: ModuleGraph) -> Iterator[Parameter]:
    """Yield all that a state dict of a graph as written holds: parameters, and norms' statistics."""
    for node in graph:
        if node.inputs:
            shapes = node.operation.state(graph.by_id[node.inputs[0]].output_shape)
            for label, shape in shapes.items():
                yield Parameter(node, label, shape)


def is_asked_for(graph: ModuleGraph, weights: StartingWeights, each: Parameter) -> bool:
    """Return whether a spec asks for a tensor of the network, whatever the file has."""
    if weights.classifier == "new" and each.node is graph.classifier:
        return False
    return not weights.parts or matches(graph, each, weights.parts)
