"""`wavetwin run`: build one spec, train it and evaluate it, with one seed or several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_build_options, add_specs
from wavetwin.commands.output import FINE, Findings, path_or_none
from wavetwin.commands.seeds import read_seeds
from wavetwin.diagnostics.terminal import complain

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from wavetwin.commands.seeds import Scripts
    from wavetwin.diagnostics import Diagnostic

SHARED_VALUES = (
    "--device",
    "--data-root",
    "--runs",
    "--workers",
    "--limit-batches",
    "--on-bad-image",
    "--format",
)
"""Options with a value that evaluate.py takes as train.py does."""
SHARED_SWITCHES = ("--allow-drift", "--allow-other-data")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_specs(parser, several=False)
    add_build_options(parser)
    parser.add_argument(
        "--seeds",
        type=read_seeds,
        metavar="LIST",
        help="train with each of these seeds, one after another: 0-4,7; finished ones are skipped",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps; default: auto")
    parser.add_argument("--data-root", metavar="DIR", help="where the data sets lie")
    parser.epilog = (
        "What follows -- is passed on to train.py, and to evaluate.py what it takes, too: wavetwin run "
        "SPEC -- --limit-batches 5"
    )
    parser.set_defaults(execute=execute, takes_script_arguments=True)


def execute(options: argparse.Namespace) -> int:
    """Build, then start train.py and evaluate.py; return the first exit code that is not 0.

    With several seeds all are built before the first one trains.

    Raises:
        CompileError: the spec cannot be built.
        RunError: `needs-torch`; nothing was built.
    """
    from wavetwin.runtime.process.packages import require

    def scripts(folder: Path) -> list[list[str]]:
        from wavetwin.runtime.process.scripts import surroundings

        own = surroundings(options.device, path_or_none(options.data_root))
        # What follows -- is read later, and wins.
        extra = [*own, *options.script_arguments]
        each = (("train.py", extra), ("evaluate.py", _shared(extra)))
        return [[sys.executable, str(folder / name), *arguments] for name, arguments in each]

    require("torch", "training")
    findings = Findings(options)
    run = _run_one if options.seeds is None else _run_seeds
    code = run(options, scripts, findings)
    findings.close()
    return code


def _run_one(options: argparse.Namespace, scripts: Scripts, findings: Findings) -> int:
    from wavetwin.commands.build import build_and_print
    from wavetwin.commands.child import run_reporting

    code, built = build_and_print(options, findings)
    if code != FINE:
        return code
    sys.stdout.flush()
    for command in scripts(built[0].folder):
        code, found = run_reporting(command, options.format)
        findings.add(found)
        if code != FINE:
            complain(f"{command[1]} ended with exit code {code}\n")
            return code
    return FINE


def _run_seeds(options: argparse.Namespace, scripts: Scripts, findings: Findings) -> int:
    """Build each seed, the spec's own one as without --seeds, and run them.

    Raises:
        CompileError: the spec cannot be built.
    """
    from pathlib import Path

    from wavetwin.commands.build import build_options
    from wavetwin.commands.seeds import run_seeds
    from wavetwin.commands.specs import build_specs, compile_specs

    spec = [Path(options.specs[0])]
    base = build_options(options)
    own = compile_specs(spec, base.overrides, base.project, base.out, base.optimise)[0].plan.seed
    folders: dict[int, Path] = {}
    warnings: dict[Diagnostic, None] = {}
    for seed in options.seeds:
        more = () if seed == own else (f"training.seed={seed}",)
        (built,) = build_specs(spec, replace(base, overrides=(*base.overrides, *more)))
        folders[seed] = built.folder
        warnings |= dict.fromkeys(built.compiled.warnings)
    code = findings.add(list(warnings))
    if code == FINE:
        code, found = run_seeds(folders, scripts, options.format)
        findings.add(found)
    return code


def _shared(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of train.py that evaluate.py takes, too."""
    shared: list[str] = []
    position = 0
    while position < len(arguments):
        name, _, value = arguments[position].partition("=")
        if name in SHARED_VALUES:
            shared.append(arguments[position])
            if not value and position + 1 < len(arguments):
                position += 1
                shared.append(arguments[position])
        elif name in SHARED_SWITCHES:
            shared.append(name)
        position += 1
    return shared
