"""Name the commands by which wavetwin starts a Python of its own."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["code_command", "module_command"]

_ROOT = str(Path(__file__).resolve().parents[2])


def code_command(code: str) -> list[str]:
    """Return the command that runs code which imports this wavetwin, in a Python of its own.

    Modules of the folder that a user is in are not imported: a `types.py` there is a file of theirs,
    and somebody else's folder may hold anything (`python -P`). What else is installed beside wavetwin, an
    old `argparse` for one, stays behind the standard library.
    """
    find = f"import sys; {_ROOT!r} in sys.path or sys.path.insert(0, {_ROOT!r})"
    return [sys.executable, "-P", "-c", f"{find}; {code}"]


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command for what `python -m MODULE ARGUMENTS` does, without the current folder.

    Args:
        module: one of wavetwin's, that runs when it is `__main__`.
        arguments: of the module.
    """
    run = f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [*code_command(run), *arguments]
