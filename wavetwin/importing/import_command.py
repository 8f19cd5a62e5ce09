"""Import a command: turn a call of the reference's scripts into a spec or an evaluation entry.

Options, their defaults and their spellings are those of the commands that the reference's
documentation prints; what they leave open is refused, not guessed. What an architecture and its
configuration are, `import_network` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.compiler.schema import NAME_PATTERN, NAME_RULE
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.files.atomic import write_file
from wavetwin.importing.command_line import CommandLine, Option
from wavetwin.importing.import_network import (
    Configuration,
    Network,
    bands,
    misfits,
    network_fields,
    read_configuration,
    read_network,
    remarks,
)
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.evaluations import SHIFT_METRICS, Evaluation, OneCrop, Shifts, TenCrops
from wavetwin.ir.optimizers import Sgd
from wavetwin.ir.schedules import Step

_TRAINING = (
    Option(("-a", "--arch")),
    Option(("--config",)),
    Option(("--lr",)),
    Option(("--momentum",)),
    Option(("--weight-decay",)),
    Option(("-ba",)),
    Option(("-ds",)),
    Option(("--epochs",)),
    Option(("--lr-scheduler",)),
    Option(("--get-gradients",), "nothing"),
    Option(("--has-l1loss",), "nothing"),
    Option(("--lambda-params",), "several"),
    Option(("-r",)),
)
_EVALUATION = (
    Option(("-s",)),
    Option(("-em",)),
    Option(("--max-shift",)),
    Option(("--pixel-divide",)),
    Option(("--shift-direction",)),
    Option(("--metrics",)),
    Option(("--max-step-size",)),
    Option(("--verbose-print-batch",)),
)
_BOTH = (Option(("-b", "--batch-size")),)
_SHIFTS = ("--max-shift", "--pixel-divide", "--shift-direction", "--metrics", "--max-step-size")


@dataclass(frozen=True, slots=True)
class _ImportedDataset:
    """A data set of the commands, and what the published experiments on it have."""

    name: str
    """In the spec language."""
    checkpoint_every: int
    max_step: int
    """Of the flip rates under shifts, in pixels."""


_DATASETS = {
    "ImageNet": _ImportedDataset("imagenet", 30, 8),
    "CIFAR10": _ImportedDataset("cifar10", 100, 4),
}
"""By their names in the commands."""
_DIRECTIONS = {name: name for name in ("horizontal", "vertical", "diagonal", "both")}
_FLIP_RATE, _DIVERGENCE = SHIFT_METRICS["flip_rate"], SHIFT_METRICS["kl_divergence"]
_METRICS = {"kldiv": _DIVERGENCE, "mfr": _FLIP_RATE}
_MODES: dict[str, type[Evaluation]] = {
    "onecrop": OneCrop,
    "tencrops": TenCrops,
    "shifts": Shifts,
}
_MAX_SUMMARY = 500


@dataclass(frozen=True, slots=True)
class ImportedCommand:
    """What a command says."""

    kind: Literal["training", "evaluation"]
    name: str
    """The classifier's, the command's first word."""
    document: dict[str, Any]
    """A spec, or a mapping with `evaluation` alone; plain values."""
    text: str
    """The same as YAML."""
    notes: tuple[Diagnostic, ...]
    """What the command says and the document does not."""


def import_command(text: str) -> ImportedCommand:
    """Return what a training or evaluation command of the reference says.

    Args:
        text: the command, optionally with `python` and the script's name before it.

    Raises:
        CompileError: with every fault found, at its location in the command.
    """
    command = CommandLine(text, (*_TRAINING, *_EVALUATION, *_BOTH))
    name = _read_name(command)
    if command.has("-em") or command.has("-s"):
        kind = "evaluation"
        document, notes = _evaluation(command)
        head = f"# What this command computes: {command.one_line}\n"
    else:
        kind = "training"
        document, notes = _training(command, name)
        head = "# Written by `wavetwin import command`.\n"
    command.stop_at_faults()
    return ImportedCommand(kind, name, document, head + dump_spec(document), tuple(notes))


def write_new(text: str, path: Path) -> None:
    """Write a file that is not there yet.

    Raises:
        CompileError: `output-exists`, or `output-not-written`.
    """
    try:
        # The name is taken first: of two processes one writes the file.
        path.open("x", encoding="utf-8").close()
        try:
            write_file(path, text)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except FileExistsError:
        diagnostic = Diagnostic(
            "output-exists",
            "there is such a file, and it is not overwritten",
            subject=str(path),
            help="choose another name, or remove it first",
        )
        raise CompileError([diagnostic]) from None
    except OSError as error:
        reason = error.strerror or str(error)
        diagnostic = Diagnostic("output-not-written", reason, subject=str(path))
        raise CompileError([diagnostic]) from error


# Training


def _read_name(command: CommandLine) -> str:
    if not command.positional:
        command.refuse(
            "command-incomplete",
            "the command has no name",
            0,
            help="it is the first word, for example AwyI in `AwyI -a DtCwptAlexNet`",
        )
        return ""
    word, *others = command.positional
    if not re.fullmatch(NAME_PATTERN, word.text):
        command.refuse_word(
            "bad-name",
            f"an experiment cannot be named {word.text!r}",
            word,
            NAME_RULE,
        )
    for other in others:
        command.refuse_word(
            "bad-option-value", f"{other.text!r} belongs to no option of the command", other
        )
    return word.text


def _training(command: CommandLine, name: str) -> tuple[dict[str, Any], list[Diagnostic]]:
    command.require(["-a"], "a training", "an evaluation has -s and -em")
    command.refuse_options(
        [option.names[0] for option in _EVALUATION], "is an option of evaluations"
    )
    network, config = read_network(command), read_configuration(command)
    dataset = command.choice("-ds", _DATASETS) or _DATASETS["ImageNet"]
    training = _read_training(command, dataset)
    lambdas = _read_lambdas(command)
    if network is not None and config is not None:
        _check_fit(command, network, config, len(lambdas))
    command.stop_at_faults()
    assert network is not None
    assert config is not None
    fields = network_fields(network, config)
    if lambdas:
        fields["stem"]["wavelet"]["regularisation"] = lambdas
    document: dict[str, Any] = {
        "wavetwin": 1,
        "name": name,
        "summary": _summary(command),
        **fields,
        "data": {
            "dataset": dataset.name,
            "image_size": DATASETS[dataset.name].image_size,
            "augmentation": DATASETS[dataset.name].augmentation,
            "normalise": "imagenet",
            "validation": DATASETS[dataset.name].validation,
        },
        "training": training,
        "evaluation": _suite(dataset),
    }
    return document, _training_notes(command, network, config)


def _check_fit(
    command: CommandLine, network: Network, config: Configuration, num_lambdas: int
) -> None:
    """Refuse a configuration that contradicts the architecture, and options that contradict both."""
    found = list(misfits(network, config))
    word = command.word("--config") or command.word("-a")
    assert word is not None
    for misfit in found:
        command.refuse_word("configuration-does-not-fit", misfit, word)
    if found:
        return
    if config.free_channels is None:
        command.refuse_options(
            ("--get-gradients", "--has-l1loss", "--lambda-params"),
            "is about wavelet channels, and there are none",
        )
        return
    given = command.option("--lambda-params")
    num_bands = len(bands(network, config)["keep"])
    if given is not None and num_lambdas not in (0, num_bands):
        command.refuse_word(
            "lambdas-do-not-match", f"there are {num_lambdas} lambdas for {num_bands} bands", given
        )


def _summary(command: CommandLine) -> str:
    text = f"Imported from the command: {command.one_line}"
    return text if len(text) <= _MAX_SUMMARY else f"{text[: _MAX_SUMMARY - 3]}..."


def _read_training(command: CommandLine, dataset: _ImportedDataset) -> dict[str, Any]:
    batch_size = command.integer("-b", 256, 1, 1048576)
    accumulate = command.integer("-ba", 1, 1, 4096)
    word = command.word("-ba")
    if word is not None and batch_size % accumulate:
        command.refuse_word(
            "batch-does-not-divide",
            f"a batch of {batch_size} does not split into {accumulate} equal parts",
            word,
        )
    command.integer("-r", 0, 0, 100000)
    return {
        "epochs": command.integer("--epochs", 90, 1, 100000),
        "batch_size": batch_size,
        "accumulate": accumulate,
        "optimizer": {
            "name": Sgd.name,
            "lr": command.number("--lr", 0.1, 1e-12, 1000.0),
            "momentum": command.number("--momentum", 0.9, 0.0, 0.999999),
            "weight_decay": command.number("--weight-decay", 1e-4, 0.0, 100.0),
        },
        "schedule": {"name": Step.name, "step_epochs": _read_step(command), "gamma": 0.1},
        "record_gradients": command.has("--get-gradients"),
        "checkpoint_every": dataset.checkpoint_every,
    }


def _read_step(command: CommandLine) -> int:
    word = command.word("--lr-scheduler")
    if word is None:
        return 30
    match = re.fullmatch(r"StepLR([1-9][0-9]{0,4})", word.text)
    if match is None:
        command.refuse_word(
            "bad-option-value",
            f"--lr-scheduler cannot be {word.text!r}",
            word,
            "it is StepLR and the epochs between two changes, for example StepLR30",
        )
        return 30
    return int(match[1])


def _read_lambdas(command: CommandLine) -> list[float]:
    lambdas = command.numbers("--lambda-params", 0.0, 1e6)
    uses, given = command.option("--has-l1loss"), command.option("--lambda-params")
    if uses is not None and given is None:
        command.refuse_word(
            "command-incomplete", "--has-l1loss without its --lambda-params, one a band", uses
        )
    if given is not None and uses is None:
        command.refuse_word(
            "option-does-not-apply", "--lambda-params has no effect without --has-l1loss", given
        )
    return lambdas


def _suite(dataset: _ImportedDataset) -> list[dict[str, Any]]:
    """Return the evaluation suite of the shipped specs, which is that of the published scores."""
    directions = ("horizontal", "vertical", "diagonal")
    shifts = {"mode": Shifts.mode, "split": "test", "max_shift": 8}
    return [
        {"mode": OneCrop.mode, "split": "test"},
        {"mode": TenCrops.mode, "split": "test"},
        *(
            {
                **shifts,
                "direction": direction,
                "metric": _FLIP_RATE.name,
                "max_step": dataset.max_step,
            }
            for direction in directions
        ),
        *(
            {**shifts, "direction": direction, "pixel_divide": 2, "metric": _DIVERGENCE.name}
            for direction in directions
        ),
    ]


def _training_notes(
    command: CommandLine, network: Network, config: Configuration
) -> list[Diagnostic]:
    notes = [_note(remark) for remark in remarks(network, config)]
    if command.has("-r"):
        notes.append(_note("-r is left out: a run resumes where it stood by itself"))
    return notes


# Evaluation


def _evaluation(command: CommandLine) -> tuple[dict[str, Any], list[Diagnostic]]:
    command.require(["-s", "-em"], "an evaluation")
    command.refuse_options(
        [option.names[0] for option in _TRAINING], "is an option of trainings, not of evaluations"
    )
    status = command.word("-s")
    if status is not None and not re.fullmatch(r"checkpoint|best|e[0-9]{1,6}", status.text):
        command.refuse_word(
            "bad-option-value",
            f"-s cannot be {status.text!r}",
            status,
            "it is checkpoint, best, or e and the number of epochs, for example e90",
        )
    command.integer("-b", 256, 1, 1048576)
    command.integer("--verbose-print-batch", 1, 0, 1000000000)
    mode = command.choice("-em", _MODES)
    entry: dict[str, Any] = {"mode": None if mode is None else mode.mode, "split": "test"}
    notes = [
        _note(f"{option} is left out: {reason}")
        for option, reason in (
            ("-s", "evaluate.py takes the run's last weights"),
            ("-b", "it changes no score"),
            ("--verbose-print-batch", "it changes no score"),
        )
        if command.has(option)
    ]
    if mode is Shifts:
        entry |= _shifts(command)
        notes.append(
            _note(
                "normalise: false and resize: pil, as the command computes its score; the published "
                "scores were computed so, and models are trained on normalised images"
            )
        )
    elif mode is not None:
        command.refuse_options(_SHIFTS, "is an option of -em shifts")
    return {"evaluation": [entry]}, notes


def _shifts(command: CommandLine) -> dict[str, Any]:
    command.require(_SHIFTS[:3], "-em shifts")
    metric = command.choice("--metrics", _METRICS) or _FLIP_RATE
    max_shift = command.integer("--max-shift", 8, 1, 64)
    divide = command.integer("--pixel-divide", 1, 1, 16)
    entry: dict[str, Any] = {
        "direction": command.choice("--shift-direction", _DIRECTIONS),
        "max_shift": max_shift,
        "pixel_divide": divide,
        "metric": metric.name,
    }
    if metric.compares_steps:
        command.require(["--max-step-size"], "a flip rate")
        entry["max_step"] = command.integer("--max-step-size", 1, 1, max_shift * divide)
    else:
        command.refuse_options(["--max-step-size"], "is an option of the flip rate")
    return entry | {"normalise": False, "resize": "pil"}


def _note(headline: str) -> Diagnostic:
    return Diagnostic("import-note", headline, severity="note", subject="command")
