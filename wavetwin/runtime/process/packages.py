"""Refuse work for which a package is missing: one sentence, and the command that installs it.

Imports nothing of them: whether a package is there is asked before the second that torch takes.
"""

from __future__ import annotations

import importlib.util
import sys

from wavetwin.diagnostics.extras import extra_of, missing_code
from wavetwin.runtime.process.errors import RunError

__all__ = ["missing_package", "package_error", "require"]


def require(module: str, what: str, instead: str = "") -> None:
    """Refuse to go on where a package is not installed.

    Args:
        module: as it is imported, one of `wavetwin.diagnostics.extras`.
        what: needs it: the subject of the sentence.
        instead: what else can be done, a sentence without its end.

    Raises:
        RunError: `needs-torch` or `package-missing`.
    """
    if not _is_there(module):
        raise package_error(module, what, instead)


def missing_package(error: BaseException) -> RunError | None:
    """Return what an import that failed says to the user; None where no extra brings what is missing."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name is None or extra_of(name) is None:
        return None
    module = name.partition(".")[0]
    # A part that is missing of a package that is there is a fault of the package, or of ours.
    return None if _is_there(module) else package_error(module, "this")


def package_error(module: str, what: str, instead: str = "") -> RunError:
    """Return that a package is not installed; the arguments are those of `require`."""
    extra = extra_of(module)
    assert extra is not None, module
    remedy = extra.remedy(module)
    return RunError(
        missing_code(module),
        f"{what} needs {extra.packages[module]}, which is not installed",
        f"{remedy}, or {instead}" if instead else remedy,
    )


def _is_there(module: str) -> bool:
    """Return whether a module is loaded, or can be."""
    if module in sys.modules:
        return sys.modules[module] is not None
    return importlib.util.find_spec(module) is not None
