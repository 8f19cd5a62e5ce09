"""Training through torch.compile: what it needs, what it leaves as it is, and that no stem breaks its graph."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.support.plans import make_plan
from tests.support.scripted import build_folder, only_run, run_here
from tests.support.shipped import spec_of
from wavetwin.runtime import CompiledNetwork
from wavetwin.runtime.process.compilers import compiler_version
from wavetwin.runtime.process.errors import RunError

STEMS = ("cnn", "twin", "twin_mod", "RI", "RwyI", "RwyI_mod", "Rzh3I", "Rzh3wyI_mod", "Rzo3wyI")
"""Of each kind of first layer and pooling one, of small images and of large ones."""


def test_without_a_compiler_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    folder = build_folder(tmp_path, make_plan(epochs=1, compile=True))
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert run_here(folder / "train.py", "--device", "cpu", "--allow-drift") == 2
    error = capsys.readouterr().err
    assert "compiler-missing: training.compile needs a C++ compiler, and no-such-compiler" in error
    assert not (tmp_path / "runs").exists()
    assert run_here(folder / "train.py", "--preflight", "--allow-drift") == 2
    assert "fail  compiler" in capsys.readouterr().out
    assert compiler_version() == ""


@pytest.mark.slow  # minutes of a compiler
@pytest.mark.timeout(1200)
def test_only_last_bits_differ(tmp_path: Path):
    """In processes of their own: the checks that tests add stop the compiler."""
    weights: list[dict[str, Tensor]] = []
    for is_compiled in (False, True):
        plan = make_plan(epochs=1, compile=is_compiled)
        project = tmp_path / str(is_compiled)
        folder = build_folder(project, plan)
        command = [sys.executable, str(folder / "train.py"), "--device", "cpu", "--allow-drift"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr
        weights.append(load_file(only_run(project) / "checkpoints/last/model.safetensors"))
    first, second = weights
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-4)
    assert any(not torch.equal(second[name], value) for name, value in first.items())
    manifest = json.loads((only_run(tmp_path / "True") / "manifest.json").read_text())
    assert manifest["lives"][0]["machine"]["compiler"] == compiler_version() != ""


@pytest.mark.slow  # seconds of imports
@pytest.mark.timeout(1200)
def test_a_layer_that_breaks_the_graph_is_said():
    class Breaking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float(x.sum().item() > 0)

    with pytest.raises(RunError, match=r"torch\.compile cannot compile the network: "):
        CompiledNetwork(Breaking())(torch.ones(2, 3))


PROGRAM = """
import sys
import torch
import wavetwin
for path in sys.argv[1:]:
    compiled = wavetwin.compile(path)
    if not compiled.spec.backbone.layers:
        # Stem, pooling and every kind of layer of the trunk are the same; the blocks are half as many.
        compiled = wavetwin.compile(path, ["backbone.arch=resnet18", "data.image_size=64"])
    model = wavetwin.build_model(compiled)
    traced = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    images = torch.randn(2, *compiled.graph.input.output_shape)
    assert traced(images).shape == (2, compiled.plan.data.num_classes), path
    torch.compiler.reset()  # networks of one class count as one that is traced again
    print(compiled.name)
"""


@pytest.mark.slow  # half a minute of tracing
@pytest.mark.timeout(1200)
def test_no_stem_breaks_the_graph():
    """In a process of its own: the checks of shapes that tests add cannot be traced."""
    command = [sys.executable, "-c", PROGRAM, *(str(spec_of(name)) for name in STEMS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(STEMS)
