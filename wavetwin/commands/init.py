"""`wavetwin init`: begin a project with a CNN and its twin, which build at once."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import positive
from wavetwin.commands.output import FINE, report
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from wavetwin.commands.project_files import Choices
    from wavetwin.diagnostics import Diagnostic

_SPECS = "specs/"
"""Below it lie the files that no project can do without; others that are there already are kept."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from wavetwin.commands.project_files import TWINS
    from wavetwin.ir.backbones import ARCHITECTURES
    from wavetwin.ir.datasets import DATASETS

    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="default: this one")
    parser.add_argument("--dataset", choices=DATASETS, default="digits", help="default: digits")
    parser.add_argument(
        "--backbone",
        choices=ARCHITECTURES,
        help="default: a small network of listed layers for small images, a ResNet-18 for others",
    )
    parser.add_argument(
        "--twin",
        choices=TWINS,
        action="append",
        dest="twins",
        help=f"pooling of the twin's wavelet channels; may be repeated; default: {next(iter(TWINS))}",
    )
    parser.add_argument(
        "--classes", type=positive, metavar="N", help="how many a folder of your own images has"
    )
    parser.add_argument(
        "--no-git", action="store_true", help="make no repository where there is none"
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Check that the project compiles and overwrites nothing, and write it.

    Raises:
        CompileError: a spec would not compile, a file of the project is there, or git fails.
    """
    from pathlib import Path

    from wavetwin.commands.project_files import TWINS, Choices, project_files
    from wavetwin.diagnostics import CompileError
    from wavetwin.files.atomic import write_file

    folder = Path(os.path.abspath(options.folder))  # noqa: PTH100  links of the user's own stay
    twins = options.twins or [next(iter(TWINS))]
    choices = Choices.of(options.dataset, options.backbone, options.classes, twins)
    faults = _classes_faults(choices)
    if faults:
        raise CompileError(faults)
    files = project_files(choices, folder.name or "A project")
    faults = _conflicts(folder, files)
    if faults:
        raise CompileError(faults)
    warnings = _check(files)
    kept = [name for name in files if os.path.lexists(folder / name)]
    folder.mkdir(parents=True, exist_ok=True)
    made = not options.no_git and _make_repository(folder)
    for name, text in files.items():
        if name not in kept:
            (folder / name).parent.mkdir(exist_ok=True)
            write_file(folder / name, text)
    code = report(options, warnings) if warnings else FINE
    say(_summary(choices, folder, files, kept, made, uses_git=not options.no_git))
    return code


def _classes_faults(choices: Choices) -> list[Diagnostic]:
    """Return that the number of classes is missing, or is given of a data set that has its own."""
    from wavetwin.diagnostics import Diagnostic

    known, given, name = choices.dataset.num_classes, choices.num_classes, choices.dataset.name
    if known is None and given is None:
        headline = f"nothing says how many classes the images of {name!r} have"
        help_text = "add --classes N"
    elif known is not None and given is not None:
        headline = f"{name} has {known} classes, which no option changes"
        help_text = "leave --classes out"
    else:
        return []
    return [Diagnostic("bad-argument", headline, subject="--classes", help=help_text)]


def _conflicts(folder: Path, files: Mapping[str, str]) -> list[Diagnostic]:
    """Return that specs of these names are there, or that what should be a folder is none."""
    from wavetwin.diagnostics import Diagnostic
    from wavetwin.diagnostics.listing import list_some

    for each in (folder, folder / _SPECS):
        if os.path.lexists(each) and not each.is_dir():
            headline = "a folder of the project would lie where something else is"
            help_text = "move it away, or name another folder"
            return [Diagnostic("output-exists", headline, subject=str(each), help=help_text)]
    there = [name for name in files if name.startswith(_SPECS) and os.path.lexists(folder / name)]
    if not there:
        return []
    return [
        Diagnostic(
            "output-exists",
            "the project would overwrite files; nothing was written",
            subject=str(folder),
            notes=(f"files: {list_some(there)}",),
            help="name another folder, move them away, or write a further spec with `wavetwin new`",
        )
    ]


def _check(files: Mapping[str, str]) -> list[Diagnostic]:
    """Compile the specs before anything is written, and return what they warn of.

    Raises:
        CompileError: backbone, data set and twin do not go together.
    """
    import tempfile
    from pathlib import Path

    from wavetwin.commands.specs import compile_specs
    from wavetwin.files.atomic import write_file

    with tempfile.TemporaryDirectory(prefix="wavetwin-") as name:
        draft = Path(name)
        (draft / _SPECS).mkdir()
        for path, text in files.items():
            write_file(draft / path, text)
        compiled = compile_specs([draft / _SPECS], project=draft)
        return [warning for each in compiled for warning in each.warnings]


def _make_repository(folder: Path) -> bool:
    """Make a repository where the folder lies in none, and return whether it did.

    Raises:
        CompileError: `git-failed`.
    """
    from wavetwin.provenance.git_command import run_git
    from wavetwin.provenance.git_state import GitState

    if GitState().work_tree(folder) is not None:
        return False
    run_git(folder, ["init", "-q"], without="--no-git begins the project without a repository")
    return True


def _summary(
    choices: Choices,
    folder: Path,
    files: Mapping[str, str],
    kept: list[str],
    made: bool,
    uses_git: bool,
) -> str:
    """Return what was written, what was left as it is, and the commands that come next."""
    from pathlib import Path

    from wavetwin.explain.text_table import shown

    lines = [
        f"{'wrote':12}{shown(folder / name, Path.cwd())}" for name in files if name not in kept
    ]
    for name in kept:
        own = [line for line in files[name].splitlines() if line and not line.startswith("#")]
        add = (
            f"; it should have: {' '.join(own)}"
            if own and not name.endswith((".md", ".json"))
            else ""
        )
        lines.append(f"{'kept':12}{shown(folder / name, Path.cwd())}, which was there{add}")
    if made:
        lines.append(f"{'made':12}a git repository; nothing is committed yet")
    commands: list[str] = []
    if folder != Path.cwd():
        commands.append(f"cd {shlex.quote(shown(folder, Path.cwd()))}")
    if choices.dataset.is_own:
        commands.append(
            "wavetwin data prepare specs/cnn.yaml --data-root DIR   # README.md: your images"
        )
    if uses_git:
        commands.append('git add -A && git commit -m "A wavetwin project"')
    commands.append(f"wavetwin diff specs/cnn.yaml specs/{choices.twins[0]}.yaml")
    no_git = "" if uses_git else " --no-git"
    commands += [f"wavetwin run specs/{name}.yaml{no_git}" for name in ("cnn", *choices.twins)]
    lines += [f"{'next' if number == 0 else '':12}{each}" for number, each in enumerate(commands)]
    return "\n".join(lines) + "\n"
