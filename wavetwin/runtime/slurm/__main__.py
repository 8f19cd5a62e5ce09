"""Run the program that `slurm.sh` starts: `submit` before the queue, `job` in it, `node` on each node.

`python -m wavetwin.runtime.slurm submit FOLDER SCRIPT [options of train.py]` checks, freezes and
queues; `... job FOLDER [options of train.py]` trains and evaluates; `... node ...` is what a job
starts on its nodes. The copy of a standalone folder is started by its path.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    # Started by its path: the wavetwin that this file is a part of, whatever is installed.
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    found = PathFinder.find_spec("wavetwin", [str(Path(__file__).resolve().parents[3])])
    assert found is not None, __file__
    assert found.loader is not None, __file__
    sys.modules["wavetwin"] = module_from_spec(found)
    found.loader.exec_module(sys.modules["wavetwin"])

from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import run_script


def _main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["submit", folder, script, *options]:
            from wavetwin.runtime.slurm.submit import submit

            return submit(Path(folder), Path(script), options)
        case ["job", folder, *options]:
            from wavetwin.runtime.slurm.job import run_job

            return run_job(Path(folder), options)
        case ["node", *options]:
            from wavetwin.runtime.slurm.node import run_on_node

            return run_on_node(options)
        case _:
            raise RunError(
                "bad-argument",
                "this is the part of slurm.sh that is written in Python",
                "bash slurm.sh [options of train.py], in a built folder",
            )


if __name__ == "__main__":
    run_script(lambda: _main(sys.argv[1:]), "text")
