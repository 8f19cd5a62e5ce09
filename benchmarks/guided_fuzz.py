"""Fuzz the parser and the loaders with atheris, guided by coverage: docs/hardening.md.

    pip install atheris
    python benchmarks/guided_fuzz.py TARGET CORPUS -max_total_time=1800 -timeout=10 -rss_limit_mb=2048

Targets: `yaml` (a spec's text to its tree), `spec` (a document held against the language), `graph` and `plan`
(what a built folder holds), `scores` (scores.json), `shapes` (the headers of weights files), `weights` (weights of
others, read as tensors) and `pickle` (data sets as CIFAR has them). CORPUS is a folder; where it is
empty, files of the repository or made here are its first entries. An input fails that raises anything but
the errors which its reader documents. What follows goes to libFuzzer.
"""

from __future__ import annotations

import importlib
import io
import json
import pickle  # noqa: TID251
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

atheris = importlib.import_module("atheris")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
with atheris.instrument_imports(include=["wavetwin", "ruamel"], enable_loader_override=False):
    import numpy as np
    import torch
    from safetensors.torch import save

    from wavetwin.commands.specs import check_specs
    from wavetwin.compiler.parse.tree import parse_bytes
    from wavetwin.diagnostics import CompileError
    from wavetwin.files.json_text import parse_json
    from wavetwin.files.tensor_shapes import read_tensor_shapes
    from wavetwin.ir.graph import ModuleGraph
    from wavetwin.ir.plan import TrainingPlan
    from wavetwin.runtime.data.plain_pickle import read_plain_pickle
    from wavetwin.runtime.evaluation.scores_file import read_scores
    from wavetwin.runtime.process.errors import RunError
    from wavetwin.runtime.training.checkpoint import read_foreign

FOLDER = Path(
    tempfile.mkdtemp(prefix="wavetwin-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
)


def _written(content: bytes, name: str) -> Path:
    file = FOLDER / name
    file.write_bytes(content)
    return file


def _yaml(content: bytes) -> None:
    parse_bytes(content, "spec.yaml")


def _spec(content: bytes) -> None:
    (FOLDER / ".wavetwin.toml").touch()
    try:
        check_specs([_written(content, "spec.yaml")])
    except CompileError:
        return


def _graph(content: bytes) -> None:
    try:
        ModuleGraph.from_json(parse_json(content))
    except ValueError:
        return


def _plan(content: bytes) -> None:
    try:
        TrainingPlan.from_json(parse_json(content))
    except ValueError:
        return


def _scores(content: bytes) -> None:
    try:
        read_scores(_written(content, "scores.json"))
    except RunError:
        return


def _shapes(content: bytes) -> None:
    read_tensor_shapes(_written(content, "weights"))


def _weights(content: bytes) -> None:
    try:
        read_foreign(_written(content, "weights.pt"))
    except RunError:
        return


def _pickle(content: bytes) -> None:
    try:
        read_plain_pickle(content, "data_batch_1")
    except RunError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    "yaml": _yaml, "spec": _spec, "graph": _graph, "plan": _plan, "scores": _scores, "shapes": _shapes,
    "weights": _weights, "pickle": _pickle,
}  # fmt: skip


def _specs() -> Iterator[bytes]:
    for file in sorted((ROOT / "specs").rglob("*.yaml"))[::6]:
        yield file.read_bytes()
    for file in sorted((ROOT / "tests/bad_specs").rglob("*.yaml"))[::4]:
        yield file.read_bytes()


def _built(part: str) -> Iterator[bytes]:
    from wavetwin.compiler.compiled import compile_spec

    for name in ("digits/twin_mod", "alexnet/Azh3wyI_mod", "scatternet/mnist/mnist_conv"):
        compiled = compile_spec(ROOT / f"specs/{name}.yaml")
        yield json.dumps(getattr(compiled, part).to_json()).encode()


def _weight_files() -> Iterator[bytes]:
    tensors = {"conv.weight": torch.zeros(2, 1, 3, 3), "conv.bias": torch.zeros(2)}
    yield save(tensors)
    for content in (tensors, {"state_dict": tensors, "epoch": 3}):
        stream = io.BytesIO()
        torch.save(content, stream)
        yield stream.getvalue()


def _pickles() -> Iterator[bytes]:
    batch = {b"data": np.zeros((2, 12), np.uint8), b"labels": [1, 2], b"filenames": [b"a", b"b"]}
    for protocol in (0, 2, 4):
        yield pickle.dumps(batch, protocol=protocol)


def _score_files() -> Iterator[bytes]:
    record = {"entry": {"mode": "one_crop"}, "scores": {"top1_error": 0.5}}
    yield json.dumps({"wavetwin_scores": 1, "scores": [record]}).encode()


FIRST: dict[str, Callable[[], Iterator[bytes]]] = {
    "yaml": _specs,
    "spec": _specs,
    "graph": lambda: _built("graph"),
    "plan": lambda: _built("plan"),
    "scores": _score_files,
    "shapes": _weight_files,
    "weights": _weight_files,
    "pickle": _pickles,
}
"""What the corpus of a target begins with."""


def main() -> None:
    """Fuzz one target."""
    if len(sys.argv) < 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"{sys.argv[0]}: give a target ({', '.join(TARGETS)}) and a folder for its corpus")
    target, corpus = sys.argv.pop(1), Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, content in enumerate(FIRST[target]()):
            (corpus / f"first-{number}").write_bytes(content)
    atheris.Setup(sys.argv, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
