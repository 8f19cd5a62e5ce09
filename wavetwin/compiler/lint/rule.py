"""Define lint rules: questions about a model that compiles, trains, and may still be a mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, cast

from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.schema import ExperimentSpec, read_items
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.diagnostics.codes import DESCRIPTIONS
from wavetwin.ir.architecture import Architecture
from wavetwin.ir.backbones import ARCHITECTURES
from wavetwin.ir.frozen import frozen
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.layer_kind import LayerItem, labels_of
from wavetwin.ir.node import Node
from wavetwin.ir.plan import TrainingPlan

if TYPE_CHECKING:
    from wavetwin.files.tensor_shapes import Shape


@frozen
class LintContext:
    """What a rule may look at."""

    loaded: LoadedSpec
    spec: ExperimentSpec
    """Every value filled in."""
    graph: ModuleGraph
    """As written."""
    plan: TrainingPlan
    tensors: Mapping[str, Shape] | None = None
    """Shapes of the file that the training starts from; None: there is none, or nothing is known of it."""

    @property
    def architecture(self) -> Architecture:
        """The backbone's."""
        return ARCHITECTURES[self.spec.backbone.arch]

    @cached_property
    def reaches_output_unnormed(self) -> frozenset[str]:
        """Nodes with a path to the output on which no norm comes after them."""
        found = {self.graph.output.id}
        for node in reversed(self.graph.nodes):
            if node.id in found and not node.operation.is_norm:
                found.update(node.inputs)
        return frozenset(found)

    def warn(self, rule: str, headline: str, paths: Sequence[str], help: str) -> Diagnostic:
        """Return a rule's warning about the values at some key paths."""
        return conflict(
            self.loaded,
            rule,
            headline,
            paths,
            help=help,
            default_values={path: self._value(path) for path in paths},
            severity="warning",
        )

    def fields_of(self, node: Node) -> list[str]:
        """Return the key paths of the fields that a node is there for."""
        parts = node.id.split(".")
        settings = [] if node.operation.settings is None else [node.operation.settings]
        if parts[0] == "stem":
            return ["stem.kernel_size", "stem.stride"]
        if parts[0] == "pool":
            kind = "pooling.wavelet" if parts[1] == "wavelet" else "pooling.free"
            return [kind, *settings]
        if self.architecture.lists_layers:
            return [self._layer_paths[parts[1]]]
        replaced = self._replaced_name(node)
        if replaced is not None:
            return [f"backbone.replace.{replaced}", "backbone.arch"]
        if settings:
            return ["backbone.downsampling", *settings]
        return ["backbone.arch"]

    def name_in_replace(self, node: Node) -> str | None:
        """Return by what name `backbone.replace` takes the layer of a trunk's node; None where it has none."""
        if not self.architecture.lists_layers:
            return self._replaced_name(node) or node.id.removeprefix("trunk.")
        label = node.id.split(".")[1]
        names = {item.name for item in self._items}
        return label if label in names else None

    def _replaced_name(self, node: Node) -> str | None:
        """Return the name of what replaced a layer of a named trunk, of a node of that."""
        name = node.id.removeprefix("trunk.")
        replaced = self.spec.backbone.replace
        return next((each for each in replaced if f"{name}.".startswith(f"{each}.")), None)

    @cached_property
    def _items(self) -> tuple[LayerItem, ...]:
        return read_items(self.spec.backbone.layers, "backbone.layers")

    @cached_property
    def _layer_paths(self) -> dict[str, str]:
        """The key paths of listed layers, by what their nodes are called."""
        labels = labels_of(self._items)
        return {label: item.field for label, item in zip(labels, self._items, strict=True)}

    def _value(self, path: str) -> object:
        """Return the value of a field that nothing sets."""
        value: object = self.spec
        for part in path.split("."):
            if isinstance(value, tuple):
                value = cast("tuple[object, ...]", value)[int(part)]
            else:
                value = getattr(value, part, None)
        return value


Lint = Callable[[LintContext], Iterable[Diagnostic]]


@frozen(kw_only=True)
class LintRule:
    """A rule, what it is called, and what `wavetwin explain` says of it."""

    name: str
    """What a spec ignores it by: the code of its warnings."""
    meaning: str
    """What it warns of, in a sentence."""
    cause: str
    """What its warning comes from."""
    cure: str
    """What helps."""
    number: str
    """A figure that shows how much it matters: counted on graphs, following from the taps, or measured
    (docs/lint.md and docs/wavelet-pooling.md say how)."""
    lint: Lint

    @property
    def explanation(self) -> str:
        """What it means, its cause, its cure and its number, a line each."""
        lines = (
            f"{self.name}: {self.meaning}",
            f"cause   {self.cause}",
            f"cure    {self.cure}",
            f"number  {self.number}",
        )
        return "\n".join(lines) + "\n"


def lint_rule(
    name: str, *, meaning: str, cause: str, cure: str, number: str
) -> Callable[[Lint], LintRule]:
    """Return a decorator that makes a function a rule; the arguments are those of `LintRule`."""
    DESCRIPTIONS[name] = meaning

    def make(lint: Lint) -> LintRule:
        return LintRule(
            name=name,
            meaning=meaning,
            cause=cause,
            cure=cure,
            number=number,
            lint=lint,
        )

    return make


def and_more(names: Sequence[str]) -> str:
    """Return the first name and how many there are beside it."""
    more = len(names) - 1
    return names[0] if not more else f"{names[0]} and {more} more node{'s' * (more > 1)}"
