"""Dispatch the command line: which command it is, and whose fault an error is.

Exit codes: 0 fine, 1 differs or not up to date, 2 the user's fault, 3 ours, 130 interrupted. What a
command computes goes to standard output, everything else to standard error. Start-up is part of the
contract: of the commands, the one that was asked for is imported, and nothing that
it does not need.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wavetwin.commands.output import INTERRUPTED, OUR_FAULT, report
from wavetwin.diagnostics.terminal import complain, guard_messages, show_fault

if TYPE_CHECKING:
    import argparse

    from wavetwin.diagnostics import Diagnostic

COMMANDS = {
    "init": ("init", "Begin a project: a CNN and its twin, as specs with comments."),
    "new": ("new", "Write a spec that extends another one and says only what differs."),
    "check": ("check", "Check specs and report every fault at its location."),
    "fmt": ("fmt", "Write specs in one form: indentation, spaces, empty lines; comments stay."),
    "build": ("build", "Build run scripts from specs into generated/."),
    "specs": ("starters", "List the specs that come with wavetwin, or print one."),
    "show": ("show", "Show a spec's layers: shapes, parameters, cost, where they come from."),
    "diff": ("diff", "Say what differs between experiments, and what it does."),
    "run": ("run", "Build one spec, train it and evaluate it."),
    "sweep": ("sweep", "Vary the fields of a spec: check every member, train them, show the best."),
    "evaluate": ("evaluate", "Run a spec's evaluation suite on a weights file."),
    "report": ("report", "Show runs in one offline HTML page, side by side."),
    "export": ("export", "Hand a run on: a folder for a hub, a program of torch, or ONNX."),
    "runs": ("runs", "List, show and compare runs, by an index of their folders."),
    "data": ("data", "Check whether a spec's images are there, or lay a data set out."),
    "import": (
        "importing",
        "Take over what others trained: weights, or the commands of the published models.",
    ),
    "study": ("study", "Study the first layer: RMax and CMod, shifts, kernels, sparse layers."),
    "kernels": ("kernels", "Build the native kernel of the packets, before the first run does."),
    "explain": ("explain", "Say what a field of a spec is and may be, or what a message means."),
    "schema": ("schema", "Print the JSON Schema of specs or of sweeps, for editors."),
    "completion": ("completion", "Print what completes these commands in a shell, for Tab."),
}
"""Each command's module in this package, and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` default to the process's."""
    from wavetwin.diagnostics import system_errors
    from wavetwin.diagnostics.system import end_on_unsupported_system

    end_on_unsupported_system()
    given = list(sys.argv[1:] if arguments is None else arguments)
    system_errors.open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has no character for it gets an escape, not a fault of ours.
            stream.reconfigure(errors="backslashreplace")
    return system_errors.guard_output(lambda: _run_command(given))


def make_parser(command: str | None, *, loads_all: bool = False) -> argparse.ArgumentParser:
    """Return the parser of all commands, of which this one has its arguments.

    Args:
        command: the one that was asked for; only its module is imported.
        loads_all: all commands have theirs, and all modules are imported.
    """
    from wavetwin import __version__
    from wavetwin.commands.arguments import add_format
    from wavetwin.diagnostics.terminal import Parser

    parser = Parser(
        prog="wavetwin",
        description="Compile declarative vision experiments: CNNs and their wavelet twins.",
        epilog="`wavetwin COMMAND --help` says more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"wavetwin {__version__}")
    parser.set_defaults(takes_script_arguments=False)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        added = commands.add_parser(name, help=text, description=text)
        if loads_all or name == command:
            importlib.import_module(f"wavetwin.commands.{module}").add_arguments(added)
            if added._subparsers is None:
                add_format(added)
            _add_examples(added, name)
    return parser


def _add_examples(parser: argparse.ArgumentParser, name: str) -> None:
    """End the help of a command, and of each of its actions, with calls of it."""
    from wavetwin.commands.examples import show_examples

    shown = show_examples(name)
    if shown:
        parser.epilog = f"{parser.epilog}\n\n{shown}" if parser.epilog else shown
    for group in parser._subparsers._group_actions if parser._subparsers else ():
        choices: dict[str, argparse.ArgumentParser] = dict(group.choices or {})  # pyright: ignore[reportArgumentType, reportCallIssue]
        for action, below in choices.items():
            _add_examples(below, f"{name} {action}")


def _run_command(given: Sequence[str]) -> int:
    from wavetwin.diagnostics import system_errors

    # What follows `--` is for the script that `run` starts.
    own, separator, rest = _split(given, "--")
    command = next((each for each in own if not each.startswith("-")), None)
    parser = make_parser(command)
    options = parser.parse_args(own)
    if separator and not options.takes_script_arguments:
        parser.error(f"{command} takes nothing after --")
    options.given, options.script_arguments = own, rest
    _find_no_plugins()
    from wavetwin.diagnostics import DiagnosticError

    try:
        fault = system_errors.missing_folder()
        return options.execute(options) if fault is None else report(options, [fault])
    except DiagnosticError as error:
        return report(options, error.diagnostics)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if system_errors.broken_output() is not None:
            raise
        if system_errors.is_refusal(error):
            return report(options, [system_errors.refused(error)])
        return _report_unexpected(options, error)
    except Exception as error:
        return _report_unexpected(options, error)


def _find_no_plugins() -> None:
    """Let pydantic not look for plugins in every installed package: time, and code that is not ours.

    Its variable of the environment would reach what a command starts, and would still have it import
    importlib.metadata.
    """
    loader = types.ModuleType("pydantic.plugin._loader")
    loader.__dict__["get_plugins"] = tuple
    sys.modules.setdefault(loader.__name__, loader)


def _split(parts: Sequence[str], separator: str) -> tuple[list[str], bool, list[str]]:
    """Return the arguments before and after the first separator, and whether there is one."""
    if separator not in parts:
        return list(parts), False, []
    position = parts.index(separator)
    return list(parts[:position]), True, list(parts[position + 1 :])


def _report_unexpected(options: argparse.Namespace, error: Exception) -> int:
    """Say of an error whose fault it is, and return the exit code."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return report(options, [_name_too_long(error)])
    from wavetwin.runtime.process.own_code import own_code_error
    from wavetwin.runtime.process.packages import missing_package

    fault = own_code_error(error) or missing_package(error)
    if fault is not None:
        return report(options, fault.diagnostics)
    show_fault(type(error), error, error.__traceback__)
    complain(
        "error: internal-error: this is a fault of wavetwin, not of your input; "
        "please report it with the lines above\n"
    )
    return OUR_FAULT


def _name_too_long(error: OSError) -> Diagnostic:
    """Return that a path, which only the user can have named, is too long for the system."""
    from wavetwin.diagnostics import Diagnostic

    name = str(error.filename)
    return Diagnostic(
        "name-too-long",
        f"a path of {len(name)} characters has a part or a whole that this system does not take",
        subject=name if len(name) <= 80 else f"{name[:77]}...",
        help="name a shorter path",
    )


def entry_point() -> None:
    """Run the process's command and exit."""
    guard_messages()
    # Loading makes many objects and frees few: collections, also the interpreter's last, only cost time.
    gc.disable()
    code = main()
    gc.freeze()
    sys.exit(code)
