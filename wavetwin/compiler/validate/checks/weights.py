"""Check the weights that a training starts from."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.checks.rule import CheckContext, Rule, reads
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.poolings import POOLINGS
from wavetwin.provenance.package import is_inside


@reads("weights.checkpoint", "weights.run", "weights.which")
def check_source(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Weights are of one file, inside the project."""
    weights = spec.weights
    if weights is None:
        return
    both = ["weights.checkpoint", "weights.run"]
    if weights.checkpoint is None and weights.run is None:
        yield context.conflict(
            "weights-source",
            "weights names neither a file nor a run",
            both,
            help="add weights.checkpoint: PATH or weights.run: NAME/ID, or set weights to null",
        )
    elif weights.checkpoint is not None and weights.run is not None:
        yield context.conflict(
            "weights-source",
            "weights names a file and a run, and a training starts from one of them",
            both,
            help="set weights.checkpoint or weights.run to null",
        )
    elif weights.checkpoint is not None and not is_inside(weights.checkpoint):
        yield context.conflict(
            "weights-source",
            f"{weights.checkpoint} does not lie inside the project",
            ["weights.checkpoint"],
            help="put the file, or a link to it, into a folder of the project, and name it relative to "
            "the project's root",
        )
    if weights.which is not None and weights.run is None and weights.checkpoint is not None:
        yield context.conflict(
            "field-does-not-apply",
            "which chooses among the weights of a run, and weights.checkpoint is one file",
            ["weights.which", "weights.checkpoint"],
            help="remove which",
        )


@reads(
    "backbone.input", "stem.wavelet", "stem.wavelet.parts", "pooling.free", "pooling.wavelet",
    "weights.stem", "weights.parts",
)  # fmt: skip
def check_projection(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """Only the first layer of a twin is fitted to a CNN's, and then everything is loaded."""
    weights = spec.weights
    if weights is None or weights.stem != "project":
        return
    wavelet = spec.stem.wavelet
    if wavelet is None or not spec.backbone.has_stem:
        yield context.conflict(
            "projection-does-not-apply",
            "stem: project fits a twin's first layer to a CNN's, and this network has no wavelet channels",
            ["weights.stem", "stem.wavelet"],
            help="remove weights.stem: the file's first layer is loaded as it is",
        )
    elif wavelet.parts == "separate":
        yield context.conflict(
            "projection-does-not-apply",
            "no channel of a CNN is a pair of real and imaginary part, which this network's are",
            ["weights.stem", "stem.wavelet.parts"],
            help="load the trunk alone: remove weights.stem, and set weights.parts to [trunk]",
        )
    elif any(POOLINGS[each].takes_module for each in _poolings(spec)):
        yield context.conflict(
            "projection-does-not-apply",
            "stem: project puts a CNN's channels into another order, which a pooling of the project's "
            "own may not follow",
            ["weights.stem", "pooling.module"],
            help="load the trunk alone: remove weights.stem, and set weights.parts to [trunk]",
        )
    if weights.parts:
        yield context.conflict(
            "projection-does-not-apply",
            "stem: project puts the channels into another order, from the first layer to the trunk: "
            "it loads all of them",
            ["weights.stem", "weights.parts"],
            help="remove weights.parts or weights.stem",
        )


def _poolings(spec: ExperimentSpec) -> list[str]:
    return [name for name in (spec.pooling.free, spec.pooling.wavelet) if name is not None]


@reads("stem.initial_weights", "weights.parts")
def check_set_once(spec: ExperimentSpec, context: CheckContext) -> Iterator[Diagnostic]:
    """The free channels start from one file."""
    weights = spec.weights
    if weights is None or spec.stem.initial_weights is None:
        return
    if not weights.parts or any(f"{part}.".startswith("stem.") for part in weights.parts):
        yield context.conflict(
            "weights-source",
            "stem.initial_weights and weights both say where the first layer starts from",
            ["stem.initial_weights", "weights.parts"],
            help="remove stem.initial_weights, or load other weights.parts, as [trunk]",
        )


WEIGHTS_RULES: tuple[Rule, ...] = (check_source, check_projection, check_set_once)
