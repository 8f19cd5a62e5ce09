"""The command line: the only place that prints and exits.

Exit codes: 0 fine, 1 differs or not up to date, 2 the user's fault, 3 ours, 130 interrupted. What a
command computes goes to standard output, everything else to standard error. Start-up is part of the
contract (decisions.md 17): nothing is imported here before the command that needs it runs.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from wavetwin.compiler.commands import BuildOptions, Built
    from wavetwin.diagnostics import Diagnostic

FINE, DIFFERS, USER_FAULT, OUR_FAULT, INTERRUPTED = 0, 1, 2, 3, 130

FORMATS = ("text", "json", "github", "sarif")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` default to the process's."""
    parser = _parser()
    options = parser.parse_args(arguments)
    collecting = gc.isenabled()
    # Loading makes many objects and frees few: collections would only cost time.
    gc.disable()
    # pydantic would look for plugins in every installed package: time, and code that is not ours.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from wavetwin.diagnostics import CompileError

    try:
        return options.run(options)
    except CompileError as error:
        return _report(options, error.diagnostics)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`): there is nobody to tell, and nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except Exception:
        import traceback

        traceback.print_exc()
        sys.stderr.write(
            "error: internal-error: this is a fault of wavetwin, not of your input; "
            "please report it with the lines above\n"
        )
        return OUR_FAULT
    finally:
        if collecting:
            gc.enable()


def entry_point() -> None:
    """Run the process's command and exit."""
    sys.exit(main())


def _parser() -> argparse.ArgumentParser:
    import argparse

    from wavetwin import __version__

    parser = argparse.ArgumentParser(
        prog="wavetwin",
        description="Compile declarative vision experiments: CNNs and their wavelet twins.",
        epilog="`wavetwin COMMAND --help` says more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"wavetwin {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run, command=name)
        return added

    def takes_specs(added: argparse.ArgumentParser, several: bool = True) -> None:
        what = "spec files, or folders of them" if several else "a spec file"
        added.add_argument("specs", metavar="SPEC", nargs="+" if several else 1, help=what)
        added.add_argument(
            "--set",
            metavar="KEY=VALUE",
            action="append",
            default=[],
            dest="overrides",
            help="override a field, for example --set stem.free_channels=40; may be repeated",
        )
        added.add_argument("--project", metavar="DIR", help="the project's root folder")
        added.add_argument(
            "--format", choices=FORMATS, default="text", help="form of errors and warnings"
        )
        added.add_argument("--strict", action="store_true", help="warnings fail the command")

    takes_specs(command("check", _check, "Check specs and report every fault at its place."))
    build = command("build", _build, "Build run scripts from specs into generated/.")
    takes_specs(build)
    _add_build_options(build)
    build.add_argument(
        "--check", action="store_true", help="compare with what was built; write nothing"
    )
    show = command("show", _show, "Show a spec's layers: shapes, parameters, cost.")
    takes_specs(show, several=False)
    show.add_argument("--json", action="store_true", help="one JSON object on standard output")
    show.add_argument("--passes", action="store_true", help="what each pass changes")
    run = command("run", _run, "Build one spec, train it and evaluate it.")
    takes_specs(run, several=False)
    _add_build_options(run)
    run.add_argument(
        "script_arguments",
        metavar="-- ARGUMENT",
        nargs=argparse.REMAINDER,
        help="passed on to train.py, for example -- --device cuda",
    )
    report = command("report", _report_runs, "Set several runs side by side.")
    report.add_argument("runs", metavar="RUN", nargs="+", help="run folders")
    report.add_argument("-o", "--output", metavar="FILE", help="default: report.html")
    report.set_defaults(format="text", strict=False)
    schema = command("schema", _schema, "Print the JSON Schema of specs, for editors.")
    schema.set_defaults(format="text", strict=False)
    return parser


def _add_build_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="where to build; default: generated/")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="build from changed inputs; keep a patch of them"
    )
    parser.add_argument(
        "--no-git", action="store_true", help="build outside a repository, and mark what is built"
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite files that were edited by hand"
    )


def _report(options: argparse.Namespace, diagnostics: Sequence[Diagnostic]) -> int:
    """Write diagnostics and return the exit code that they ask for."""
    from wavetwin import diagnostics as rendering

    if options.format == "json":
        sys.stdout.write(rendering.render_json(diagnostics))
    elif options.format == "sarif":
        from wavetwin import __version__

        sys.stdout.write(rendering.render_sarif(diagnostics, __version__))
    elif options.format == "github":
        sys.stdout.write(rendering.render_github(diagnostics))
    else:
        colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        sys.stderr.write(rendering.render_text(diagnostics, colour=colour))
    failing = ("error", "warning") if options.strict else ("error",)
    return USER_FAULT if any(d.severity in failing for d in diagnostics) else FINE


def _project(options: argparse.Namespace) -> Path | None:
    from pathlib import Path

    return None if options.project is None else Path(options.project).absolute()


def _check(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.compiler.commands import check_specs

    checked = check_specs(
        [Path(spec) for spec in options.specs], options.overrides, _project(options)
    )
    wanted = bool(checked.diagnostics) or options.format != "text"
    code = _report(options, checked.diagnostics) if wanted else FINE
    if options.format == "text" and code == FINE:
        sys.stderr.write(f"{_count(checked.num_specs, 'spec')} checked, no fault found\n")
    return code


def _build_options(options: argparse.Namespace) -> BuildOptions:
    from pathlib import Path

    from wavetwin.compiler.commands import BuildOptions

    return BuildOptions(
        overrides=tuple(options.overrides),
        project=_project(options),
        out=None if options.out is None else Path(options.out).absolute(),
        allow_dirty=options.allow_dirty,
        no_git=options.no_git,
        force=options.force,
    )


def _build(options: argparse.Namespace) -> int:
    if options.check:
        return _compare_builds(options)
    code, _ = _build_and_print(options)
    return code


def _compare_builds(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.compiler.commands import check_builds
    from wavetwin.compiler.tables import shown

    checks = check_builds([Path(spec) for spec in options.specs], _build_options(options))
    for check in checks:
        folder = shown(check.folder, Path.cwd())
        sys.stdout.write("".join(f"{folder}: {line}\n" for line in check.lines))
    return FINE if all(check.up_to_date for check in checks) else DIFFERS


def _build_and_print(options: argparse.Namespace) -> tuple[int, list[Built]]:
    from pathlib import Path

    from wavetwin.compiler.commands import build_specs

    built = build_specs([Path(spec) for spec in options.specs], _build_options(options))
    warnings = [warning for result in built for warning in result.compiled.warnings]
    code = _report(options, warnings) if warnings or options.format != "text" else FINE
    if options.format == "text":
        from wavetwin.compiler.tables import build_summary

        sys.stdout.write(build_summary(built, Path.cwd()))
    return code, built


def _show(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.compiler.compiled import compile_spec

    compiled = compile_spec(Path(options.specs[0]), options.overrides, _project(options))
    code = _report(options, compiled.warnings) if compiled.warnings else FINE
    if options.json:
        import json

        from wavetwin.compiler.tables import show_document

        sys.stdout.write(json.dumps(show_document(compiled), indent=1, ensure_ascii=False) + "\n")
    else:
        from wavetwin.compiler.tables import layer_table, pass_table

        sys.stdout.write(layer_table(compiled))
        if options.passes:
            sys.stdout.write("\n" + pass_table(compiled))
    return code


def _run(options: argparse.Namespace) -> int:
    from wavetwin.child import run_child

    code, built = _build_and_print(options)
    if code != FINE:
        return code
    folder = built[0].folder
    extra = [argument for argument in options.script_arguments if argument != "--"]
    sys.stdout.flush()
    for script, arguments in (("train.py", extra), ("evaluate.py", _shared(extra))):
        code = run_child([sys.executable, str(folder / script), *arguments])
        if code != FINE:
            sys.stderr.write(f"{folder / script} ended with exit code {code}\n")
            return code
    return FINE


def _shared(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of train.py that evaluate.py takes, too."""
    shared: list[str] = []
    taken = ("--device", "--data-root", "--runs", "--workers", "--limit-batches")
    position = 0
    while position < len(arguments):
        name, _, value = arguments[position].partition("=")
        if name in taken:
            shared.append(arguments[position])
            if not value and position + 1 < len(arguments):
                position += 1
                shared.append(arguments[position])
        elif name == "--allow-drift":
            shared.append(name)
        position += 1
    return shared


def _report_runs(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.runtime.report import write_report

    output = Path(options.output or "report.html")
    text = write_report([Path(run) for run in options.runs], output)
    sys.stdout.write(text)
    sys.stdout.write(f"\nreport: {output}\n")
    return FINE


def _schema(options: argparse.Namespace) -> int:
    from wavetwin.compiler.json_schema import shipped_schema

    sys.stdout.write(shipped_schema())
    return FINE


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
