"""Run a generated script that sends itself a signal: `python killed.py SCRIPT PHASE[:SIGNAL] N ...`.

The signal is SIGKILL where none is named.

The phases: `writing` the N-th sync inside a checkpoint's writing, `renaming` the N-th rename of a
checkpoint's folder, `validation` before the N-th batch of validation images is predicted,
`epochs` the N-th time that an epoch was closed, after its records and before its state, `step` the
N-th step, before it is counted, and `loading` the N-th batch of training images, before its learning
rate is set. Other arguments go to the script.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kill_at(owner: Any, name: str, number: int, sent: signal.Signals) -> None:
    """Let the process send itself a signal at the start of the N-th call of `owner.name`."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), sent)
        return original(*arguments, **options)

    setattr(owner, name, counted)


class Validation:
    """What the batches of the validation images pass through."""

    @staticmethod
    def yield_batch(batch: Any) -> Any:
        return batch

    @staticmethod
    def watch(batches: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            return (Validation.yield_batch(batch) for batch in batches(*arguments, **options))

        return watched


def main(words: list[str]) -> None:
    """Run the script with a signal at its place."""
    script, phase, number, *arguments = words
    phase, _, sent = phase.partition(":")
    from wavetwin.runtime.data import ExperimentData
    from wavetwin.runtime.training import checkpoint
    from wavetwin.runtime.training.run_folder import RunFolder
    from wavetwin.runtime.training.schedule import LearningRate

    ExperimentData.evaluation_batches = Validation.watch(ExperimentData.evaluation_batches)
    owner, name = {
        "writing": (checkpoint, "_sync"),
        "renaming": (Path, "rename"),
        "validation": (Validation, "yield_batch"),
        "epochs": (RunFolder, "note_bad_images"),
        "step": (RunFolder, "mark_step"),
        "loading": (LearningRate, "set"),
    }[phase]
    kill_at(owner, name, int(number), signal.Signals[sent or "SIGKILL"])
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
