"""Give the generated scripts what they share: arguments, exit codes, device and threads.

Imports no torch: `train.py --help` answers at once.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from wavetwin.diagnostics import Diagnostic, DiagnosticError
from wavetwin.diagnostics.output import FORMATS, show_diagnostics
from wavetwin.diagnostics.system_errors import (
    broken_output,
    guard_output,
    is_refusal,
    missing_folder,
    open_streams,
    refused,
)
from wavetwin.diagnostics.terminal import Parser, complain, guard_messages, printable
from wavetwin.files.home import expand_home
from wavetwin.runtime.process.errors import RunError, is_full, write_code
from wavetwin.runtime.process.own_code import own_code_error
from wavetwin.runtime.process.packages import missing_package

if TYPE_CHECKING:
    import torch

    from wavetwin.ir.plan import TrainingPlan

__all__ = [
    "CHECKPOINT_SECONDS",
    "STOP_SIGNALS",
    "ScriptArguments",
    "add_compile",
    "asked_form",
    "make_script_parser",
    "parse_arguments",
    "prepare_device",
    "project_of",
    "run_script",
    "runs_folder",
    "surroundings",
    "weights_name",
]

INTERRUPTED, READER_GONE = 130, 141
ANY_DEVICE = "auto"
"""Of `--device`: the best one that there is."""
CHECKPOINT_SECONDS = 60.0
"""How often the state is saved inside an epoch, where nothing else is asked for."""

STOP_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""What asks a run to save and stop; it may come to the whole group of processes."""


@dataclass(frozen=True, slots=True)
class ScriptArguments:
    """The command line of a generated script; checkpoint fields are of training only."""

    device: str
    data_root: Path | None
    runs: Path | None
    new: bool
    run: str | None
    allow_drift: bool
    workers: int | None
    """None: as many as the data set needs."""
    limit_batches: int | None
    checkpoint_seconds: float
    checkpoint_steps: int | None
    command: tuple[str, ...]
    on_bad_image: str = "stop"
    allow_other_data: bool = False
    preflight: bool = False
    until_epoch: int | None = None
    """The epoch after which training pauses, counted from 1; None: it goes on to the last one."""
    seeds: str | None = None
    """A list of seeds to train with, one after another; None: the plan's own."""
    weights: str = "last"
    again: bool = False
    compile: bool = False
    """Whether the evaluation goes through torch.compile."""

    @property
    def surroundings(self) -> list[str]:
        """The options that say where a run is made, as the command line had them."""
        return surroundings(self.device, self.data_root, self.compile)


def surroundings(device: str, data_root: Path | None, is_compiled: bool = False) -> list[str]:
    """Return the options for device, data's folder and compiler; none where they are the defaults."""
    options = [] if device == ANY_DEVICE else ["--device", device]
    options += [] if data_root is None else ["--data-root", str(data_root)]
    return [*options, "--compile"] if is_compiled else options


def make_script_parser(description: str, *, training: bool) -> Parser:
    """Return the parser of train.py's or evaluate.py's options."""
    shown = printable(description).replace("%", "%%")
    parser = Parser(description=shown, allow_abbrev=False)
    parser.add_argument(
        "--device", default=ANY_DEVICE, help="cpu, cuda, cuda:1, mps; default: auto"
    )
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="where the data sets lie")
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="where runs are kept; default: the project's runs/"
    )
    parser.add_argument(
        "--allow-drift",
        action="store_true",
        help="run although script or wavetwin differ from what was built, and mark the run",
    )
    parser.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="processes that read image files; default: by the number of cores, 0 for sets in memory",
    )
    parser.add_argument(
        "--on-bad-image",
        choices=("stop", "skip"),
        default="stop",
        help="what a damaged image does; skipped ones are listed in the run; default: stop",
    )
    parser.add_argument(
        "--allow-other-data",
        action="store_true",
        help="take files that are not the official ones (checksums, counts), and mark the run",
    )
    parser.add_argument(
        "--limit-batches", type=_positive, metavar="N", help="try out: N batches an epoch, apart"
    )
    _add_format(parser)
    if training:
        parser.add_argument(
            "--new", action="store_true", help="start another run instead of resuming the last one"
        )
        parser.add_argument(
            "--checkpoint-seconds",
            type=_seconds,
            default=CHECKPOINT_SECONDS,
            metavar="S",
            help=f"save the state every S seconds inside an epoch; default: {CHECKPOINT_SECONDS:g}",
        )
        parser.add_argument(
            "--checkpoint-steps", type=_positive, metavar="N", help="save it every N steps as well"
        )
        parser.add_argument(
            "--until-epoch",
            type=_positive,
            metavar="N",
            help="pause after N epochs in all; started again, the run goes on from there",
        )
        parser.add_argument(
            "--seeds",
            metavar="LIST",
            help="train with each of these seeds, one after another: 0-4,7; finished ones are skipped",
        )
        parser.add_argument(
            "--preflight",
            action="store_true",
            help="only check, in seconds, that the run could start here",
        )
    else:
        parser.add_argument(
            "--run", metavar="NAME", help="name of the run's folder; default: the last one"
        )
        parser.add_argument(
            "--weights",
            type=_weights,
            default="last",
            metavar="WHICH",
            help="last, best (on the validation images), average (the last averaged weights) or "
            "epoch-N; default: last",
        )
        parser.add_argument(
            "--again", action="store_true", help="repeat entries that have scores; both are kept"
        )
        add_compile(parser)
    return parser


def add_compile(parser: argparse.ArgumentParser) -> None:
    """Add the option of an evaluation through torch.compile."""
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the network first, each size of a batch by itself: minutes, and other last bits",
    )


def parse_arguments(
    description: str, *, training: bool, arguments: Sequence[str] | None = None
) -> ScriptArguments:
    """Return the script's options; exits with 2 on a wrong one, with 0 after `--help`."""
    parser = make_script_parser(description, training=training)
    given = sys.argv[1:] if arguments is None else list(arguments)
    values = parser.parse_args(given)
    return ScriptArguments(
        device=values.device,
        data_root=values.data_root,
        runs=values.runs,
        new=getattr(values, "new", False),
        run=getattr(values, "run", None),
        allow_drift=values.allow_drift,
        workers=values.workers,
        limit_batches=values.limit_batches,
        checkpoint_seconds=getattr(values, "checkpoint_seconds", 0.0),
        checkpoint_steps=getattr(values, "checkpoint_steps", None),
        command=(Path(sys.argv[0]).name, *given),
        on_bad_image=values.on_bad_image,
        allow_other_data=values.allow_other_data,
        preflight=getattr(values, "preflight", False),
        until_epoch=getattr(values, "until_epoch", None),
        seeds=getattr(values, "seeds", None),
        weights=getattr(values, "weights", "last"),
        again=getattr(values, "again", False),
        compile=getattr(values, "compile", False),
    )


def run_script(main: Callable[[], int], form: str | None = None) -> NoReturn:
    """Run a script's main function and exit; a user's fault is one message and code 2.

    Args:
        main: returns the exit code.
        form: of messages; None: what `--format` asks for.
    """
    guard_messages()
    open_streams()
    asked = asked_form(sys.argv[1:]) if form is None else form
    raise SystemExit(guard_output(lambda: _run_guarded(main, asked), READER_GONE))


def _run_guarded(main: Callable[[], int], form: str) -> int:
    try:
        fault = missing_folder()
        if fault is not None:
            return _fail([fault], form)
        # What programs read has standard output for itself.
        with nullcontext() if form == "text" else redirect_stdout(sys.stderr):
            return main()
    except DiagnosticError as error:
        return _fail(error.diagnostics, form)
    except OSError as error:
        if not is_refusal(error) or broken_output() is not None:
            raise
        if not is_full(error):
            return _fail([refused(error)], form)
        full = RunError(
            write_code(error),
            f"cannot be written: {error.strerror}",
            "make room and start again; a run goes on from its last saved state, if it has one",
            subject=error.filename or "a file of the run",
        )
        return _fail(full.diagnostics, form)
    except KeyboardInterrupt:
        complain("interrupted\n")
        return INTERRUPTED
    except Exception as error:
        fault = own_code_error(error) or missing_package(error)
        if fault is None:
            raise
        return _fail(fault.diagnostics, form)


def _fail(diagnostics: Sequence[Diagnostic], form: str) -> int:
    """Show what is wrong, and return the exit code."""
    show_diagnostics(diagnostics, form)
    return 2


def asked_form(arguments: Sequence[str]) -> str:
    """Return the form of messages that a command line asks for: they may come before it is parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    _add_format(parser)
    try:
        return parser.parse_known_args(arguments)[0].format
    except argparse.ArgumentError:
        # The script's own parser says what is wrong with it.
        return "text"


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        help="form of errors; what is not text has standard output for itself; default: text",
    )


def project_of(script_folder: Path) -> Path:
    """Return the project that a built folder belongs to: what holds its `generated`."""
    parent = script_folder.resolve().parent
    return parent.parent if parent.name == "generated" else parent


def runs_folder(script_folder: Path, runs: Path | None) -> Path:
    """Return where runs are kept."""
    return expand_home(runs).absolute() if runs is not None else project_of(script_folder) / "runs"


def prepare_device(plan: TrainingPlan, name: str, local_rank: int = 0) -> torch.device:
    """Set threads and determinism as the plan wants them, and return this process's device.

    Raises:
        RunError: there is no such device here.
    """
    import torch

    from wavetwin.runtime.process.devices import open_device

    torch.set_num_threads(plan.threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        name = "cpu" if accelerator is None else accelerator.type
    device = open_device(name, local_rank if name == "cuda" else None)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _count(text: str) -> int:
    return _whole(text, least=0)


def _positive(text: str) -> int:
    return _whole(text, least=1)


def _whole(text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least}, not {text!r}")
    return int(text)


def weights_name(text: str) -> str | None:
    """Return how a run names weights that were asked for; None where no weights have such a name."""
    kind, _, number = text.partition("-")
    if text in ("last", "best", "average"):
        return text
    if kind == "epoch" and number.isascii() and number.isdigit():
        return f"epoch-{int(number):03d}"
    return None


def _weights(text: str) -> str:
    name = weights_name(text)
    if name is None:
        raise argparse.ArgumentTypeError(f"must be last, best, average or epoch-N, not {text!r}")
    return name


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0, not {text!r}")
    return value
