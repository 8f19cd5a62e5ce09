"""What a run records of the native kernel, and what another session does with another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support.plans import make_plan
from tests.support.scripted import build_folder, only_run, run_here, tiny_graph
from wavetwin.provenance.record import RunProvenance
from wavetwin.runtime.bank.native import find_library, library
from wavetwin.runtime.layers import MixedPackets
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.process.processes import Processes
from wavetwin.runtime.process.scripts import parse_arguments
from wavetwin.runtime.training.deciding_record import check_kernel, deciding_record, kernel_drift
from wavetwin.runtime.training.run_folder import RunFolder
from wavetwin.runtime.training.training_batches import place

PROVENANCE = RunProvenance({"sources": [], "versions": {}}, "f" * 64, ())
NATIVE = make_plan(kernels="native")
CPU = torch.device("cpu")


def session(project: Path, *options: str) -> list[str]:
    """Begin a session of the run and end it; return what it says."""
    folder = project / "generated" / NATIVE.name
    folder.mkdir(parents=True, exist_ok=True)
    arguments = parse_arguments("a test", training=True, arguments=options)
    run = RunFolder.open(folder, NATIVE, tiny_graph("tiny"), arguments, PROVENANCE)
    try:
        notes = check_kernel(run, NATIVE, CPU)
        notes += run.begin_life(0, CPU, 1, deciding_record(NATIVE, CPU))
        run.end_life("stopped", 0.0)
    finally:
        run.close()
    return notes


def manifest_of(project: Path) -> dict:
    return json.loads((only_run(project) / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nothing be known of a library, and nothing be there to build one."""
    caches = (library._find_once, library.has_native_kernel)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    yield
    for cache in caches:
        cache.cache_clear()


def test_a_run_records_the_kernel(tmp_path: Path) -> None:
    folder = build_folder(tmp_path, make_plan(epochs=1, kernels="native"))
    assert run_here(folder / "train.py", "--device", "cpu", "--allow-drift") == 0
    record = manifest_of(tmp_path)["lives"][0]["machine"]["packet kernel"]
    found = find_library()
    assert record == f"native, source {found.source[:16]}, {found.compiler}, {found.features}"
    assert run_here(folder / "evaluate.py", "--device", "cpu", "--allow-drift") == 0
    plain = make_plan()
    assert "packet kernel" not in deciding_record(plan=plain, device=CPU)
    assert kernel_drift(plain, manifest_of(tmp_path), CPU) == []


def test_another_kernel_is_refused_or_marks_the_run(tmp_path: Path) -> None:
    assert session(tmp_path) == []
    assert session(tmp_path) == [], "the same kernel goes on"
    file = only_run(tmp_path) / "manifest.json"
    manifest = manifest_of(tmp_path)
    now = manifest["lives"][-1]["machine"]["packet kernel"]
    manifest["lives"][-1]["machine"]["packet kernel"] = "native, source 0123, a compiler, avx"
    file.write_text(json.dumps(manifest))
    mark = f"kernel-changed: native, source 0123, a compiler, avx to {now}"
    assert kernel_drift(NATIVE, manifest, CPU) == [mark], "so are scores marked"
    with pytest.raises(
        RunError, match=r"another kernel of the packets than there is here"
    ) as raised:
        session(tmp_path)
    assert raised.value.code == "kernel-changed"
    assert raised.value.remedy is not None
    assert "--allow-drift" in raised.value.remedy
    (note,) = session(tmp_path, "--allow-drift")
    assert note.startswith("packet kernel was native, source 0123")
    assert manifest_of(tmp_path)["drift"] == [mark]


def test_processes_with_different_kernels_are_refused_or_mark_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "native, source 0123, a compiler, avx"
    monkeypatch.setattr(Processes, "gather", lambda self, value: [value, other, value])
    own = find_library().record()
    found = (
        f"of rank 0, 2 native, source {own['source'][:16]}, {own['compiler']}, {own['features']}"
    )
    with pytest.raises(
        RunError, match="its processes have not one kernel of the packets"
    ) as raised:
        session(tmp_path)
    assert raised.value.code == "kernel-changed"
    assert f"{found}; of rank 1 {other}" in str(raised.value)
    assert session(tmp_path, "--allow-drift") == []
    assert manifest_of(tmp_path)["drift"] == [f"kernels-differ: {found}; of rank 1 {other}"]
    record = deciding_record(NATIVE, CPU)["packet kernel"]
    assert record == f"{found}; of rank 1 {other}", "each is recorded"
    # Those without a kernel for different reasons compute alike.
    why = iter(("no compiler", "no home"))
    monkeypatch.setattr(
        Processes, "gather", lambda self, value: [f"torch's operations: {each}" for each in why]
    )
    assert "packet kernel" in deciding_record(NATIVE, CPU)


def test_without_a_compiler_torch_computes_and_it_is_said_once(
    tmp_path: Path, no_compiler: None
) -> None:
    model = MixedPackets([1, 2], [(2, 2, 1)], 2, 2)
    with pytest.warns(UserWarning, match=r"no C.. compiler: .* torch's operations compute"):
        place(model, NATIVE, CPU)
    place(model, NATIVE, CPU)  # a second warning would be an error
    assert not model.native
    assert model(torch.randn(1, 1, 16, 16))[0].shape[1] == 2
    assert session(tmp_path) == []
    record = manifest_of(tmp_path)["lives"][0]["machine"]["packet kernel"]
    assert record.startswith("torch's operations: no C++ compiler")
    # Why there is no kernel decides no bits: nothing is refused or marked.
    manifest = manifest_of(tmp_path)
    manifest["lives"][-1]["machine"]["packet kernel"] = "torch's operations: no home"
    (only_run(tmp_path) / "manifest.json").write_text(json.dumps(manifest))
    (note,) = session(tmp_path)
    assert note.startswith("packet kernel was torch's operations: no home")
    assert manifest_of(tmp_path)["drift"] == []


def test_a_model_is_placed_with_its_kernel() -> None:
    model = MixedPackets([1, 2], [(2, 2, 1)], 2, 2)
    assert not place(model, make_plan(), CPU).native
    assert place(model, NATIVE, CPU).native


def test_other_devices_need_no_compiler(no_compiler: None) -> None:
    """Nothing is built there, and nothing warned of: a warning would be an error."""
    model = MixedPackets([1, 2], [(2, 2, 1)], 2, 2)
    assert not place(model, NATIVE, torch.device("meta")).native


def test_other_devices_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "generated" / NATIVE.name
    folder.mkdir(parents=True)
    arguments = parse_arguments("a test", training=True, arguments=())
    run = RunFolder.open(folder, NATIVE, tiny_graph("tiny"), arguments, PROVENANCE)
    (note,) = check_kernel(run, NATIVE, torch.device("meta"))
    run.close()
    assert note == ("training.kernels is for CPUs: on meta torch's operations compute the packets")
    record = deciding_record(NATIVE, torch.device("meta"))
    assert record == {"packet kernel": "torch's operations, on meta"}
    # Scores of a run on such a device are marked where they come from another one.
    manifest = {"lives": [{"machine": record}]}
    assert kernel_drift(NATIVE, manifest, torch.device("meta")) == []
    (mark,) = kernel_drift(NATIVE, manifest, CPU)
    assert mark.startswith("kernel-changed: torch's operations, on meta to native, source ")
    assert kernel_drift(NATIVE, {"lives": [{"machine": None}]}, CPU) == []
