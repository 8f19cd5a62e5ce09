"""Compile one spec: run the stages in a row, from a spec file to the graph and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from wavetwin.compiler.graph.build import build_graph
from wavetwin.compiler.graph.chosen_parameters import check_chosen_parameters
from wavetwin.compiler.graph.starting_classifier import check_classifier
from wavetwin.compiler.lint import lint
from wavetwin.compiler.parse.compose import LoadedSpec, SourceCache, load_spec
from wavetwin.compiler.parse.nodes import ParsedSource
from wavetwin.compiler.parse.project import checked_project, find_project
from wavetwin.compiler.passes import passes_for, run_passes
from wavetwin.compiler.resolve.own_code import fault_of, read_own_code
from wavetwin.compiler.resolve.own_code_trials import Trials
from wavetwin.compiler.resolve.plan import make_plan
from wavetwin.compiler.resolve.spec import ResolvedSpec, resolve
from wavetwin.compiler.resolve.tried_code import try_code
from wavetwin.compiler.resolve.weights_file import find_weights
from wavetwin.compiler.schema import ExperimentSpec
from wavetwin.compiler.validate.spec import conflict, validate
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import Node, ShapeError
from wavetwin.ir.operations import Invariant, PacketBank, Scattering, WaveletPool
from wavetwin.ir.own_code import OwnCodeError, Sources
from wavetwin.ir.plan import TrainingPlan
from wavetwin.ir.sides import size_text

if TYPE_CHECKING:
    from wavetwin.files.tensor_shapes import Shape


@frozen
class Compiled:
    """Everything that the compiler knows of one experiment."""

    loaded: LoadedSpec
    resolved_spec: ResolvedSpec
    graph: ModuleGraph
    """As the spec says it; `graph.passes` lists what the passes change."""
    optimised_graph: ModuleGraph
    plan: TrainingPlan
    project: Path
    warnings: tuple[Diagnostic, ...] = ()
    own_code: Sources = field(default_factory=Sources)
    """Contents of the project's own code that the spec names."""
    own_files: tuple[Path, ...] = ()
    """Where they were read from."""

    @property
    def name(self) -> str:
        """The experiment's label."""
        return self.resolved_spec.name

    @property
    def spec(self) -> ExperimentSpec:
        """The spec with every value filled in."""
        return self.resolved_spec.spec

    @property
    def resolved(self) -> dict[str, Any]:
        """The spec with every value filled in, as plain values in schema order."""
        return self.resolved_spec.document

    @property
    def digest(self) -> str:
        """SHA-256 of training and evaluation."""
        return self.resolved_spec.digest

    @property
    def training_digest(self) -> str:
        """SHA-256 of model, data and training."""
        return self.resolved_spec.training_digest

    @property
    def model_digest(self) -> str:
        """SHA-256 of backbone, stem, pooling, input shape and classes."""
        return self.resolved_spec.model_digest

    @property
    def files(self) -> tuple[Path, ...]:
        """The files read: own code, then spec files, parents first."""
        return (*self.own_files, *self.loaded.files)

    @property
    def overrides(self) -> tuple[str, ...]:
        """The `--set` values, in order."""
        return self.loaded.overrides

    @cached_property
    def spec_path(self) -> str:
        """The spec's path relative to the project, with forward slashes."""
        return self.loaded.display_path

    def __repr__(self) -> str:
        data = self.plan.data
        return (
            f"Compiled({self.name}: {self.graph.parameters.trainable:,} parameters, "
            f"{self.graph.macs:,} MACs, {data.dataset} at {size_text(data.image_size)} px, "
            f"{self.plan.epochs} epochs, digest {self.digest[:8]})"
        )

    def _repr_html_(self) -> str:
        # What people read stands above the compiler, and is found by name.
        return resolve_name("wavetwin.notebook.cards.compiled_card")(self)


def compile_spec(
    path: Path | str,
    overrides: Sequence[str] = (),
    project: Path | None = None,
    cache: SourceCache | None = None,
    optimise: bool | None = True,
    laid: ParsedSource | None = None,
) -> Compiled:
    """Compile one spec; without `optimise` no pass is run and both graphs are as written.

    `optimise=None` runs passes where a check alone needs them, for whoever builds nothing. `laid` is a
    layer over the spec and its overrides that was read elsewhere: a point of a sweep.

    Raises:
        CompileError: with every fault found, in file order.
    """
    path = Path(path)
    project = find_project(path) if project is None else checked_project(project, path)
    loaded = load_spec(path, project, overrides, cache, laid)
    spec, diagnostics = validate(loaded, cache)
    if spec is None:
        raise CompileError(diagnostics)
    own, faults = read_own_code(spec, loaded)
    if own is None:
        raise CompileError([*diagnostics, *faults])
    resolved = resolve(own.spec, path.stem, find_weights(loaded, spec, project))
    trials = Trials(own.sources, project)
    try:
        graph = build_graph(resolved, loaded.origin, trials)
    except ShapeError as error:
        raise CompileError([*diagnostics, _does_not_fit(loaded, resolved, error)]) from None
    except OwnCodeError as error:
        raise CompileError([*diagnostics, fault_of(loaded, error)]) from None
    plan = make_plan(resolved)
    try:
        try_code(plan, trials)
    except OwnCodeError as error:
        raise CompileError([*diagnostics, fault_of(loaded, error)]) from None
    lonely = _norm_of_one_value(graph, plan)
    if lonely is not None:
        raise CompileError([*diagnostics, _batch_of_one(loaded, resolved, lonely, plan)])
    tensors = None if plan.weights is None else _tensor_shapes(project / plan.weights.file)
    faults = [
        *check_chosen_parameters(loaded, graph, plan, tensors),
        *check_classifier(loaded, graph, plan, tensors),
    ]
    if faults:
        raise CompileError([*diagnostics, *faults])
    if optimise is None:
        optimise = plan.packet_kernels.is_native
    optimised, records = run_passes(graph, passes_for(plan.packet_kernels) if optimise else ())
    if plan.packet_kernels.is_native and not any(map(_is_for_kernel, optimised)):
        raise CompileError([*diagnostics, _without_kernel(loaded, optimise)])
    return Compiled(
        loaded,
        resolved,
        graph.with_passes(records),
        optimised.with_passes(records),
        plan,
        project,
        (*diagnostics, *lint(loaded, resolved.spec, graph, plan, tensors)),
        own.sources,
        own.paths,
    )


def _tensor_shapes(file: Path) -> dict[str, Shape] | None:
    """Return the shapes of the file that the training starts from; most specs have none to wait for."""
    from wavetwin.files.tensor_shapes import read_tensor_shapes

    return read_tensor_shapes(file)


def _does_not_fit(loaded: LoadedSpec, resolved: ResolvedSpec, error: ShapeError) -> Diagnostic:
    spec = resolved.spec
    paths = ["data.image_size", *["stem.stride"] * spec.backbone.has_stem, "backbone.arch"]
    if error.field:
        paths.append(error.field)
    return conflict(
        loaded,
        "does-not-fit",
        f"{error.node_id} has no output: {error.reason}",
        paths,
        default_values={
            "data.image_size": spec.data.image_size,
            "stem.stride": spec.stem.stride,
        },
        help="choose a larger image_size, or less subsampling before this layer",
    )


def _norm_of_one_value(graph: ModuleGraph, plan: TrainingPlan) -> str | None:
    """Return a norm that a part of one image leaves with one value per channel; None: there is none.

    Batch norm has no variance then, and torch stops.
    """
    images = plan.data.training_images
    if images is None or plan.epochs == 0:
        return None
    batches = {min(plan.batch_size, images), images % plan.batch_size or plan.batch_size}
    if all(_last_part(size, plan.accumulate) > 1 for size in batches):
        return None
    return next(
        (node.id for node in graph if node.operation.needs_several_images(node.output_shape)),
        None,
    )


def _last_part(size: int, parts: int) -> int:
    """Return the size of the last of the parts that `torch.chunk` makes of a batch."""
    part = -(-size // parts)
    return size - (size - 1) // part * part


def _batch_of_one(
    loaded: LoadedSpec, resolved: ResolvedSpec, node_id: str, plan: TrainingPlan
) -> Diagnostic:
    data = resolved.spec.data
    return conflict(
        loaded,
        "batch-of-one",
        f"{plan.data.training_images} training images in batches of {plan.batch_size} leave one "
        f"image by itself, of which {node_id} has one value per channel and no variance",
        ["training.batch_size", "training.accumulate", "data.validation", "data.image_size"],
        default_values={"data.validation": data.validation, "data.image_size": data.image_size},
        help="choose another batch_size, accumulate or validation, or a larger image_size",
    )


def _is_for_kernel(node: Node) -> bool:
    """Return whether a network needs the native kernel for the sake of this node."""
    if isinstance(node.operation, WaveletPool):
        return node.operation.learn is None
    return isinstance(node.operation, PacketBank | Invariant | Scattering)


def _without_kernel(loaded: LoadedSpec, optimise: bool) -> Diagnostic:
    """Report that the native kernel has nothing to compute."""
    text = "this network has none" if optimise else "without the optimising passes there are none"
    return conflict(
        loaded,
        "field-does-not-apply",
        "the native kernel computes dual-tree packets of fixed filters that are mixed, scattering, and "
        f"wavelet pooling of fixed filters: {text}",
        ["training.kernels"],
        help="remove kernels, or set training.kernels to torch",
    )
