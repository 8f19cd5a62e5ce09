"""A built folder with a tiny network, made from the shipped script templates, to run in tests."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from unittest import mock

from safetensors.torch import save_file

from wavetwin.compiler.render.files import comment
from wavetwin.compiler.render.script_source import import_lines, write_scripts
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.node import make_node
from wavetwin.ir.operations import BatchNorm, Conv2d, Flatten, Input, Linear, PacketMixing, literal
from wavetwin.ir.plan import RegularisationPlan, TrainingPlan
from wavetwin.ir.starting_weights import StartingWeights
from wavetwin.provenance.package import imported_package, sha256_of
from wavetwin.runtime.network.build import build_module, initialise
from wavetwin.runtime.process.scripts import run_script

MODEL = """
from torch import nn
from wavetwin.runtime.layers import PacketMixing


class Tiny(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Module()
        self.stem.free = nn.Conv2d(1, 6, 3, stride=2)
        self.stem.mixing = PacketMixing([(4, 4, 2), (2, 2, 1)], lambdas=(0.01, 0.0))
        self.pool = nn.Module()
        self.pool.norm = nn.BatchNorm2d(6)
        self.trunk = nn.Module()
        self.trunk.dropout1 = nn.Dropout(0.3)
        self.trunk.linear1 = nn.Linear(6 * 5 * 5, num_classes)

    def forward(self, x):
        x = self.pool.norm(self.stem.mixing(self.stem.free(x))).relu()
        return self.trunk.linear1(self.trunk.dropout1(x.flatten(1)))


def build_model(num_classes=10):
    return Tiny(num_classes)
"""
MODEL_WITHOUT_RANDOMNESS = MODEL.replace("BatchNorm2d(6)", "GroupNorm(1, 6)").replace("0.3", "0.0")
"""Its gradients are those of the whole batch, however the batch is divided."""
PENALTY = RegularisationPlan("stem.mixing", (0.01, 0.0))


def tiny_graph(name: str) -> ModuleGraph:
    image = make_node("input", Input(shape=(1, 12, 12)), ())
    conv = Conv2d(
        channels=6, kernel_size=3, stride=2, padding=0, groups=1, bias=True, initial="default",
        frozen=False,
    )  # fmt: skip
    free = make_node("stem.free", conv, (image,))
    bands = ((4, 4, 2), (2, 2, 1))
    mixing = make_node(
        "stem.mixing", PacketMixing(bands=bands, bias=False, colours=1, frozen=False), (free,)
    )
    norm = make_node(
        "pool.norm", BatchNorm(channels=6, eps=1e-5, momentum=0.1, frozen=False), (mixing,)
    )
    flat = make_node("trunk.flatten", Flatten(), (norm,))
    linear = Linear(features=10, bias=True, initial="default")
    return ModuleGraph(
        name, (image, free, mixing, norm, flat, make_node("trunk.linear1", linear, (flat,)))
    )


def write_tiny_weights(project: Path, seed: int = 1) -> StartingWeights:
    """Write weights of the tiny network to `w.safetensors`, and return the section that names them."""
    graph = tiny_graph("tiny")
    model = build_module(graph)
    initialise(model, graph, seed)
    file = project / "w.safetensors"
    save_file(model.state_dict(), file)
    return StartingWeights(checkpoint=file.name, sha256=sha256_of(file.read_bytes()))


def render_template(name: str, plan: TrainingPlan, **changes: object) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(imported_package().templates),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"comment": comment, "py": literal}
    context = {
        "name": plan.name,
        "summary": "a tiny network",
        "digest": plan.digest,
        "model_digest": plan.model_digest,
        "training_digest": plan.training_digest,
        "commit": "c" * 40,
        "dirty": False,
        "standalone": False,
        "seed": plan.seed,
        "run_id": plan.training_digest[:8],
        "spec_path": "specs/tiny.yaml",
        "wavetwin_version": "0.1.0",
        "plan": plan,
        "card": {"evaluation": [entry.mode for entry in plan.evaluation]},
        "import_lines": import_lines,
        "script": write_scripts(plan, tiny_graph(plan.name)),
    }
    return environment.get_template(f"{name}.j2").render(context | changes)


def build_folder(project: Path, plan: TrainingPlan, model: str = MODEL) -> Path:
    """Write `generated/<name>` as a build does."""
    folder = project / "generated" / plan.name
    folder.mkdir(parents=True)
    files = {
        "train.py": render_template("train.py", plan),
        "evaluate.py": render_template("evaluate.py", plan),
        "model.py": model,
        "plan.json": json.dumps(plan.to_json()),
        "graph.json": json.dumps(tiny_graph(plan.name).to_json()),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    package = imported_package()
    manifest = {
        "name": plan.name,
        "files": {name: sha256_of(text.encode()) for name, text in files.items()},
        "inputs": {"spec": {}, "wavetwin": dict(package.sha256)},
        "versions": {},
        "git": True,
        "sources": [
            {"role": "spec", "kind": "git", "commit": "c" * 40, "dirty": False},
            {
                "role": "wavetwin",
                "kind": "folder",
                "version": "0.1.0",
                "package_digest": package.digest,
                "dirty": False,
            },
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def run_here(script: Path, *arguments: str) -> int:
    """Run a script in this process as `python SCRIPT ARGUMENTS` would; return its exit code."""
    spec = importlib.util.spec_from_file_location(f"script_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    path = [str(script.parent), *sys.path]
    writes = sys.dont_write_bytecode
    with mock.patch.object(sys, "argv", [str(script), *arguments]), mock.patch("sys.path", path):
        sys.modules.pop("model", None)
        try:
            spec.loader.exec_module(module)
            run_script(module.main)
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 1
        finally:
            sys.modules.pop("model", None)
            sys.dont_write_bytecode = writes


def only_run(project: Path) -> Path:
    """Return the run folder of a project that has one."""
    (run,) = [path.parent for path in project.glob("runs/*/*/manifest.json")]
    return run
