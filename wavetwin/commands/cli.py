"""The command line: the only place that prints and exits.

Exit codes: 0 fine, 1 differs or not up to date, 2 the user's fault, 3 ours, 130 interrupted. What a
command computes goes to standard output, everything else to standard error. Start-up is part of the
contract (decisions.md 17): nothing is imported here before the command that needs it runs.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wavetwin.diagnostics.terminal import complain, guard_messages, say, show_fault

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from wavetwin.commands.build import BuildOptions, Built
    from wavetwin.diagnostics import Diagnostic

FINE, DIFFERS, USER_FAULT, OUR_FAULT, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` default to the process's."""
    from wavetwin.diagnostics import system_errors

    given = list(sys.argv[1:] if arguments is None else arguments)
    system_errors.open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has no letter for it gets an escape, not a fault of ours.
            stream.reconfigure(errors="backslashreplace")
    return system_errors.guard_output(lambda: _run_command(given))


def _run_command(given: Sequence[str]) -> int:
    from wavetwin.commands.arguments import make_parser
    from wavetwin.diagnostics import system_errors

    # What follows `--` is for the script that `run` starts.
    own, separator, rest = _split(given, "--")
    parser = make_parser()
    options = parser.parse_args(own)
    if separator and options.command != "run":
        parser.error(f"{options.command} takes nothing after --")
    options.given, options.script_arguments = own, rest
    collecting = gc.isenabled()
    # Loading makes many objects and frees few: collections would only cost time.
    gc.disable()
    # pydantic would look for plugins in every installed package: time, and code that is not ours.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from wavetwin.diagnostics import CompileError

    try:
        fault = system_errors.missing_folder()
        return COMMANDS[options.command](options) if fault is None else _report(options, [fault])
    except CompileError as error:
        return _report(options, error.diagnostics)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno is None or system_errors.broken_output() is not None:
            raise
        return _report(options, [system_errors.refused(error)])
    except Exception as error:
        return _report_unexpected(options, error)
    finally:
        if collecting:
            gc.enable()


def _split(parts: Sequence[str], separator: str) -> tuple[list[str], bool, list[str]]:
    """Return the words before and after the first separator, and whether there is one."""
    if separator not in parts:
        return list(parts), False, []
    position = parts.index(separator)
    return list(parts[:position]), True, list(parts[position + 1 :])


def _is_run_error(error: Exception) -> bool:
    """Whether the runtime, which is not imported for this, says that the input is at fault."""
    errors = sys.modules.get("wavetwin.runtime.process.errors")
    return errors is not None and isinstance(error, errors.RunError)


def _report_unexpected(options: argparse.Namespace, error: Exception) -> int:
    """Say of an error whose fault it is, and return the exit code."""
    if _is_run_error(error):
        complain(f"error: {error}\n")
        return USER_FAULT
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return _report(options, [_name_too_long(error)])
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
    sys.exit(main())


def _report(options: argparse.Namespace, diagnostics: Sequence[Diagnostic]) -> int:
    """Write diagnostics and return the exit code that they ask for."""
    from wavetwin import diagnostics as rendering

    if options.format == "json":
        say(rendering.render_json(diagnostics))
    elif options.format == "sarif":
        from wavetwin import __version__

        say(rendering.render_sarif(diagnostics, __version__))
    elif options.format == "github":
        say(rendering.render_github(diagnostics))
    else:
        colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        complain(rendering.render_text(diagnostics, colour=colour), colours=colour)
    failing = ("error", "warning") if options.strict else ("error",)
    return USER_FAULT if any(d.severity in failing for d in diagnostics) else FINE


def _project(options: argparse.Namespace) -> Path | None:
    from pathlib import Path

    return None if options.project is None else Path(options.project).absolute()


def _check(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.commands.build import check_specs

    checked = check_specs(
        [Path(spec) for spec in options.specs], options.overrides, _project(options)
    )
    wanted = bool(checked.diagnostics) or options.format != "text"
    code = _report(options, checked.diagnostics) if wanted else FINE
    if options.format == "text" and code == FINE:
        warnings = len(checked.diagnostics)
        found = f"no error, {_count(warnings, 'warning')}" if warnings else "no fault found"
        complain(f"{_count(checked.num_specs, 'spec')} checked, {found}\n")
    return code


def _build_options(options: argparse.Namespace) -> BuildOptions:
    from pathlib import Path

    from wavetwin.commands.build import BuildOptions

    return BuildOptions(
        overrides=tuple(options.overrides),
        project=_project(options),
        out=None if options.out is None else Path(options.out).absolute(),
        allow_dirty=options.allow_dirty,
        no_git=options.no_git,
        force=options.force,
        standalone=options.standalone,
        optimise=options.optimise,
    )


def _build(options: argparse.Namespace) -> int:
    if options.check:
        return _compare_builds(options)
    code, _ = _build_and_print(options)
    return code


def _compare_builds(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.commands.build import check_builds
    from wavetwin.explain.text_table import shown

    checks = check_builds([Path(spec) for spec in options.specs], _build_options(options))
    for check in checks:
        folder = shown(check.folder, Path.cwd())
        say("".join(f"{folder}: {line}\n" for line in check.lines))
    return FINE if all(check.up_to_date for check in checks) else DIFFERS


def _build_and_print(options: argparse.Namespace) -> tuple[int, list[Built]]:
    from pathlib import Path

    from wavetwin.commands.build import build_specs

    built = build_specs([Path(spec) for spec in options.specs], _build_options(options))
    warnings = [warning for result in built for warning in result.compiled.warnings]
    code = _report(options, warnings) if warnings or options.format != "text" else FINE
    if options.format == "text":
        from wavetwin.commands.build_summary import build_summary

        say(build_summary(built, Path.cwd(), uses_git=not options.no_git))
    return code, built


def _show(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.commands.show import check_pictures, show
    from wavetwin.compiler.compiled import compile_spec

    check_pictures(options)
    compiled = compile_spec(
        Path(options.specs[0]), options.overrides, _project(options), optimise=options.optimise
    )
    code = _report(options, compiled.warnings) if compiled.warnings else FINE
    say(show(compiled, options))
    return code


def _run(options: argparse.Namespace) -> int:
    from wavetwin.commands.child import run_child

    code, built = _build_and_print(options)
    if code != FINE:
        return code
    folder = built[0].folder
    extra: list[str] = options.script_arguments
    sys.stdout.flush()
    for script, arguments in (("train.py", extra), ("evaluate.py", _shared(extra))):
        code = run_child([sys.executable, str(folder / script), *arguments])
        if code != FINE:
            complain(f"{folder / script} ended with exit code {code}\n")
            return code
    return FINE


def _shared(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of train.py that evaluate.py takes, too."""
    shared: list[str] = []
    taken = (
        "--device",
        "--data-root",
        "--runs",
        "--workers",
        "--limit-batches",
        "--on-bad-image",
    )
    position = 0
    while position < len(arguments):
        name, _, value = arguments[position].partition("=")
        if name in taken:
            shared.append(arguments[position])
            if not value and position + 1 < len(arguments):
                position += 1
                shared.append(arguments[position])
        elif name in ("--allow-drift", "--allow-other-data"):
            shared.append(name)
        position += 1
    return shared


def _diff(options: argparse.Namespace) -> int:
    from wavetwin.commands.diff import diff_command

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    answer = diff_command(options, colour)
    say(answer.text, colours=colour)
    complain(answer.messages)
    return FINE if answer.same else DIFFERS


def _report_runs(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.commands.report import report_command
    from wavetwin.explain.report import ReportOptions

    output = Path(options.output or "report.html")
    paired = None if options.paired is None else (options.paired[0], options.paired[1])
    wanted = ReportOptions(options.published, options.baseline, paired, options.trials)
    text = report_command([Path(run) for run in options.runs], output, wanted)
    say(text)
    say(f"\nreport: {output}\n")
    return FINE


def _evaluate(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.compiler.compiled import compile_spec

    compiled = compile_spec(Path(options.spec), options.overrides, _project(options))
    code = _report(options, compiled.warnings) if compiled.warnings else FINE
    from wavetwin.commands.evaluate import EvaluateOptions, evaluate_weights

    scores_file = evaluate_weights(
        Path(options.weights),
        compiled,
        EvaluateOptions(
            out=None if options.out is None else Path(options.out),
            device=options.device,
            data_root=None if options.data_root is None else Path(options.data_root),
            workers=options.workers,
            limit_batches=options.limit_batches,
            on_bad_image=options.on_bad_image,
            allow_other_data=options.allow_other_data,
            baseline=None if options.baseline is None else Path(options.baseline),
            state_dict=options.state_dict,
        ),
        lambda line: say(f"{line}\n"),
    )
    say(f"scores: {scores_file}\n")
    return code


def _runs(options: argparse.Namespace) -> int:
    from wavetwin.commands.runs import runs_command

    answer = runs_command(options)
    complain(answer.messages)
    say(answer.text)
    return FINE


def _import_weights(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.compiler.compiled import compile_spec

    compiled = compile_spec(Path(options.spec), options.overrides, _project(options))
    code = _report(options, compiled.warnings) if compiled.warnings else FINE
    from wavetwin.importing.weights import import_weights

    imported = import_weights(
        Path(options.file),
        compiled.graph,
        compiled.plan,
        Path(options.out),
        options.num_classes,
        options.state_dict,
    )
    say(imported.describe())
    return code


def _import_command(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.importing.import_command import import_command, write_new

    imported = import_command(options.text)
    if options.out is None:
        say(imported.text)
    else:
        write_new(imported.text, Path(options.out))
    return _report(options, imported.notes)


def _data_check(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.compiler.compiled import compile_spec

    compiled = compile_spec(Path(options.spec), options.overrides, _project(options))
    code = _report(options, compiled.warnings) if compiled.warnings else FINE
    from wavetwin.commands.data import check_data

    root = None if options.data_root is None else Path(options.data_root)
    complete, text = check_data(compiled.plan, root, verify=options.verify)
    say(text)
    return code or (FINE if complete else DIFFERS)


def _data_prepare(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.commands.data import prepare_data

    root = None if options.data_root is None else Path(options.data_root)
    archives = None if options.archives is None else Path(options.archives)
    say(prepare_data(options.dataset, root, archives))
    return FINE


def _study(options: argparse.Namespace) -> int:
    from wavetwin.commands.study import study_command

    say(study_command(options))
    return FINE


def _schema(options: argparse.Namespace) -> int:
    from wavetwin.compiler.validate.json_schema import shipped_schema

    say(shipped_schema())
    return FINE


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "build": _build,
    "check": _check,
    "data check": _data_check,
    "data prepare": _data_prepare,
    "diff": _diff,
    "evaluate": _evaluate,
    "import command": _import_command,
    "import weights": _import_weights,
    "report": _report_runs,
    "run": _run,
    "runs compare": _runs,
    "runs list": _runs,
    "runs reindex": _runs,
    "runs show": _runs,
    "schema": _schema,
    "show": _show,
    "study": _study,
}
