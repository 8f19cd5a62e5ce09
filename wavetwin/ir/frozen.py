"""Make frozen dataclasses whose methods are written once, not once a class.

`dataclasses.dataclass` writes and compiles six methods of every class: a third of the time in which a
command started was theirs, and most are never called. What fills, compares, hashes, shows and protects
the instances of frozen classes is the same function for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar, dataclass_transform, overload

__all__ = ["frozen"]

T = TypeVar("T")


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T], /) -> type[T]: ...
@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(*, kw_only: bool = ..., eq: bool = ...) -> Callable[[type[T]], type[T]]: ...
def frozen(cls: type[Any] | None = None, *, kw_only: bool = False, eq: bool = True) -> Any:
    """Return a class as a frozen dataclass; its bases that have fields are such ones, too.

    Args:
        cls: the class.
        kw_only: whether the fields are keyword arguments alone.
        eq: whether instances of equal fields are equal, and not each equal to itself alone.
    """

    def make(given: type[Any]) -> type[Any]:
        own = vars(given)
        methods = {"__init__": _fill, "__repr__": _text}
        if eq:
            methods |= {"__eq__": _equals, "__hash__": _hash}
        shared = {name: method for name, method in methods.items() if name not in own}
        made = dataclass(given, init=False, repr=False, eq=False, kw_only=kw_only)
        for name, method in shared.items():
            setattr(made, name, method)
        made.__setattr__ = _set_once
        made.__delattr__ = _refuse_to_delete
        return made

    return make if cls is None else make(cls)


class _Arguments(NamedTuple):
    """What a class is called with."""

    positional: tuple[str, ...]
    names: frozenset[str]
    defaults: dict[str, object]
    factories: dict[str, Callable[[], object]]
    num_filled: int
    """How many fields have a value before `finish`."""
    finish: Callable[[Any], None] | None
    """The class's `__post_init__`."""


@cache
def _arguments(kind: type[Any]) -> _Arguments:
    known = fields(kind)
    given = [each for each in known if each.init]
    names = frozenset(each.name for each in given)
    factories = {
        each.name: each.default_factory for each in known if each.default_factory is not MISSING
    }
    return _Arguments(
        tuple(each.name for each in given if not each.kw_only),
        names,
        {each.name: each.default for each in given if each.default is not MISSING},
        factories,
        len(names | factories.keys()),
        getattr(kind, "__post_init__", None),
    )


def _fill(self: Any, /, *values: object, **named: object) -> None:
    """Set the fields."""
    known = _arguments(self.__class__)
    filled: dict[str, object] = self.__dict__
    filled.update(zip(known.positional, values, strict=False))
    filled.update(named)
    if len(filled) < len(values) + len(named) or not named.keys() <= known.names:
        raise TypeError(_wrong_call(self.__class__, values, named))
    if len(filled) < known.num_filled:
        filled.update(known.defaults | filled)
        for name, make in known.factories.items():
            if name not in filled:
                filled[name] = make()
        if not known.names <= filled.keys():
            raise TypeError(_wrong_call(self.__class__, values, named))
    if known.finish is not None:
        known.finish(self)


def _wrong_call(kind: type[Any], values: tuple[object, ...], named: dict[str, object]) -> str:
    """Return what is wrong with the arguments of a call."""
    known, name = _arguments(kind), kind.__qualname__
    if len(values) > len(known.positional):
        return f"{name}() takes {len(known.positional)} positional arguments, not {len(values)}"
    filled = known.positional[: len(values)]
    for reason, wrong in (
        ("has no field", named.keys() - known.names),
        ("got two values of", named.keys() & set(filled)),
        ("needs", known.names - {*filled, *named, *known.defaults, *known.factories}),
    ):
        if wrong:
            return f"{name}() {reason} {', '.join(sorted(map(repr, wrong)))}"
    raise AssertionError(name)


def _set_once(self: Any, name: str, value: object) -> None:
    """Set a field that has no value yet: `__post_init__` may."""
    values = self.__dict__
    if name in values or name not in self.__dataclass_fields__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    values[name] = value


def _refuse_to_delete(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


@cache
def _compared(kind: type[Any]) -> Callable[[object], object]:
    """Return what takes the values that instances are compared by."""
    names = [each.name for each in fields(kind) if each.compare]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda instance: tuple(getattr(instance, name) for name in names)


def _equals(self: object, other: object) -> bool:
    if other.__class__ is not self.__class__:
        return NotImplemented
    compared = _compared(self.__class__)
    return compared(self) == compared(other)


def _hash(self: object) -> int:
    return hash(_compared(self.__class__)(self))


def _text(self: Any) -> str:
    values = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(values)})"
