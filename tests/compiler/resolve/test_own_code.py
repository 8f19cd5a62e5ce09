"""Code of a project's own: what of it is read, recorded, tried and remembered."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.built import build
from tests.support.own_code import change, layer_spec, own_project
from tests.support.paths import ROOT
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.resolve import own_code_trials
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.operations import UserModule
from wavetwin.ir.own_code import Sources
from wavetwin.ir.plan import TrainingPlan

MANIFEST = "manifest.json"

IDENTITY = """
from torch import nn


class Own(nn.Module):
    def forward(self, x):
        {statement}
        return x
"""


def faults(spec: Path) -> tuple[Diagnostic, ...]:
    with pytest.raises(CompileError) as caught:
        compile_spec(spec)
    return tuple(caught.value.diagnostics)


def digests(compiled: Compiled) -> list[str]:
    return [compiled.model_digest, compiled.training_digest, compiled.digest]


def test_files_and_arguments_are_in_the_digests(tmp_path: Path):
    spec = own_project(tmp_path)
    seen = [digests(compile_spec(spec))]
    assert digests(compile_spec(spec)) == seen[0]
    for file, old, new in (
        ("own/pooling.py", "min=1e-6", "min=1e-5"),
        ("own/windows.py", "Windows of 2 x 2.", "Windows of two by two."),
        ("own.yaml", "power: 2.0", "power: 3.0"),
        ("own.yaml", "power: 3.0}", "power: 3}"),
    ):
        change(spec.parent / file, old, new)
        seen.append(digests(compile_spec(spec)))
    for each in range(3):
        assert len({found[each] for found in seen}) == len(seen)
    change(spec, "wavetwin: 1", "wavetwin: 1  # own code")
    assert digests(compile_spec(spec)) == seen[-1]


def test_a_resolved_spec_records_the_files_and_what_they_import(tmp_path: Path):
    spec = own_project(tmp_path)
    compiled = compile_spec(spec)
    expected = {
        name: sha256((spec.parent / name).read_bytes()).hexdigest()
        for name in ("own/pooling.py", "own/windows.py")
    }
    assert compiled.resolved["pooling"]["module"]["files"] == expected
    assert sorted(compiled.own_code.files) == ["own/blocks.py", *sorted(expected)]
    # The spec itself stays the last: what a build is named after.
    assert compiled.files[-1] == spec
    assert {each.name for each in compiled.files[:-1]} == {"pooling.py", "windows.py", "blocks.py"}


def test_what_is_measured_is_what_the_module_has(tmp_path: Path):
    compiled = compile_spec(own_project(tmp_path))
    pool, block = compiled.graph.all_of(UserModule)
    assert pool.node.output_shape == (4, 16, 16)
    assert pool.node.parameters.trainable == 1
    # Two convolutions of 3 x 3 from 6 to 6 channels on maps of 16 x 16.
    assert block.node.macs == 2 * 6 * 6 * 9 * 16 * 16
    assert block.node.parameters.trainable == 2 * 324 + 6 + 12 + 1
    assert block.node.parameters.buffers == 12
    assert (block.operation.norms, block.operation.draws) == (("norm",), True)
    assert block.node.origin == ("own.yaml:12",)
    names = {"running_mean", "running_var", "num_batches_tracked"}
    state = {"order", *(f"norm.{name}" for name in names)}
    assert set(block.operation.statistics(())) == state
    # No pass touches them, and a document of the graph reads back as the same.
    assert compiled.optimised_graph.all_of(UserModule) == [pool, block]
    assert ModuleGraph.from_json(json.loads(json.dumps(compiled.graph.to_json()))) == compiled.graph


def test_a_second_build_imports_no_torch(tmp_path: Path):
    """In another process, to which torch is not there and which may start no other."""
    spec = own_project(tmp_path, "judged")
    lines = spec.read_text(encoding="utf-8").splitlines(keepends=True)
    # Without what imports torchmetrics for its trial: seconds.
    spec.write_text("".join(each for each in lines if "kappa" not in each), encoding="utf-8")
    first = build(spec)
    program = f"""
import sys
sys.modules["torch"] = None
from wavetwin.compiler.resolve import own_code_trials
own_code_trials._server = None
from pathlib import Path
from tests.support.built import build
written = build(Path({str(spec)!r}))
assert sys.modules["torch"] is None
print(written.manifest_sha256, written.written)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{first.manifest_sha256} ()\n", done.stderr


def test_a_damaged_answer_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = layer_spec(tmp_path, IDENTITY.format(statement="pass"))
    before = compile_spec(spec)
    (entry,) = own_code_trials.answers_folder().iterdir()
    whole = entry.read_bytes()
    document = json.loads(whole)
    damaged = [whole[:40], b"", b"[]", json.dumps(document | {"key": "another"}).encode()]
    document["found"]["gives"] = "4"
    for content in (*damaged, json.dumps(document).encode()):
        entry.write_bytes(content)
        assert compile_spec(spec).graph == before.graph
        assert entry.read_bytes() == whole
    # Of a folder that cannot be written it is tried each time.
    monkeypatch.setenv("XDG_CACHE_HOME", str(spec))
    assert compile_spec(spec).graph == before.graph
    # Nor is there a folder for a user without a home.
    monkeypatch.setattr(own_code_trials, "cache_folder", lambda: None)
    assert compile_spec(spec).graph == before.graph


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("while True: pass", "Own has not answered within 1 seconds"),
        ("import os; os._exit(3)", "Own ends the process that tries it, by exit code 3"),
        ("import os; os.abort()", "Own ends the process that tries it, by signal 6"),
        ("raise SystemExit(0)", "Own ends the process that tries it, by exit code 1"),
        ("x.sum().item()", "Own, when it is called with (batch, 4, 32, 32), raises RuntimeError"),
    ],
)
def test_what_ends_or_hangs_is_told_and_hurts_nobody(
    statement: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = layer_spec(tmp_path, IDENTITY.format(statement=statement))
    monkeypatch.setattr(
        own_code_trials.Trials,
        "__init__",
        _with_seconds(own_code_trials.Trials.__init__, 1.0),
    )
    (fault,) = faults(spec)
    assert fault.code == "own-code-failed"
    assert fault.headline.startswith(told)
    assert fault.location is not None
    assert (fault.location.path, fault.location.line) == ("spec.yaml", 6)


def _with_seconds(made, seconds: float):
    def make(self, sources, project) -> None:
        made(self, sources, project, seconds)

    return make


def test_prints_and_reads_of_a_module_reach_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    statement = 'import sys; print("{}", flush=True); sys.stdin.read(); print(1, file=sys.stderr)'
    compile_spec(layer_spec(tmp_path, IDENTITY.format(statement=statement)))
    assert capfd.readouterr() == ("", "")


def test_a_link_out_of_the_project_is_refused(tmp_path: Path):
    spec = layer_spec(tmp_path / "project", IDENTITY.format(statement="pass"))
    file = spec.parent / "own" / "layers.py"
    file.rename(tmp_path / "layers.py")
    file.symlink_to(tmp_path / "layers.py")
    (fault,) = faults(spec)
    assert (fault.code, fault.location and fault.location.line) == ("own-code-bad-path", 6)


def test_files_of_the_project_are_found_by_relative_imports_alone(tmp_path: Path):
    code = "from own.other import Own\n"
    spec = layer_spec(tmp_path, code)
    (tmp_path / "own" / "other.py").write_text(IDENTITY.format(statement="pass"))
    (fault,) = faults(spec)
    assert fault.code == "own-code-imports"
    hidden = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n__import__('own.other')\n"
    spec = layer_spec(tmp_path, hidden + IDENTITY.format(statement="pass"))
    (fault,) = faults(spec)
    assert "own/layers.py leads to own/other.py being imported" in fault.headline
    layer_spec(tmp_path, "from .other import Own\n")
    assert sorted(compile_spec(spec).own_code.files) == ["own/layers.py", "own/other.py"]


def test_a_package_that_is_not_installed_is_named(tmp_path: Path):
    code = "import sys\nsys.modules['sklearn'] = None\nimport sklearn\n"
    (fault,) = faults(layer_spec(tmp_path, code + IDENTITY.format(statement="pass")))
    assert (fault.code, fault.help) == ("own-code-imports", "pip install scikit_learn")
    assert fault.headline == "own/layers.py imports sklearn, which is not found"


def test_a_built_folder_is_read_by_its_own_copies(tmp_path: Path):
    spec = own_project(tmp_path)
    folder = build(spec).folder
    before = compile_spec(spec)
    change(spec.parent / "own/windows.py", "(x, 2)", "(x, 2, 2)")
    assert compile_spec(spec).digest != before.digest
    lock = compile_spec(folder / "spec.lock.yaml")
    assert lock.digest == before.digest
    assert [each.operation for each in lock.graph] == [each.operation for each in before.graph]
    change(folder / "project/own/windows.py", "(x, 2)", "(x, 2, 3)")
    assert {each.code for each in faults(folder / "spec.lock.yaml")} == {"own-code-changed"}


def test_arguments_are_finite_and_have_names(tmp_path: Path):
    for given in ("scale: .inf", "scale: [1, null]", '"a b": 1'):
        spec = layer_spec(tmp_path, IDENTITY.format(statement="pass"), arguments=given)
        (fault,) = faults(spec)
        assert fault.code == "own-code-arguments", given


LOSSES = """
import torch
from torch import nn
from torch.nn.functional import cross_entropy


def vector(logits, targets):
    return cross_entropy(logits, targets, reduction="none")


def number(logits, targets):
    return 1.0


def constant(logits, targets):
    return torch.ones(())


def shares(logits, targets):
    return (logits.log_softmax(1) * targets).sum(1).mean()


class Scaled(nn.Module):
    def __init__(self, factor: float = 1.0, is_trained: bool = False):
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))
        if is_trained:
            self.more = nn.Parameter(torch.ones(1))

    def forward(self, logits, targets):
        return self.factor * cross_entropy(logits, targets)
"""


@pytest.mark.parametrize(
    ("loss", "code", "told"),
    [
        ("name: vector", "own-code-does-not-fit", "vector gives torch.float32 (2,)"),
        ("name: number", "own-code-does-not-fit", "number gives <class 'float'>"),
        ("name: constant", "own-code-does-not-fit", "constant has no gradient"),
        (
            "name: shares",
            "own-code-failed",
            "shares, when it is called with logits (2, 10) and cla",
        ),
        ("name: nn", "own-code-unknown-name", "nn of own/layers.py is no function"),
        ("name: vector, arguments: {a: 1}", "own-code-arguments", "vector does not take these"),
        ("name: Scaled, arguments: {is_trained: true}", "own-code-does-not-fit", "Scaled has para"),
    ],
)
def test_a_loss_that_is_none_is_refused_at_its_line(
    loss: str, code: str, told: str, tmp_path: Path
):
    spec = layer_spec(tmp_path, LOSSES + IDENTITY.format(statement="pass"))
    text = spec.read_text(encoding="utf-8")
    spec.write_text(f"{text}training:\n  loss: {{file: own/layers.py, {loss}}}\n", encoding="utf-8")
    (fault,) = faults(spec)
    assert (fault.code, fault.headline.startswith(told)) == (code, True), fault.headline
    assert fault.location is not None
    assert fault.location.line == 8


def test_a_loss_changes_the_training_alone_and_takes_what_the_training_gives(tmp_path: Path):
    spec = layer_spec(tmp_path, LOSSES + IDENTITY.format(statement="pass"))
    before = compile_spec(spec)
    named = "training.loss={file: own/layers.py, name: %s}"
    after = compile_spec(spec, [named % "Scaled"])
    assert after.model_digest == before.model_digest
    assert after.training_digest != before.training_digest
    mixed = compile_spec(spec, [named % "shares", "training.mixup=0.2"])
    assert mixed.plan.loss is not None
    assert TrainingPlan.from_json(mixed.plan.to_json()) == mixed.plan
    with pytest.raises(CompileError) as caught:
        compile_spec(spec, [named % "Scaled", "training.label_smoothing=0.1"])
    assert [each.code for each in caught.value.diagnostics] == ["field-does-not-apply"]


TRANSFORMS = """
import numpy as np
import torch


def flipped(image):
    return image.flip(-1)


def halved(image):
    return image[..., ::2]


def values(image):
    return image / 255


def numpys(image):
    return image + torch.from_numpy(np.random.randint(0, 99, image.shape).astype("uint8"))
"""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("halved", "halved gives (1, 32, 16) for (1, 32, 32)"),
        ("values", "values gives torch.float32, not a tensor of torch.uint8"),
        ("numpys", "numpys gives two results for the same image and seed"),
    ],
)
def test_a_transform_that_is_none_is_refused_at_its_line(name: str, told: str, tmp_path: Path):
    spec = layer_spec(tmp_path, TRANSFORMS + IDENTITY.format(statement="pass"))
    listed = "data.augmentation=[{module: {file: own/layers.py, name: %s}}]"
    before, after = compile_spec(spec), compile_spec(spec, [listed % "flipped"])
    assert after.model_digest == before.model_digest
    assert after.training_digest != before.training_digest
    assert TrainingPlan.from_json(after.plan.to_json()) == after.plan
    with pytest.raises(CompileError) as caught:
        compile_spec(spec, [listed % name])
    (fault,) = caught.value.diagnostics
    assert (fault.code, fault.headline) == ("own-code-does-not-fit", told)
    assert fault.location is not None
    assert fault.location.path == "--set[1]"


METRICS = """
import numpy as np
import torch

seen = []


def share(logits, labels, top: int = 1):
    return (logits.argmax(1) == labels).double().mean()


def vector(logits, labels):
    return (logits.argmax(1) == labels).double()


def undefined(logits, labels):
    return labels.double().mean() / 0 * 0


def text(logits, labels):
    return "0.5"


def flag(logits, labels):
    return torch.tensor(True)


def numpys(logits, labels):
    return np.float32(np.random.rand())


def growing(logits, labels):
    seen.append(logits)
    return len(seen)


def endless(logits, labels):
    return float("inf")


def split(logits, labels):
    low, high = logits
    return low


class Kept:
    def update(self, logits, labels):
        self.share = share(logits, labels)

    def compute(self):
        return self.share


class Nothing:
    pass
"""


def judged(tmp_path: Path, module: str) -> tuple[Path, str]:
    spec = layer_spec(tmp_path, IDENTITY.format(statement="pass"))
    (tmp_path / "own" / "metrics.py").write_text(METRICS, encoding="utf-8")
    listed = f"[{{name: own, module: {{file: own/metrics.py, {module}}}}}]"
    return spec, f"evaluation=[{{mode: one_crop, metrics: {listed}}}]"


@pytest.mark.parametrize(
    ("module", "code", "told"),
    [
        ("name: vector", "own-code-does-not-fit", "vector gives Tensor of shape (40,)"),
        ("name: undefined", "own-code-does-not-fit", "undefined gives nan"),
        ("name: endless", "own-code-does-not-fit", "endless gives inf"),
        ("name: text", "own-code-does-not-fit", "text gives str"),
        ("name: flag", "own-code-does-not-fit", "flag gives bool"),
        ("name: growing", "own-code-does-not-fit", "growing gives 1 and 3 for the same logits and"),
        ("name: Nothing", "own-code-does-not-fit", "Nothing is a class whose objects are no metr"),
        ("name: seen", "own-code-does-not-fit", "seen is no function and no class"),
        (
            "name: split",
            "own-code-failed",
            "split, when it is called with logits (40, 10) and labels (40,), raises ValueError: too",
        ),
        ("name: share, arguments: {a: 1}", "own-code-arguments", "share does not take these arg"),
        ("name: Kept, arguments: {a: 1}", "own-code-arguments", "Kept does not take these argum"),
    ],
)
def test_a_metric_that_is_none_is_refused_at_its_line(
    module: str, code: str, told: str, tmp_path: Path
):
    spec, override = judged(tmp_path, module)
    with pytest.raises(CompileError) as caught:
        compile_spec(spec, [override])
    (fault,) = caught.value.diagnostics
    assert (fault.code, fault.headline.startswith(told)) == (code, True), fault.headline
    assert fault.location is not None
    assert fault.location.path == "--set[1]"


def test_a_metric_changes_the_evaluation_alone(tmp_path: Path):
    spec, first = judged(tmp_path, "name: share")
    before = compile_spec(spec)
    found = [compile_spec(spec, [first])]
    for module in ("name: Kept", "name: numpys", "name: share, arguments: {top: 2}"):
        found.append(compile_spec(spec, [judged(tmp_path, module)[1]]))
    change(spec.parent / "own/metrics.py", "seen = []", "seen = []  # grows")
    found.append(compile_spec(spec, [first]))
    assert {each.training_digest for each in found} == {before.training_digest}
    assert len({each.digest for each in (before, *found)}) == 1 + len(found)
    plan = found[0].plan
    assert TrainingPlan.from_json(plan.to_json()) == plan
    assert (
        compile_spec(spec, ["evaluation=[{mode: one_crop, metrics: []}]"]).digest == before.digest
    )


def test_a_build_records_the_packages_that_own_code_imports(tmp_path: Path):
    code = "import os\nfrom PIL import Image\n" + IDENTITY.format(statement="pass")
    folder = build(layer_spec(tmp_path, code)).folder
    versions = json.loads((folder / MANIFEST).read_bytes())["versions"]
    assert versions["pillow"] == metadata.version("pillow")
    assert "torchmetrics" not in versions
    found = {"a.py": b"import sklearn.metrics", "b.py": b"def f():\n    from torchmetrics import x"}
    assert Sources(found).packages == ("scikit_learn", "torchmetrics")
