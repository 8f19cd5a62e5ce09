"""Declare sections of a spec that the plan holds as they are, once, as frozen dataclasses.

The declaration has all of a field: its type, its default, its range, its docstring, how
readers call it. The compiler makes the schema's model from it, the resolved spec's values become an
instance of it, plan.json is that instance, and the runtime reads it. A section of several kinds (the
optimiser, an entry of the evaluation) is one class a kind in a table; which kind it is says the
field that the table's `tag` names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, field, fields
from functools import cache
from inspect import get_annotations
from typing import Any, ClassVar, Generic, TypeVar, cast, get_type_hints

from wavetwin.files.json_form import FormError, check_form
from wavetwin.ir.frozen import frozen

__all__ = [
    "NAME_PATTERN",
    "Declared",
    "Kind",
    "Kinds",
    "Section",
    "declaration_of",
    "declare",
    "declared_fields",
    "field_text",
    "field_types",
    "label_of",
    "read_section",
    "value_text",
]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""Of the names that documents give: of experiments, tags, folders of images."""

_DECLARED = "wavetwin"


@frozen
class Declared:
    """What is known of a field beside its name, its type and its default."""

    limits: Mapping[str, Any]
    """Of the value: `ge`, `gt`, `le`, `lt`, `min_length`, `max_length`, `pattern`."""
    items: Mapping[str, Any]
    """The same of each item of a list."""
    label: str
    """How readers call the field; empty: its name, with spaces."""
    note: str
    """What a reader should know where the field is all that differs; empty: nothing."""
    is_later: bool
    """Whether the language got the field after the first digests: these leave it out at its default
   ."""
    is_last: bool
    """Whether documents have it after the fields that kinds have alone."""
    keeps_predictions: bool
    """Of an entry of the evaluation: whether entries that differ in it alone predict the same."""
    kinds: Kinds[Any] | Callable[[], Kinds[Any]] | None
    """Of a section of several kinds, or of a list of such; a function where the table is seldom needed."""
    section: type[Section] | None
    """Of a section of one kind, or of a list of such."""
    holds_items: bool = False
    """Whether it is a list of layers (`wavetwin.ir.layer_kind.LayerItem`)."""
    rule: str = ""
    """What a text has to be where a pattern says it, for people; empty: a name."""
    is_location: bool = False
    """Whether it says where a file lies: digests have what is in the file instead."""


_PLAIN = Declared(
    {},
    {},
    "",
    "",
    is_later=False,
    is_last=False,
    keeps_predictions=False,
    kinds=None,
    section=None,
)


def declare(
    default: Any = MISSING,
    *,
    label: str = "",
    note: str = "",
    later: bool = False,
    last: bool = False,
    keeps_predictions: bool = False,
    items: Mapping[str, Any] | None = None,
    kinds: Kinds[Any] | Callable[[], Kinds[Any]] | None = None,
    section: type[Section] | None = None,
    holds_items: bool = False,
    rule: str = "",
    is_location: bool = False,
    **limits: Any,
) -> Any:
    """Return a field of a section; the arguments are those of `Declared`."""
    known = Declared(
        limits,
        items or {},
        label,
        note,
        later,
        last,
        keeps_predictions,
        kinds,
        section,
        holds_items,
        rule,
        is_location,
    )
    return field(default=default, metadata={_DECLARED: known})


def declaration_of(each: Field[Any]) -> Declared:
    """Return what a field was declared with."""
    return cast("Declared", each.metadata.get(_DECLARED, _PLAIN))


@cache
def declared_fields(section: type[Section]) -> tuple[Field[Any], ...]:
    """Return the fields of a section in the order of documents.

    Those of its bases come first, but for the ones that are declared to come last.
    """
    by_name = {each.name: each for each in fields(section)}
    classes = [each for each in section.__mro__ if issubclass(each, Section)]
    own = [[by_name[name] for name in get_annotations(each) if name in by_name] for each in classes]
    first = [each for some in reversed(own) for each in some if not declaration_of(each).is_last]
    last = [each for some in own for each in some if declaration_of(each).is_last]
    return tuple(dict.fromkeys((*first, *last)))


def label_of(each: Field[Any]) -> str:
    """Return how readers call a field."""
    return declaration_of(each).label or each.name.replace("_", " ")


def field_text(each: Field[Any], value: Any) -> str:
    """Return a field and its value as text: `momentum 0.9`, or the label alone where it is true."""
    label = label_of(each)
    return label if value is True else f"{label} {value_text(value)}"


def value_text(value: Any) -> str:
    """Return a value as readers see it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(value_text, cast("tuple[Any, ...]", value))) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


@frozen(kw_only=True)
class Section:
    """A part of a spec, with every value filled in."""

    def values(self) -> dict[str, Any]:
        """Return the fields by name, in the order of documents."""
        return {each.name: getattr(self, each.name) for each in declared_fields(type(self))}

    def to_json(self) -> dict[str, Any]:
        """Return the section as JSON values; `read_section` reads it back."""
        return {name: _plain(value) for name, value in self.values().items()}


S = TypeVar("S", bound=Section)


def read_section(
    section: type[S], document: Mapping[str, Any], *, fills: bool = False, at: str = ""
) -> S:
    """Return the section that a document describes.

    Args:
        section: its class.
        document: as `to_json` makes it; of before the language had a field, without that one.
        fills: whether any field with a default may be absent.
        at: where in its file the document is, for messages.

    Raises:
        FormError: a field is missing, of another form or unknown.
    """
    known, below = {each.name: each for each in fields(section)}, f"{at}." if at else ""
    for name in document:
        # Version 1 of plan.json had null for the fields of other kinds.
        if name not in known and document[name] is not None:
            raise FormError(f"{below}{name} is not known here")
    hints = field_types(section)
    values: dict[str, Any] = {}
    for name, each in known.items():
        is_needed = each.default is MISSING or not (fills or declaration_of(each).is_later)
        if name in document:
            values[name] = _read(each, document[name], hints[name], below + name)
        elif is_needed:
            raise FormError(f"{below}{name} is missing")
    return section(**values)


@cache
def field_types(section: type[Section]) -> dict[str, Any]:
    """Return the types of a section's fields by name, text made types."""
    return get_type_hints(section)


@frozen(kw_only=True)
class Kind(Section):
    """One kind of a section that has several; the class attribute named by `tag` is its name."""

    tag: ClassVar[str]
    """The field of a document that says which kind it is."""

    @classmethod
    def kind_name(cls) -> str:
        """Return the kind's name in documents."""
        return getattr(cls, cls.tag)

    def to_json(self) -> dict[str, Any]:
        """Return the section as JSON values, the kind's name first."""
        return {self.tag: self.kind_name(), **Section.to_json(self)}


K = TypeVar("K", bound=Kind)


class Kinds(dict[str, type[K]], Generic[K]):
    """A table of the kinds of one section, by name, in the order that readers see."""

    def __init__(self, *kinds: type[K]) -> None:
        super().__init__({kind.kind_name(): kind for kind in kinds})
        self.tag = kinds[0].tag

    def read(self, document: Mapping[str, Any], *, fills: bool = False, at: str = "") -> K:
        """Return the section that a document describes; `fills` and `at` as of `read_section`.

        Raises:
            FormError: it is of no known kind, or not as its kind is.
        """
        check_form(document, dict[str, Any], at)
        value = document.get(self.tag)
        kind = self.get(value) if isinstance(value, str) else None
        if kind is None:
            member = f"{at}.{self.tag}" if at else self.tag
            raise FormError(f"{member}: one of {', '.join(self)} is needed, this is {value!r}")
        values = {key: each for key, each in document.items() if key != self.tag}
        return read_section(kind, values, fills=fills, at=at)

    def with_field(self, name: str) -> tuple[str, ...]:
        """Return the names of the kinds that have a field."""
        return tuple(
            label for label, kind in self.items() if name in {each.name for each in fields(kind)}
        )

    def shares(self, name: str) -> bool:
        """Return whether every kind has a field, all with the same default."""
        found = [each for kind in self.values() for each in fields(kind) if each.name == name]
        return len(found) == len(self) and len({each.default for each in found}) == 1

    def all_fields(self) -> dict[str, tuple[Field[Any], ...]]:
        """Return every field of any kind as each of them declares it, in the order of documents."""
        each_kind = [declared_fields(kind) for kind in self.values()]
        first = _by_name(f for some in each_kind for f in some if not declaration_of(f).is_last)
        last = _by_name(f for some in each_kind for f in some if declaration_of(f).is_last)
        return first | last


def _by_name(found: Iterable[Field[Any]]) -> dict[str, tuple[Field[Any], ...]]:
    grouped: dict[str, list[Field[Any]]] = {}
    for each in found:
        grouped.setdefault(each.name, []).append(each)
    return {name: tuple(some) for name, some in grouped.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("tuple[Any, ...]", value)]
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value


def _read(each: Field[Any], value: Any, hint: Any, at: str) -> Any:
    known = declaration_of(each)
    if known.section is not None:
        if value is None:
            return None
        if isinstance(value, list):
            items = enumerate(cast("list[Any]", value))
            return tuple(_one(known.section, item, f"{at}[{number}]") for number, item in items)
        return _one(known.section, value, at)
    # Some sections have short names, too.
    if known.kinds is None or isinstance(value, str):
        check_form(value, hint, at)
        return _frozen(value)
    kinds = known.kinds() if callable(known.kinds) else known.kinds
    if isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        return tuple(kinds.read(item, at=f"{at}[{number}]") for number, item in items)
    return kinds.read(value, at=at)


def _one(section: type[Section], value: Any, at: str) -> Section:
    check_form(value, dict[str, Any], at)
    return read_section(section, value, at=at)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in cast("list[Any]", value))
    return value
