"""A run handed on: the folder of a hub, an exported program, ONNX; each gives the run's outputs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

import wavetwin
from wavetwin.commands import cli
from wavetwin.diagnostics import DiagnosticError
from wavetwin.exporting.hub import export_hub, noise_images
from wavetwin.exporting.program import FORMS, export_program
from wavetwin.notebook.loaded_run import Run
from wavetwin.notebook.pretrained import CARD, CONFIG, WEIGHTS, read_pretrained
from wavetwin.runtime.process.errors import RunError

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEC = """\
wavetwin: 1
tags: [small-one]
summary: "A | small twin"
backbone:
  arch: sequential
  layers: [{conv: {channels: 8, kernel_size: 3}}, {norm: {}}, {relu: {}}, {flatten: {}}, {linear: {}}]
stem:
  free_channels: 6
  kernel_size: 7
  stride: 2
  norm: batch
data: {dataset: digits, image_size: 32, validation: 1300}
training: {epochs: 1, batch_size: 64, optimizer: {name: sgd, lr: 0.1}}
evaluation: [{mode: one_crop}]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train and evaluate a network once."""
    folder = tmp_path_factory.mktemp("project")
    (folder / ".wavetwin.toml").touch()
    (folder / "small.yaml").write_text(SPEC, encoding="utf-8")
    compiled = wavetwin.compile(folder / "small.yaml")
    built = sys.modules.pop("model", None)
    trained = wavetwin.train(compiled, no_git=True, device="cpu")
    again = wavetwin.evaluate(compiled, run=trained, weights="best", no_git=True, device="cpu")
    if built is not None:
        sys.modules["model"] = built
    return again


@pytest.fixture(scope="module")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "small"
    assert cli.main(["export", "hub", str(run.path), str(folder)]) == 0
    return folder


@pytest.fixture
def hub(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "hub"))


def test_the_folder_gives_the_runs_outputs_to_the_last_bit(run: Run, hub: Path) -> None:
    assert {file.name for file in hub.iterdir()} == {CONFIG, WEIGHTS, CARD}
    model = wavetwin.from_pretrained(hub)
    assert not model.training
    images = torch.stack([run.data("test")[number][0] for number in range(16)])
    with torch.no_grad():
        assert torch.equal(model(images), run.model(images))
    loaded = read_pretrained(hub)
    assert loaded.compiled.digest == run.compiled.digest
    assert loaded.classes == DIGITS


def test_the_card_and_the_metadata_say_what_it_is(run: Run, hub: Path) -> None:
    card = (hub / CARD).read_text(encoding="utf-8")
    _, front, text = card.split("---\n", 2)
    matter = YAML(typ="safe").load(front)
    assert matter["library_name"] == "wavetwin"
    assert matter["tags"] == ["wavetwin", "image-classification", "small-one"]
    (result,) = matter["model-index"][0]["results"]
    error = run.scores["one_crop.test.best.top1_error"].value
    assert result["metrics"][0]["value"] == pytest.approx(1 - error)
    assert "A \\| small twin" in text
    assert f"`{run.compiled.model_digest}`" in text
    header = (hub / WEIGHTS).read_bytes()
    length = int.from_bytes(header[:8], "little")
    about = json.loads(json.loads(header[8 : 8 + length])["__metadata__"]["wavetwin"])
    assert about["name"] == "small"
    assert about["model_digest"] == run.compiled.model_digest
    assert about["classes"] == list(DIGITS)
    assert len(about["mean"]) == 1
    snippet = text.partition("```python\n")[2].partition("```")[0]
    names = {"images": noise_images(run)}
    exec(snippet.replace("FOLDER", str(hub)), names)
    assert names["logits"].shape == (4, 10)


def test_what_is_there_is_kept(run: Run, hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (hub / CARD).write_text("mine", encoding="utf-8")
    assert cli.main(["export", "hub", str(run.path), str(hub)]) == 2
    assert "output-exists" in capsys.readouterr().err
    assert (hub / CARD).read_text(encoding="utf-8") == "mine"
    assert cli.main(["export", "hub", str(run.path), str(hub), "--force"]) == 0
    assert (hub / CARD).read_text(encoding="utf-8") != "mine"


def edit_config(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def apply(hub: Path) -> None:
        document = json.loads((hub / CONFIG).read_text(encoding="utf-8"))
        change(document)
        (hub / CONFIG).write_text(json.dumps(document), encoding="utf-8")

    return apply


def cut(name: str) -> Callable[[Path], None]:
    def apply(hub: Path) -> None:
        content = (hub / name).read_bytes()
        (hub / name).write_bytes(content[: len(content) // 2])

    return apply


def own_layer(hub: Path) -> None:
    (hub / "evil.py").write_text(
        "from pathlib import Path\nPath('ran').touch()\nfrom torch import nn\nclass Layer(nn.ReLU): pass\n",
        encoding="utf-8",
    )
    layer = {"module": {"file": "evil.py", "name": "Layer"}}
    edit_config(lambda document: document["backbone"]["layers"].insert(2, layer))(hub)


def without_metadata(hub: Path) -> None:
    save_file(load_file(hub / WEIGHTS), hub / WEIGHTS)


def other_weights(hub: Path) -> None:
    content = (hub / WEIGHTS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    tensors = load_file(hub / WEIGHTS)
    del tensors["trunk.linear1.bias"]
    save_file(tensors, hub / WEIGHTS, metadata)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda hub: (hub / CONFIG).unlink(), "hub-folder-wrong"),
    "no weights": (lambda hub: (hub / WEIGHTS).unlink(), "hub-folder-wrong"),
    "config cut off": (cut(CONFIG), "hub-folder-wrong"),
    "weights cut off": (cut(WEIGHTS), "weights-damaged"),
    "config a list": (lambda hub: (hub / CONFIG).write_text("[]"), "hub-folder-wrong"),
    "config deep": (lambda hub: (hub / CONFIG).write_text("[" * 99999), "hub-folder-wrong"),
    "config large": (lambda hub: (hub / CONFIG).write_text(" " * 2_000_000), "hub-folder-wrong"),
    "config of a hub's other library": (
        lambda hub: (hub / CONFIG).write_text('{"model_type": "bert"}'),
        "missing-field",
    ),
    "extends": (edit_config(lambda d: d.update(extends="../a.yaml")), "hub-folder-wrong"),
    "another network": (
        edit_config(lambda d: d["stem"].update(free_channels=8)),
        "hub-folder-wrong",
    ),
    "code": (own_layer, "hub-folder-wrong"),
    "no metadata": (without_metadata, "hub-folder-wrong"),
    "a tensor short": (other_weights, "weights-do-not-fit"),
    "no safetensors": (lambda hub: (hub / WEIGHTS).write_bytes(b"\xff" * 64), "hub-folder-wrong"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_or_hostile_folder_is_a_diagnostic(
    name: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage, code = DAMAGES[name]
    damage(hub)
    monkeypatch.chdir(hub)
    with pytest.raises(DiagnosticError) as stop:
        wavetwin.from_pretrained(hub)
    assert stop.value.diagnostics[0].code == code
    assert not (hub / "ran").exists()


@pytest.mark.slow  # torch is started to try the layer
def test_code_of_a_project_is_not_exported(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "own.yaml"
    (tmp_path / ".wavetwin.toml").touch()
    (tmp_path / "own.py").write_text(
        "from torch import nn\nclass Layer(nn.ReLU): pass\n", encoding="utf-8"
    )
    layer = "{relu: {}}, {module: {file: own.py, name: Layer}}"
    spec.write_text(SPEC.replace("{relu: {}}", layer), encoding="utf-8")
    own = Run(
        run.path, run.which, run.epochs, run.weights_file, wavetwin.compile(spec), (), run.documents
    )
    with pytest.raises(RunError, match="needs code of its project") as stop:
        export_hub(own, tmp_path / "hub")
    assert stop.value.code == "cannot-export"
    assert not (tmp_path / "hub").exists()


ALONE = """
import sys, torch
sys.modules["wavetwin"] = None
program = torch.export.load(sys.argv[1]).module()
images, expected = torch.load(sys.argv[2], weights_only=True)
for count in (1, 3):
    torch.testing.assert_close(program(images[:count]), expected[:count], rtol=1e-4, atol=1e-4)
print("alike")
"""


@pytest.mark.slow  # torch.export, and torch in another process
def test_a_program_runs_without_wavetwin(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.pt2"
    assert cli.main(["export", "torch", str(run.path), str(file)]) == 0
    assert "outputs differ from the run's by" in capsys.readouterr().out
    images = noise_images(run)
    with torch.no_grad():
        torch.save((images, run.model(images)), tmp_path / "outputs.pt")
    command = [sys.executable, "-c", ALONE, str(file), str(tmp_path / "outputs.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "alike\n", done.stderr


@pytest.mark.slow
def test_onnx_gives_the_runs_outputs(run: Run, tmp_path: Path) -> None:
    import onnxruntime

    file = tmp_path / "small.onnx"
    assert cli.main(["export", "onnx", str(run.path), str(file)]) == 0
    session = onnxruntime.InferenceSession(file)
    images = noise_images(run)
    for count in (1, 3):
        (found,) = session.run(None, {session.get_inputs()[0].name: images[:count].numpy()})
        with torch.no_grad():
            expected = run.model(images[:count])
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)


def test_a_program_that_differs_is_not_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = FORMS["torch"]
    wrong = type(form)(form.name, form.suffix, (), lambda program, file: file.touch(),
                       lambda file: lambda images: run.model(images) + 1)  # fmt: skip
    with pytest.raises(RunError, match="other outputs") as stop:
        export_program(run, wrong, tmp_path / "a.pt2")
    assert stop.value.code == "export-differs"
    assert not (tmp_path / "a.pt2").exists()
    with pytest.raises(RunError, match=r"has not the ending \.pt2"):
        export_program(run, form, tmp_path / "a.onnx")
    (tmp_path / "a.pt2").touch()
    with pytest.raises(RunError, match="is there already"):
        export_program(run, form, tmp_path / "a.pt2")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(RunError, match="needs onnxscript, which is not installed") as stop:
        export_program(run, FORMS["onnx"], tmp_path / "a.onnx")
    assert stop.value.remedy == "pip install 'wavetwin[onnx]'"
