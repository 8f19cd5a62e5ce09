"""Hand out the epochs that a session of training has left, up to where it ends or pauses."""

from __future__ import annotations

from collections.abc import Iterator

from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.process.progress import ProgressReport
from wavetwin.runtime.training.early_stopping import EarlyStopping
from wavetwin.runtime.training.run_folder import RunFolder

__all__ = ["epochs_left"]


def epochs_left(
    run: RunFolder,
    plan: TrainingPlan,
    done: int,
    stopping: EarlyStopping,
    progress: ProgressReport,
) -> Iterator[int]:
    """Yield the epochs that are left, counted from 0; none after an early stop.

    Args:
        run: what is trained; its arguments may say after which epoch to pause.
        plan: has the number of epochs.
        done: epochs that are done.
        stopping: asked before each.
        progress: where it is said why none is left.

    Raises:
        SystemExit: with 0, where the run pauses: its state is saved, and starting it again goes on.
    """
    until = run.arguments.until_epoch
    for epoch in range(done, plan.epochs):
        if stopping.is_due:
            note = f"no better validation loss for {stopping.patience} epochs"
            progress.say(f"{note}: the training ends after epoch {epoch}")
            run.manifest["stopped_early"] = epoch
            return
        if until is not None and epoch >= until:
            progress.say(f"paused after epoch {epoch}, start again to go on")
            raise SystemExit(0)
        yield epoch
