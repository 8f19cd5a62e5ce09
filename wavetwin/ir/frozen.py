"""Make frozen dataclasses whose methods are written once, not once a class.

`dataclasses.dataclass` writes and compiles six methods of every class: a third of the time in which a
command started was theirs, and most are never called. Of a frozen class `__init__` alone is written;
what compares, hashes, shows and protects its instances is the same function for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

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
        methods = {"__repr__": _text} | ({"__eq__": _equals, "__hash__": _hash} if eq else {})
        shared = {name: method for name, method in methods.items() if name not in own}
        made = dataclass(given, repr=False, eq=False, kw_only=kw_only)
        for name, method in shared.items():
            setattr(made, name, method)
        made.__setattr__ = _set_once
        made.__delattr__ = _refuse_to_delete
        return made

    return make if cls is None else make(cls)


def _set_once(self: Any, name: str, value: object) -> None:
    """Set a field that has no value yet: `__init__` does."""
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
