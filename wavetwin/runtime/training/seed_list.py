"""Hand a list of seeds over to the process that builds and trains each of them.

Another seed is another plan, another digest and another folder, which only the compiler writes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from wavetwin.files.child_python import module_command
from wavetwin.provenance.package import imported_package
from wavetwin.runtime.process.errors import RunError

__all__ = ["train_seeds"]

_OPTION = "--seeds"


def train_seeds(
    folder: Path,
    seeds: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> NoReturn:
    """Become the process that trains with each seed, so that signals reach it as they would a script.

    Args:
        folder: the built folder.
        seeds: as the command line has them.
        arguments: the script's, the list of seeds among them.
        environment: with the variables of torchrun; default: the process's own.

    Raises:
        RunError: there is no compiler, or this is one of several processes.
    """
    if imported_package().is_standalone:
        headline = "a standalone folder has one seed: another one is another build"
        raise RunError("bad-argument", headline, "wavetwin run SPEC --seeds", subject=_OPTION)
    if "RANK" in (os.environ if environment is None else environment):
        headline = "several processes train one seed together"
        help_text = (
            "start torchrun for each seed, with what `wavetwin build --set training.seed=1` wrote"
        )
        raise RunError("bad-argument", headline, help_text, subject=_OPTION)
    sys.stdout.flush()
    command = module_command("wavetwin.commands.seeds", str(folder), seeds, *_others(arguments))
    os.execv(command[0], command)


def _others(arguments: Sequence[str]) -> list[str]:
    """Return a script's arguments without the list of seeds."""
    left: list[str] = []
    skips = False
    for each in arguments:
        if skips:
            skips = False
        elif each == _OPTION:
            skips = True
        elif not each.startswith(f"{_OPTION}="):
            left.append(each)
    return left
