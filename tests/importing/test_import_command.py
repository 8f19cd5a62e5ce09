"""Commands of the published models' scripts: every one gives the shipped spec, or says why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wavetwin
from tests.support.shipped import ROOT, SPECS, compiled_once, published, spec_of
from wavetwin.commands import cli
from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.parse.nodes import to_plain
from wavetwin.compiler.parse.tree import parse_bytes
from wavetwin.compiler.resolve.spec import resolve
from wavetwin.compiler.schema import ColorMixingSpec, ExperimentSpec
from wavetwin.diagnostics import CompileError, render_text
from wavetwin.diagnostics.codes import IMPORT_CODES
from wavetwin.importing.import_command import import_command

DIGESTS = json.loads((ROOT / "tests/golden/digests.json").read_text(encoding="utf-8"))

# Source of the commands: the README of github.com/hubert-leterme/wcnn, "Training a Model" and
# "Evaluating a Model", word for word.
TRAINING = """\
python AI -a AlexNet --lr 0.01
python AwyI -a AlexNet --config Ft32Y --lr 0.01 --get-gradients --has-l1loss --lambda-params 0. 0.0041 0.00032
python AwyI_mod -a DtCwptAlexNet --config Ft32Y_mod --lr 0.01 --get-gradients --has-l1loss --lambda-params 0. 0.0041 0.00032
python Azh3I -a ZhangAlexNet --config Bf3 --lr 0.01
python Azh3wyI -a DtCwptZhangAlexNet --config Ft32YBf3 --lr 0.01 --get-gradients --has-l1loss --lambda-params 0. 0.0041 0.00032
python Azh3wyI_mod -a DtCwptZhangAlexNet --config Ft32YBf3_mod --lr 0.01 --get-gradients --has-l1loss --lambda-params 0. 0.0041 0.00032
python RI -a resnet34
python RwyI -a dtcwpt_resnet34 --config Ft40YEx
python RwyI_mod -a dtcwpt_resnet34 --config Ft40YEx_mod
python Rzh3I -a zhang_resnet34 --config Bf3
python Rzh3wyI -a dtcwpt_zhang_resnet34 --config Ft40YBf3Ex
python Rzh3wyI_mod -a dtcwpt_zhang_resnet34 --config Ft40YBf3Ex_mod
python Rzh3wyI_abl -a dtcwpt_zhang_resnet34 --config Ft40YBf3Ex_abl
python Rzo3I -a zou_resnet34 --config Bf3 -ba 2
python Rzo3wyI -a dtcwpt_zou_resnet34 --config Ft40YBf3Ex -ba 2
python Rzo3wyI_mod -a dtcwpt_zou_resnet34 --config Ft40YBf3Ex_mod -ba 2
python Rzo3wyI_abl -a dtcwpt_zou_resnet34 --config Ft40YBf3Ex_abl
python R18C -a resnet18 -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python R18wyC -a dtcwpt_resnet18 --config Ft40YEx -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python R18wyC_mod -a dtcwpt_resnet18 --config Ft40YEx_mod -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python R18zh3C -a zhang_resnet18 --config Bf3 -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python R18zh3wyC -a dtcwpt_zhang_resnet18 --config Ft40YBf3Ex -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python R18zh3wyC_mod -a dtcwpt_zhang_resnet18 --config Ft40YBf3Ex_mod -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python R18zo3C -a zou_resnet18 --config Bf3 -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python R18zo3wyC -a dtcwpt_zou_resnet18 --config Ft40YBf3Ex -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python R18zo3wyC_mod -a dtcwpt_zou_resnet18 --config Ft40YBf3Ex_mod -ds CIFAR10 --epochs 300 --lr-scheduler StepLR100
python Rwy0I -a dtcwpt_resnet34 --config Ft40Y --get-gradients --has-l1loss --lambda-params 0. 0.005
"""
EVALUATION = """\
python AwyI -s e90 -em onecrop
python AwyI -s e90 -b 32 -em tencrops --verbose-print-batch 500
python AwyI -s e90 -b 16 -em shifts --max-shift 8 --pixel-divide 2 --shift-direction horizontal --metrics kldiv --verbose-print-batch 256
python AwyI -s e90 -b 16 -em shifts --max-shift 8 --pixel-divide 1 --shift-direction horizontal --max-step-size 8 --verbose-print-batch 256
"""

# The source says how the other depths are had: "simply replace the number of layers".
OTHER_DEPTHS = [
    line.replace("18", depth)
    for line in TRAINING.splitlines()
    if line.startswith("python R18")
    for depth in ("34", "50", "101")
]
COMMANDS = [*TRAINING.splitlines(), *OTHER_DEPTHS]


def name_of(command: str) -> str:
    return command.split()[1]


def compiled_of(command: str, folder: Path) -> Compiled:
    path = folder / "imported.yaml"
    path.write_text(import_command(command).text, encoding="utf-8")
    return wavetwin.compile(path)


def refused(command: str) -> str:
    with pytest.raises(CompileError) as caught:
        import_command(command)
    return render_text(caught.value.diagnostics)


def codes_of(command: str) -> list[str]:
    with pytest.raises(CompileError) as caught:
        import_command(command)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_every_published_spec_has_its_command() -> None:
    folders = {ROOT / "specs" / name for name in ("alexnet", "resnet34", "cifar10")}
    names = {path.stem for path in SPECS if path.parent in folders}
    assert {name_of(command) for command in COMMANDS} == names


@pytest.mark.parametrize("command", COMMANDS, ids=map(name_of, COMMANDS))
def test_each_training_command_gives_the_shipped_spec(command: str, tmp_path: Path) -> None:
    compiled = compiled_of(command, tmp_path)
    assert compiled.name == name_of(command)
    assert compiled.spec.summary == f"Imported from the command: {command}"
    # The shipped specs allow, with a reason, what the imported ones are warned of.
    shipped = compiled_once(spec_of(name_of(command)))
    allowed = () if shipped.spec.lint is None else shipped.spec.lint.allow
    assert {warning.code for warning in compiled.warnings} == {entry.rule for entry in allowed}
    assert {
        "model": compiled.model_digest,
        "training": compiled.training_digest,
        "digest": compiled.digest,
    } == DIGESTS[name_of(command)]


@pytest.mark.parametrize(("name", "info"), published().items(), ids=list(published()))
def test_recorded_architectures_and_configurations_are_read(
    name: str, info: dict[str, Any], tmp_path: Path
) -> None:
    """What the published classifiers recorded of themselves gives the same model as their command."""
    parts = [name, "-a", info["architecture"], "-ds", info["dataset"]]
    parts += ["--config", info["config"]] if info["config"] else []
    if info["l1_loss"]:
        parts += ["--has-l1loss", "--lambda-params", *map(str, info["lambdas"])]
    compiled = compiled_of(" ".join(parts), tmp_path)
    assert compiled.model_digest == DIGESTS[name]["model"]
    assert compiled.graph.parameters.trainable == info["trainable_parameters"]


def test_numbers_and_spellings_are_the_commands(tmp_path: Path) -> None:
    command = (
        "python3.11 scripts/train.py 'my_twin' --arch=dtcwpt_zhang_resnet50 --config 'Ft40Bf2K2_mod' \\\n"
        "  --lr 5e-2 --momentum .8 --weight-decay 0 --batch-size 128 -ba 4 -ds CIFAR10 \\\n"
        '  --epochs "12" --lr-scheduler StepLR5 -r 3'
    )
    imported = import_command(command)
    assert (imported.kind, imported.name) == ("training", "my_twin")
    assert "\n" not in imported.document["summary"]
    assert [note.headline for note in imported.notes] == [
        "-r is left out: a run resumes where it stood by itself"
    ]
    spec = compiled_of(command, tmp_path).spec
    assert spec.backbone.arch == "resnet50"
    assert spec.backbone.downsampling == "blur"
    assert spec.stem.wavelet is not None
    assert isinstance(spec.stem.wavelet.color_mixing, ColorMixingSpec)
    assert spec.stem.wavelet.color_mixing.position == "after"
    assert (spec.pooling.free, spec.pooling.wavelet) == ("max_blur", "modulus")
    assert (spec.pooling.blur_size, spec.pooling.max_kernel) == (2, 2)
    training = spec.training
    assert (training.epochs, training.batch_size, training.accumulate) == (12, 128, 4)
    optimizer = training.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.05, 0.8, 0.0)
    assert training.schedule.step_epochs == 5


# Derived by hand from the reference's lists of configurations and what its classes do with them
# (wcnn/cnn/models/alexnet.py and resnet.py): downsampling, blur size and K2, free pooling, wavelet
# pooling of each architecture and configuration; None where the reference raises, or builds what a
# spec cannot say.
PLAIN, BLUR, ADAPTIVE = (
    ("strided", "max"),
    ("blur", "max_blur"),
    ("adaptive_blur", "max_adaptive_blur"),
)
Built = tuple[str, int, int, str, str | None] | None


def of_cnn(kind: tuple[str, str], size: int = 3, small: bool = False) -> Built:
    return (kind[0], size, 2 if small else 3, kind[1], None)


def of_twin(
    kind: tuple[str, str], size: int = 3, wavelet: str | None = None, free: str | None = None
) -> Built:
    return (kind[0], size, 3, free or kind[1], wavelet or free or kind[1])


SIZES = range(2, 8)
Table = dict[tuple[str, str], Built]


def alexnets() -> Table:
    table: Table = {}
    # AlexNets: CONFIG_DICT_STDALEXNET; torchvision's AlexNet takes no size of a blur, nor Str4.
    for config in ("Std", "Ks20", "Frozen"):
        table["AlexNet", config] = of_cnn(PLAIN)
        table["ZhangAlexNet", config] = of_cnn(BLUR)
    for arch in ("AlexNet", "ZhangAlexNet"):
        table[arch, "Str4"] = None
    for size in SIZES:
        table["AlexNet", f"Bf{size}"] = None
        table["ZhangAlexNet", f"Bf{size}"] = of_cnn(BLUR, size)
    # CONFIG_DICT_DTCWPTALEXNET; without Bf the first pooling's blur has another size than the trunk's.
    for end, wavelet in (("", None), ("_mod", "modulus")):
        for start in ("Ft32", "Ft32Y"):
            table["DtCwptAlexNet", f"{start}{end}"] = of_twin(PLAIN, wavelet=wavelet)
            table["DtCwptZhangAlexNet", f"{start}{end}"] = None
        for size in SIZES:
            table["DtCwptAlexNet", f"Ft32YBf{size}{end}"] = None
            table["DtCwptZhangAlexNet", f"Ft32YBf{size}{end}"] = of_twin(BLUR, size, wavelet)
    return table


KINDS = {"": PLAIN, "zhang_": BLUR, "zou_": ADAPTIVE}


def resnets() -> Table:
    table: Table = {}
    for depth in ("18", "34", "50", "101"):
        for maker, kind in KINDS.items():
            blurs = kind != PLAIN
            # CONFIG_DICT_STDRESNET; a plain ResNet ignores sizes and K2.
            arch = f"{maker}resnet{depth}"
            table[arch, "Std"] = table[arch, "Frozen"] = of_cnn(kind)
            table[arch, "StdK2"] = table[arch, "Bf3K2"] = of_cnn(kind, small=blurs)
            table[arch, "Bf5K2"] = of_cnn(kind, 5 if blurs else 3, blurs)
            for size in SIZES:
                is_odd = kind != ADAPTIVE or size % 2 == 1
                table[arch, f"Bf{size}"] = of_cnn(kind, size if blurs else 3) if is_odd else None
            # CONFIG_DICT_DTCWPTRESNET; a plain twin ignores sizes.
            arch = f"dtcwpt_{maker}resnet{depth}"
            for end, wavelet in (("", None), ("_mod", "modulus")):
                for middle in ("", "Y", "YBf3", "Ex", "YEx"):
                    table[arch, f"Ft40{middle}{end}"] = of_twin(kind, wavelet=wavelet)
                for size in SIZES:
                    is_odd = kind != ADAPTIVE or size % 2 == 1
                    table[arch, f"Ft40YBf{size}Ex{end}"] = (
                        of_twin(kind, size if blurs else 3, wavelet) if is_odd else None
                    )
    return table


def ablations() -> Table:
    table: Table = {}
    for depth in ("18", "34", "50", "101"):
        plain, blur, adaptive = (f"dtcwpt_{maker}resnet{depth}" for maker in KINDS)
        table[plain, "Ft40YBf3Ex_abl1"] = of_twin(PLAIN, wavelet="max_blur")
        table[plain, "Ft40YBf3Ex_abl1ada"] = of_twin(PLAIN, wavelet="max_adaptive_blur")
        table[plain, "Ft40YBf3Ex_abl2"] = of_twin(PLAIN)
        table[blur, "Ft40YBf3Ex_abl1"] = of_twin(BLUR)
        table[blur, "Ft40YBf3Ex_abl1ada"] = of_twin(BLUR, free="max_adaptive_blur")
        table[blur, "Ft40YBf3Ex_abl2"] = of_twin(BLUR, wavelet="max")
        table[adaptive, "Ft40YBf3Ex_abl1"] = of_twin(ADAPTIVE)
        table[adaptive, "Ft40YBf3Ex_abl1ada"] = of_twin(ADAPTIVE)
        table[adaptive, "Ft40YBf3Ex_abl2"] = of_twin(ADAPTIVE, wavelet="max")
    return table


def test_every_architecture_and_configuration_is_what_the_reference_builds() -> None:
    table = alexnets() | resnets() | ablations()
    # 20 and 32 of AlexNets; 33, 66 and 9 of the ResNets of each of four depths.
    assert len(table) == 20 + 32 + 4 * (33 + 66 + 9)
    for (arch, config), built in table.items():
        command = f"x -a {arch} --config {config}"
        if built is None:
            assert codes_of(command) == ["configuration-does-not-fit"], command
            continue
        document = import_command(command).document
        spec = resolve(ExperimentSpec.model_validate(document), "x").spec
        pooling = spec.pooling
        found = (
            spec.backbone.downsampling,
            pooling.blur_size,
            pooling.max_kernel,
            pooling.free,
            pooling.wavelet,
        )
        assert found == built, command
        stem = spec.stem
        assert stem.frozen == (config == "Frozen")
        if "AlexNet" in arch:
            kernel = 20 if config == "Ks20" else 11
            stride = 2 if "Zhang" in arch else 4
            assert (stem.kernel_size, stem.padding, stem.stride) == (kernel, 2, stride), command
        else:
            assert (stem.kernel_size, stem.padding, stem.stride) == (7, 3, 2), command
        if stem.wavelet is None:
            assert stem.free_channels == 64
            continue
        mixing = stem.wavelet.color_mixing
        assert isinstance(mixing, ColorMixingSpec)
        assert mixing.position == ("before" if "Y" in config else "after")
        sizes = [
            (len(each.packets or ()), each.channels, each.groups) for each in stem.wavelet.keep
        ]
        if "AlexNet" in arch:
            assert sizes == [(6, 6, 6), (24, 18, 6), (64, 8, 4)]
        elif "Ex" in config:
            assert sizes == [(6, 12, 6), (4, 4, 4), (1, 2, 1), (4, 4, 4), (1, 2, 1)]
        else:
            assert sizes == [(6, 12, 6), (24, 12, 6)]


@pytest.mark.parametrize(
    ("arch", "config", "blurs_in_trunk", "blurs_in_pool"),
    [
        ("dtcwpt_resnet34", "Ft40YBf3Ex_abl1", 0, ["blur_pool"]),
        ("dtcwpt_resnet34", "Ft40YBf3Ex_abl1ada", 0, ["adaptive_blur"]),
        ("dtcwpt_zhang_resnet18", "Ft40YBf3Ex_abl1", 6, ["blur_pool"]),
        ("dtcwpt_zhang_resnet18", "Ft40YBf3Ex_abl1ada", 6, ["adaptive_blur"]),
        ("dtcwpt_zhang_resnet18", "Ft40YBf3Ex_abl", 6, ["blur_pool"]),
        ("dtcwpt_zou_resnet18", "Ft40YBf3Ex_abl1", 6, ["adaptive_blur"]),
    ],
)
def test_ablations_blur_where_the_references_do(
    arch: str, config: str, blurs_in_trunk: int, blurs_in_pool: list[str], tmp_path: Path
) -> None:
    graph = compiled_of(f"x -a {arch} --config {config}", tmp_path).graph
    blurs = [node for node in graph if node.op in ("blur_pool", "adaptive_blur")]
    assert sum(node.section == "trunk" for node in blurs) == blurs_in_trunk
    assert [node.op for node in blurs if node.section == "pool"] == blurs_in_pool


@pytest.mark.parametrize(
    ("command", "note"),
    [
        ("x -a zhang_resnet18", "no Bf: the reference blurs with 3 taps then"),
        (
            "x -a resnet18 --config Bf5K2",
            "Bf5 and K2 without effect: nothing blurs in this network",
        ),
        ("x -a dtcwpt_resnet18 --config Ft40YBf3Ex", "Bf3 without effect: nothing blurs"),
        ("x -a dtcwpt_zou_resnet18 --config Ft40YBf3Ex_abl1", "the blurring twin of this one"),
        ("x -a dtcwpt_resnet18 --config Ft40YBf3Ex_abl2", "the plain twin of this one"),
    ],
)
def test_what_the_words_do_not_say_is_noted(command: str, note: str) -> None:
    assert any(note in each.headline for each in import_command(command).notes)


def test_a_cnns_name_with_free_channels_is_read_as_the_twin() -> None:
    imported = import_command(COMMANDS[1])
    assert "wavelet" in imported.document["stem"]
    assert [note.headline for note in imported.notes] == [
        "free channels are of a twin: read as the twin of this architecture"
    ]


@pytest.mark.parametrize(
    ("command", "entry"),
    list(
        zip(
            EVALUATION.splitlines(),
            [
                {"mode": "one_crop", "split": "test"},
                {"mode": "ten_crops", "split": "test"},
                {
                    "mode": "shifts",
                    "split": "test",
                    "direction": "horizontal",
                    "max_shift": 8,
                    "pixel_divide": 2,
                    "metric": "kl_divergence",
                    "normalise": False,
                    "resize": "pil",
                },
                {
                    "mode": "shifts",
                    "split": "test",
                    "direction": "horizontal",
                    "max_shift": 8,
                    "pixel_divide": 1,
                    "metric": "flip_rate",
                    "max_step": 8,
                    "normalise": False,
                    "resize": "pil",
                },
            ],
            strict=True,
        )
    ),
)
def test_evaluation_commands_give_an_entry(
    command: str, entry: dict[str, Any], tmp_path: Path
) -> None:
    imported = import_command(command)
    assert imported.kind == "evaluation"
    assert imported.document == {"evaluation": [entry]}
    assert imported.text.startswith(f"# What this command computes: {command}\nevaluation:\n")
    assert imported.notes[0].headline.startswith("-s is left out")
    # The text is a fragment that a spec takes.
    path = tmp_path / "x.yaml"
    text = "wavetwin: 1\nbackbone: {arch: resnet18}\ndata: {dataset: cifar10}\n"
    path.write_text(text + imported.text, encoding="utf-8")
    compiled = wavetwin.compile(path)
    assert entry.items() <= compiled.resolved["evaluation"][0].items()


def test_faults_are_all_said_at_their_places() -> None:
    assert (
        refused("AwyI -a AlexNett --config Ft32Z --lr x --has-l1los 3 -ba 3 --max-shift 3")
        == """\
command:1:9: error: unknown-architecture: the architecture 'AlexNett' is not known
  1 | AwyI -a AlexNett --config Ft32Z --lr x --has-l1los 3 -ba 3 --max-shift 3
    |         ^^^^^^^^
  help: did you mean 'AlexNet'?

command:1:31: error: unknown-configuration: 'Z' is not known in the configuration 'Ft32Z'
  1 | AwyI -a AlexNett --config Ft32Z --lr x --has-l1los 3 -ba 3 --max-shift 3
    |                               ^
  help: the words are Ft<channels>, Y, Bf<size>, Ex and K2, at the end _mod, _abl1, _abl1ada, _abl2 or \
_abl; or Std, StdK2, Ks20, Str4 or Frozen alone

command:1:38: error: bad-option-value: --lr takes a number from 1e-12 to 1000, not 'x'
  1 | AwyI -a AlexNett --config Ft32Z --lr x --has-l1los 3 -ba 3 --max-shift 3
    |                                      ^

command:1:40: error: unknown-option: the command's option --has-l1los is not known
  1 | AwyI -a AlexNett --config Ft32Z --lr x --has-l1los 3 -ba 3 --max-shift 3
    |                                        ^^^^^^^^^^^
  help: did you mean '--has-l1loss'?

command:1:58: error: batch-does-not-divide: a batch of 256 does not split into 3 equal parts
  1 | AwyI -a AlexNett --config Ft32Z --lr x --has-l1los 3 -ba 3 --max-shift 3
    |                                                          ^

command:1:60: error: option-does-not-apply: --max-shift is an option of evaluations
  1 | AwyI -a AlexNett --config Ft32Z --lr x --has-l1los 3 -ba 3 --max-shift 3
    |                                                            ^^^^^^^^^^^
"""
    )


REFUSED = {
    "": ["command-incomplete", "command-incomplete"],
    "AI": ["command-incomplete"],
    "'AI": ["command-unreadable"],
    "AI -a AlexNet \\": ["command-unreadable"],
    "AI -a \x07 AlexNet": ["command-unreadable"],
    "AI " * 2000: ["command-unreadable"],
    "../AI -a AlexNet": ["bad-name"],
    "'AI\n' -a AlexNet": ["bad-name"],
    "AI more -a AlexNet": ["bad-option-value"],
    "AI -a AlexNet -a AlexNet": ["repeated-option"],
    "AI -a resnet34 --arch resnet34": ["repeated-option"],
    "AI -a": ["bad-option-value"],
    "AI -a ''": ["bad-option-value", "unknown-architecture"],
    "AI -a AlexNet --get-gradients=1": ["bad-option-value", "option-does-not-apply"],
    "AI -a AlexNet --lambda 1": ["unknown-option"],
    "AI -a alexnet": ["unknown-architecture"],
    "AI -a ZouAlexNet": ["unknown-architecture"],
    "AI -a resnet152": ["unknown-architecture"],
    "AI -a AlexNet --lr 0": ["bad-option-value"],
    "AI -a AlexNet --lr -1": ["bad-option-value"],
    "AI -a AlexNet --lr nan": ["bad-option-value"],
    "AI -a AlexNet --lr 1e999": ["bad-option-value"],
    "AI -a AlexNet --momentum 1": ["bad-option-value"],
    "AI -a AlexNet --epochs 1.5": ["bad-option-value"],
    "AI -a AlexNet --epochs 0": ["bad-option-value"],
    "AI -a AlexNet --lr-scheduler StepLR0": ["bad-option-value"],
    "AI -a AlexNet --lr-scheduler CosineAnnealingLR": ["bad-option-value"],
    "AI -a AlexNet -ds CIFAR100": ["bad-option-value"],
    "AI -a AlexNet -b 256 -ba 3": ["batch-does-not-divide"],
    "AI -a AlexNet -em": ["bad-option-value", "option-does-not-apply", "command-incomplete"],
    # configurations
    "AI -a AlexNet --config Y": ["configuration-does-not-fit"],
    "AI -a AlexNet --config Bf3": ["configuration-does-not-fit"],
    "AI -a AlexNet --config K2": ["configuration-does-not-fit"],
    "AI -a AlexNet --config _mod": ["configuration-does-not-fit"],
    "AI -a AlexNet --config StdY": ["unknown-configuration"],
    "AI -a AlexNet --config Ft32Ft32": ["unknown-configuration"],
    "AI -a AlexNet --config Ft32_modY": ["unknown-configuration"],
    "AI -a AlexNet --config Ft32Y_abl3": ["unknown-configuration"],
    "AI -a AlexNet --config Ft40Y": ["configuration-does-not-fit"],
    "AI -a DtCwptAlexNet": ["configuration-does-not-fit"],
    "AI -a DtCwptAlexNet --config Std": ["configuration-does-not-fit"],
    "AI -a DtCwptAlexNet --config Ft32YEx": ["configuration-does-not-fit"],
    "AI -a DtCwptZhangAlexNet --config Ft32YBf3_abl": ["configuration-does-not-fit"],
    "AI -a DtCwptZhangAlexNet --config Ft32Y": ["configuration-does-not-fit"],
    "AI -a ZhangAlexNet --config Str4": ["configuration-does-not-fit"],
    "AI -a AlexNet --config Std_mod": ["unknown-configuration"],
    "AI -a AlexNet --config StdStd": ["unknown-configuration"],
    "AI -a resnet18 --config Ks20": ["configuration-does-not-fit"],
    "AI -a dtcwpt_resnet18 --config Ft40YFrozen": ["configuration-does-not-fit"],
    "AI -a dtcwpt_resnet18 --config Ft40YBf2Ex_abl1ada": ["configuration-does-not-fit"],
    "AI -a WptAlexNet --config Ft32Y": ["unknown-architecture"],
    "AI -a zou_resnet18 --config Bf4": ["configuration-does-not-fit"],
    "AI -a zhang_resnet18 --config Bf8": ["configuration-does-not-fit"],
    "AI -a dtcwpt_resnet18 --config Ft32Y": ["configuration-does-not-fit"],
    "AI -a dtcwpt_resnet18 --config Ft40Y_abl": ["configuration-does-not-fit"],
    "AI -a dtcwpt_resnet18 --config Ft40YK2": ["configuration-does-not-fit"],
    # regularisation
    "AI -a resnet18 --has-l1loss --lambda-params 0.": ["option-does-not-apply"] * 2,
    "AI -a dtcwpt_resnet18 --config Ft40Y --has-l1loss": ["command-incomplete"],
    "AI -a dtcwpt_resnet18 --config Ft40Y --lambda-params 0 0": ["option-does-not-apply"],
    "AI -a dtcwpt_resnet18 --config Ft40Y --has-l1loss --lambda-params 0": ["lambdas-do-not-match"],
    "AI -a dtcwpt_resnet18 --config Ft40Y --has-l1loss --lambda-params 0 x": ["bad-option-value"],
    # evaluations
    "AI -s e90": ["command-incomplete"],
    "AI -em onecrop": ["command-incomplete"],
    "AI -s 90 -em onecrop": ["bad-option-value"],
    "AI -s best -em fivecrops": ["bad-option-value"],
    "AI -s best -em onecrop --max-shift 8": ["option-does-not-apply"],
    "AI -s best -em onecrop -a AlexNet --lr 1": ["option-does-not-apply"] * 2,
    "AI -s best -em shifts": ["command-incomplete"] * 2,
    "AI -s best -em shifts --max-shift 8 --pixel-divide 1 --shift-direction up --metrics kldiv": [
        "bad-option-value"
    ],
    "AI -s best -em shifts --max-shift 8 --pixel-divide 2 --shift-direction diagonal "
    "--metrics kldiv --max-step-size 8": ["option-does-not-apply"],
    "AI -s best -em shifts --max-shift 4 --pixel-divide 2 --shift-direction diagonal "
    "--metrics mfr --max-step-size 9": ["bad-option-value"],
}


@pytest.mark.parametrize(("command", "codes"), REFUSED.items(), ids=[c[:60] for c in REFUSED])
def test_what_is_not_understood_is_refused(command: str, codes: list[str]) -> None:
    assert sorted(codes_of(command)) == sorted(codes)


def test_every_code_is_tested() -> None:
    found = {code for codes in REFUSED.values() for code in codes}
    # The notes and what writing a file refuses have tests of their own.
    assert IMPORT_CODES.keys() - found == {"import-note", "output-exists", "output-not-written"}


ARCHITECTURES = st.sampled_from(
    ["AlexNet", "DtCwptAlexNet", "ZhangAlexNet", "DtCwptZhangAlexNet"]
    + [
        f"{twin}{blur}resnet{depth}"
        for twin in ("", "dtcwpt_")
        for blur in ("", "zhang_", "zou_")
        for depth in (18, 50)
    ]
)
CONFIGURATIONS = st.tuples(
    st.sampled_from(["", "Ft32", "Ft40"]),
    st.sampled_from(["", "Y"]),
    st.sampled_from(["", "Bf2", "Bf3", "Bf7"]),
    st.sampled_from(["", "Ex"]),
    st.sampled_from(["", "K2"]),
    st.sampled_from(["", "_mod", "_abl", "_abl1", "_abl1ada", "_abl2"]),
).map("".join)


@settings(max_examples=200, deadline=None)
@given(ARCHITECTURES, CONFIGURATIONS, st.sampled_from(["ImageNet", "CIFAR10"]))
def test_what_is_accepted_compiles(architecture: str, config: str, dataset: str) -> None:
    command = f"x -a {architecture} -ds {dataset}" + (f" --config {config}" if config else "")
    try:
        imported = import_command(command)
    except CompileError as error:
        codes = {diagnostic.code for diagnostic in error.diagnostics}
        assert codes == {"configuration-does-not-fit"}
        return
    parsed = parse_bytes(imported.text.encode(), "x.yaml")
    assert parsed.tree is not None
    assert not parsed.diagnostics
    assert to_plain(parsed.tree) == imported.document
    resolve(ExperimentSpec.model_validate(imported.document), "x")


def test_the_command_prints_and_writes_new_files_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[0]
    assert cli.main(["import", "command", command]) == 0
    printed = capsys.readouterr()
    assert printed.out == import_command(command).text
    assert printed.err == ""
    out = tmp_path / "AI.yaml"
    assert cli.main(["import", "command", command, "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert out.read_bytes().decode() == printed.out
    assert wavetwin.compile(out).digest == DIGESTS["AI"]["digest"]
    assert cli.main(["import", "command", COMMANDS[6], "--out", str(out)]) == 2
    assert f"{out}: error: output-exists: " in capsys.readouterr().err
    assert out.read_bytes().decode() == printed.out
    missing = tmp_path / "no" / "x.yaml"
    assert cli.main(["import", "command", command, "--out", str(missing)]) == 2
    assert "output-not-written: No such file or directory" in capsys.readouterr().err
    assert cli.main(["import", "command", "AI -a alexnet"]) == 2
    assert capsys.readouterr().out == ""


def test_a_long_command_has_a_short_summary(tmp_path: Path) -> None:
    command = f"AI -a AlexNet --lr 0.01{'0' * 15}" + " " * 600 + "--momentum 0.9"
    assert len(import_command(command).document["summary"]) < 100
    path = "/".join(["folder"] * 80)
    imported = import_command(f"python {path}/train.py AI -a AlexNet")
    assert len(imported.document["summary"]) == 500
    (tmp_path / "x.yaml").write_text(imported.text, encoding="utf-8")
    assert wavetwin.compile(tmp_path / "x.yaml").spec.summary == imported.document["summary"]


def test_importing_a_command_imports_no_torch() -> None:
    code = (
        "import sys; from wavetwin.commands.cli import main; main(['import', 'command', sys.argv[1]]);"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, COMMANDS[2]], cwd=ROOT, check=True, capture_output=True
    )
