"""Import a command: what the reference's scripts were called with, as a spec or an evaluation entry.

The only place that parses the reference's names (numerics.md section 4). Options, their defaults and
their spellings are those of the commands that the reference's documentation prints; what they leave
open is refused, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wavetwin.atomic import write_file
from wavetwin.compiler.command_line import CommandLine, Option
from wavetwin.compiler.schema import NAME_PATTERN, NAME_RULE
from wavetwin.compiler.spec_yaml import dump_spec
from wavetwin.compiler.suggest import nearest
from wavetwin.diagnostics import CompileError, Diagnostic

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

_DATASETS: dict[str, Literal["imagenet", "cifar10"]] = {
    "ImageNet": "imagenet",
    "CIFAR10": "cifar10",
}
_DIRECTIONS = {name: name for name in ("horizontal", "vertical", "diagonal", "both")}
_METRICS = {"kldiv": "kl_divergence", "mfr": "flip_rate"}
_MODES = {"onecrop": "one_crop", "tencrops": "ten_crops", "shifts": "shifts"}
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
        CompileError: with every fault found, at its place in the command.
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


# Names of architectures and configurations


_Blur = Literal["none", "blur", "adaptive_blur"]
_WaveletPooling = Literal["", "mod", "abl1", "abl2"]

_BLURS: dict[str, _Blur] = {"": "none", "Zhang": "blur", "Zou": "adaptive_blur"}
_WAVELET_POOLINGS: dict[str, _WaveletPooling] = {
    "": "",
    "mod": "mod",
    "abl1": "abl1",
    "abl2": "abl2",
    "abl": "abl2",
}


@dataclass(frozen=True, slots=True)
class _Network:
    """What an architecture's name says."""

    arch: str
    blur: _Blur
    is_twin: bool

    @property
    def is_alexnet(self) -> bool:
        return self.arch == "alexnet"


def _networks() -> dict[str, _Network]:
    networks: dict[str, _Network] = {}
    for twin in (False, True):
        for maker, blur in _BLURS.items():
            # There is no AlexNet with the adaptive blur.
            if blur != "adaptive_blur":
                prefix = "DtCwpt" if twin else ""
                networks[f"{prefix}{maker}AlexNet"] = _Network("alexnet", blur, twin)
            for depth in (18, 34, 50, 101):
                parts = ["dtcwpt"] * twin + [maker.lower()] * bool(maker) + [f"resnet{depth}"]
                networks["_".join(parts)] = _Network(f"resnet{depth}", blur, twin)
    return networks


_NETWORKS = _networks()


@dataclass(frozen=True, slots=True)
class _Configuration:
    """What a configuration's name says."""

    free_channels: int | None = None
    mixes_colors_before: bool = False
    blur_size: int | None = None
    excludes_edges: bool = False
    takes_small_max: bool = False
    wavelet_pooling: _WaveletPooling = ""


_CONFIGURATION_WORDS = {
    "free": re.compile(r"Ft([0-9]{1,5})"),
    "colors": re.compile(r"Y"),
    "blur": re.compile(r"Bf([0-9]{1,3})"),
    "edges": re.compile(r"Ex"),
    "max": re.compile(r"K2"),
    "pooling": re.compile(r"_(mod|abl1|abl2|abl)$"),
}
_CONFIGURATION_HELP = (
    "the words are Ft<channels>, Y, Bf<size>, Ex and K2, at the end _mod, _abl1, _abl2 or _abl; "
    "or Std alone"
)


def _read_configuration(command: CommandLine) -> _Configuration | None:
    """Read a configuration; None where a word of it is not understood, and refused."""
    word = command.word("--config")
    if word is None or word.text == "Std":
        return _Configuration()
    found: dict[str, str] = {}
    position = 0
    while position < len(word.text):
        for key, pattern in _CONFIGURATION_WORDS.items():
            match = pattern.match(word.text, position)
            if match is not None and key not in found:
                found[key] = match[1] if pattern.groups else match[0]
                position = match.end()
                break
        else:
            # Where the value is in quotes, the whole of it is shown.
            is_plain = word.stop - word.start == len(word.text)
            command.refuse(
                "unknown-configuration",
                f"{word.text[position:]!r} is not known in the configuration {word.text!r}",
                word.start + position * is_plain,
                word.stop,
                _CONFIGURATION_HELP,
            )
            return None
    return _Configuration(
        free_channels=int(found["free"]) if "free" in found else None,
        mixes_colors_before="colors" in found,
        blur_size=int(found["blur"]) if "blur" in found else None,
        excludes_edges="edges" in found,
        takes_small_max="max" in found,
        wavelet_pooling=_WAVELET_POOLINGS[found.get("pooling", "")],
    )


def _read_network(command: CommandLine) -> _Network | None:
    word = command.word("-a")
    if word is None:
        return None
    network = _NETWORKS.get(word.text)
    if network is None:
        meant = nearest(word.text, _NETWORKS)
        command.refuse_word(
            "unknown-architecture",
            f"the architecture {word.text!r} is not known",
            word,
            f"did you mean '{meant}'?"
            if meant
            else "AlexNet, optionally after DtCwpt, Zhang or DtCwptZhang; resnet18, resnet34, "
            "resnet50 or resnet101, optionally after dtcwpt_, zhang_, zou_, dtcwpt_zhang_ or "
            "dtcwpt_zou_",
        )
    return network


def _misfits(network: _Network, config: _Configuration) -> Iterator[str]:
    """Yield what in a configuration contradicts the architecture."""
    if config.free_channels is None:
        yield from _misfits_of_cnn(network, config)
    else:
        known = 32 if network.is_alexnet else 40
        if config.free_channels != known:
            yield (
                f"the wavelet channels' bands are known for Ft{known} and not for "
                f"Ft{config.free_channels}: write the spec by hand"
            )
        if network.is_alexnet and config.excludes_edges:
            yield "Ex is for ResNets"
    yield from _misfits_of_blur(network, config)


def _misfits_of_blur(network: _Network, config: _Configuration) -> Iterator[str]:
    blurs = network.blur != "none"
    if config.wavelet_pooling in ("abl1", "abl2") and (network.is_alexnet or not blurs):
        yield "an ablation is of a ResNet that blurs"
    if blurs and config.blur_size is None:
        yield "the architecture blurs, and there is no size: the published models have Bf3"
    if config.blur_size is not None:
        if not blurs:
            yield "Bf is for architectures that blur"
        if not 2 <= config.blur_size <= 7:
            yield "a blur has from 2 to 7 taps"
        elif network.blur == "adaptive_blur" and config.blur_size % 2 == 0:
            yield "an adaptive blur has an odd size"
    if config.takes_small_max and (network.is_alexnet or not blurs):
        yield "K2 is for ResNets that blur"


def _misfits_of_cnn(network: _Network, config: _Configuration) -> Iterator[str]:
    if network.is_twin:
        yield f"a twin needs its free channels: Ft{32 if network.is_alexnet else 40}"
        return
    for word, is_given in (
        ("Y", config.mixes_colors_before),
        ("Ex", config.excludes_edges),
        (f"_{config.wavelet_pooling}", bool(config.wavelet_pooling)),
    ):
        if is_given:
            yield f"{word} is for wavelet channels, and there are none"


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
    network, config = _read_network(command), _read_configuration(command)
    dataset = command.choice("-ds", _DATASETS) or "imagenet"
    training = _read_training(command, dataset)
    lambdas = _read_lambdas(command)
    if network is not None and config is not None:
        _check_fit(command, network, config, len(lambdas))
    command.stop_at_faults()
    assert network is not None
    assert config is not None
    is_twin = config.free_channels is not None
    document: dict[str, Any] = {
        "wavetwin": 1,
        "name": name,
        "summary": _summary(command),
        "backbone": {
            "arch": network.arch,
            "downsampling": "strided"
            if network.blur == "none" or config.wavelet_pooling == "abl1"
            else network.blur,
        },
        **({"stem": _stem(network, config, lambdas)} if is_twin else {}),
        "pooling": _pooling(network, config),
        "data": {
            "dataset": dataset,
            "image_size": 32 if dataset == "cifar10" else 224,
            "augmentation": "crop_flip",
            "normalise": "imagenet",
            "validation": 5000 if dataset == "cifar10" else 100,
        },
        "training": training,
        "evaluation": _battery(dataset),
    }
    return document, _training_notes(command, network, is_twin)


def _check_fit(
    command: CommandLine, network: _Network, config: _Configuration, num_lambdas: int
) -> None:
    """Refuse a configuration that contradicts the architecture, and options that contradict both."""
    misfits = list(_misfits(network, config))
    word = command.word("--config") or command.word("-a")
    assert word is not None
    for misfit in misfits:
        command.refuse_word("configuration-does-not-fit", misfit, word)
    if misfits:
        return
    if config.free_channels is None:
        command.refuse_options(
            ("--get-gradients", "--has-l1loss", "--lambda-params"),
            "is about wavelet channels, and there are none",
        )
        return
    given = command.option("--lambda-params")
    num_bands = len(_bands(network, config)["keep"])
    if given is not None and num_lambdas not in (0, num_bands):
        command.refuse_word(
            "lambdas-do-not-match", f"there are {num_lambdas} lambdas for {num_bands} bands", given
        )


def _summary(command: CommandLine) -> str:
    text = f"Imported from the command: {command.one_line}"
    return text if len(text) <= _MAX_SUMMARY else f"{text[: _MAX_SUMMARY - 3]}..."


def _read_training(command: CommandLine, dataset: str) -> dict[str, Any]:
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
            "name": "sgd",
            "lr": command.number("--lr", 0.1, 1e-12, 1000.0),
            "momentum": command.number("--momentum", 0.9, 0.0, 0.999999),
            "weight_decay": command.number("--weight-decay", 1e-4, 0.0, 100.0),
        },
        "schedule": {"name": "step", "step_epochs": _read_step(command), "gamma": 0.1},
        "record_gradients": command.has("--get-gradients"),
        "checkpoint_every": 100 if dataset == "cifar10" else 30,
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


def _stem(network: _Network, config: _Configuration, lambdas: list[float]) -> dict[str, Any]:
    return {
        "free_channels": config.free_channels,
        "wavelet": {
            "transform": "dtcwpt",
            "levels": 3 if network.is_alexnet else 2,
            "filters": "qshift_a",
            "color_mixing": "before" if config.mixes_colors_before else "after",
            **_bands(network, config),
            **({"regularisation": lambdas} if lambdas else {}),
        },
    }


def _bands(network: _Network, config: _Configuration) -> dict[str, Any]:
    """Return the kept packets and their mixing (numerics.md section 2)."""
    if network.is_alexnet:
        return {
            "exclude": ["lowpass", "diagonal"],
            "keep": [_band(1, 6, 6), _band(2, 18, 6), _band(3, 8, 4)],
        }
    if config.excludes_edges:
        return {
            "keep": [
                _packets([1, 2, 19, 17, 18, 3], 12, 6),
                _packets([5, 23, 10, 27], 4, 4),
                _packets([31], 2, 1),
                _packets([7, 21, 11, 26], 4, 4),
                _packets([15], 2, 1),
            ]
        }
    return {"exclude": ["lowpass"], "keep": [_band(1, 12, 6), _band(2, 12, 6)]}


def _band(band: int, channels: int, groups: int) -> dict[str, Any]:
    return {"band": band, "channels": channels, "groups": groups}


def _packets(packets: list[int], channels: int, groups: int) -> dict[str, Any]:
    return {"packets": packets, "channels": channels, "groups": groups}


def _pooling(network: _Network, config: _Configuration) -> dict[str, Any]:
    blurring = {"none": "max", "blur": "max_blur", "adaptive_blur": "max_adaptive_blur"}[
        network.blur
    ]
    pooling: dict[str, Any] = {"free": blurring}
    if config.wavelet_pooling == "mod":
        pooling["wavelet"] = "modulus"
    elif config.wavelet_pooling == "abl1":
        pooling |= {"free": "max", "wavelet": blurring}
    elif config.wavelet_pooling == "abl2":
        pooling["wavelet"] = "max"
    if config.blur_size is not None:
        pooling["blur_size"] = config.blur_size
    if config.takes_small_max:
        pooling["max_kernel"] = 2
    return pooling


def _battery(dataset: str) -> list[dict[str, Any]]:
    """Return the battery of the shipped specs, which is that of the published scores."""
    max_step = 4 if dataset == "cifar10" else 8
    directions = ("horizontal", "vertical", "diagonal")
    shifts = {"mode": "shifts", "split": "test", "max_shift": 8}
    return [
        {"mode": "one_crop", "split": "test"},
        {"mode": "ten_crops", "split": "test"},
        *(
            {**shifts, "direction": direction, "metric": "flip_rate", "max_step": max_step}
            for direction in directions
        ),
        *(
            {**shifts, "direction": direction, "pixel_divide": 2, "metric": "kl_divergence"}
            for direction in directions
        ),
    ]


def _training_notes(command: CommandLine, network: _Network, is_twin: bool) -> list[Diagnostic]:
    notes: list[Diagnostic] = []
    if is_twin and not network.is_twin:
        notes.append(_note("free channels are of a twin: read as the twin of this architecture"))
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
    entry: dict[str, Any] = {"mode": mode, "split": "test"}
    notes = [
        _note(f"{option} is left out: {reason}")
        for option, reason in (
            ("-s", "evaluate.py takes the run's last weights"),
            ("-b", "it changes no score"),
            ("--verbose-print-batch", "it changes no score"),
        )
        if command.has(option)
    ]
    if mode == "shifts":
        entry |= _shifts(command)
        notes.append(
            _note(
                "normalise: false, as the command computes its score; the published scores were "
                "computed so, and models are trained on normalised images"
            )
        )
    elif mode is not None:
        command.refuse_options(_SHIFTS, "is an option of -em shifts")
    return {"evaluation": [entry]}, notes


def _shifts(command: CommandLine) -> dict[str, Any]:
    command.require(_SHIFTS[:3], "-em shifts")
    metric = command.choice("--metrics", _METRICS) or "flip_rate"
    max_shift = command.integer("--max-shift", 8, 1, 64)
    divide = command.integer("--pixel-divide", 1, 1, 16)
    entry: dict[str, Any] = {
        "direction": command.choice("--shift-direction", _DIRECTIONS),
        "max_shift": max_shift,
        "pixel_divide": divide,
        "metric": metric,
    }
    if metric == "kl_divergence":
        command.refuse_options(["--max-step-size"], "is an option of the flip rate")
    else:
        command.require(["--max-step-size"], "a flip rate")
        entry["max_step"] = command.integer("--max-step-size", 1, 1, max_shift * divide)
    return entry | {"normalise": False}


def _note(headline: str) -> Diagnostic:
    return Diagnostic("import-note", headline, severity="note", subject="command")
