"""Make operations of modules of the project, by what trials find of them."""

from __future__ import annotations

from typing import Any, TypedDict, cast

from wavetwin.compiler.resolve.own_code_trials import Trials
from wavetwin.ir.layer_kind import Measure
from wavetwin.ir.operations import Operation, Shape, UserModule
from wavetwin.ir.own_code import OwnCode, argument_text

__all__ = ["measure_by"]


class _Measured(TypedDict):
    """What a trial finds of a layer, as the attributes of its operation."""

    gives: list[int]
    parameters: list[tuple[str, list[int], bool]]
    buffers: list[tuple[str, list[int], bool, bool]]
    norms: list[str]
    batch_norms: list[str]
    num_macs: int
    takes_one_image: bool
    draws: bool


def measure_by(trials: Trials) -> Measure:
    """Return what makes operations of modules by trials."""

    def measure(code: OwnCode, shape: Shape) -> Operation:
        found: dict[str, Any] = trials.ask("layer", code, _Measured, shape=list(shape))
        gives = _tuples(found.pop("gives"))
        return UserModule(
            file=code.file,
            name=code.name,
            arguments=argument_text(code.keywords),
            sha256=code.digest,
            takes_shape=shape,
            gives_shape=gives,
            sources=trials.sources.of(code),
            **{key: _tuples(value) for key, value in found.items()},
        )

    return measure


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, cast("list[Any]", value))) if isinstance(value, list) else value
