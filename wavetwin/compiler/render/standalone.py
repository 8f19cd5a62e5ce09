"""Choose the modules that a built folder's scripts need, to lie beside them.

Which modules these are is read from the import statements of the scripts, of `slurm.sh` and of the
modules themselves, those inside functions included, and from the dotted names by which `ir` says what
runs a kind, so that the copy follows the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from wavetwin.ir.own_code import FOLDER
from wavetwin.provenance.package import NATIVE_SOURCES, Package

_PACKAGE = "wavetwin"
_INIT = '''"""The part of wavetwin that the scripts beside this folder need.

`wavetwin build --standalone` copied it; manifest.json in the folder above has the digest of each
file and says which commit they are from.
"""

__version__ = "{version}"
__standalone__ = True
__all__ = ["__version__"]
'''
_DOTTED_NAME = re.compile(r"wavetwin\.runtime(?:\.\w+)+(?::\w+)?")
_LOADS_ITS_MODULES = ("pkgutil", "iter_modules")
_STARTED_MODULE = re.compile(r"-m (wavetwin(?:\.\w+)+)|/(wavetwin(?:/\w+)+)\.py")
"""By its name, or by its path."""


def standalone_files(files: Mapping[str, bytes], package: Package) -> dict[str, bytes]:
    """Return the modules that a folder's scripts need, by path below the folder, sorted.

    Args:
        files: the folder's own files by name; `.py` and `.sh` are looked at.
        package: where the modules are taken from.
    """
    modules = {_module_name(path): path for path in package.files if path.endswith(".py")}
    waiting: list[str] = []
    for file, content in files.items():
        if file.endswith(".py"):
            for imported in _imports_of(content.decode(), is_own=file.startswith(f"{FOLDER}/")):
                waiting += _resolve(*imported, modules, package)
        elif file.endswith(".sh"):
            for name, path in _STARTED_MODULE.findall(content.decode()):
                waiting.append(name or path.replace("/", "."))
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        assert name in modules, f"{name} is imported by what was built, and is not there"
        needed.add(name)
        if name == _PACKAGE:
            continue  # it is replaced by what the copy says of itself
        waiting.append(name.rpartition(".")[0])
        path = modules[name]
        waiting += _loaded_by(name, path, modules, package)
    copied = {modules[name]: package.files[modules[name]].read_bytes() for name in needed}
    # What a package compiles on the user's machine lies beside its modules.
    copied |= {
        path: file.read_bytes()
        for path, file in package.files.items()
        if path.endswith(NATIVE_SOURCES) and _module_name(path.rpartition("/")[0]) in needed
    }
    copied[modules[_PACKAGE]] = _INIT.format(version=package.version).encode()
    return {path: copied[path] for path in sorted(copied)}


def _loaded_by(name: str, path: str, modules: Mapping[str, str], package: Package) -> Iterator[str]:
    """Yield the modules of the package that a module loads."""
    for imported in _imports(package.files[path], package.sha256[path]):
        if imported == _LOADS_ITS_MODULES:
            yield from _modules_of(name, modules)
        yield from _resolve(*imported, modules, package)


def _modules_of(name: str, modules: Mapping[str, str]) -> Iterator[str]:
    """Yield the modules of a package that loads whatever modules it has."""
    yield from (each for each in modules if each.rpartition(".")[0] == name)


def _looked_for(
    name: str, path: str, modules: Mapping[str, str], package: Package
) -> Iterator[str]:
    """Yield the names that a package finds in its modules when it is asked for them."""
    if _LOADS_ITS_MODULES in _imports(package.files[path], package.sha256[path]):
        for module in _modules_of(name, modules):
            own = modules[module]
            yield from _definitions(package.files[own], package.sha256[own])


def _module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _resolve(
    module: str, name: str | None, modules: Mapping[str, str], package: Package
) -> Iterator[str]:
    """Yield the modules of the package that `import module` or `from module import name` loads."""
    if module.split(".", 1)[0] != _PACKAGE:
        return
    yield module
    if name is None or module not in modules:
        return
    path = modules[module]
    if f"{module}.{name}" in modules:
        yield f"{module}.{name}"
    elif module == _PACKAGE:
        assert name == "__version__", f"{module}.{name} is not in a standalone copy"
    elif path.endswith("/__init__.py"):
        # A package that looks a name up when it is asked for imports it for type checkers alone.
        known = _exports(package.files[path], package.sha256[path])
        if name in known:
            yield from _resolve(*known[name], modules, package)
        else:
            own = _definitions(package.files[path], package.sha256[path])
            own |= set(_looked_for(module, path, modules, package))
            assert name in own, f"import {name} from the module that has it, not from {module}"


@cache
def _imports(file: Path, sha256: str) -> tuple[tuple[str, str | None], ...]:
    """Return `_imports_of` a file; by its digest, so that a process reads each version once."""
    del sha256
    return _imports_of(file.read_text(encoding="utf-8"))


@cache
def _exports(file: Path, sha256: str) -> dict[str, tuple[str, str | None]]:
    """Return where a package's `__init__.py` has its names from, for type checkers or itself."""
    del sha256
    found = _imports_of(file.read_text(encoding="utf-8"), for_type_checkers=True)
    return {name: (module, name) for module, name in found if name is not None}


@cache
def _definitions(file: Path, sha256: str) -> frozenset[str]:
    """Return the names that a package's `__init__.py` defines itself."""
    del sha256
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return frozenset(found)


def _imports_of(
    text: str, for_type_checkers: bool = False, is_own: bool = False
) -> tuple[tuple[str, str | None], ...]:
    """Return what a module imports, when it is loaded or later: modules, and names from them.

    Relative imports are of the project's own code (`is_own`), whose copies lie beside each other.
    """
    found: list[tuple[str, str | None]] = []
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert is_own or node.level == 0, "relative imports are not followed"
            if node.level:
                continue
            assert node.module is not None
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and _DOTTED_NAME.fullmatch(node.value):
                module, _, name = node.value.replace(":", ".").rpartition(".")
                found.append((module, name))
        elif (
            isinstance(node, ast.If)
            and ast.unparse(node.test) == "TYPE_CHECKING"
            and not for_type_checkers
        ):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return tuple(found)
