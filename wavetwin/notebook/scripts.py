"""Train and evaluate as functions: the built scripts, run in this process.

What a script does stands in the script: these build it as `wavetwin build` does, load it, and call its
own function with the same checks before, so that a run has the same records whoever started it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.render.build import BuildOptions, build_compiled
from wavetwin.ir.plan import TrainingPlan
from wavetwin.notebook.loaded_run import Run, load_run
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.scripts import (
    CHECKPOINT_SECONDS,
    ScriptArguments,
    surroundings,
    weights_name,
)
from wavetwin.runtime.training.start import begin_evaluation, begin_training

if TYPE_CHECKING:
    from wavetwin.notebook import Surroundings

__all__ = ["evaluate", "train"]

_TRAIN, _EVALUATE = "train", "evaluate"
"""Functions of the scripts of these names."""
_INTERRUPTED = 128 + signal.SIGINT


def train(compiled: Compiled, run: Literal["last", "new"], where: Surroundings) -> Run:
    """Build, train, and return the run; see `wavetwin.train`."""
    if run not in ("last", "new"):
        raise RunError(
            "bad-argument", f"run is {run!r}", "say last, to go on with it, or new, for another one"
        )
    arguments = _arguments(where, [_TRAIN, *(["--new"] if run == "new" else [])])
    script = _build(compiled, where) / f"{_TRAIN}.py"
    arguments = replace(arguments, new=run == "new")
    _call(script, _TRAIN, begin_training, arguments)
    # The one that was made by `new` is the last one now.
    return load_run(_find(script.parent, replace(arguments, new=False)), "last")


def evaluate(
    compiled: Compiled,
    run: Run | Path | str | None,
    weights: str,
    again: bool,
    where: Surroundings,
) -> Run:
    """Build, evaluate a run, and return it; see `wavetwin.evaluate`."""
    name = weights_name(weights)
    if name is None:
        raise RunError(
            "bad-argument", f"weights is {weights!r}", "ask for best, last, average or epoch-N"
        )
    options = [_EVALUATE, "--weights", weights, *(["--again"] if again else [])]
    arguments = replace(_arguments(where, options), weights=name, again=again)
    if run is not None:
        path = (run.path if isinstance(run, Run) else Path(run)).absolute()
        arguments = replace(arguments, run=path.name, runs=path.parent.parent)
    script = _build(compiled, where) / f"{_EVALUATE}.py"
    _call(script, _EVALUATE, begin_evaluation, arguments)
    return load_run(_find(script.parent, arguments), name)


def _build(compiled: Compiled, where: Surroundings) -> Path:
    options = BuildOptions(allow_dirty=where.allow_dirty, no_git=where.no_git)
    return build_compiled([compiled], options)[0].folder


def _find(folder: Path, arguments: ScriptArguments) -> Path:
    from wavetwin.runtime.training.run_folder import find_run

    plan = TrainingPlan.from_text((folder / "plan.json").read_text(encoding="utf-8"))
    return find_run(folder, plan, arguments)


def _arguments(where: Surroundings, options: list[str]) -> ScriptArguments:
    """Return the arguments that a script would have; `options` are those that are not of `where`.

    Raises:
        RunError: one is not what a script takes.
    """
    if where.on_bad_image not in ("stop", "skip"):
        raise RunError(
            "bad-argument", f"on_bad_image is {where.on_bad_image!r}", "say stop or skip"
        )
    for name, value, least in (
        ("workers", where.workers, 0),
        ("limit_batches", where.limit_batches, 1),
    ):
        if value is not None and value < least:
            raise RunError("bad-argument", f"{name} is {value}", f"take {least} or more")
    data_root = None if where.data_root is None else Path(where.data_root)
    command = [f"wavetwin.{options[0]}", *options[1:], *surroundings(where.device, data_root)]
    if where.limit_batches is not None:
        command += ["--limit-batches", str(where.limit_batches)]
    return ScriptArguments(
        device=where.device,
        data_root=data_root,
        runs=None if where.runs is None else Path(where.runs),
        new=False,
        run=None,
        allow_drift=False,
        workers=where.workers,
        limit_batches=where.limit_batches,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        checkpoint_steps=None,
        command=tuple(command),
        on_bad_image=where.on_bad_image,
        allow_other_data=where.allow_other_data,
    )


def _call(
    script: Path,
    name: str,
    begin: Callable[[Callable[..., int], str, ScriptArguments], int],
    arguments: ScriptArguments,
) -> None:
    """Run a script's function as the script would; the process is left as it was.

    Raises:
        RunError, CompileError: as the script would show.
        KeyboardInterrupt: it was stopped, and what was trained is saved.
    """
    with _kept_state():
        try:
            begin(lambda *given: getattr(_load(script), name)(*given), str(script), arguments)
        except SystemExit as stop:
            if stop.code == _INTERRUPTED:
                raise KeyboardInterrupt from stop
            raise


def _load(script: Path) -> Any:
    """Return the module of a script, by its text; its checks came before."""
    module = ModuleType(f"wavetwin_{script.stem}")
    module.__file__ = str(script)
    text = script.read_bytes()
    exec(compile(text, str(script), "exec", dont_inherit=True), module.__dict__)
    return module


@contextmanager
def _kept_state() -> Iterator[None]:
    """Give back what a script sets for the whole process: paths, modules, threads, cuDNN, random numbers."""
    import torch

    path, threads = list(sys.path), torch.get_num_threads()
    cudnn = torch.backends.cudnn
    flags = cudnn.benchmark, cudnn.deterministic
    model = sys.modules.get("model")
    with torch.random.fork_rng():
        try:
            yield
        finally:
            sys.path[:] = path
            torch.set_num_threads(threads)
            cudnn.benchmark, cudnn.deterministic = flags
            if model is None:
                sys.modules.pop("model", None)
            else:
                sys.modules["model"] = model
