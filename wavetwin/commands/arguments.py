"""Define arguments that several commands take, and the kinds of their values."""

from __future__ import annotations

import argparse

from wavetwin.diagnostics.output import FORMATS


def add_specs(parser: argparse.ArgumentParser, *, several: bool = True) -> None:
    """Add the specs that a command compiles, and what it does with their faults."""
    what = "spec files, or folders of them" if several else "a spec file"
    parser.add_argument("specs", metavar="SPEC", nargs="+" if several else 1, help=what)
    add_overrides(parser, "override a field, for example --set stem.free_channels=40")
    parser.add_argument("--strict", action="store_true", help="warnings fail the command")


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add the form of errors and warnings, which every command has."""
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="form of errors and warnings"
    )
    if parser.get_default("strict") is None:
        parser.set_defaults(strict=False)


def add_overrides(parser: argparse.ArgumentParser, text: str) -> None:
    """Add `--set`, with what it overrides in this command, and `--project`."""
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=f"{text}; may be repeated",
    )
    parser.add_argument("--project", metavar="DIR", help="the project's root folder")


def add_trials(parser: argparse.ArgumentParser) -> None:
    """Add `--trials`."""
    parser.add_argument(
        "--trials", action="store_true", help="take in runs of --limit-batches, which are left out"
    )


def add_state_dict(parser: argparse.ArgumentParser) -> None:
    """Add `--state-dict`."""
    parser.add_argument(
        "--state-dict",
        metavar="KEY",
        help="which of the file's state dicts, or what the names to take begin with",
    )


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a build."""
    parser.add_argument("--out", metavar="DIR", help="where to build; default: generated/")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="build from changed inputs; keep a patch of them"
    )
    parser.add_argument(
        "--no-git", action="store_true", help="build outside a repository, and mark what is built"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="write anew what was edited by hand, which is kept as NAME.edited-DIGEST",
    )
    parser.add_argument(
        "--standalone",
        action="store_true",
        help="copy what the scripts need of wavetwin beside them: they run without it",
    )
    add_no_passes(parser)


def add_no_passes(parser: argparse._ActionsContainer) -> None:
    """Add `--no-passes`."""
    parser.add_argument(
        "--no-passes",
        action="store_false",
        dest="optimise",
        help="take the model's layers as they are written, without the optimising passes",
    )


def count(text: str) -> int:
    """Read a whole number from 0."""
    return _whole(text, least=0)


def positive(text: str) -> int:
    """Read a whole number from 1."""
    return _whole(text, least=1)


def _whole(text: str, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        raise argparse.ArgumentTypeError(f"must be a whole number from {least}, not {text!r}")
    return int(text)
