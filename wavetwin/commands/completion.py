"""`wavetwin completion`: print the completion script of a shell; nothing is asked when Tab is pressed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import hand_over

SHELLS = ("bash", "zsh", "fish")
_FILES = frozenset({"FILE", "SPEC", "RUN", "SOURCE", "KERNELS", "NAME|SPEC", "PATH", "WEIGHTS"})
_FOLDERS = frozenset({"DIR", "FOLDER"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads it")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the script, made from the parsers of all commands."""
    import shtab

    from wavetwin.commands.cli import make_parser

    parser = make_parser(None, loads_all=True)
    for action in _actions(parser):
        names = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
        if action.choices is None and _FILES & set(names):
            setattr(action, "complete", shtab.FILE)  # noqa: B010  an attribute of shtab's
        elif action.choices is None and _FOLDERS & set(names):
            setattr(action, "complete", shtab.DIRECTORY)  # noqa: B010
    hand_over(shtab.complete(parser, options.shell))
    return FINE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of those of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in dict.fromkeys(action.choices.values()):
                yield from _actions(each)
        yield action
