"""Describe the wavetwin that runs: its files by logical path, its digest, its version.

Standard library only: a started script uses it before it imports torch.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES, all_suffixes
from pathlib import Path, PurePosixPath
from typing import Any

from wavetwin.files.json_text import parse_json

# wavetwin has no extension module: one beside a module would be imported in its place.
_MODULES = (".py", *EXTENSION_SUFFIXES)
NATIVE_SOURCES = (".cpp", ".h")
"""Of modules that are compiled on the user's machine; they lie beside the one that compiles them."""

TEMPLATES_MARKER = "wavetwin-templates.txt"
STARTERS = "wavetwin/specs/"
"""Where a wheel has its starter specs."""
RECORDED_PACKAGES = ("torch", "numpy", "safetensors")
"""Packages whose versions decide numbers; recorded at build, compared when a run starts."""


@dataclass(frozen=True, slots=True)
class Package:
    """Python files, native sources and templates of wavetwin, by logical path."""

    root: Path
    """The folder `wavetwin` itself."""
    templates: Path
    files: Mapping[str, Path]
    """Logical path, as in a wheel (`wavetwin/templates/train.py.j2`), to the file; sorted."""
    sha256: Mapping[str, str]
    """Of each file."""
    version: str
    is_wheel: bool
    changed_since_install: tuple[str, ...] = ()
    """Of a wheel: files that are not as its RECORD has them."""
    installed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of a wheel: the SHA-256 of its files as its RECORD has them."""
    installed_starters: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of a wheel: the SHA-256 of its starter specs, by path in the package, as its RECORD has them."""
    is_standalone: bool = False
    """A copy beside the scripts of a built folder: the modules that they need, no templates."""

    @property
    def digest(self) -> str:
        """SHA-256 over paths and contents: the same from a checkout and from a wheel."""
        return digest_of(self.sha256)


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_of(sha256: Mapping[str, str]) -> str:
    """Return one SHA-256 for a set of files, from their paths and digests."""
    lines = "".join(f"{path}\0{sha256[path]}\n" for path in sorted(sha256))
    return sha256_of(lines.encode("utf-8", "surrogateescape"))


def find_templates(root: Path) -> Path:
    """Return the templates of the package at `root`: inside it (wheel) or beside it (checkout).

    Raises:
        FileNotFoundError: neither folder holds the marker file.
    """
    for folder in (root / "templates", root.parent / "templates"):
        if (folder / TEMPLATES_MARKER).is_file():
            return folder
    raise FileNotFoundError(f"wavetwin is not whole: no templates in or beside {root}")


def load_package(root: Path) -> Package:
    """Read and hash the package at `root`, the folder that holds `wavetwin/__init__.py`.

    Raises:
        FileNotFoundError: there are no templates, and it is no standalone copy, which has none.
    """
    init = (root / "__init__.py").read_text(encoding="utf-8")
    is_standalone = re.search(r"(?m)^__standalone__ = True$", init) is not None
    templates = root / "templates" if is_standalone else find_templates(root)
    kinds = (*_MODULES, *NATIVE_SOURCES)
    found = {f"wavetwin/{name}": root / name for name in _walk(root) if name.endswith(kinds)}
    found |= {f"wavetwin/templates/{name}": templates / name for name in _walk(templates)}
    files = {name: found[name] for name in sorted(found)}
    sha256 = {name: sha256_of(path.read_bytes()) for name, path in files.items()}
    record = _wheel_record(root)
    recorded = {} if record is None else _recorded_digests(record)
    installed = {name: digest for name, digest in recorded.items() if is_package_file(name)}
    changed = [
        name
        for name in sorted(sha256.keys() | installed.keys())
        if sha256.get(name) != installed.get(name)
    ]
    return Package(
        root=root,
        templates=templates,
        files=files,
        sha256=sha256,
        version=_version(init),
        is_wheel=record is not None,
        changed_since_install=tuple(changed) if record is not None else (),
        installed=installed,
        installed_starters={
            name: digest for name, digest in recorded.items() if name.startswith(STARTERS)
        },
        is_standalone=is_standalone,
    )


@functools.cache
def imported_package() -> Package:
    """Return the package that this module belongs to, read once a process."""
    return load_package(Path(__file__).resolve().parents[1])


def is_package_file(logical_path: str) -> bool:
    """Return whether the package's digest covers a file of this logical path."""
    return logical_path.startswith("wavetwin/templates/") or (
        logical_path.startswith("wavetwin/") and logical_path.endswith((*_MODULES, *NATIVE_SOURCES))
    )


def is_inside(name: str) -> bool:
    """Return whether a path that a manifest names stays in the manifest's folder, as far as its text says."""
    path = PurePosixPath(name)
    plain = bool(path.parts) and str(path) == name and "\\" not in name and "\0" not in name
    return plain and not path.is_absolute() and ".." not in path.parts


def read_manifest(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the manifest of a built folder, as written and parsed.

    Raises:
        OSError, ValueError, LookupError, TypeError: it is missing or damaged, or names a file or a run
            that would lie elsewhere.
    """
    file = folder / "manifest.json"
    content = file.read_bytes() if file.is_file() else b""
    manifest = parse_json(content)
    name, files = manifest["name"], manifest["files"]
    if not isinstance(files, dict) or not is_inside(name) or "/" in name:
        raise ValueError(name)
    if not all(map(is_inside, files)):
        raise ValueError("it names files outside its folder")
    return content, manifest


def importable_names(folder: Path) -> list[str]:
    """Return the modules and packages that lie in a folder, as Python would import them from it."""
    found: list[str] = []
    for path in folder.iterdir():
        if path.is_dir():
            holder, names = f"{path.name}/", [f"{each.name}" for each in path.glob("__init__.*")]
        else:
            holder, names = path.name, [path.name]
        if path.name.split(".")[0].isidentifier() and any(
            name.removesuffix(suffix).isidentifier() and name.endswith(suffix)
            for name in names
            for suffix in all_suffixes()
        ):
            found.append(holder)
    return sorted(found)


def version_difference(old: str, new: str) -> tuple[str, str] | None:
    """Return two versions of a package as a difference shows them; None where they do not differ.

    The local part, `+cu132` of `2.15.0+cu132`, says what a build was compiled for. It counts, and
    is shown, where both have one and the rest is equal: installed packages often leave it out.
    """
    (old_public, _, old_local), (new_public, _, new_local) = old.partition("+"), new.partition("+")
    if old_public != new_public:
        return old_public, new_public
    return (old, new) if old_local and new_local and old_local != new_local else None


def installed_versions(names: Sequence[str] = RECORDED_PACKAGES) -> dict[str, str | None]:
    """Return the versions of packages, those that decide all numbers; None where one is not there.

    Reads the names of `dist-info` folders only: neither the packages nor importlib.metadata are
    imported.
    """
    versions: dict[str, str | None] = dict.fromkeys(names)
    pattern = re.compile(rf"({'|'.join(names)})-(.+)\.dist-info", re.IGNORECASE)
    for entry in reversed(sys.path):
        try:
            names = os.listdir(entry or ".")  # noqa: PTH208 - names only, of many files
        except OSError:
            continue
        for match in map(pattern.fullmatch, names):
            if match is not None:
                versions[match[1].lower()] = match[2]
    return versions


def _walk(folder: Path) -> Iterator[str]:
    for current, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        below = Path(current).relative_to(folder)
        yield from names if below == Path() else (f"{below.as_posix()}/{name}" for name in names)


def _wheel_record(root: Path) -> Path | None:
    """Return the RECORD of the installed wheel that `root` belongs to, if it does."""
    for record in root.parent.glob("wavetwin-*.dist-info/RECORD"):
        if "\nwavetwin/__init__.py," in "\n" + record.read_text(encoding="utf-8"):
            return record
    return None


def _recorded_digests(record: Path) -> dict[str, str]:
    digests: dict[str, str] = {}
    for line in record.read_text(encoding="utf-8").splitlines():
        path, digest, _ = line.rsplit(",", 2)
        if digest.startswith("sha256="):
            padded = digest.removeprefix("sha256=") + "=="
            digests[path] = base64.urlsafe_b64decode(padded).hex()
    return digests


def _version(init: str) -> str:
    """Return `__version__` as the text of the package's `__init__.py` has it."""
    match = re.search(r'(?m)^__version__ = "([^"\n]+)"$', init)
    return "unknown" if match is None else match[1]
