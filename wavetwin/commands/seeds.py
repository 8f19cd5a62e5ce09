"""Train one experiment with several seeds, one after another; a seed that is finished is skipped.

`python -m wavetwin.commands.seeds FOLDER SEEDS [options of train.py]` does it for a built folder: its
`train.py --seeds` becomes this process, because a script itself imports nothing of the compiler.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from wavetwin.commands.child import run_reporting
from wavetwin.commands.output import FINE
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.diagnostics.terminal import complain, say
from wavetwin.ir.plan import TrainingPlan

__all__ = ["parse_seeds", "read_seeds", "run_seeds"]

_MANY = 1000
_LARGEST = 2**63 - 1

Scripts = Callable[[Path], Sequence[Sequence[str]]]
"""The commands that a built folder is run by, in order."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a list of numbers and ranges, `0-4,7`, in its order, each once.

    Raises:
        ValueError: it is no such list, or one of more than a thousand seeds.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,19})(?:-([0-9]{1,19}))?", part.strip(), re.ASCII)
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] else first
        if match is None or last < first or last > _LARGEST:
            raise ValueError(f"{part.strip()!r} is no seed and no range of seeds such as 0-4")
        if last - first >= _MANY or len(seeds) + last - first >= _MANY:
            raise ValueError(f"more than {_MANY} seeds")
        seeds |= dict.fromkeys(range(first, last + 1))
    return tuple(seeds)


def read_seeds(text: str) -> tuple[int, ...]:
    """Read the seeds of a command line.

    Raises:
        argparse.ArgumentTypeError: it is no list of seeds.
    """
    try:
        return parse_seeds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run_seeds(
    folders: Mapping[int, Path], scripts: Scripts, form: str = "text"
) -> tuple[int, tuple[Diagnostic, ...]]:
    """Run each seed's scripts, one after another, and stop at the first that does not end well.

    An interrupt goes to the script, which saves its state; what is left is said, and starting again
    goes on there.

    Args:
        folders: the built folder of each seed.
        scripts: the commands of a folder.
        form: of messages; what programs read has standard output for itself.

    Returns:
        The first exit code that is not 0, and what the scripts found as `run_reporting` has it.
    """
    tell = say if form == "text" else complain
    found: list[Diagnostic] = []
    done: list[int] = []
    for seed, folder in folders.items():
        tell(f"seed {seed}: {folder}\n")
        sys.stdout.flush()
        for command in scripts(folder):
            code, more = run_reporting(command, form)
            found += more
            if code != FINE:
                left = [each for each in folders if each not in done]
                complain(
                    f"seed {seed} ended with exit code {code}; finished: {_listed(done)}; left: "
                    f"{_listed(left)}; the same command goes on from there\n"
                )
                return code, tuple(found)
        done.append(seed)
    return FINE, tuple(found)


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds)) or "none"


def main(folder: Path, seeds: Sequence[int], arguments: Sequence[str], form: str = "text") -> int:
    """Build what other seeds need as this folder was built, and train all; return the exit code.

    Raises:
        CompileError: the spec is not there, is another one now, or an input is dirty; or what the
            scripts found, of a form that is one document.
    """
    from wavetwin.commands.specs import BuildOptions, build_specs
    from wavetwin.compiler.compiled import compile_spec
    from wavetwin.provenance.package import read_manifest

    _, manifest = read_manifest(folder)
    project = folder.absolute().parent.parent
    spec = project / manifest["spec"]
    if "--allow-drift" in arguments:
        headline = "an edited script trains its own seed alone"
        _refuse("bad-argument", headline, "--allow-drift", "change the spec, and build again")
    if not spec.is_file():
        headline = "the spec that this folder was built from is not there, and other seeds need it"
        help_text = "wavetwin run SPEC --seeds, where the spec is"
        _refuse("file-not-found", headline, str(spec), help_text)
    overrides: list[str] = manifest["overrides"]
    compiled = compile_spec(spec, overrides, project)
    if compiled.training_digest != manifest["training_digest"]:
        headline = "the spec says another training than this folder was built with"
        _refuse("run-differs", headline, str(spec), "build again")
    own = TrainingPlan.from_text((folder / "plan.json").read_text(encoding="utf-8")).seed
    folders: dict[int, Path] = {}
    for seed in seeds:
        if seed == own:
            folders[seed] = folder
            continue
        options = BuildOptions(
            (*overrides, f"training.seed={seed}"),
            project,
            folder.absolute().parent,
            allow_dirty=bool(manifest["dirty"]),
            no_git=not manifest["git"],
            optimise=bool(manifest["passes"]),
        )
        folders[seed] = build_specs([spec], options)[0].folder

    def scripts(each: Path) -> list[list[str]]:
        return [[sys.executable, str(each / "train.py"), *arguments]]

    code, found = run_seeds(folders, scripts, form)
    if found:
        raise CompileError(found)
    return code


def _refuse(code: str, headline: str, subject: str, help_text: str) -> NoReturn:
    raise CompileError([Diagnostic(code, headline, subject=subject, help=help_text)])


def _started(argv: Sequence[str]) -> int:
    folder, text, *arguments = argv
    try:
        seeds = parse_seeds(text)
    except ValueError as error:
        _refuse("bad-argument", str(error), "--seeds", "a list of numbers and ranges: 0-4,7")
    from wavetwin.runtime.process.scripts import asked_form

    return main(Path(folder), seeds, arguments, asked_form(arguments))


if __name__ == "__main__":
    from wavetwin.runtime.process.scripts import run_script

    run_script(lambda: _started(sys.argv[1:]))
