"""Weights that others trained: every name, shape and constant agrees, or all that does not is said."""

from __future__ import annotations

import io
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import wavetwin
from tests.support.golden_weights import (
    GOLDEN,
    golden_arrays,
    golden_shapes,
    golden_state,
    relative_error,
)
from tests.support.shipped import compiled_once, spec_of
from wavetwin.commands import cli
from wavetwin.compiler.compiled import Compiled
from wavetwin.importing.weights import WeightsError, convert_state_dict
from wavetwin.provenance.package import sha256_of
from wavetwin.runtime.network.build import build_module
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.torchvision_compat import import_torchvision
from wavetwin.runtime.training.checkpoint import (
    load_weights,
    read_foreign,
)
from wavetwin.runtime.training.starting.free_channels import load_free_channels

SHAPES: dict[str, dict[str, dict[str, list[int]]]] = json.loads(
    (GOLDEN / "state_shapes.json").read_text(encoding="utf-8")
)
ENTRIES = [(file, entry) for file, entries in SHAPES.items() for entry in entries]
VARIANTS = {
    "AlexNet color after": ("AwyI", ["stem.wavelet.color_mixing=after"]),
    "AlexNet color after CMod": ("AwyI_mod", ["stem.wavelet.color_mixing=after"]),
    "ResNet-34 all packets": ("Rwy0I", []),
    "ResNet-34 all packets CMod": ("Rwy0I", ["pooling.wavelet=modulus"]),
}
"""Entries of stems.npz that no spec is named after."""


def compiled_entry(entry: str) -> Compiled:
    spec, overrides = VARIANTS.get(entry, (entry, []))
    return compiled_once(spec_of(spec), *overrides)


def constants(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """What the reference's state dicts hold beside weights: published taps, binomials, ones."""
    taps = json.loads((GOLDEN / "filters.json").read_text(encoding="utf-8"))["qshift_a"]
    values: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        last = name.rsplit(".", 1)[-1]
        if last in ("_hfilters", "_gfilters"):
            kind = "h0" if last == "_hfilters" else "h1"
            values[name] = torch.tensor([taps[f"{kind}b"], taps[f"{kind}a"]]).reshape(shape)
        elif last == "filt":
            size = shape[-1]
            row = torch.tensor([float(math.comb(size - 1, k)) for k in range(size)])
            values[name] = (torch.outer(row, row) / row.sum() ** 2).expand(shape)
        elif last == "num_batches_tracked":
            values[name] = torch.tensor(7)
        elif name == "features.1.high.2.weight":
            values[name] = torch.ones(shape)
    return values


def placeholder(file: str, entry: str) -> dict[str, Tensor]:
    """A whole state dict of the reference's; the weights are zeros that take no memory."""
    shapes = golden_shapes(file, entry)
    known = constants(shapes)
    return {name: known.get(name, torch.zeros(()).expand(shape)) for name, shape in shapes.items()}


@pytest.fixture
def twin() -> tuple[Compiled, dict[str, Tensor]]:
    return compiled_entry("R18zh3wyC"), placeholder("logits_cifar10_resnet18.npz", "R18zh3wyC")


def filled(compiled: Compiled, state: dict[str, Tensor], num_classes: int) -> nn.Module:
    """A network with these weights, in evaluation mode; nothing is drawn."""
    with torch.device("meta"):
        network = build_module(compiled.graph, num_classes)
    network.to(next(iter(state.values())).dtype).to_empty(device="cpu")
    network.load_state_dict(state)
    return network.eval()


@pytest.mark.parametrize(("file", "entry"), ENTRIES, ids=[" ".join(each) for each in ENTRIES])
def test_every_published_models_names_and_shapes(file: str, entry: str):
    compiled = compiled_entry(entry)
    given = placeholder(file, entry)
    made = convert_state_dict(compiled.graph, given, "any")
    with torch.device("meta"):
        own = build_module(compiled.graph, made.num_classes).state_dict()
    assert list(made.state) == list(own)
    assert {k: v.shape for k, v in made.state.items()} == {k: v.shape for k, v in own.items()}
    fixed = [n for n in constants(golden_shapes(file, entry)) if not n.endswith("tracked")]
    assert len(made.state) + made.num_constants == len(given)
    assert made.num_constants == len(fixed)
    assert not made.sets_counters
    assert {int(v) for k, v in made.state.items() if k.endswith("tracked")} <= {7}
    if fixed:
        # Each constant counts: changed by one part in a hundred thousand, it is refused.
        changed = {name: given[name] * 1.00001 for name in fixed}
        with pytest.raises(WeightsError, match=f": {len(fixed)} other constant\n") as caught:
            convert_state_dict(compiled.graph, given | changed, "any")
        assert {fault.name for fault in caught.value.faults} == changed.keys()


@pytest.mark.parametrize(
    ("spec", "architecture", "size"), [("AI", "alexnet", 96), ("R18C", "resnet18", 64)]
)
def test_torchvisions_models_compute_the_same(spec: str, architecture: str, size: int):
    import_torchvision()
    from torchvision import models

    torch.manual_seed(0)
    theirs = models.get_model(architecture).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    compiled = compiled_once(spec_of(spec))
    state = wavetwin.from_reference_state_dict(theirs.state_dict(), compiled, num_classes=1000)
    ours = filled(compiled, state, 1000)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert relative_error(ours(images), theirs(images)) < 1e-6


def test_a_file_of_the_reference_is_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file, entry = "logits_cifar10_resnet18.npz", "R18zh3wyC_mod"
    state = golden_state(file, entry)
    state |= {k: v.double() for k, v in constants(golden_shapes(file, entry)).items()}
    source, out = tmp_path / "R18 e300.tar", tmp_path / "own.safetensors"
    torch.save(
        {
            "net": {f"module.{name}": value for name, value in state.items()},
            "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
            "epoch": 300,
        },
        source,
    )
    spec = str(spec_of(entry))
    arguments = ["import", "weights", str(source), "--spec", spec, "--out", str(out)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    compiled = wavetwin.compile(spec)
    with safe_open(out, "pt") as opened:
        assert opened.metadata() == {
            "format": "pt",
            "source": "R18 e300.tar",
            "source_sha256": sha256_of(source.read_bytes()),
            "spec": entry,
            "digest": compiled.digest,
            "model_digest": compiled.model_digest,
            "num_classes": "10",
        }
    assert printed.out == (
        f"from     R18 e300.tar, SHA-256 {sha256_of(source.read_bytes())}\n"
        "         the state dict below 'net'; left beside it: 'optimizer', 'epoch'\n"
        "         'module.' taken off before every name\n"
        "         names as the published models' or torchvision's\n"
        f"matched  {len(load_file(out))} tensors of {entry}, 11,178,141 parameters, 10 classes\n"
        "         9 fixed filters and constants compared\n"
        f"written  {out}\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, out.name]
    with torch.device("meta"):
        network = build_module(compiled.graph)
    network.double().to_empty(device="cpu").eval()
    load_weights(network, out)
    arrays = golden_arrays(file)
    with torch.no_grad():
        assert relative_error(network(arrays["input"]), arrays[entry]) < 1e-9

    # Ours to ours; a second import does not write over the first.
    again = [
        "import",
        "weights",
        str(out),
        "--spec",
        spec,
        "--out",
        str(tmp_path / "b.safetensors"),
    ]
    assert cli.main(again) == 0
    assert "wavetwin's own names" in capsys.readouterr().out
    assert cli.main(again) == 2
    assert "is there already" in capsys.readouterr().err


def test_all_that_does_not_agree_is_listed(twin: tuple[Compiled, dict[str, Tensor]]):
    compiled, state = twin
    del state["layer1.0.bn1.running_mean"], state["maxpool.3.filt"]
    state["conv1.weight\x1b[2J"] = torch.zeros(64, 3, 7, 7)
    state["conv1.wptblock.featmapmix.1.weight"] = torch.zeros(4, 1, 1, 1)
    state["fc.weight"] = torch.zeros(10, 512, dtype=torch.int32)
    state["layer4.1.bn2.num_batches_tracked"] = torch.tensor(-1)
    state["layer2.0.conv2.0.filt"] = torch.full((128, 1, 3, 3), math.nan)
    with pytest.raises(WeightsError) as caught:
        wavetwin.from_reference_state_dict(state, compiled)
    assert str(caught.value) == (
        "the weights are not those of R18zh3wyC: "
        "1 of another shape, 1 missing, 2 of another kind, 1 other constant, 1 left over\n"
        "  of another shape: conv1.wptblock.featmapmix.1.weight = stem.wavelet.mixing.1.weight "
        "(4, 1, 1, 1) instead of (4, 1, 1, 1, 1) = (4, 1, 1, 1)\n"
        "  missing: layer1.0.bn1.running_mean = trunk.layer1.0.bn1.running_mean (64,)\n"
        "  of another kind: layer4.1.bn2.num_batches_tracked = "
        "trunk.layer4.1.bn2.num_batches_tracked -1.0 counts nothing\n"
        "  of another kind: fc.weight = trunk.fc.weight "
        "torch.int32 instead of a floating-point type\n"
        "  other constant: layer2.0.conv2.0.filt = trunk.layer2.0.blur differs by up to nan\n"
        "  left over: conv1.weight\\x1b[2J (64, 3, 7, 7)"
    )


def test_things_that_are_no_dense_tensors_are_refused(twin: tuple[Compiled, dict[str, Any]]):
    compiled, state = twin
    state["fc.bias"] = [0.0] * 10
    state["epoch"] = 3
    state["fc.weight"] = torch.zeros(10, 512).to_sparse()
    state["conv1.freeconv.weight"] = torch.zeros(40, 3, 7, 7, device="meta")
    state["conv1.wptblock.wpt._hfilters"] = torch.zeros(2, 10, dtype=torch.complex64)
    state["maxpool.3.filt"] = torch.ones(64, 1, 3, 3, dtype=torch.int64)
    with pytest.raises(WeightsError) as caught:
        convert_state_dict(compiled.graph, state)
    dense = "instead of a dense real tensor"
    assert [(fault.name, fault.kind, fault.text) for fault in caught.value.faults] == [
        ("conv1.freeconv.weight", "of another kind", f"no values {dense}"),
        ("fc.weight", "of another kind", f"torch.sparse_coo {dense}"),
        ("fc.bias", "of another kind", f"list {dense}"),
        ("conv1.wptblock.wpt._hfilters", "of another kind", f"torch.complex64 {dense}"),
        ("maxpool.3.filt", "of another kind", "torch.int64 instead of a floating-point type"),
        ("epoch", "left over", "(not a tensor)"),
    ]


def test_another_number_of_classes_has_to_be_asked_for(twin: tuple[Compiled, dict[str, Tensor]]):
    compiled, state = twin
    state |= {"fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}
    with pytest.raises(WeightsError, match=r"2 of another shape(.|\n)*--num-classes 7,"):
        wavetwin.from_reference_state_dict(state, compiled, num_classes=None)
    with pytest.raises(WeightsError, match=r"\(7, 512\) instead of \(8, 512\)"):
        wavetwin.from_reference_state_dict(state, compiled, num_classes=8)
    assert wavetwin.from_reference_state_dict(state, compiled)["trunk.fc.bias"].shape == (7,)
    for asked in (7, "any"):
        made = wavetwin.from_reference_state_dict(state, compiled, num_classes=asked)
        assert made["trunk.fc.weight"].shape == (7, 512)
    with pytest.raises(WeightsError, match="1 of another shape"):
        wavetwin.from_reference_state_dict(
            state | {"fc.bias": torch.zeros(6)}, compiled, num_classes="any"
        )
    # Every other layer keeps the spec's shape.
    state["layer4.1.conv2.weight"] = torch.zeros(7, 512, 3, 3)
    with pytest.raises(WeightsError, match=r"layer4\.1\.conv2") as caught:
        wavetwin.from_reference_state_dict(state, compiled, num_classes="any")
    assert caught.value.remedy is None


def test_counters_are_there_or_were_never(twin: tuple[Compiled, dict[str, Tensor]]):
    compiled, state = twin
    kept = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    made = convert_state_dict(compiled.graph, kept)
    assert made.sets_counters
    counters = [v for k, v in made.state.items() if k.endswith("num_batches_tracked")]
    assert len(counters) == 20
    assert all(v.dtype == torch.int64 and v == 0 for v in counters)
    del state["layer1.0.bn1.num_batches_tracked"]
    with pytest.raises(WeightsError, match=r"1 missing\n  missing: layer1\.0\.bn1\.num_batches"):
        convert_state_dict(compiled.graph, state)


def test_a_prefix_counts_only_where_every_name_has_it(twin: tuple[Compiled, dict[str, Tensor]]):
    compiled, state = twin
    prefixed = {f"module.{name}": value for name, value in state.items()}
    made = wavetwin.from_reference_state_dict(prefixed, compiled)
    assert list(made) == list(wavetwin.from_reference_state_dict(state, compiled))
    prefixed["fc.bias"] = prefixed.pop("module.fc.bias")
    with pytest.raises(WeightsError, match="left over: module"):
        wavetwin.from_reference_state_dict(prefixed, compiled)


def test_half_precision_is_taken(twin: tuple[Compiled, dict[str, Tensor]]):
    compiled, state = twin
    for dtype in (torch.float16, torch.bfloat16):
        rounded = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
        made = wavetwin.from_reference_state_dict(rounded, compiled)
        assert made["trunk.fc.weight"].dtype == dtype
        rounded["maxpool.3.filt"] = rounded["maxpool.3.filt"] * 1.05
        with pytest.raises(WeightsError, match="1 other constant"):
            wavetwin.from_reference_state_dict(rounded, compiled)


def test_trained_taps_are_weights():
    compiled = compiled_once(spec_of("AwyI"), *["stem.wavelet.trainable_filters=true"])
    state = placeholder("logits_imagenet_alexnet.npz", "AwyI")
    state["features.0.wptblock.wpt._hfilters"] = torch.rand(2, 10)
    made = wavetwin.from_reference_state_dict(state, compiled)
    assert torch.equal(made["stem.wavelet.packets.low"], state["features.0.wptblock.wpt._hfilters"])


def test_networks_that_the_reference_lacks_have_our_names():
    compiled = compiled_once(spec_of("cnn"))
    model = wavetwin.build_model(compiled)
    made = wavetwin.from_reference_state_dict(model.state_dict(), compiled)
    assert made.keys() == model.state_dict().keys()
    with pytest.raises(WeightsError, match="1 left over"):
        wavetwin.from_reference_state_dict(
            {**model.state_dict(), "conv1.weight": torch.zeros(1)}, compiled
        )


class _RunsCode:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".tar"])
def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, is_zip: bool
):
    sentinel = tmp_path / "sentinel"
    for function, arguments, named in (
        (os.mkdir, (str(sentinel),), "posix.mkdir"),
        (eval, (f"__import__('os').mkdir({str(sentinel)!r})",), "eval"),
    ):
        file = tmp_path / f"hostile{suffix}"
        content = {"net": {"fc.bias": torch.zeros(10)}, "x": _RunsCode(function, *arguments)}
        torch.save(content, file, _use_new_zipfile_serialization=is_zip)
        out = tmp_path / "out.safetensors"
        spec = str(spec_of("R18C"))
        code = cli.main(["import", "weights", str(file), "--spec", spec, "--out", str(out)])
        assert code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(
            f"{file}: error: pickle-not-plain: cannot be read: it asks for {named}, which could run "
            "code; nothing was run\n  help: "
        )
        assert not sentinel.exists()
        assert not out.exists()


def test_a_class_that_no_python_can_have_is_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    content = io.BytesIO()
    torch.save({"net": {"fc.bias": torch.zeros(10)}, "x": Path("a")}, content)
    file = tmp_path / "a.pt"
    name = type(Path()).__name__.encode()
    file.write_bytes(content.getvalue().replace(name, name[:-1] + b"\0"))
    out, spec = str(tmp_path / "out.safetensors"), str(spec_of("R18C"))
    assert cli.main(["import", "weights", str(file), "--spec", spec, "--out", out]) == 2
    assert "cannot be read: it names a class 'pathlib.PosixPat\\x00'" in capsys.readouterr().err


def test_files_that_hold_no_weights_are_refused(tmp_path: Path):
    for name, content, message in (
        ("a.safetensors", b"nonsense", "it is text that begins with 'nonsense'"),
        ("a.pt", b"nonsense", "it is text that begins with 'nonsense'"),
        ("a.pt", b"\x80\x02nonsense", "damaged, or holds more"),
        ("a.tar", b"", "it is empty"),
        ("a.npz", b"", r"no weights file: \.safetensors, \.pt, \.pth, \.tar are read"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RunError, match=message):
            read_foreign(tmp_path / name)
    with pytest.raises(RunError, match="is not there"):
        read_foreign(tmp_path / "none.pt")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(RunError, match="cannot be read: Is a directory"):
        read_foreign(tmp_path / "folder.pt")
    for content, held in (({"epoch": 3, "net": {}}, "'epoch', 'net'"), ([1], "list"), ({}, "noth")):
        torch.save(content, tmp_path / "b.pt")
        with pytest.raises(RunError, match=f"holds no state dict: it has {held}"):
            read_foreign(tmp_path / "b.pt")
    torch.save({"state_dict": {"module.x": torch.ones(1)}, "epoch": 3}, tmp_path / "c.pth")
    foreign = read_foreign(tmp_path / "c.pth")
    assert list(foreign.tensors) == ["x"]
    assert foreign.sha256 == sha256_of((tmp_path / "c.pth").read_bytes())


def test_few_bytes_that_name_one_mapping_very_often_are_refused_soon(tmp_path: Path):
    mappings: dict[str, Any] = {"a.weight": torch.zeros(3)}
    module: nn.Module = nn.Linear(2, 2)
    for _ in range(5):
        mappings = {str(number): mappings for number in range(200)}
        inner, module = module, nn.Module()
        for number in range(200):
            module.add_module(str(number), inner)
    for content in (mappings, module):
        torch.save(content, tmp_path / "w.pth")
        start = time.process_time()
        with pytest.raises(RunError, match="more than 200,000 names in mappings within each"):
            read_foreign(tmp_path / "w.pth")
        assert time.process_time() - start < 5


def test_what_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    compiled = compiled_once(spec_of("cnn"))
    save_file(dict(wavetwin.build_model(compiled).state_dict()), tmp_path / "own.safetensors")
    start = ["import", "weights", str(tmp_path / "own.safetensors"), "--spec", str(spec_of("cnn"))]
    assert cli.main([*start, "--out", str(tmp_path / "own.pt")]) == 2
    assert "is not named .safetensors, which is what is written" in capsys.readouterr().err
    assert cli.main([*start, "--out", str(tmp_path / "no/own.safetensors")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    assert cli.main([*start, "--out", str(tmp_path / "b.safetensors"), "--num-classes", "10"]) == 0
    with pytest.raises(SystemExit):
        cli.main([*start, "--out", str(tmp_path / "c.safetensors"), "--num-classes", "0"])
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "b.safetensors",
        "own.safetensors",
    ]


def test_free_channels_start_from_torchvision_and_published_twins(tmp_path: Path):
    import_torchvision()
    from torchvision import models

    theirs = models.resnet18()
    torch.save({"net": theirs.state_dict()}, tmp_path / "resnet18.tar")
    twin = placeholder("logits_cifar10_resnet18.npz", "R18wyC")
    twin["conv1.freeconv.weight"] = torch.randn(40, 3, 7, 7)
    torch.save({f"module.{k}": v.clone() for k, v in twin.items()}, tmp_path / "twin.pth")
    chosen = [*range(24, 64)]
    for file, overrides, expected in (
        ("resnet18.tar", [f"stem.initial_weights.channels={chosen}"], theirs.conv1.weight[24:]),
        ("twin.pth", [], twin["conv1.freeconv.weight"]),
    ):
        compiled = compiled_once(
            spec_of("R18wyC"), *[f"stem.initial_weights.checkpoint={file}", *overrides]
        )
        assert compiled.plan.initial_weights is not None
        model = wavetwin.build_model(compiled)
        load_free_channels(model, compiled.plan.initial_weights, tmp_path)
        assert torch.equal(model.state_dict()["stem.free.weight"], expected)

    # A layer with a bias and one without are not taken for each other.
    state = {"conv1.weight": torch.zeros(64, 3, 7, 7), "conv1.bias": torch.zeros(64)}
    torch.save(state, tmp_path / "biased.pt")
    compiled = compiled_once(spec_of("R18C"), *["stem.initial_weights.checkpoint=biased.pt"])
    assert compiled.plan.initial_weights is not None
    with pytest.raises(
        RunError, match=r"has a bias beside conv1\.weight, and the stem's free channels have none"
    ):
        load_free_channels(wavetwin.build_model(compiled), compiled.plan.initial_weights, tmp_path)
