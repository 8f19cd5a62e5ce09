"""Compile declarative vision experiments: CNNs and their wavelet twins.

`wavetwin.compile(path)` gives the resolved spec, the module graph and the training plan without
importing torch; `wavetwin.build_model(compiled)` makes the network. `train`, `evaluate` and `load_run`
are the scripts and their runs for notebooks (docs/api.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from wavetwin.compiler.compiled import Compiled
    from wavetwin.explain.diff.difference import Difference
    from wavetwin.notebook.loaded_run import Run

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "build_model",
    "compile",
    "diff",
    "evaluate",
    "from_pretrained",
    "from_reference_state_dict",
    "load_run",
    "train",
]


def compile(path: Path | str, overrides: Sequence[str] | None = None) -> Compiled:
    """Compile one spec file; `overrides` are texts such as `stem.free_channels=40`.

    Raises:
        CompileError: with every fault found, in file order.
    """
    from wavetwin.diagnostics.system import check_system

    check_system()
    from wavetwin.compiler.compiled import compile_spec

    return compile_spec(path, overrides or ())


def build_model(
    compiled: Compiled, num_classes: int | None = None, optimise: bool = True
) -> nn.Module:
    """Build the network, initialised from the spec's seed; imports torch.

    Maps (batch, channels, height, width) to (batch, classes). It has `stem` (the first layer) and
    `pool` (norm, activation and pooling up to the next convolution); `optimise` chooses the graph
    after the passes, which computes the same and has the same state dict.
    """
    from wavetwin.notebook.network import build_network

    return build_network(compiled, num_classes, optimise)


def from_reference_state_dict(
    state_dict: Mapping[str, Tensor],
    compiled: Compiled,
    num_classes: int | Literal["any"] | None = "any",
) -> dict[str, Tensor]:
    """Return weights that others trained as a state dict of this experiment's model; imports torch.

    Known are the names of the published twins' implementation, of torchvision's AlexNet, ResNets and VGGs,
    of the antialiased networks, and this project's own; what wrappers put before all of them or into
    them (`module.`, `_orig_mod.`, `model.`) is taken off. The tensors share memory with the given
    ones, and one with values that are no finite numbers gives rise to a warning. Fixed filters and constants are compared with those that the
    model computes with, where they are given, and left out.

    Args:
        state_dict: all of a model's tensors.
        compiled: the experiment.
        num_classes: of the given classifier: `any` takes as many as there are, a number only so
            many, None only the spec's. Give the same number to `build_model`, whose
            `load_state_dict` refuses another.

    Raises:
        WeightsError: naming every tensor that is missing, left over, of another shape or kind, or
            another constant (`wavetwin.importing.weights`).
    """
    import warnings

    from wavetwin.runtime.process.packages import require

    require("torch", "wavetwin.from_reference_state_dict")
    from wavetwin.importing.weights import convert_state_dict, describe_not_finite

    converted = convert_state_dict(compiled.graph, state_dict, num_classes)
    if converted.not_finite:
        warnings.warn(describe_not_finite(converted.not_finite), stacklevel=2)
    return converted.state


def load_run(path: Path | str, which: str = "best") -> Run:
    """Load a run folder: `.model` with its weights, `.spec`, `.scores`, `.metrics()`, `.data("test")`.

    That spec, graph, state and weights belong together is checked as evaluate.py does; imports torch.

    Args:
        path: `runs/<name>/<run>`.
        which: `best` (on the validation images), `last`, `average`, or `epoch-N`.

    Raises:
        DiagnosticError: `needs-torch`, torch is not installed; it is no run, or one that is damaged, or not what its spec says.
    """
    from wavetwin.notebook.loaded_run import load_run as load
    from wavetwin.runtime.process.packages import require

    require("torch", "wavetwin.load_run")
    return load(path, which)


def from_pretrained(folder: Path | str) -> nn.Module:
    """Return the network of a folder that `wavetwin export hub` wrote, with its weights; imports torch.

    It is in evaluation mode, on the CPU, and takes normalised images (README.md of the folder). The folder
    is data: no code of it is run.

    Args:
        folder: with config.json and model.safetensors.

    Raises:
        DiagnosticError: `needs-torch`; it is no such folder, or one that is damaged.
    """
    from wavetwin.runtime.process.packages import require

    require("torch", "wavetwin.from_pretrained")
    from pathlib import Path

    from wavetwin.notebook.pretrained import read_pretrained

    return read_pretrained(Path(folder)).model


def train(
    compiled: Compiled,
    *,
    run: Literal["last", "new"] = "last",
    device: str = "auto",
    data_root: Path | str | None = None,
    runs: Path | str | None = None,
    workers: int | None = None,
    limit_batches: int | None = None,
    on_bad_image: Literal["stop", "skip"] = "stop",
    allow_other_data: bool = False,
    allow_dirty: bool = False,
    no_git: bool = False,
) -> Run:
    """Build an experiment and run its train.py in this process; return the run, with its last weights.

    It has all the records of one that the script made: build, provenance, lock, checkpoints. Options
    are those of `wavetwin build` and train.py. An interrupt saves, and the next call goes on from there.

    Args:
        compiled: the experiment.
        run: `last` goes on with the last run of this training, or leaves it where it is finished; `new`
            starts another one.
        device: cpu, cuda, cuda:1, mps; auto: the best one that there is.
        data_root: where the data sets lie.
        runs: where runs are kept; None: the project's `runs/`.
        workers: processes that read image files; None: by the number of cores.
        limit_batches: try out: so many batches an epoch, as a run of its own.
        on_bad_image: what a damaged image does.
        allow_other_data: take files that are not the official ones, and mark the run.
        allow_dirty: build from uncommitted changes, which are stored and mark the run.
        no_git: build outside a git repository.

    Raises:
        DiagnosticError: as the commands would show.
        KeyboardInterrupt: it was interrupted; what was trained is saved.
    """
    from wavetwin.notebook import Surroundings
    from wavetwin.notebook.scripts import train as run_script
    from wavetwin.runtime.process.packages import require

    require("torch", "wavetwin.train")
    where = Surroundings(
        device=device,
        data_root=data_root,
        runs=runs,
        workers=workers,
        limit_batches=limit_batches,
        on_bad_image=on_bad_image,
        allow_other_data=allow_other_data,
        allow_dirty=allow_dirty,
        no_git=no_git,
    )
    return run_script(compiled, run, where)


def evaluate(
    compiled: Compiled,
    *,
    run: Run | Path | str | None = None,
    weights: str = "last",
    again: bool = False,
    device: str = "auto",
    data_root: Path | str | None = None,
    runs: Path | str | None = None,
    workers: int | None = None,
    limit_batches: int | None = None,
    on_bad_image: Literal["stop", "skip"] = "stop",
    allow_other_data: bool = False,
    allow_dirty: bool = False,
    no_git: bool = False,
) -> Run:
    """Build an experiment and run its evaluate.py in this process; return the run with the new scores.

    Args:
        compiled: the experiment; its evaluation may be another one than the run was started with.
        run: a run of its training, or the folder of one; None: the last one.
        weights: `last`, `best`, `average` or `epoch-N`.
        again: repeat entries that have scores; both are kept.
        device: as of `train`, like the others.
        data_root: where the data sets lie.
        runs: where runs are kept; left out where `run` says so.
        workers: processes that read image files.
        limit_batches: try out: so many batches.
        on_bad_image: what a damaged image does.
        allow_other_data: take files that are not the official ones.
        allow_dirty: build from uncommitted changes.
        no_git: build outside a git repository.

    Raises:
        DiagnosticError: as the commands would show; there is no such run, or entries failed.
    """
    from wavetwin.notebook import Surroundings
    from wavetwin.notebook.scripts import evaluate as run_script
    from wavetwin.runtime.process.packages import require

    require("torch", "wavetwin.evaluate")
    where = Surroundings(
        device=device,
        data_root=data_root,
        runs=runs,
        workers=workers,
        limit_batches=limit_batches,
        on_bad_image=on_bad_image,
        allow_other_data=allow_other_data,
        allow_dirty=allow_dirty,
        no_git=no_git,
    )
    return run_script(compiled, run, weights, again, where)


def diff(before: Compiled | Run, after: Compiled | Run) -> Difference:
    """Return what differs between two experiments, and between the scores where both are runs.

    Raises:
        TypeError: one is neither, such as a path.
    """
    from wavetwin.notebook.comparing import diff as compare

    return compare(before, after)
