"""`wavetwin kernels`: build the native kernel of the packets, and say which one it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_format
from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    kinds = parser.add_subparsers(title="what to do", required=True, metavar="ACTION")
    text = (
        "Build the kernel into the user's cache, where runs with training.kernels: native find it."
    )
    build = kinds.add_parser("build", help=text, description=text)
    add_format(build)
    build.set_defaults(execute=_build)


def _build(options: argparse.Namespace) -> int:
    del options
    from wavetwin.runtime.bank.native import NoLibraryError, build_library
    from wavetwin.runtime.process.errors import RunError

    try:
        library = build_library()
    except NoLibraryError as error:
        raise RunError(
            "kernel-missing",
            f"the native kernel cannot be built: {error}",
            error.help,
        ) from error
    say(f"{library.path}\n")
    for name, value in library.record().items():
        say(f"{name:9}{value}\n")
    return FINE
