"""The section `weights` of specs: what its digests cover, and what is asked of its file."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

import wavetwin
from wavetwin.compiler.compiled import Compiled
from wavetwin.compiler.render.files import render
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.explain.diff.difference import Difference, Experiment, compare
from wavetwin.ir.parameters import find_parameters, held_fixed
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.record import collect_provenance

SPEC = """\
wavetwin: 1
backbone: {arch: sequential, layers: [{conv: {channels: 4}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4}
data: {dataset: digits, image_size: 16}
training: {optimizer: {weight_decay: 0.01}}
"""
START = "weights: {checkpoint: a/w.pth}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a/w.pth").write_bytes(b"weights")
    return tmp_path


def compiled(project: Path, text: str = START, *overrides: str, name: str = "x") -> Compiled:
    path = project / f"{name}.yaml"
    path.write_text(text if text.startswith("wavetwin") else SPEC + text, encoding="utf-8")
    return wavetwin.compile(path, list(overrides))


def faults(project: Path, text: str) -> list[Diagnostic]:
    with pytest.raises(CompileError) as caught:
        compiled(project, text)
    return list(caught.value.diagnostics)


def codes(project: Path, text: str) -> list[str]:
    return [each.code for each in faults(project, text)]


def test_the_files_content_is_in_the_training_digest(project: Path):
    without, first = compiled(project, ""), compiled(project)
    assert first.plan.weights is not None
    assert first.plan.weights.sha256 == sha256(b"weights").hexdigest()
    assert first.model_digest == without.model_digest
    assert first.training_digest != without.training_digest
    (project / "a/w.pth").write_bytes(b"others")
    assert compiled(project).training_digest != first.training_digest


def test_where_the_file_lies_is_in_no_digest(project: Path):
    first = compiled(project)
    (project / "b.pth").write_bytes(b"weights")
    run = project / "runs/cnn/1-s0/checkpoints"
    (run / "last").mkdir(parents=True)
    for file in (run / "best.safetensors", run / "last/model.safetensors"):
        file.write_bytes(b"weights")
    for text in (
        "weights: {checkpoint: b.pth}\n",
        "weights: {run: cnn/1-s0}\n",
        "weights: {run: cnn/1-s0, which: last}\n",
    ):
        other = compiled(project, text)
        assert (other.digest, other.training_digest) == (first.digest, first.training_digest)
        found = compare(Experiment("a", first), Experiment("b", other))
        assert not found.changes
    assert other.plan.weights is not None
    assert other.plan.weights.file == "runs/cnn/1-s0/checkpoints/last/model.safetensors"


@pytest.mark.parametrize(
    "field",
    ["parts: [trunk]", "classifier: new", "on_mismatch: skip", "state_dict: model"],
)
def test_every_other_field_is_in_the_training_digest(project: Path, field: str):
    plain, other = (
        compiled(project),
        compiled(project, f"weights: {{checkpoint: a/w.pth, {field}}}"),
    )
    assert plain.training_digest != other.training_digest
    assert plain.model_digest == other.model_digest


def test_a_locked_spec_is_the_same_and_needs_no_file(project: Path):
    first = compiled(project)
    text = dump_spec(first.resolved)
    assert sha256(b"weights").hexdigest() in text
    (project / "a/w.pth").unlink()
    assert compiled(project, text, name="lock").digest == first.digest
    (project / "a/w.pth").write_bytes(b"others")
    (fault,) = faults(project, text)
    assert fault.code == "weights-changed"


def test_null_takes_it_away_and_children_merge(project: Path):
    plain, parent = compiled(project, "", name="plain"), compiled(project, START, name="parent")
    child = compiled(project, "wavetwin: 1\nextends: parent.yaml\nweights: {classifier: new}\n")
    assert child.plan.weights is not None
    assert child.plan.weights.checkpoint == "a/w.pth"
    assert child.plan.weights.classifier == "new"
    assert compiled(project, START, "weights=null").digest == plain.digest
    assert "weights" not in compiled(project, START, "weights=null").resolved
    text = "wavetwin: 1\nextends: parent.yaml\nweights: {run: a/b}\n"
    assert codes(project, text) == ["weights-source"]
    assert parent.digest != plain.digest


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("checkpoint: b.pth", "file-not-found"),
        ("run: a/b", "file-not-found"),
        ("checkpoint: /etc/hostname", "weights-source"),
        ("checkpoint: ../w.pth", "weights-source"),
        ("checkpoint: a/w.pth, run: a/b", "weights-source"),
        ("checkpoint: a/w.pth, which: last", "field-does-not-apply"),
        ("checkpoint: a/w.pth, stem: project", "projection-does-not-apply"),
        ("checkpoint: a/w.pth, parts: [trunc]", "no-such-parameters"),
        ("run: a", "bad-name"),
        ('checkpoint: a/w.pth, sha256: "12"', "bad-name"),
    ],
)
def test_what_cannot_be_is_an_error(project: Path, fields: str, code: str):
    found = faults(project, f"weights: {{{fields}}}\n")
    assert [each.code for each in found] == [code]
    assert all(each.location and each.location.path == "x.yaml" for each in found)


def test_a_run_without_best_weights_has_last_ones(project: Path):
    (project / "runs/cnn/1-s0/checkpoints/last").mkdir(parents=True)
    (fault,) = faults(project, "weights: {run: cnn/1-s0}\n")
    assert fault.help is not None
    assert "set weights.which to last" in fault.help


def test_a_folder_is_no_file(project: Path):
    (fault,) = faults(project, "weights: {checkpoint: a}\n")
    assert fault.code == "file-unreadable"


def test_a_twin_is_projected_as_a_whole(project: Path):
    twin = (
        "stem: {free_channels: 2, wavelet: {levels: 1, keep: [{packets: [1, 2], channels: 2}]PARTS}}\n"
        "weights: {checkpoint: a/w.pth, stem: project}\n"
    )
    text = SPEC.replace("stem: {free_channels: 4}\n", "") + twin
    project_alone = compiled(project, text.replace("PARTS", ""))
    assert project_alone.plan.weights is not None
    assert project_alone.plan.weights.stem == "project"
    separate = text.replace("PARTS", ", parts: separate")
    assert "projection-does-not-apply" in codes(project, separate)
    (project / "own.py").write_text(
        "from torch.nn import AvgPool2d\n\n\nclass Pool(AvgPool2d):\n    pass\n", encoding="utf-8"
    )
    pooling = "pooling: {free: module, wavelet: module, module: {file: own.py, name: Pool, arguments: {kernel_size: 2}}}\n"
    assert codes(project, text.replace("PARTS", "") + pooling) == ["projection-does-not-apply"]
    both = text.replace("PARTS", "").replace("project}", "project, parts: [trunk]}")
    assert codes(project, both) == ["projection-does-not-apply"]


def test_the_free_channels_start_once(project: Path):
    text = SPEC.replace(
        "free_channels: 4", "free_channels: 4, initial_weights: {checkpoint: b.pth}"
    )
    assert codes(project, text + START) == ["weights-source"]
    only = compiled(project, text + "weights: {checkpoint: a/w.pth, parts: [trunk]}\n")
    assert only.plan.initial_weights is not None


def test_what_stays_at_random_values_is_no_good_to_freeze(project: Path):
    def warned(text: str) -> list[str]:
        found = compiled(project, text).warnings
        return [each.headline for each in found if each.code == "frozen-at-random"]

    freeze = SPEC.replace("training: {", "training: {freeze: [stem, norms], ")
    assert "64 of its parameters" not in warned(freeze)[0]
    assert len(warned(freeze)) == 1
    assert not warned(freeze + START)
    assert warned(freeze + "weights: {checkpoint: a/w.pth, parts: [trunk]}\n")
    classifier = SPEC.replace("training: {", "training: {freeze: [classifier], ")
    assert not warned(classifier + START)
    assert warned(classifier + "weights: {checkpoint: a/w.pth, classifier: new}\n")


def test_freezing_all_but_what_is_new_is_done_as_the_help_says(project: Path):
    def written(freeze: str) -> Compiled:
        text = f"""\
wavetwin: 1
backbone: {{arch: resnet18, replace: {{avgpool: {{module: {{file: own.py, name: Pool}}}}}}}}
data: {{dataset: cifar10}}
training: {{freeze: {freeze}}}
weights: {{checkpoint: a/w.safetensors, classifier: new}}
"""
        return compiled(project, text)

    (project / "own.py").write_text(OWN_POOL, encoding="utf-8")
    (project / "a/w.safetensors").write_bytes(header({"conv1.weight": (64, 3, 3, 3)}))
    (warning,) = written("[stem, trunk]").warnings
    told = warning.help or ""
    assert told == (
        "set training.freeze to [stem, trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4], which "
        "leaves trunk.avgpool and trunk.fc to train; or load weights for it"
    )
    followed = written(told[told.index("[") : told.index("]") + 1])
    assert not followed.warnings
    assert trained(followed) == {"pool.norm", "trunk.avgpool", "trunk.fc"}
    # With the first norm all of it is frozen, which is an error.
    with pytest.raises(CompileError) as caught:
        written("[stem, pool, trunk]")
    (fault,) = caught.value.diagnostics
    told = fault.help or ""
    assert fault.code == "nothing-to-train"
    assert trained(written(told[told.index("[") : told.index("]") + 1])) == {
        "trunk.avgpool",
        "trunk.fc",
    }
    # A file that has the layer: a run of the project's.
    (project / "a/w.safetensors").write_bytes(header({"trunk.avgpool.power": (1,)}))
    (warning,) = written("[stem, trunk]").warnings
    assert "which leaves trunk.fc to train" in (warning.help or "")


def trained(compiled: Compiled) -> set[str]:
    fixed = {each.name for each in held_fixed(compiled.graph, compiled.plan.freeze)}
    parameters = find_parameters(compiled.graph)
    return {each.node.id for each in parameters if each.name not in fixed}


OWN_POOL = """\
import torch
from torch import nn


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.power = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return (x * self.power).mean((2, 3), keepdim=True)
"""


def header(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """Return the beginning of a safetensors file: what a build reads of it."""
    tensors = {
        name: {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 0]}
        for name, shape in shapes.items()
    }
    text = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("shapes", "more", "is_told"),
    [
        ({"fc.weight": (1000, 512)}, "", True),
        ({"module.fc.weight": (1000, 512), "conv1.weight": (64, 3, 7, 7)}, "", True),
        ({"trunk.fc.weight": (3, 512)}, "", True),
        ({"a.fc.weight": (10, 512), "b.fc.weight": (4, 512)}, "", False),
        ({"a.fc.weight": (10, 512), "b.fc.weight": (4, 512)}, "state_dict: b", True),
        ({"a.fc.weight": (10, 512), "b.fc.weight": (4, 512)}, "state_dict: a", False),
        # Another network, another layer of that name, or nothing of it is for the run to say.
        ({"fc.weight": (1000, 2048)}, "", False),
        ({"layer1.fc.bias": (1000,)}, "", False),
        ({"fc.weight": (10, 512)}, "", False),
        ({"fc.weight": (1000, 512)}, "parts: [trunk.layer1]", False),
        ({"fc.weight": (1000, 512)}, "on_mismatch: skip", False),
    ],
)
def test_another_number_of_classes_is_told_by_the_build(
    project: Path, shapes: dict[str, tuple[int, ...]], more: str, is_told: bool
):
    def text(*fields: str) -> str:
        listed = ", ".join(each for each in ("checkpoint: a/w.safetensors", more, *fields) if each)
        return f"wavetwin: 1\nbackbone: {{arch: resnet18}}\ndata: {{dataset: cifar10}}\nweights: {{{listed}}}\n"

    (project / "a/w.safetensors").write_bytes(header(shapes))
    if not is_told:
        assert compiled(project, text()).plan.weights is not None
        return
    (fault,) = faults(project, text())
    assert fault.code == "classifier-does-not-fit"
    assert "set weights.classifier to new" in (fault.help or "")
    assert compiled(project, text("classifier: new")).plan.weights is not None


def test_a_new_classifier_beside_parts_without_one_is_idle(project: Path):
    text = "weights: {checkpoint: a/w.pth, parts: [stem], classifier: new}\n"
    assert [each.code for each in compiled(project, text).warnings] == ["setting-without-effect"]
    text = text.replace("[stem]", "[trunk]")
    assert not compiled(project, text).warnings


def differ(first: Compiled, second: Compiled) -> Difference:
    return compare(Experiment("a", first), Experiment("b", second))


def test_the_difference_is_told_from_the_pair(project: Path):
    plain, start = compiled(project, "", name="plain"), compiled(project)
    found = differ(plain, start)
    assert any(
        "the second starts from weights that were trained" in note for note in found.plan.notes
    )
    rows = {row.label: (row.before, row.after) for row in found.plan.rows}
    assert rows["starts from"][0] == "none"
    assert rows["starts from"][1].startswith("a/w.pth, SHA-256 ")
    parts = compiled(project, "weights: {checkpoint: a/w.pth, parts: [trunk]}\n", name="parts")
    (note,) = differ(start, parts).plan.notes
    assert note == "both start from the same file, and take other parts of it"
    (project / "b.pth").write_bytes(b"others")
    other = compiled(project, "weights: {checkpoint: b.pth}\n", name="other")
    (note,) = differ(start, other).plan.notes
    assert note == "both start from other weights: a difference of scores may be theirs"


def test_the_build_says_what_it_starts_from(project: Path):
    made = compiled(project)
    provenance = collect_provenance(made.files, project, GitState(), no_git=True)
    files = render(made, provenance)
    digest = sha256(b"weights").hexdigest()
    manifest = json.loads(files["manifest.json"])
    assert manifest["weights"] == {"file": "a/w.pth", "sha256": digest}
    assert f"| starts from | a/w.pth |\n| their SHA-256 | {digest} |" in files["MODEL.md"].decode()
    script = files["train.py"].decode()
    assert "# starts from a/w.pth" in script
    assert script.index("start = load_start(") < script.index("data = load_images(")
    assert "load_start" not in render(compiled(project, ""), provenance)["train.py"].decode()
