"""Build the kernel by the system's C++ compiler, keep the library in the user's cache, and load it.

A library is kept by source, flags, compiler and CPU, so that none of them meets what another made. Beside
it lies a document with its SHA-256: a library that is not as it was built, or lies where others may write,
is never loaded. Torch's headers are not needed, so that no version of torch needs another build.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavetwin.files.atomic import write_file
from wavetwin.files.home import cache_folder
from wavetwin.files.json_text import parse_json

__all__ = [
    "FLAGS",
    "Library",
    "NoLibraryError",
    "build_library",
    "find_library",
    "has_native_kernel",
    "kernels_folder",
]

SOURCES = tuple(
    Path(__file__).with_name(name)
    for name in (
        "kernel.cpp",
        "blurring.h",
        "lattice.h",
        "level1.h",
        "packets.h",
        "pooling.h",
        "samples.h",
        "splits.h",
        "vectors.h",
    )
)
"""What is compiled, then what it includes: nothing else is there for the compiler."""
FLAGS = (
    "-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-Wno-psabi",
)  # fmt: skip
"""The shared library is not linked with OpenMP: it takes the threads of the one that torch has loaded."""
_COMPILERS = ("c++", "g++", "clang++")
_SECONDS = 600
_BUILDING = ".building-"
"""In the name of a folder of a build, after its key."""
TYPES = ("float32", "float64")
"""That each function is there for."""
FUNCTIONS = (
    "bank_forward", "bank_backward",
    "pool_forward", "pool_sums", "pool_backward",
    "sample_statistics", "sample_forward", "sample_sums", "sample_backward",
    "blur_forward", "blur_sums", "blur_backward",
    "level_forward", "level_backward",
)  # fmt: skip
"""Of each type; each is there under its name with the prefix of all that the kernel exports."""


class NoLibraryError(Exception):
    """There is no library of the kernel.

    Args:
        reason: why, in a few words.
        help: what to do about it, where that is known.
    """

    def __init__(self, reason: str, help: str | None = None) -> None:
        super().__init__(reason)
        self.help = help


@dataclass(frozen=True)
class Library:
    """A loaded library, and what decides the bits that it computes."""

    path: Path
    source: str
    """SHA-256 over names and contents of the sources."""
    compiler: str
    """First line of what the compiler says of itself, whatever it is called by."""
    features: str
    """Vector extensions that it was compiled for."""
    functions: dict[str, Any]
    """By name, as the kernel exports them without their prefix."""

    def record(self) -> dict[str, str]:
        """Return what a run records."""
        return {"source": self.source, "compiler": self.compiler, "features": self.features}


def find_library() -> Library:
    """Return the library of this process, built where it is not in the cache.

    Raises:
        NoLibraryError: it cannot be built, kept or loaded; nothing is tried again.
    """
    found = _find_once()
    if isinstance(found, str):
        raise NoLibraryError(found)
    return found


@functools.cache
def has_native_kernel() -> bool:
    """Return whether the kernel is there, built if need be; where it is not, say so once."""
    found = _find_once()
    if isinstance(found, str):
        warnings.warn(f"{found}; torch's operations compute the packets", stacklevel=3)
    return not isinstance(found, str)


@functools.cache
def _find_once() -> Library | str:
    """Return the library, or why there is none."""
    try:
        return build_library()
    except NoLibraryError as error:
        return str(error)


def build_library(folder: Path | None = None, extra: Sequence[str] = ()) -> Library:
    """Return the library from a cache, built there where it is missing or damaged.

    Args:
        folder: the cache; default: `kernels_folder()`.
        extra: flags after `FLAGS`.

    Raises:
        NoLibraryError: there is no compiler, it fails, or the cache is not one's own.
    """
    cache = kernels_folder() if folder is None else folder
    sources = {file.name: file.read_bytes() for file in SOURCES}
    program, *arguments = _find_compiler()
    flags = [*arguments, *FLAGS, *extra]
    identity = {
        "source": source_digest(sources),
        "flags": " ".join(flags),
        "compiler": _compiler_version([program, *arguments]),
        "cpu": hashlib.sha256(_cpu().encode()).hexdigest(),
    }
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    try:
        _check_folder(cache)
        file = cache / f"{key}.so"
        if not _is_whole(file, identity):
            with _locked(cache / f"{key}.lock"):
                _remove_abandoned(cache, key)
                if not _is_whole(file, identity):
                    content = _compile(program, flags, sources, cache / key)
                    write_file(file, content)
                    digest = {"sha256": hashlib.sha256(content).hexdigest()}
                    document = json.dumps(identity | digest, indent=1, sort_keys=True)
                    write_file(file.with_suffix(".json"), f"{document}\n")
        return _load(file, identity)
    except OSError as error:
        raise NoLibraryError(f"{error.filename or cache}: {error.strerror or error}") from error


def source_digest(sources: Mapping[str, bytes]) -> str:
    """Return one SHA-256 for files by name, from their names and digests."""
    lines = (f"{name}\0{hashlib.sha256(sources[name]).hexdigest()}\n" for name in sorted(sources))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def kernels_folder() -> Path:
    """Return the folder of the user's cache that libraries are kept in.

    Raises:
        NoLibraryError: the user has no home, and nothing else is named.
    """
    folder = cache_folder()
    if folder is None:
        raise NoLibraryError(
            "no folder can keep it: the user has no home", "name one in XDG_CACHE_HOME"
        )
    return folder / "kernels"


def _find_compiler() -> list[str]:
    """Return the compiler's program, and the arguments that CXX gives it (`ccache g++`, `g++ -m64`)."""
    named = os.environ.get("CXX")
    for name in (named,) if named else _COMPILERS:
        # A path may have spaces in it.
        for program, *arguments in ([name], _words(name)):
            found = shutil.which(program)
            if found is not None:
                return [found, *arguments]
    raise NoLibraryError(
        f"no C++ compiler: {named or ', '.join(_COMPILERS)} is not there",
        "install one, or name it in the environment variable CXX",
    )


def _words(command: str) -> list[str]:
    """Return the words of a command as a shell reads them; the command where none does."""
    try:
        return shlex.split(command) or [command]
    except ValueError:
        return [command]


def _compiler_version(command: Sequence[str]) -> str:
    """Return what a compiler says of itself, the same by whatever name it is called.

    GCC's begins with the name: `c++ (Debian 12.2.0-14) 12.2.0` and `g++ (...` are one compiler.
    """
    line = _first_line([*command, "--version"])
    name, _, rest = line.partition(" ")
    is_own_name = name in {Path(word).name for word in command}
    return f"GCC {rest}" if is_own_name and rest.startswith("(") else line


def _first_line(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoLibraryError(f"{command[0]} does not run: {error}") from error
    return done.stdout.partition("\n")[0].strip()


def _cpu() -> str:
    """Return what the system says of the CPU's features."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                return f"{platform.machine()} {' '.join(sorted(value.split()))}"
    return f"{platform.machine()} {platform.processor()} {sys.platform}"


def _check_folder(folder: Path) -> None:
    """Make the cache, for its owner alone, or refuse one that others may write to."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.stat()
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
        raise NoLibraryError(
            f"others may write to {folder}",
            f"make it yours alone, chmod go-w {folder}, or remove it",
        )


def _is_whole(file: Path, identity: dict[str, str]) -> bool:
    """Return whether a library is there as it was built."""
    try:
        document = parse_json(file.with_suffix(".json").read_bytes())
        if file.stat().st_uid not in (os.geteuid(), 0):
            return False
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return False
    return document == identity | {"sha256": digest}


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let one process build at a time; the others find what it built."""
    with file.open("a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _remove_abandoned(cache: Path, own: str) -> None:
    """Remove the folders of builds that were killed: of the own key, whose lock is held, and of free ones."""
    for folder in cache.glob(f"*{_BUILDING}*"):
        key = folder.name.partition(_BUILDING)[0]
        with (cache / f"{key}.lock").open("a", encoding="utf-8") as stream:
            try:
                if key != own:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            shutil.rmtree(folder, ignore_errors=True)


def _compile(
    program: str, flags: Sequence[str], sources: Mapping[str, bytes], target: Path
) -> bytes:
    """Return a library, built in a folder beside `target`, whose lock this process holds."""
    name = f"{target.name}{_BUILDING}"
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=name) as folder:
        for file, content in sources.items():
            Path(folder, file).write_bytes(content)
        text, result = Path(folder, next(iter(sources))), Path(folder, "kernel.so")
        command = [program, *flags, "-shared", str(text), "-o", str(result), "-pthread"]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NoLibraryError(f"{program} does not run: {error}") from error
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if "error" in line), "")
            raise NoLibraryError(f"{program} cannot compile the kernel: {said or done.returncode}")
        return result.read_bytes()


def _load(file: Path, identity: dict[str, str]) -> Library:
    library = ctypes.CDLL(str(file))
    functions: dict[str, Any] = {}
    try:
        for name in (f"{name}_{kind}" for name in FUNCTIONS for kind in TYPES):
            function = getattr(library, f"wavetwin_{name}")
            function.restype = None
            functions[name] = function
        library.wavetwin_bank_features.restype = ctypes.c_char_p
        features = library.wavetwin_bank_features().decode()
    except AttributeError as error:
        raise NoLibraryError(
            f"{file} is not the kernel's library: {error}",
            "install wavetwin again, as a whole: its C++ is of another version",
        ) from error
    return Library(file, identity["source"], identity["compiler"], features, functions)
