"""`wavetwin kernels build`, and specs that ask for the native kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

import wavetwin
from tests.support.paths import ROOT
from wavetwin.commands import cli
from wavetwin.compiler.compiled import compile_spec
from wavetwin.diagnostics import CompileError
from wavetwin.explain.diff.declaration import compare_declarations
from wavetwin.explain.diff.effects import Pair
from wavetwin.explain.diff.training import compare_plans
from wavetwin.runtime.bank.native import find_library

TWIN = ROOT / "specs/resnet34/RwyI.yaml"
CNN = ROOT / "specs/resnet34/RI.yaml"
NATIVE = "training.kernels=native"


def test_the_kernel_is_built_beforehand(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kernels", "build"]) == 0
    out = capsys.readouterr().out
    path, source, compiler, features = out.splitlines()
    assert Path(path).is_file()
    found = find_library()
    assert source == f"source   {found.source}"
    assert compiler == f"compiler {found.compiler}"
    assert features == f"features {found.features}"


def test_without_a_compiler_the_command_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert cli.main(["kernels", "build"]) == 2
    error = capsys.readouterr().err
    assert "kernel-missing: the native kernel cannot be built: no C++ compiler" in error
    assert "help: install one, or name it in the environment variable CXX" in error


def test_a_user_without_a_home_is_told_what_to_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wavetwin.runtime.bank.native.library.cache_folder", lambda: None)
    assert cli.main(["kernels", "build"]) == 2
    error = capsys.readouterr().err
    assert (
        "no folder can keep it: the user has no home\n  help: name one in XDG_CACHE_HOME" in error
    )
    monkeypatch.undo()
    # A folder that others may write to is none that a library is loaded from.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "wavetwin" / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert cli.main(["kernels", "build"]) == 2
    assert f"help: make it yours alone, chmod go-w {folder}, or" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "overrides", "text"),
    [
        (CNN, [], "this network has none"),
        (TWIN, ["stem.wavelet.trainable_filters=true"], "this network has none"),
        (
            ROOT / "specs/alexnet/AI.yaml",
            ["pooling.free=wavelet", "pooling.wavelet_pool={wavelet: db2, learn: lattice}"],
            "this network has none",
        ),
    ],
)
def test_native_needs_packets_that_the_kernel_computes(
    spec: Path, overrides: list[str], text: str
) -> None:
    with pytest.raises(CompileError) as raised:
        wavetwin.compile(spec, [*overrides, NATIVE])
    (diagnostic,) = raised.value.diagnostics
    assert diagnostic.code == "field-does-not-apply"
    assert text in diagnostic.headline
    assert diagnostic.help == "remove kernels, or set training.kernels to torch"
    # The remedy.
    assert wavetwin.compile(spec, [*overrides, "training.kernels=torch"]).plan.kernels == "torch"


@pytest.mark.parametrize("name", ["scatternet/mnist/mnist_inv", "wavelet_pooling/posted_dc"])
def test_what_is_computed_by_the_kernel_with_and_without_the_passes(name: str) -> None:
    spec = ROOT / f"specs/{name}.yaml"
    for optimise in (True, False):
        assert compile_spec(spec, [NATIVE], optimise=optimise).plan.packet_kernels.is_native


def test_without_the_passes_there_is_nothing_for_the_kernel() -> None:
    with pytest.raises(CompileError, match=r"without the optimising passes there are none"):
        compile_spec(TWIN, [NATIVE], optimise=False)


def test_diff_says_what_the_kernel_changes() -> None:
    pair = Pair(*(sides := [wavetwin.compile(TWIN), wavetwin.compile(TWIN, [NATIVE])]),
        compare_declarations(sides[0].resolved, sides[1].resolved))  # fmt: skip
    changes = compare_plans(pair)
    row, note = ("kernels of the packets", "torch", "native"), "last bits change in every step"
    assert [(each.label, each.before, each.after) for each in changes.rows] == [row]
    assert note in changes.notes[0]
    assert sides[0].model_digest == sides[1].model_digest
