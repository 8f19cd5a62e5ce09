"""Find the file that an entry of `extends` names, or say why it cannot be used."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from wavetwin.compiler.parse.project import real_path
from wavetwin.compiler.parse.suggest import nearest
from wavetwin.compiler.parse.unreadable import suggest_file, why_not_readable
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.ir.frozen import frozen
from wavetwin.provenance.starters import (
    PREFIX,
    starter_file,
    starter_folder,
    starter_name,
    starter_names,
)

__all__ = ["Refusal", "find_parent", "spec_path", "suggest_starter"]


@frozen
class Refusal:
    """Why a parent cannot be used, as a diagnostic says it."""

    code: str
    headline: str
    help: str | None = None


def find_parent(child: Path, text: str, project: Path) -> Path | Refusal:
    """Return the file that a child names, not resolved, or why there is none.

    Args:
        child: the file whose `extends` it is.
        text: a path relative to the child, or the name of a starter, `wavetwin:resnet34/RwyI.yaml`.
        project: what the file has to lie in; starters extend each other in their own folder.
    """
    if not text.isprintable():
        return Refusal("extends-not-found", f"there is no file {text!r}")
    if text.startswith(PREFIX):
        starter = starter_file(text.removeprefix(PREFIX))
        if starter is not None:
            return starter
        help_text = suggest_starter(text)
        return Refusal("extends-not-found", f"wavetwin ships no spec '{text}'", help_text)
    if Path(text).is_absolute():
        return Refusal(
            "extends-absolute-path",
            f"'{text}' is an absolute path",
            "name a parent relative to this file, so that the project can be moved",
        )
    candidate = child.parent / text
    starters = starter_folder()
    home = project if starters is None or starter_name(child, project) is None else starters
    if not real_path(candidate).is_relative_to(real_path(home)):
        return Refusal(
            "extends-leaves-project",
            f"'{text}' is outside the project",
            "copy the file into the project",
        )
    reason = why_not_readable(candidate)
    if reason is not None:
        return Refusal("extends-not-found", f"'{text}' {reason}", suggest_file(candidate))
    return candidate


def spec_path(text: str) -> Path:
    """Return the path of a spec that a command line names, a starter by its name among them.

    Raises:
        CompileError: `unknown-name`, there is no such starter.
    """
    if not text.startswith(PREFIX):
        return Path(text)
    starter = starter_file(text.removeprefix(PREFIX))
    if starter is None:
        headline = "wavetwin ships no spec of this name"
        raise CompileError(
            [Diagnostic("unknown-name", headline, subject=text, help=suggest_starter(text))]
        )
    return starter


def suggest_starter(text: str) -> str:
    """Return which starter was meant by a name that is none, or how they are listed.

    The folder may be missing or wrong where one file alone has the name.
    """
    names = starter_names()
    name = text.removeprefix(PREFIX)
    if not name.endswith(".yaml"):
        name += ".yaml"
    by_file = [each for each in names if PurePosixPath(each).name == PurePosixPath(name).name]
    found = name if name in names else by_file[0] if len(by_file) == 1 else nearest(name, names)
    return "`wavetwin specs` lists them" if found is None else f"did you mean '{PREFIX}{found}'?"
