"""Specialise train.py and evaluate.py: their numbers, branches and imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from wavetwin.compiler.render.model_text import WIDTH
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import UserModule
from wavetwin.ir.parameters import find_parameters, held_fixed
from wavetwin.ir.plan import TrainingPlan

__all__ = ["Constant", "ScriptSource", "import_lines", "write_scripts"]

RUNTIME = "wavetwin.runtime"
"""All that the scripts import from; model.py imports from its `layers`."""
_FIELDS = {
    "epochs": None,
    "batch_size": None,
    "accumulate": 1,
    "label_smoothing": 0.0,
    "class_weights": None,
    "mixup": None,
    "cutmix": None,
    "average_decay": None,
    "clip_norm": None,
    "early_stopping": None,
    "checkpoint_every": None,
}
"""Numbers of the plan that the script has as constants, and the value with which they do nothing."""
_PARTS = ("optimizer", "schedule")


@frozen
class Constant:
    """A number at the top of train.py, which the plan gets back from there."""

    field: str
    value: object
    part: str | None = None
    """`optimizer` or `schedule`; None: a field of the plan itself."""

    @property
    def name(self) -> str:
        """Its name in the script."""
        return self.field.upper()


@frozen
class ScriptSource:
    """What the templates of train.py and evaluate.py need beside the context of all templates."""

    comments: tuple[tuple[str, str], ...]
    """What train.py says of the training that is no constant of it: label and text."""
    constants: tuple[Constant, ...]
    penalty: Literal["none", "value", "gradient"]
    """Whether there is one, and whether anything is trained by it."""
    validation: Literal["always", "never", "where there are images"]
    imports: tuple[str, ...]
    """Of train.py's function, names of the runtime."""
    session: tuple[str, ...]
    """Arguments of the session of training, as lines."""
    own_layers: bool = False
    """Whether there are modules of the project, whose constructors may draw."""

    def of_part(self, part: str | None) -> list[Constant]:
        """Return the constants of a part of the plan."""
        return [constant for constant in self.constants if constant.part == part]


def write_scripts(plan: TrainingPlan, graph: ModuleGraph) -> ScriptSource:
    """Return what is special in the scripts of a plan: no branch that it never takes."""
    penalty: Literal["none", "value", "gradient"] = "none"
    if plan.regularisation is not None:
        fixed = {each.name for each in held_fixed(graph, plan.freeze)}
        is_trained = any(
            each.node.id == plan.regularisation.node and each.name not in fixed
            for each in find_parameters(graph)
        )
        penalty = "gradient" if is_trained and any(plan.regularisation.lambdas) else "value"
    validation: Literal["always", "never", "where there are images"] = "always"
    if not plan.data.validation:
        # Only a set whose size the disk alone knows may bring its own.
        is_known = plan.data.training_images is not None and plan.data.lock is None
        validation = "never" if is_known else "where there are images"
    return ScriptSource(
        comments=tuple(_comments(plan, graph)),
        constants=tuple(_constants(plan)),
        penalty=penalty,
        validation=validation,
        imports=tuple(_imports(plan, penalty, validation)),
        session=_session(plan),
        own_layers=graph.find(UserModule) is not None,
    )


def _session(plan: TrainingPlan) -> tuple[str, ...]:
    """Return the arguments of the session as the formatter writes them: on a line, or a line each."""
    names = ["run", "plan", "graph", "data", "model", "optimizer", "learning_rate", "device"]
    names.append("processes")
    optional = {
        "average": plan.average_decay is not None,
        "scaler": plan.number_format.scales_loss,
        "network": plan.compile,
    }
    is_positional = True
    for name, is_given in optional.items():
        if is_given:
            names.append(name if is_positional else f"{name}={name}")
        is_positional = is_positional and is_given
    line = ", ".join(names)
    margin = 8
    return (line,) if margin + len(line) <= WIDTH else tuple(f"{name}," for name in names)


def import_lines(module: str, names: Iterable[str], margin: str = "") -> str:
    """Return an import statement as the formatter writes it: constants, classes, functions."""
    ordered = sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    start = f"{margin}from {module} import "
    if len(start + ", ".join(ordered)) <= WIDTH:
        return start + ", ".join(ordered)
    return "\n".join([f"{start}(", *(f"{margin}    {name}," for name in ordered), f"{margin})"])


def _constants(plan: TrainingPlan) -> Iterator[Constant]:
    """Yield what training alone depends on; what has no effect in this plan is left out."""
    for field, idle in _FIELDS.items():
        value = getattr(plan, field)
        if value != idle:
            yield Constant(field, value)
    for part in _PARTS:
        for field, value in getattr(plan, part).values().items():
            if value is not None and value is not False and not isinstance(value, str):
                yield Constant(field, value, part)


def _comments(plan: TrainingPlan, graph: ModuleGraph) -> Iterator[tuple[str, str]]:
    data, counts = plan.data, graph.parameters
    size = " x ".join(str(number) for number in graph.input.output_shape)
    each = " per class" if data.validation_per_class else ""
    held_out = f"; {data.validation}{each} held out" if data.validation else ""
    yield "images", f"{data.dataset}: {size}, {data.num_classes:,} classes{held_out}"
    yield "changed by", f"augmentation {data.augmentation_text}, normalisation {data.normalise}"
    frozen = f", {counts.frozen:,} frozen" if counts.frozen else ""
    yield "network", f"{counts.trainable:,} parameters{frozen}; {graph.macs:,} MACs an image"
    if plan.freeze:
        number = sum(each.count for each in held_fixed(graph, plan.freeze))
        yield "frozen", f"{', '.join(plan.freeze)}: {number:,} of the parameters"
    yield "optimiser", plan.optimizer.name
    for group in plan.groups:
        yield "group", group.describe()
    yield "schedule", plan.schedule.name
    if plan.loss is not None:
        yield "loss", plan.loss.describe()
    if plan.regularisation is not None:
        lambdas = ", ".join(str(value) for value in plan.regularisation.lambdas)
        yield "penalty", f"L1/Linf of {plan.regularisation.node}, lambda {lambdas} (in model.py)"
    if plan.weights is not None:
        yield "starts from", plan.weights.describe()
    if plan.initial_weights is not None:
        yield "begins with", f"the free channels of {plan.initial_weights.checkpoint}"
    threads = f"{plan.threads} threads a process"
    scaled = ", the loss scaled" if plan.number_format.scales_loss else ""
    compiled = ", compiled" if plan.compile else ""
    native = ", native kernel of the packets" if plan.packet_kernels.is_native else ""
    yield (
        "precision",
        f"{plan.precision}{scaled}{compiled}{native}, {plan.memory_format}, {threads}",
    )
    yield "seed", str(plan.seed)


def _imports(plan: TrainingPlan, penalty: str, validation: str) -> Iterator[str]:
    yield from ("LearningRate", "RunFolder", "TrainingRun")
    yield from ("build_optimizer", "initialise", "load_build_model", "load_images", "place")
    yield from ("prepare_device", "read_graph", "read_plan")
    yield from _imports_of_start(plan)
    if plan.freeze:
        yield "FrozenParts"
    if plan.class_weights is not None:
        yield "weighted_cross_entropy"
    if plan.loss is not None:
        yield "build_loss"
    if plan.mixes_images:
        yield "mix_images"
    if plan.average_decay is not None:
        yield "WeightAverage"
    if plan.number_format.scales_loss:
        yield "LossScaler"
    if plan.compile:
        yield from ("CompiledNetwork", "check_compiler")
    if penalty != "none":
        yield "regularisation"
    if validation != "never":
        yield "score_one_crop"


def _imports_of_start(plan: TrainingPlan) -> Iterator[str]:
    """Yield what loads the weights that the training starts from."""
    if plan.weights is not None:
        yield "load_start"
    if plan.initial_weights is not None:
        yield "load_free_channels"
    if plan.weights is not None or plan.initial_weights is not None:
        yield "project_of"
