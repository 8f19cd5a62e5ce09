"""Find the C++ compiler that torch.compile writes its kernels with; imports no torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from wavetwin.runtime.process.errors import RunError

__all__ = ["check_compiler", "compiler_version", "find_compiler"]

_SECONDS = 60


def find_compiler() -> str | None:
    """Return the program that torch's compiler would call: that of CXX, else the system's usual one."""
    usual = "clang++" if sys.platform == "darwin" else "g++"
    return shutil.which(os.environ.get("CXX", usual))


def check_compiler(
    what: str = "training.compile",
    remedy: str = "take training.compile out of the spec: another training",
) -> None:
    """Refuse what is to be compiled where nothing compiles.

    Args:
        what: asks for it.
        remedy: how to do without.

    Raises:
        RunError: there is no C++ compiler.
    """
    if find_compiler() is None:
        name = os.environ.get("CXX")
        raise RunError(
            "compiler-missing",
            f"{what} needs a C++ compiler, and {name or 'g++'} is not there",
            f"install one, name it in CXX, or {remedy}",
        )


def compiler_version() -> str:
    """Return the first line of what the compiler says of itself; empty where it says nothing."""
    program = find_compiler()
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.partition("\n")[0].strip()
