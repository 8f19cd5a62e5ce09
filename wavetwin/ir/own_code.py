"""Declare what a spec names of a Python file of its project, and read which files that one imports."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import field
from hashlib import sha256
from keyword import iskeyword
from pathlib import PurePosixPath
from typing import Any

from wavetwin.ir.frozen import frozen
from wavetwin.ir.section import Section, declare

__all__ = [
    "FOLDER",
    "PACKAGES",
    "OwnCode",
    "OwnCodeError",
    "Sources",
    "argument_text",
    "defined_names",
    "imported_files",
    "imported_packages",
    "is_importable",
    "module_name",
    "package_of",
    "unrecorded_imports",
]

FOLDER = "project"
"""Of a built folder: where the copies lie, and the package that they are imported from."""
PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "PIL": "pillow",
    "torchmetrics": "torchmetrics",
    "sklearn": "scikit_learn",
}
"""What own code may import beside wavetwin's: modules, and the packages that they are of, whose versions a
build records."""
_OWN_PACKAGES = ("wavetwin.runtime", "wavetwin.transforms")


class OwnCodeError(Exception):
    """A file of the project is not what the spec takes it for: a fault of the user's.

    Args:
        code: of the diagnostic.
        headline: what is wrong, on one line.
        notes: further lines, each with a label of its own.
        help: what to do about it.
        key: the field of `OwnCode` that is at fault; empty: all of it.
    """

    def __init__(
        self,
        code: str,
        headline: str,
        *,
        notes: tuple[str, ...] = (),
        help: str | None = None,
        key: str = "",
    ) -> None:
        super().__init__(headline)
        self.code, self.headline = code, headline
        self.notes, self.help, self.key = notes, help, key
        self.field = ""
        """Key path of the part of the spec that names the file."""


@frozen(kw_only=True)
class OwnCode(Section):
    """A class or a function of a Python file of the project."""

    file: str = declare(min_length=1, max_length=1024)
    """Path of the file, relative to the project's root, such as `own/pooling.py`."""
    name: str = declare(min_length=1, max_length=128)
    """The class or function in it."""
    arguments: Mapping[str, Any] | None = declare(None, later=True)
    """What it is called with, by keyword: numbers, texts, true and false, lists and mappings."""
    files: Mapping[str, str] | None = declare(None, later=True)
    """SHA-256 of the file and of those that it imports, by their paths; resolve fills it in, and a spec
    that has it takes no other contents."""

    def __hash__(self) -> int:
        return hash((self.file, self.name, argument_text(self.keywords)))

    @property
    def keywords(self) -> dict[str, Any]:
        """The arguments, none where none are given."""
        return dict(self.arguments or {})

    @property
    def digest(self) -> str:
        """SHA-256 over paths and contents of its files, of a resolved spec."""
        assert self.files is not None, "resolve fills it in"
        lines = "".join(f"{path}\0{self.files[path]}\n" for path in sorted(self.files))
        return sha256(lines.encode()).hexdigest()

    def describe(self) -> str:
        """Return the code as text: `MyPool(power=3) of own/pooling.py`."""
        given = ", ".join(f"{key}={value!r}" for key, value in self.keywords.items())
        return f"{self.name}({given}) of {self.file}"


@frozen
class Sources:
    """Contents of files of a project by their paths in it."""

    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def of(self, code: OwnCode) -> Mapping[str, bytes]:
        """Return the files of one class or function, of a resolved spec."""
        return {path: self.files[path] for path in code.files or ()}

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that the files import, sorted; those of Python's own and wavetwin's left out."""
        found = (imported_packages(content) for content in self.files.values())
        return tuple(sorted(set[str]().union(*found)))


def argument_text(arguments: Mapping[str, Any]) -> str:
    """Return arguments as one text, the same for the same ones; 2 and 2.0 are two."""
    return json.dumps(arguments, sort_keys=True, allow_nan=False)


def is_importable(path: str) -> bool:
    """Return whether a path in a project is a module's: `.py`, and every part a name of Python's."""
    parts = PurePosixPath(path).with_suffix("").parts
    return (
        path.endswith(".py")
        and PurePosixPath(path).as_posix() == path
        and all(part.isidentifier() and part.isascii() and not iskeyword(part) for part in parts)
    )


def module_name(path: str) -> str:
    """Return the module that a file of the project is below its package: `own.pooling`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported_files(path: str, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the paths that relative imports of a file may mean, and the line of each.

    Which of them are there, the disk says. A path that begins with `..` leaves the project.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = list(PurePosixPath(path).parts[:-1])
        if node.level - 1 > len(base):
            yield "../" * (node.level - 1 - len(base)), node.lineno
            continue
        target = base[: len(base) - (node.level - 1)]
        found: list[list[str]] = []
        for part in (node.module or "").split(".") if node.module else ():
            target = [*target, part]
            found.append(target)
        found += [[*target, alias.name] for alias in node.names]
        for parts in found:
            yield "/".join(parts) + ".py", node.lineno
            yield "/".join((*parts, "__init__.py")), node.lineno


def imported_packages(content: bytes) -> set[str]:
    """Return the packages that a file imports, by the names that builds record them by.

    Raises:
        SyntaxError: it is no Python.
    """
    modules = {name.partition(".")[0] for name, _ in _absolute_imports(ast.parse(content))}
    return {PACKAGES[each] for each in modules if each in PACKAGES}


def package_of(module: str) -> str | None:
    """Return the package that has a module which own code may import; None of another module."""
    return PACKAGES.get(module.partition(".")[0])


def unrecorded_imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the modules that a file imports and whose contents no build records, with their lines."""
    for name, line in _absolute_imports(tree):
        root = name.partition(".")[0]
        is_own = any(f"{name}.".startswith(f"{each}.") for each in _OWN_PACKAGES)
        if not (root in sys.stdlib_module_names or root in PACKAGES or is_own):
            yield name, line


def _absolute_imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the modules that a file imports from elsewhere than beside it, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module is not None:
            yield node.module, node.lineno


def defined_names(tree: ast.Module) -> tuple[dict[str, str], bool]:
    """Return what a module defines by name (`class`, `function` or `value`); whether that is all."""
    found: dict[str, str] = {}
    is_all = True
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.ClassDef):
            found[node.name] = "class"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = "function"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            is_all &= all(alias.name != "*" for alias in node.names)
            for alias in node.names:
                found.setdefault((alias.asname or alias.name).partition(".")[0], "value")
        else:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    found.setdefault(inner.id, "value")
            waiting += [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
    return found, is_all
