"""Find the code of its own that a spec names, and read it: the files, and those that they import."""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, cast

from wavetwin.compiler.parse.compose import LoadedSpec
from wavetwin.compiler.parse.project import OUTPUT_FOLDERS, real_path
from wavetwin.compiler.parse.suggest import nearest
from wavetwin.compiler.parse.unreadable import why_not_readable
from wavetwin.compiler.schema import ExperimentSpec, SpecModel
from wavetwin.compiler.schema.declared import section_of
from wavetwin.compiler.validate.conflict import conflict
from wavetwin.diagnostics import Diagnostic
from wavetwin.ir.frozen import frozen
from wavetwin.ir.own_code import (
    FOLDER,
    OwnCode,
    OwnCodeError,
    Sources,
    defined_names,
    imported_files,
    is_importable,
    unrecorded_imports,
)

__all__ = ["ReadCode", "fault_of", "find_own_code", "is_own_code", "own_code_of", "read_own_code"]

_MOST_BYTES = 1 << 20
_MOST_FILES = 64
_MOST_TEXT = 10_000
"""Characters of arguments."""
_BESIDE = "import files of the project by relative imports, such as `from .blocks import Block`"


@frozen
class ReadCode:
    """A spec whose own code is read."""

    spec: ExperimentSpec
    """With the files' digests."""
    sources: Sources
    paths: tuple[Path, ...]
    """The files that were read."""


@dataclass
class _Reader:
    """Reads files of a project, each once."""

    loaded: LoadedSpec
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    paths: dict[str, Path] = field(default_factory=dict[str, Path])
    trees: dict[str, ast.Module] = field(default_factory=dict[str, ast.Module])

    def read(self, code: OwnCode) -> OwnCode:
        """Return the code with its files' digests, and without arguments that are none.

        Raises:
            OwnCodeError: a file is missing, lies elsewhere, is no Python or has no such name.
        """
        _check_path(code.file)
        arguments = _checked_arguments(code)
        recorded = code.files
        if not self._add(code.file, recorded):
            path = self.loaded.project / code.file
            reason = why_not_readable(path) or "does not exist"
            raise OwnCodeError(
                "own-code-not-found",
                f"'{code.file}' {reason}",
                help=None if path.exists() else _meant(path, code.file),
                key="file",
            )
        files = self._closure(code.file, recorded)
        found, is_all = defined_names(self.trees[code.file])
        if code.name not in found and is_all:
            meant = nearest(code.name, [name for name, kind in found.items() if kind != "value"])
            raise OwnCodeError(
                "own-code-unknown-name",
                f"{code.file} has no '{code.name}'",
                help=None if meant is None else f"did you mean '{meant}'?",
                key="name",
            )
        digests = {name: sha256(self.contents[name]).hexdigest() for name in sorted(files)}
        if recorded is not None and recorded != digests:
            changed = sorted(
                name
                for name in recorded.keys() | digests.keys()
                if recorded.get(name) != digests.get(name)
            )
            raise OwnCodeError(
                "own-code-changed",
                f"{changed[0]} is not the file that this spec records",
                help="bring it back as it was, or remove `files`",
                key="files",
            )
        return OwnCode(file=code.file, name=code.name, arguments=arguments or None, files=digests)

    def _closure(self, first: str, recorded: Mapping[str, str] | None) -> list[str]:
        """Return the paths of a file and of all that it imports from beside it."""
        found, waiting = [first], [first]
        while waiting:
            name = waiting.pop()
            tree = self.trees[name]
            for module, line in unrecorded_imports(tree):
                raise OwnCodeError(
                    "own-code-imports",
                    f"{name}:{line} imports {module}, which no build records",
                    help=f"own code imports torch, torchvision, NumPy, Pillow, torchmetrics, scikit-learn, "
                    f"wavetwin's runtime and transforms, and Python's own modules; {_BESIDE}",
                    key="file",
                )
            for other, line in imported_files(name, tree):
                if other.startswith("../"):
                    raise OwnCodeError(
                        "own-code-imports",
                        f"{name}:{line} imports from outside the project",
                        key="file",
                    )
                if other not in found and is_importable(other) and self._add(other, recorded):
                    found.append(other)
                    waiting.append(other)
                if len(found) > _MOST_FILES:
                    raise OwnCodeError(
                        "own-code-imports",
                        f"{first} imports more than {_MOST_FILES} files",
                        key="file",
                    )
        return found

    def _add(self, name: str, recorded: Mapping[str, str] | None) -> bool:
        """Read a file of the project, or the copy that a lock's folder has of it; return whether it is there."""
        if name in self.contents:
            return True
        if recorded is not None and name not in recorded:
            return False
        beside = self.loaded.path.absolute().parent / FOLDER / name
        candidates = [self.loaded.project / name, *([beside] if recorded is not None else [])]
        there = [path for path in candidates if path.is_file()]
        contents = {path: self._content(name, path) for path in there}
        wanted = None if recorded is None else recorded.get(name)
        same = [path for path in there if sha256(contents[path]).hexdigest() == wanted]
        path = next(iter(same or there), None)
        if path is None:
            return False
        self.trees[name] = _parsed(name, contents[path])
        self.contents[name], self.paths[name] = contents[path], path
        return True

    def _content(self, name: str, path: Path) -> bytes:
        if not real_path(path).is_relative_to(real_path(self.loaded.project)):
            raise OwnCodeError(
                "own-code-bad-path",
                f"'{name}' is a link to outside the project",
                help="copy the file into the project",
                key="file",
            )
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise OwnCodeError("own-code-not-found", f"'{name}': {reason}", key="file") from error
        if len(content) > _MOST_BYTES:
            raise OwnCodeError(
                "own-code-not-python", f"{name} has more than {_MOST_BYTES:,} bytes", key="file"
            )
        return content


def _meant(path: Path, text: str) -> str | None:
    """Return which file was meant by one that is not there; None where nothing is like it."""
    try:
        beside = sorted(each.name for each in path.parent.iterdir() if each.suffix == ".py")
    except OSError:
        return None
    name = nearest(path.name, beside)
    return None if name is None else f"did you mean '{PurePosixPath(text).with_name(name)}'?"


def _parsed(name: str, content: bytes) -> ast.Module:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of escapes that are none; Python says it where it runs
            return ast.parse(content, name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        reason = getattr(error, "msg", None) or str(error)
        raise OwnCodeError(
            "own-code-not-python", f"{name}:{line} is not Python: {reason}", key="file"
        ) from None


def _check_path(text: str) -> None:
    """Refuse a path that is none of a Python file of the project.

    Raises:
        OwnCodeError: naming what is wrong with it.
    """
    path = PurePosixPath(text)
    if path.is_absolute() or os.path.isabs(text):  # noqa: PTH117
        headline, help_text = f"'{text}' is an absolute path", "name a file relative to the project"
    elif ".." in path.parts:
        headline, help_text = f"'{text}' leaves the project", "copy the file into the project"
    elif not text.endswith(".py"):
        headline, help_text = f"'{text}' is no Python file", "name a file that ends in .py"
    elif not is_importable(text):
        headline = f"'{text}' cannot be imported"
        help_text = (
            "folders and file have names of Python: letters, digits and '_', no leading digit"
        )
    elif path.parts[0] in OUTPUT_FOLDERS:
        headline = f"'{text}' lies among what builds and runs write"
        help_text = "move it into a folder of the project's own"
    else:
        return
    raise OwnCodeError("own-code-bad-path", headline, help=help_text, key="file")


def _checked_arguments(code: OwnCode) -> dict[str, Any]:
    """Return the arguments.

    Raises:
        OwnCodeError: one cannot be passed, or written to a spec.
    """
    arguments = code.keywords
    faulty = next((key for key in arguments if not key.isidentifier()), None)
    if faulty is not None:
        raise OwnCodeError(
            "own-code-arguments", f"{faulty!r} is no name of an argument", key="arguments"
        )
    for value in _leaves(arguments):
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            shown = "null" if value is None else str(value)
            raise OwnCodeError(
                "own-code-arguments",
                f"{shown} is no value of an argument",
                help="arguments are finite numbers, texts, true and false, lists and mappings",
                key="arguments",
            )
    if sum(len(str(value)) for value in _leaves(arguments)) > _MOST_TEXT:
        raise OwnCodeError(
            "own-code-arguments",
            f"the arguments have more than {_MOST_TEXT:,} characters",
            help="write what is long into the file",
            key="arguments",
        )
    return arguments


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            yield key
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _leaves(each)
    else:
        yield value


def find_own_code(value: object, path: str = "") -> Iterator[tuple[str, SpecModel]]:
    """Yield key path and model of each class or function of the project that a spec names."""
    below = f"{path}." if path else ""
    if isinstance(value, SpecModel):
        if is_own_code(value):
            yield path, value
            return
        for name in type(value).model_fields:
            yield from find_own_code(getattr(value, name), f"{below}{name}")
    elif isinstance(value, tuple):
        for index, each in enumerate(cast("tuple[object, ...]", value)):
            if isinstance(each, SpecModel):
                yield from find_own_code(each, f"{below}{index}")
    elif isinstance(value, dict):
        for key, each in cast("dict[str, object]", value).items():
            yield from find_own_code(each, f"{below}{key}")


def is_own_code(model: SpecModel) -> bool:
    """Return whether a part of a spec names code of the project."""
    return any(issubclass(each, OwnCode) for each in model.declared)


def own_code_of(spec: ExperimentSpec) -> list[tuple[str, OwnCode]]:
    """Return the classes and functions of the project that a spec names, by their key paths."""
    return [(path, _code_of(model)) for path, model in find_own_code(spec)]


def read_own_code(
    spec: ExperimentSpec, loaded: LoadedSpec
) -> tuple[ReadCode | None, tuple[Diagnostic, ...]]:
    """Return the spec with the digests of the files that it names; None where some are at fault."""
    models = list(find_own_code(spec))
    if not models:
        return ReadCode(spec, Sources(), ()), ()
    reader = _Reader(loaded)
    found: dict[str, OwnCode] = {}
    faults: list[Diagnostic] = []
    for path, model in models:
        try:
            found[path] = reader.read(_code_of(model))
        except OwnCodeError as error:
            error.field = path
            faults.append(fault_of(loaded, error))
    if faults:
        return None, tuple(faults)
    filled = _filled(spec, "", lambda path, model: _with(model, found[path]))
    return ReadCode(filled, Sources(reader.contents), tuple(reader.paths.values())), ()


def fault_of(loaded: LoadedSpec, error: OwnCodeError) -> Diagnostic:
    """Return a fault of own code at its place in the spec."""
    field = f"{error.field}.{error.key}" if error.key else error.field
    if loaded.node(field) is None:
        field = error.field
    return conflict(loaded, error.code, error.headline, [field], help=error.help, notes=error.notes)


def _code_of(model: SpecModel) -> OwnCode:
    return section_of(model, OwnCode)


def _with(model: SpecModel, code: OwnCode) -> SpecModel:
    return model.model_copy(update={"arguments": code.arguments, "files": code.files})


def _filled(value: Any, path: str, fill: Callable[[str, SpecModel], SpecModel]) -> Any:
    """Return a part of a spec with each own code replaced."""
    below = f"{path}." if path else ""
    if isinstance(value, SpecModel):
        if is_own_code(value):
            return fill(path, value)
        update: dict[str, Any] = {}
        for name in type(value).model_fields:
            old = getattr(value, name)
            new = _filled(old, f"{below}{name}", fill)
            if new is not old:
                update[name] = new
        return value.model_copy(update=update) if update else value
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        new = tuple(_filled(each, f"{below}{n}", fill) for n, each in enumerate(items))
        return new if any(a is not b for a, b in zip(new, items, strict=True)) else items
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        made = {key: _filled(each, f"{below}{key}", fill) for key, each in members.items()}
        return made if any(made[key] is not members[key] for key in made) else members
    return value
