"""`wavetwin build`: write run scripts of specs, or compare them with what was built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_build_options, add_specs
from wavetwin.commands.output import DIFFERS, FINE, Findings, project_of
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse

    from wavetwin.commands.specs import BuildOptions, Built


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_specs(parser)
    add_build_options(parser)
    parser.add_argument(
        "--check", action="store_true", help="compare with what was built; write nothing"
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Build, or compare.

    Raises:
        CompileError: a spec is at fault, or its folder or its inputs keep it from being built.
    """
    if options.check:
        return _compare_builds(options)
    findings = Findings(options)
    code, _ = build_and_print(options, findings)
    findings.close()
    return code


def build_and_print(options: argparse.Namespace, findings: Findings) -> tuple[int, list[Built]]:
    """Build the specs and say what was written; return the exit code, too.

    Args:
        options: of the command line.
        findings: takes the warnings.

    Raises:
        CompileError: as of `execute`.
    """
    from pathlib import Path

    from wavetwin.commands.specs import build_specs

    built = build_specs([Path(spec) for spec in options.specs], build_options(options))
    warnings = [warning for result in built for warning in result.compiled.warnings]
    code = findings.add(warnings)
    if options.format == "text":
        from wavetwin.commands.build_summary import build_summary

        say(build_summary(built, Path.cwd(), uses_git=not options.no_git))
    return code, built


def _compare_builds(options: argparse.Namespace) -> int:
    from pathlib import Path

    from wavetwin.commands.specs import check_builds
    from wavetwin.explain.text_table import shown

    checks = check_builds([Path(spec) for spec in options.specs], build_options(options))
    for check in checks:
        folder = shown(check.folder, Path.cwd())
        say("".join(f"{folder}: {line}\n" for line in check.lines))
    return FINE if all(check.up_to_date for check in checks) else DIFFERS


def build_options(options: argparse.Namespace) -> BuildOptions:
    """Return the options of a build as the command line has them."""
    from pathlib import Path

    from wavetwin.commands.specs import BuildOptions

    return BuildOptions(
        overrides=tuple(options.overrides),
        project=project_of(options),
        out=None if options.out is None else Path(options.out).absolute(),
        allow_dirty=options.allow_dirty,
        no_git=options.no_git,
        force=options.force,
        standalone=options.standalone,
        optimise=options.optimise,
    )
