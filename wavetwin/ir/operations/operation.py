"""Define what an operation of the module graph is: one frozen class, its fields its attributes.

An operation says everything about itself: what it takes, its output's shape, its weights and buffers
by name and shape, its cost, and the one call that model.py prints and the runtime makes. Everybody
else asks it; nobody keeps a list of operations by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from math import prod
from typing import Any, ClassVar, Literal, Self, cast

from wavetwin.ir.frozen import frozen

__all__ = [
    "OPERATIONS",
    "Attribute",
    "Call",
    "Operation",
    "ParameterCounts",
    "Shape",
    "Source",
    "UnfitError",
    "literal",
]

Shape = tuple[int, ...]
"""Of one image: channels first, no batch."""

Attribute = bool | int | float | str | None | tuple["Attribute", ...]
"""What an attribute may hold: a scalar or a tuple of attributes; JSON arrays come back as tuples."""


class UnfitError(Exception):
    """An operation has no output for its input: the text says why."""


class Source(str):
    """Source text that is written as it is: an argument or a constant of the generated module."""

    __slots__ = ()


def literal(value: object) -> str:
    """Return a value as ASCII source text, texts in double quotes as the formatter wants them."""
    if isinstance(value, Source):
        return str(value)
    if isinstance(value, dict):
        members = cast("dict[object, object]", value).items()
        return "{" + ", ".join(f"{literal(key)}: {literal(each)}" for key, each in members) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, cast('list[object]', value)))}]"
    if isinstance(value, str):
        text = ascii(value)
        inner = text[1:-1]
        if text[0] == "'" and '"' not in inner:
            return f'"{inner}"'
        return text
    return repr(value)


@frozen
class Call:
    """How a layer is constructed: printed into model.py, and made by the runtime."""

    name: str
    """`nn.X` for torch's modules, else a class of wavetwin.runtime.layers, or of `file`."""
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    file: str | None = None
    """Path in the project of the file that has the class, where it is the user's own."""
    sources: Mapping[str, bytes] | None = None
    """Contents of that file and of those that it imports, where they are known."""

    @staticmethod
    def of(name: str, *args: object, **kwargs: object) -> Call:
        """Return a call of these arguments."""
        return Call(name, args, kwargs)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments as source text."""
        named = (f"{key}={literal(value)}" for key, value in self.kwargs.items())
        return (*map(literal, self.args), *named)

    @property
    def layer(self) -> str | None:
        """The name to import from wavetwin.runtime.layers; None for torch's and the user's modules."""
        return None if self.torch_name or self.file is not None else self.name

    @property
    def torch_name(self) -> str | None:
        """The name in torch.nn; None for the layers of this project."""
        return self.name.removeprefix("nn.") if self.name.startswith("nn.") else None

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.arguments)})"


@frozen
class ParameterCounts:
    """Numbers of scalars.

    Trained, held fixed by `frozen`, and in floating-point buffers (fixed filters, running
    statistics).
    """

    trainable: int = 0
    frozen: int = 0
    buffers: int = 0

    def __add__(self, other: ParameterCounts) -> ParameterCounts:
        return ParameterCounts(
            self.trainable + other.trainable,
            self.frozen + other.frozen,
            self.buffers + other.buffers,
        )

    @property
    def total(self) -> int:
        """Trainable and frozen parameters; buffers are not parameters."""
        return self.trainable + self.frozen


OPERATIONS: dict[str, type[Operation]] = {}
"""Every operation by the name that graph.json has for it."""


@frozen(kw_only=True)
class Operation:
    """What a node does. A subclass with an `op` is an operation; its fields are attributes.

    Shapes are those of one image. Costs are of real multiplications; where the first input is
    complex, a node counts them twice.
    """

    op: ClassVar[str] = ""
    """Its name in graph.json."""
    takes: ClassVar[Literal["real", "complex", "either"]] = "real"
    """What its inputs may be."""
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    """Least and greatest number of inputs; None: any number."""
    works_on_maps: ClassVar[bool] = True
    """Whether it needs (channels, height, width)."""

    is_norm: ClassVar[bool] = False
    """Whether it sets the scale of what it gets anew."""
    is_batch_norm: ClassVar[bool] = False
    """Whether its statistics in training are those of the batch's mean and variance."""
    is_blur: ClassVar[bool] = False
    """Whether it smooths, so that samples may be dropped after it."""
    is_written_around: ClassVar[bool] = False
    """Whether model.py writes it around the call before it, on the same line."""
    moves_values: ClassVar[bool] = False
    """Whether it computes nothing: it cuts, joins and reorders channels."""
    commutes_with_real_part: ClassVar[bool] = False
    """Whether it is linear with real weights, channel by channel or across channels."""
    works_channel_by_channel: ClassVar[bool] = False
    """Whether each channel of the output, and of its weights, belongs to that channel of every input, all
    alike: inputs in another order give the output in that order."""
    filters_are_fixed: ClassVar[bool] = False
    """Whether its filters are given, not trained."""
    replaces_maximum: ClassVar[bool] = False
    """Whether a trunk whose resolution it halves has it in place of a maximum, not behind one."""
    settings: ClassVar[str | None] = None
    """The key path of what a spec says of it in a backbone with a name."""
    reads_size_of: ClassVar[int | None] = None
    """The index of an input of which height and width alone are read."""

    later: ClassVar[frozenset[str]] = frozenset()
    """Attributes that the operation got later: documents leave them out at their default."""
    _not_attributes: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, op: str | None = None) -> None:
        if op is not None:
            assert op not in OPERATIONS or OPERATIONS[op].__qualname__ == cls.__qualname__, op
            cls.op = op
            OPERATIONS[op] = cls

    # What it says of itself

    def output(self, *shapes: Shape) -> Shape:
        """Return the output's shape.

        Raises:
            UnfitError: there is none for these inputs.
        """
        return shapes[0]

    def is_complex(self, first: bool) -> bool:
        """Return whether the output is complex, given whether the first input is."""
        return first

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the parameters' shapes by their names below the node's; `x` is the first input."""
        return {}

    def trained_weights(self, x: Shape) -> dict[str, Shape]:
        """Return the parameters that are trained, unless all of them are held fixed."""
        return {} if self.is_frozen else self.weights(x)

    def norm_modules(self) -> tuple[str, ...]:
        """Return the names of the norms that it is made of; empty text: it is one itself."""
        return ("",) if self.is_norm else ()

    def batch_norm_modules(self) -> tuple[str, ...]:
        """Return those of the norms whose statistics in training are the batch's."""
        return ("",) if self.is_batch_norm else ()

    def needs_several_images(self, out: Shape) -> bool:
        """Return whether it has no variance of one image's values."""
        return self.is_batch_norm and out[1:] in ((), (1, 1))

    def statistics(self, x: Shape) -> dict[str, Shape]:
        """Return the shapes of the buffers that are in the state dict; of counters `()`."""
        return {}

    def whole_numbers(self) -> tuple[str, ...]:
        """Return the names of buffers in the state dict, beside counters, that are no floating-point numbers."""
        return ()

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the shapes of fixed filters and the like, which no state dict holds."""
        return {}

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return multiply-accumulates of one image: convolutions, linear layers, packets."""
        return 0

    def elementwise(self, out: Shape, *shapes: Shape) -> int:
        """Return other arithmetic of one image: norms, activations, pooling, blurs."""
        return 0

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return how the layer is written and made; `x` is the first input's shape."""
        raise AssertionError(f"{self.op} has no layer")

    @property
    def is_frozen(self) -> bool:
        """Whether its parameters keep their initial or loaded values."""
        return cast("bool", getattr(self, "frozen", False))

    @property
    def initial_law(self) -> str | None:
        """How its weights begin, where it can be chosen."""
        return cast("str | None", getattr(self, "initial", None))

    @property
    def is_identity(self) -> bool:
        """Whether it returns its input, whatever that is."""
        return False

    @property
    def regularises(self) -> bool:
        """Whether it holds back what a network can learn by heart."""
        return self.is_norm

    @property
    def subsampling(self) -> int:
        """How many positions of the input it moves by from one of the output to the next."""
        return cast("int", getattr(self, "stride", 1))

    @property
    def taps(self) -> int | None:
        """The length of its fixed filter or pooling window; None where it has none."""
        return None

    # What follows from it

    @property
    def attributes(self) -> dict[str, Attribute]:
        """The fields by name, in the order of the document, later ones where they say something."""
        found = {name: getattr(self, name) for name in self.attribute_names()}
        defaults = {each.name: each.default for each in fields(self) if each.name in self.later}
        return {
            name: value
            for name, value in found.items()
            if name not in defaults or value != defaults[name]
        }

    @classmethod
    def attribute_names(cls) -> tuple[str, ...]:
        """Return the names of the attributes, in the order of the document."""
        return tuple(each.name for each in fields(cls) if each.name not in cls._not_attributes)

    @classmethod
    def optional_attributes(cls) -> frozenset[str]:
        """Return the attributes that a document of before them lacks, and that have a default."""
        return frozenset(each.name for each in fields(cls) if each.default is not MISSING)

    def state(self, x: Shape) -> dict[str, Shape]:
        """Return the names and shapes of what a state dict holds of it."""
        return self.weights(x) | self.statistics(x)

    def counts(self, x: Shape) -> ParameterCounts:
        """Return the numbers of its parameters and floating-point buffers."""
        number = sum(prod(shape) for shape in self.weights(x).values())
        kept = (*self.statistics(x).values(), *self.constants(x).values())
        buffers = sum(prod(shape) for shape in kept if shape)
        if self.is_frozen:
            return ParameterCounts(0, number, buffers)
        return ParameterCounts(number, 0, buffers)

    def written(self, **names: object) -> Self:
        """Return the operation with source text, or other values, in place of some attributes.

        For `layer` alone, which prints what it gets.
        """
        values = cast("dict[str, Any]", names)
        return replace(self, **values) if values else self

    def _named(self, *names: str) -> dict[str, object]:
        """Return fields as keyword arguments."""
        return {name: getattr(self, name) for name in names}

    def _changed(self, **defaults: object) -> dict[str, object]:
        """Return the fields that differ from the layer's defaults, as keyword arguments."""
        return dict(self._differing(defaults))

    def _differing(self, defaults: Mapping[str, object]) -> Iterator[tuple[str, object]]:
        for name, default in defaults.items():
            value = getattr(self, name)
            if value != default:
                yield name, value
