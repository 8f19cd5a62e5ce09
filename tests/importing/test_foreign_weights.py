"""Checkpoints as people have them: what is beside the weights, around their names, or no weights."""

from __future__ import annotations

import json
import math
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

import wavetwin
from tests.support.shipped import compiled_once, spec_of
from wavetwin.commands import cli
from wavetwin.compiler.compiled import Compiled
from wavetwin.importing.weights import WeightsError, convert_state_dict
from wavetwin.runtime.network.build import build_module
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.checkpoint import read_foreign
from wavetwin.runtime.training.starting.free_channels import load_free_channels
from wavetwin.runtime.training.starting.reference_names import reference_to_graph_names

SPEC = spec_of("cnn")
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return wavetwin.compile(SPEC)


@pytest.fixture(scope="module")
def weights(compiled: Compiled) -> Weights:
    return wavetwin.build_model(compiled).state_dict()


def saved(folder: Path, content: Any, name: str = "w.pth", **options: Any) -> Path:
    torch.save(content, folder / name, **options)
    return folder / name


def imported(file: Path, *options: str) -> int:
    out = file.with_name("out.safetensors")
    out.unlink(missing_ok=True)
    return cli.main(
        ["import", "weights", str(file), "--spec", str(SPEC), "--out", str(out), *options]
    )


def are_equal(found: Weights, expected: Weights) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], value) for name, value in expected.items()
    )


# What is beside the weights


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "net", "model_state_dict", "weights"])
@pytest.mark.parametrize(
    "beside",
    [
        {"best_acc1": 71.5},
        {"best_acc1": torch.tensor(71.5)},
        {"best_acc1": torch.tensor([71.5]), "epoch": torch.tensor(3)},
        {"rng_state": torch.zeros(5056, dtype=torch.uint8)},
        {"loss": {"weight": torch.ones(10)}, "arch": "cnn"},
        {"optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}},
    ],
    ids=["number", "0-d", "1-element", "bytes", "small dict", "optimiser"],
)
def test_what_lies_beside_the_weights_is_left(
    tmp_path: Path, compiled: Compiled, weights: Weights, wrapper: str, beside: dict[str, Any]
):
    for content in ({wrapper: weights, **beside}, {**beside, wrapper: weights}):
        foreign = read_foreign(saved(tmp_path, content))
        found = wavetwin.from_reference_state_dict(foreign.tensors, compiled)
        assert are_equal(found, weights)
        left = ", ".join(repr(name) for name in beside)
        assert foreign.notes == (f"the state dict below '{wrapper}'; left beside it: {left}",)


def test_a_flat_file_with_numbers_between_its_tensors(
    tmp_path: Path, compiled: Compiled, weights: Weights
):
    content = {"epoch": 9, **weights, "best": torch.tensor(0.5), "optimizer": {"lr": 0.1}}
    foreign = read_foreign(saved(tmp_path, content))
    assert are_equal(convert_state_dict(compiled.graph, foreign.tensors).state, weights)
    assert foreign.notes == ("left beside the tensors: 'epoch', 'best', 'optimizer'",)


def test_weights_below_several_keys(tmp_path: Path, compiled: Compiled, weights: Weights):
    foreign = read_foreign(saved(tmp_path, {"checkpoint": {"model": weights}, "epoch": 3}))
    assert are_equal(convert_state_dict(compiled.graph, foreign.tensors).state, weights)
    assert foreign.notes == ("the state dict below 'checkpoint.model'; left beside it: 'epoch'",)


@pytest.mark.parametrize(
    ("plain", "average"),
    [("state_dict", "state_dict_ema"), ("model", "ema"), ("model", "model_ema"), ("net", "swa")],
)
def test_an_average_is_left_and_can_be_asked_for(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    compiled: Compiled,
    weights: Weights,
    plain: str,
    average: str,
):
    averaged = {k: v * 0 if v.is_floating_point() else v for k, v in weights.items()}
    file = saved(tmp_path, {average: averaged, plain: weights})
    assert imported(file) == 0
    assert f"the state dict below '{plain}'; left beside it: '{average}'" in capsys.readouterr().out
    assert imported(file, "--state-dict", average) == 0
    assert f"the state dict below '{average}'" in capsys.readouterr().out
    assert are_equal(read_foreign(file, average).tensors, averaged)
    assert are_equal(read_foreign(file).tensors, weights)
    # An average alone is what there is.
    assert are_equal(read_foreign(saved(tmp_path, {average: averaged})).tensors, averaged)


def test_between_two_state_dicts_nothing_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: Weights
):
    file = saved(tmp_path, {"student": weights, "teacher": weights, "epoch": 3})
    assert imported(file) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "holds 2 state dicts: 'student' (20 tensors), 'teacher' (20 tensors)" in printed.err
    assert "--state-dict student" in printed.err
    assert imported(file, "--state-dict", "student") == 0
    assert imported(file, "--state-dict", "pupil") == 2
    assert "has no state dict 'pupil'" in capsys.readouterr().err
    # So many that a list of them would fill the screen.
    file = saved(tmp_path, {f"fold{number}": weights for number in range(20)})
    with pytest.raises(RunError, match=r"holds 20 state dicts: .*'fold7' .* and 12 more\n"):
        read_foreign(file)


# Objects in pickles


def class_of(monkeypatch: pytest.MonkeyPatch, module: str, name: str, *bases: type) -> type:
    """A class that lies in a module which is there while a file is written."""
    made = types.ModuleType(module)
    cls = type(name, bases or (object,), {"__module__": module})
    setattr(made, name, cls)
    monkeypatch.setitem(sys.modules, module, made)
    return cls


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_lightning_checkpoint(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    compiled: Compiled,
    weights: Weights,
    is_zip: bool,
):
    with pytest.MonkeyPatch.context() as patch:
        callback = class_of(patch, "pl_callbacks", "ModelCheckpoint")()
        callback.best_model_path = "a.ckpt"
        settings = class_of(patch, "pl_parsing", "AttributeDict", dict)(lr=0.1, width=4)
        history = class_of(patch, "pl_history", "History", list)([1, 2])
        content = {
            "epoch": 3,
            "global_step": 100,
            "pytorch-lightning_version": "2.1.0",
            "state_dict": {f"model.{name}": value for name, value in weights.items()},
            "loops": {"fit_loop": {"state_dict": {}}},
            "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": callback},
            "optimizer_states": [{"state": {0: {"momentum_buffer": torch.ones(3)}}}],
            "lr_schedulers": [history],
            "hyper_parameters": settings,
            "hparams_name": "kwargs",
        }
        file = saved(tmp_path, content, "last.ckpt", _use_new_zipfile_serialization=is_zip)
    assert imported(file) == 0
    printed = capsys.readouterr().out
    assert "'model.' taken off before every name" in printed
    assert "objects that are no tensors were skipped, none was run: " in printed
    for name in ("pl_callbacks.ModelCheckpoint", "pl_parsing.AttributeDict", "pl_history.History"):
        assert name in printed
    assert are_equal(convert_state_dict(compiled.graph, read_foreign(file).tensors).state, weights)
    assert not {"pl_callbacks", "pl_parsing", "pl_history"} & sys.modules.keys()


def test_metrics_beside_the_network_of_a_lightning_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: Weights
):
    state = {f"net.{name}": value for name, value in weights.items()}
    state |= {"criterion.weight": torch.ones(10), "accuracy.total": torch.ones(2)}
    file = saved(tmp_path, {"state_dict": state}, "a.ckpt")
    assert imported(file) == 2
    message = capsys.readouterr().err
    assert (
        "help: the model's names are there below a part of the names: --state-dict net " in message
    )
    # The remedy, followed.
    assert imported(file, "--state-dict", "net") == 0
    assert "left: 'criterion.weight', 'accuracy.total'" in capsys.readouterr().out


def test_a_whole_pickled_model_is_read_for_its_tensors(tmp_path: Path, weights: Weights):
    compiled = compiled_once(spec_of("cnn"))
    model = nn.Module()
    for name in ("stem", "pool", "trunk"):
        part = nn.Module()
        setattr(model, name, part)
    for name, value in weights.items():
        *path, last = name.split(".")
        at: nn.Module = model
        for step in path:
            if step not in at._modules:
                at.add_module(step, nn.Module())
            at = at.get_submodule(step)
        if last.startswith(("running", "num")):
            at.register_buffer(last, value)
        else:
            at.register_parameter(last, nn.Parameter(value))
    for content in (model, {"model": model, "epoch": 3}):
        foreign = read_foreign(saved(tmp_path, content))
        assert are_equal(convert_state_dict(compiled.graph, foreign.tensors).state, weights)
        assert "torch.nn.modules.module.Module" in foreign.notes[-1]


@pytest.mark.parametrize("name", ["pty.spawn", "builtins.exec", "runpy.run_path"])
def test_a_file_that_asks_for_a_program_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: Weights, name: str
):
    class Calls:
        def __reduce__(self) -> Any:
            module, _, function = name.rpartition(".")
            __import__(module)
            return getattr(sys.modules[module], function), ("touch sentinel",)

    file = saved(tmp_path, {"state_dict": weights, "callbacks": Calls()}, "bad.ckpt")
    assert imported(file) == 2
    assert f"it asks for {name.removeprefix('builtins.')}, which could run code" in (
        capsys.readouterr().err
    )


# Names


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "model.", "net.", "backbone.", "model.backbone.", "student.encoder.",
     "module._orig_mod.model."],
)  # fmt: skip
def test_what_all_names_begin_with_is_taken_off_and_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    compiled: Compiled,
    weights: Weights,
    prefix: str,
):
    given = {f"{prefix}{name}": value for name, value in weights.items()}
    assert are_equal(wavetwin.from_reference_state_dict(given, compiled), weights)
    assert imported(saved(tmp_path, given)) == 0
    printed = capsys.readouterr().out
    removed = [part.split("'")[1] for part in printed.split("\n") if "taken off before" in part]
    assert "".join(removed) == prefix


def test_wrappers_within_names_are_taken_out():
    # As ImageNet's examples save an AlexNet: its features in a DataParallel, its classifier not.
    compiled = compiled_once(spec_of("AI"))
    with torch.device("meta"):
        shapes = build_module(compiled.graph).state_dict()
    theirs = {
        name: torch.zeros(()).expand(shapes[own].shape)
        for name, own in reference_to_graph_names(compiled.graph).items()
    }
    wrapped = {name.replace("features.", "features.module."): v for name, v in theirs.items()}
    assert wrapped.keys() != theirs.keys()
    found = convert_state_dict(compiled.graph, wrapped)
    assert found.state.keys() == shapes.keys()
    assert found.notes == ("'module.' taken out of 10 names",)
    both = {f"model.{name}": value for name, value in wrapped.items()}
    notes = convert_state_dict(compiled.graph, both).notes
    assert notes == ("'model.' taken off before every name, 'module.' taken out of 10 names",)


def test_names_are_not_changed_into_names_of_another_tensor(compiled: Compiled, weights: Weights):
    name = "trunk.fc.weight" if "trunk.fc.weight" in weights else next(iter(weights))
    first, _, rest = name.partition(".")
    doubled = {**weights, f"{first}.module.{rest}": weights[name] * 2}
    with pytest.raises(WeightsError, match="1 left over"):
        wavetwin.from_reference_state_dict(doubled, compiled)


def test_free_channels_start_from_files_with_prefixes(tmp_path: Path):
    own = torch.randn(64, 3, 7, 7)
    model = wavetwin.build_model(compiled_once(spec_of("R18C")))
    for start in ("model.", "module.", "_orig_mod.backbone.", ""):
        state = {f"{start}conv1.weight": own, f"{start}layer1.0.conv1.weight": torch.ones(2, 2)}
        saved(tmp_path, {"state_dict": state, "best": torch.tensor(0.5)}, "w.pth")
        compiled = compiled_once(spec_of("R18C"), *["stem.initial_weights.checkpoint=w.pth"])
        assert compiled.plan.initial_weights is not None
        weight = model.state_dict()["stem.free.weight"].zero_()
        load_free_channels(model, compiled.plan.initial_weights, tmp_path)
        assert torch.equal(weight, own)
    for wrong in (own.int(), own / 0):
        saved(tmp_path, {"conv1.weight": wrong}, "w.pth")
        with pytest.raises(RunError, match=r"conv1\.weight that are no finite numbers"):
            load_free_channels(model, compiled.plan.initial_weights, tmp_path)


# Listings and values


def test_listings_are_bounded(compiled: Compiled, weights: Weights):
    many = weights | {f"aux.{number}.weight": torch.ones(2) for number in range(300)}
    with pytest.raises(WeightsError) as caught:
        wavetwin.from_reference_state_dict(many, compiled)
    lines = str(caught.value).splitlines()
    assert len(lines) == 10
    assert lines[-1] == "  left over: and 292 more"
    assert len(caught.value.faults) == 300


def test_keys_of_what_holds_no_state_dict_are_bounded(tmp_path: Path):
    with pytest.raises(RunError, match=r"it has 'k0', .*'k7' and 92 more\n"):
        read_foreign(saved(tmp_path, {f"k{number}": number for number in range(100)}))


def test_values_that_are_no_numbers_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], compiled: Compiled, weights: Weights
):
    floating = [name for name, value in weights.items() if value.is_floating_point()]
    damaged = {name: value.clone() for name, value in weights.items()}
    damaged[floating[0]].view(-1)[:2] = math.nan
    damaged[floating[1]].view(-1)[0] = math.inf
    assert imported(saved(tmp_path, damaged)) == 0
    size = damaged[floating[0]].numel()
    assert (
        f"values that are no finite numbers: {floating[0]} (2 of {size:,}), {floating[1]} (1 of "
        in capsys.readouterr().out
    )
    with pytest.warns(UserWarning, match="values that are no finite numbers"):
        wavetwin.from_reference_state_dict(damaged, compiled)


# Files that are something else


def onnx_model() -> bytes:
    return b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x80\x01" + bytes(200)


def zip_of(*names: str) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")

    return write


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".ckpt"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 46830571\n",
         "a pointer of Git LFS to a file of 46,830,571 bytes"),
        (b"<!DOCTYPE html>\n<html><head><title>Sign in</title>", "a page of HTML"),
        (b"\0" * 4096, "nothing but zeros"),
        (b"\x1f\x8b\x08\x00" + bytes(50), "a file packed with gzip"),
        (b"GGUF\x03\x00\x00\x00" + bytes(60), "a GGUF file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file, as Keras writes weights"),
        (onnx_model(), "an ONNX model"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(60), "a TensorFlow Lite model"),
        (bytes(range(1, 60)) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "index of a TensorFlow checkpoint"),
        (b'{"model": 1}', "text that begins with"),
    ],
    ids=["empty", "lfs", "html", "zeros", "gzip", "gguf", "hdf5", "onnx", "tflite", "tf", "json"],
)  # fmt: skip
def test_files_are_told_by_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str, suffix: str
):
    file = tmp_path / f"w{suffix}"
    file.write_bytes(content)
    assert imported(file) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.startswith(f"{file}: error: ")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (zip_of("resnet18.pth", "README.md"), r"did not write; it has resnet18\.pth, README\.md"),
        (zip_of("a.npy", "b.npy"), r"arrays of NumPy \(\.npz\)"),
        (zip_of("m/data.pkl", "m/constants.pkl", "m/code/x.py"), "a TorchScript archive"),
    ],
)
def test_other_archives_are_named(tmp_path: Path, write: Callable[[Path], None], message: str):
    write(tmp_path / "w.pth")
    with pytest.raises(RunError, match=message):
        read_foreign(tmp_path / "w.pth")


def test_files_that_are_cut_off_are_said_to_be(tmp_path: Path, weights: Weights):
    whole = saved(tmp_path, weights).read_bytes()
    plain = save({name: value.contiguous() for name, value in weights.items()})
    for data, message in (
        (whole[: len(whole) // 2], "is cut off or damaged"),
        (plain[:-100], rf"is cut off: it has {len(plain) - 100:,} of {len(plain):,} bytes"),
        (plain[:40], "is cut off: it has 40 of "),
    ):
        (tmp_path / "cut.pth").write_bytes(data)
        with pytest.raises(RunError, match=message):
            read_foreign(tmp_path / "cut.pth")


def test_the_bytes_say_what_is_read_not_the_name(tmp_path: Path, weights: Weights):
    plain = save({name: value.contiguous() for name, value in weights.items()})
    for name, data in (
        ("pytorch_model.bin", saved(tmp_path, weights).read_bytes()),
        ("model.safetensors", saved(tmp_path, weights).read_bytes()),
        ("checkpoint-90", saved(tmp_path, {"net": weights}).read_bytes()),
        ("w.pth", plain),
    ):
        (tmp_path / name).write_bytes(data)
        assert are_equal(read_foreign(tmp_path / name).tensors, weights)


def test_diff_tells_a_pointer_from_a_damaged_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    assert cli.main(["diff", str(file), str(file)]) == 2
    printed = capsys.readouterr().err
    assert "it is a pointer of Git LFS to a file of 5 bytes" in printed
    assert "git lfs pull" in printed


def test_evaluate_says_what_it_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: Weights
):
    file = saved(
        tmp_path, {"student": {f"net.{k}": v for k, v in weights.items()}, "teacher": weights}
    )
    command = ["evaluate", str(file), "--spec", str(SPEC), "--limit-batches", "1"]
    command += ["--data-root", str(tmp_path)]
    assert cli.main(command) == 2
    assert "holds 2 state dicts" in capsys.readouterr().err
    assert cli.main([*command, "--state-dict", "student"]) == 0
    printed = capsys.readouterr().out
    assert "w.pth: the state dict below 'student'; left beside it: 'teacher'" in printed
    assert "w.pth: 'net.' taken off before every name" in printed
    scores_file = json.loads((tmp_path / "w.pth.scores.json").read_text(encoding="utf-8"))
    assert scores_file
