"""Define a layer that a file of the project has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, replace
from math import prod
from typing import Any, cast

from wavetwin.ir.frozen import frozen
from wavetwin.ir.operations.operation import (
    Call,
    Operation,
    ParameterCounts,
    Shape,
    UnfitError,
)

__all__ = ["UserModule"]


@frozen(kw_only=True)
class UserModule(Operation, op="user_module"):
    """A module of the user's: what it has and gives was measured where the graph was built.

    No pass moves or merges it: nothing is known of what it computes.
    """

    works_on_maps = False
    _not_attributes = frozenset({"sources"})

    file: str
    """Path in the project."""
    name: str
    """The class."""
    arguments: str
    """What it is constructed with, by keyword: the text of a JSON object."""
    sha256: str
    """Over paths and contents of the file and of those that it imports."""
    takes_shape: tuple[int, ...]
    """Of the one input that it was measured with."""
    gives_shape: tuple[int, ...]
    parameters: tuple[tuple[str, tuple[int, ...], bool], ...]
    """Name, shape, and whether it is trained."""
    buffers: tuple[tuple[str, tuple[int, ...], bool, bool], ...]
    """Name, shape, whether it is in the state dict, and whether it holds floating-point numbers."""
    norms: tuple[str, ...]
    """Names of the norms inside, below its own; empty text: it is one itself."""
    batch_norms: tuple[str, ...]
    """Those of them whose statistics in training are the batch's mean and variance."""
    num_macs: int
    takes_one_image: bool
    """Whether it can be trained with one image alone."""
    draws: bool = False
    """Whether it has dropout inside."""
    sources: Mapping[str, bytes] | None = field(default=None, compare=False, repr=False)
    """Contents of its files by their paths; None of a graph that was read from a document."""

    def output(self, *shapes: Shape) -> Shape:
        """Return the measured shape."""
        if shapes[0] != self.takes_shape:
            raise UnfitError(
                f"{self.name} was measured on {self.takes_shape}, and {shapes[0]} is another shape"
            )
        return self.gives_shape

    def weights(self, x: Shape) -> dict[str, Shape]:
        """Return the parameters that were found."""
        return {name: shape for name, shape, _ in self.parameters}

    def trained_weights(self, x: Shape) -> dict[str, Shape]:
        """Return those that want a gradient."""
        return {name: shape for name, shape, is_trained in self.parameters if is_trained}

    def norm_modules(self) -> tuple[str, ...]:
        """Return the norms inside."""
        return self.norms

    def batch_norm_modules(self) -> tuple[str, ...]:
        """Return the batch norms inside."""
        return self.batch_norms

    def statistics(self, x: Shape) -> dict[str, Shape]:
        """Return the buffers of the state dict."""
        return {name: shape for name, shape, is_kept, _ in self.buffers if is_kept}

    def whole_numbers(self) -> tuple[str, ...]:
        """Return those of them that are no floating-point numbers."""
        return tuple(name for name, _, is_kept, floats in self.buffers if is_kept and not floats)

    def constants(self, x: Shape) -> dict[str, Shape]:
        """Return the other buffers."""
        return {name: shape for name, shape, is_kept, _ in self.buffers if not is_kept}

    def counts(self, x: Shape) -> ParameterCounts:
        """Return the numbers of its parameters and of the values of floating-point buffers."""
        trained = frozen = 0
        for _, shape, is_trained in self.parameters:
            number = prod(shape)
            trained, frozen = trained + number * is_trained, frozen + number * (not is_trained)
        return ParameterCounts(
            trained, frozen, sum(prod(shape) for _, shape, _, is_float in self.buffers if is_float)
        )

    def macs(self, out: Shape, *shapes: Shape) -> int:
        """Return those of torch's matrix products and convolutions."""
        return self.num_macs

    def needs_several_images(self, out: Shape) -> bool:
        """Return whether training with one image alone fails."""
        return not self.takes_one_image

    @property
    def regularises(self) -> bool:
        """Whether it has a norm or dropout inside."""
        return bool(self.norms) or self.draws

    @property
    def subsampling(self) -> int:
        """How many times smaller the maps are that it gives, rounded."""
        if len(self.takes_shape) != 3 or len(self.gives_shape) != 3:
            return 1
        return max(1, round(self.takes_shape[1] / self.gives_shape[1]))

    @property
    def keywords(self) -> dict[str, Any]:
        """What the class is constructed with, by name.

        Raises:
            ValueError: the text is no JSON object; it was not written by the compiler.
        """
        try:
            found = json.loads(self.arguments)
        except RecursionError:
            raise ValueError(f"the arguments of {self.name} are nested too deep") from None
        if not isinstance(found, dict):
            raise ValueError(f"the arguments of {self.name} are no JSON object")
        return cast("dict[str, Any]", found)

    def layer(self, x: Shape, out: Shape) -> Call:
        """Return the construction of the user's class."""
        call = Call.of(self.name, **self.keywords)
        return replace(call, file=self.file, sources=self.sources)
