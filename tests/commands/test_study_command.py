"""`wavetwin study`: folders, refusals, and the table of sparse layers."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import wavetwin
from tests.support.run_files import epoch, write_run
from tests.support.shipped import ROOT, spec_of
from wavetwin.commands import cli
from wavetwin.runtime.process.errors import RunError
from wavetwin.runtime.training.starting.free_channels import load_free_channels

SPARSE = """\
wavetwin: 1
name: {name}
backbone: {{arch: sequential, layers: [flatten: {{}}, linear: {{}}]}}
stem:
  free_channels: 0
  stride: 4
  norm: batch
  wavelet:
    levels: {levels}
    color_mixing: {colours}
    keep: [{{packets: [{packets}], channels: 32}}]
pooling: {{free: max, wavelet: modulus}}
data: {{dataset: imagenet, image_size: 224}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def images(project: Path) -> Path:
    folder = project / "images"
    folder.mkdir()
    with Image.open(_photograph()) as photograph:
        for number in range(3):
            left = 100 * number
            photograph.crop((left, 90, left + 256, 346)).save(folder / f"{number}.png")
    return folder


def _photograph() -> Path:
    import sklearn.datasets

    return Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"


def run(*label: str) -> int:
    return cli.main(["study", *label])


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_discrepancy_writes_tables_pictures_a_page_and_a_record(
    project: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = ["discrepancy", "--images", "images", "--limit-images", "2", "--levels", "2"]
    assert run(*label, "--seed", "3", "--out", "out") == 0
    text = capsys.readouterr().out
    assert "RMax against CMod, 2 images" in text
    assert text.endswith("study: out\n")
    out = project / "out"
    document = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert document["command"] == ["wavetwin", "study", *label, "--seed", "3", "--out", "out"]
    assert (document["study"], document["seed"]) == ("discrepancy", 3)
    assert [image["name"] for image in document["images"]] == ["0.png", "1.png"]
    digest = hashlib.sha256((images / "1.png").read_bytes()).hexdigest()
    assert document["images"][1]["sha256"] == digest
    assert document["protocol"]["precision"] == "float64"
    assert document["versions"]["torch"] == torch.__version__
    names = {file.name for file in out.iterdir()}
    assert names == {
        "study.json",
        "study.html",
        "summary.csv",
        "discrepancy_J2.csv",
        "discrepancy_J2.svg",
        "theory_J2.svg",
    }
    for name, digest in document["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    rows = read_csv(out / "discrepancy_J2.csv")
    assert [int(row["filter"]) for row in rows] == list(range(32))
    summary = {row["figure"]: row for row in read_csv(out / "summary.csv")}
    values = sorted(float(row["discrepancy"]) for row in rows)
    median = float(summary["median"]["value"])
    assert median == pytest.approx((values[15] + values[16]) / 2)
    assert float(summary["largest"]["value"]) == values[-1]
    assert float(summary["median"]["low 95 %"]) <= median <= float(summary["median"]["high 95 %"])
    # Every packet has its number in the picture, twice.
    drawn = ElementTree.parse(out / "discrepancy_J2.svg").getroot()
    titles = [each.text or "" for each in drawn.iter() if each.tag.endswith("title")]
    assert sum(title.startswith("filter 17: ") for title in titles) == 2


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]
        if tag not in ("meta", "link", "img", "br", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing stays open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.slow  # a whole study
def test_stability_page_is_whole_and_loads_nothing(project: Path, images: Path) -> None:
    label = ["stability", "--images", str(images / "0.png"), "--levels", "1", "3"]
    assert run(*label, "--direction", "diagonal", "--max-shift", "2", "--out", "out") == 0
    page = Page()
    page.feed((project / "out/study.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert all(each.startswith("data:") for each in page.loaded)
    rows = read_csv(project / "out/stability_J3.csv")
    assert len(rows) == 2 * 128
    assert {row["shift_by_2m"] for row in rows} == {"0.125", "0.25"}
    document = json.loads((project / "out/study.json").read_text(encoding="utf-8"))
    assert document["protocol"]["shifts"] == {"J1": [1, 2], "J3": [1, 2]}
    assert document["protocol"]["direction"] == "diagonal"


@pytest.mark.slow  # a whole study
def test_the_same_command_writes_the_same_bytes(project: Path, images: Path) -> None:
    label = [
        "discrepancy",
        "--images",
        "images",
        "--levels",
        "1",
        "--gratings",
        "4",
        "--out",
        "out",
    ]
    assert run(*label) == 0
    first = {file.name: file.read_bytes() for file in (project / "out").iterdir()}
    assert run(*label, "--force") == 0
    second = {file.name: file.read_bytes() for file in (project / "out").iterdir()}
    assert first.keys() == second.keys()
    apart = [name for name in first if first[name] != second[name]]
    # The command, which is a part of the record, has one word more.
    assert sorted(apart) == ["study.html", "study.json"]
    assert "discrepancy_gratings_J1.csv" in first


@pytest.mark.slow  # a whole study
def test_folders_of_others_are_left_alone(
    project: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = ["discrepancy", "--images", "images", "--levels", "1", "--out", "out"]
    (project / "out").mkdir()
    note = project / "out/note.txt"
    note.write_text("mine", encoding="utf-8")
    for more in ([], ["--force"]):
        assert run(*label, *more) == 2
        assert "no study's folder" in capsys.readouterr().err
    note.unlink()
    assert run(*label) == 0
    assert run(*label) == 2
    assert "holds a study already" in capsys.readouterr().err
    # What the old study had and the new one has not is taken away, what is not its own is not.
    note.write_text("mine", encoding="utf-8")
    label[label.index("1")] = "2"
    assert run(*label, "--force") == 0
    names = {file.name for file in (project / "out").iterdir()}
    assert "note.txt" in names
    assert "discrepancy_J2.csv" in names
    assert "discrepancy_J1.csv" not in names


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            ["discrepancy", "--images", "nothing.png"],
            "nothing.png: error: file-not-found: is not there",
        ),
        (["discrepancy", "--filters", "qshift_x", "--images", "images"], "one of qshift_06"),
        (["stability", "--max-shift", "9", "--images", "images"], "up to 8"),
        (["discrepancy", "--gratings", "90", "--images", "images"], "smaller --gratings"),
        (["discrepancy", "--device", "nonsense", "--images", "images"], "--device cpu"),
        (["kernels", "images", "images"], "is no built folder and no run"),
        (["sparse", str(ROOT / "specs/alexnet/AI.yaml"), "--runs", "images"], "is not a run"),
    ],
)
def test_faults_are_the_users_and_nothing_is_written(
    project: Path,
    images: Path,
    capsys: pytest.CaptureFixture[str],
    label: list[str],
    message: str,
) -> None:
    assert run(*label, "--out", "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (project / "out").exists()


def write_sparse(project: Path, levels: int, colours: str) -> str:
    name = f"J{levels}_{colours}"
    packets = ", ".join(map(str, range(2 * 4**levels)))
    text = SPARSE.format(name=name, levels=levels, colours=colours, packets=packets)
    (project / f"{name}.yaml").write_text(text, encoding="utf-8")
    return f"{name}.yaml"


def test_whole_first_layers_have_the_counted_weights(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = [write_sparse(project, j, colours) for j in (2, 3) for colours in ("before", "after")]
    assert run("sparse", str(spec_of("AI")), *specs, str(spec_of("AwyI")), "--out", "out") == 0
    rows = {row["name"]: row for row in read_csv(project / "out/sparse.csv")}
    assert {name: int(row["trainable"]) for name, row in rows.items()} == {
        "AI": 23_296,
        "J2_before": 1_027,
        "J2_after": 1_120,
        "J3_before": 4_099,
        "J3_after": 4_192,
        "AwyI": 11_889,
    }
    reductions = {name: float(row["reduction"]) for name, row in rows.items()}
    assert [round(reductions[name], 1) for name in ("J2_before", "J2_after")] == [22.7, 20.8]
    assert [round(reductions[name], 1) for name in ("J3_before", "J3_after")] == [5.7, 5.6]
    assert rows["J2_before"]["output"] == "64 x 56 x 56"
    assert rows["J3_before"]["output"] == "64 x 57 x 57"
    assert rows["J3_before"]["crop"] == "not cropped to AI's 55 x 55"
    assert rows["AwyI"]["crop"] == "stem.wavelet.real 57 x 57 to 55 x 55"
    assert "reductions are of trainable weights against AI" in capsys.readouterr().out


def test_resnet_and_frozen_layers(project: Path) -> None:
    text = "stem: {frozen: true}\nextends: RI.yaml\n"
    (project / "base").mkdir()
    for name in ("imagenet.yaml", "resnet34.yaml"):
        (project / "base" / name).write_bytes((ROOT / "specs/base" / name).read_bytes())
    (project / "resnet34").mkdir()
    (project / "resnet34/RI.yaml").write_bytes(spec_of("RI").read_bytes())
    frozen = project / "resnet34/frozen.yaml"
    frozen.write_text(text, encoding="utf-8")
    assert run("sparse", "resnet34/RI.yaml", str(frozen), str(spec_of("RwyI")), "--out", "out") == 0
    rows = read_csv(project / "out/sparse.csv")
    assert [(int(row["trainable"]), int(row["frozen"])) for row in rows] == [
        (9_408, 0),
        (0, 9_408),
        (5_907, 0),
    ]
    assert rows[1]["reduction"] == "nan"
    # Both branches have 112 x 112, nothing is cut off.
    assert rows[2]["crop"] == ""


TINY = """\
wavetwin: 1
name: tiny
backbone: {arch: sequential, layers: [flatten: {}, linear: {}]}
stem: {free_channels: 4, kernel_size: 5, stride: 2, norm: batch}
data: {dataset: digits, image_size: 16}
"""


def test_kernels_of_specs_built_folders_and_weights(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "tiny.yaml").write_text(TINY, encoding="utf-8")
    compiled = wavetwin.compile("tiny.yaml")
    model = wavetwin.build_model(compiled)
    with torch.no_grad():
        weight = model.get_parameter("stem.free.weight")
        weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    save_file(model.state_dict(), "trained.safetensors")
    assert cli.main(["build", "tiny.yaml", "--no-git"]) == 0
    capsys.readouterr()
    label = ["tiny.yaml", "generated/tiny", "--second-weights", "trained.safetensors"]
    assert run("kernels", *label, "--out", "out") == 0
    rows = read_csv(project / "out/similarity.csv")
    assert [row["beside"] for row in rows[::2]] == [
        "tiny, trained.safetensors",
        "tiny, initial, seed 0 (untrained)",
        "random kernels",
    ]
    assert float(rows[2]["mean"]) == pytest.approx(1.0, abs=1e-6)
    assert float(rows[0]["mean"]) < 0.999
    document = json.loads((project / "out/study.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256((project / "trained.safetensors").read_bytes()).hexdigest()
    assert document["inputs"][1]["weights_sha256"] == digest
    assert document["versions"]["scipy"]
    with Image.open(project / "out/picture_first.png") as picture:
        assert picture.format == "PNG"
    assert run("kernels", "tiny.yaml", "tiny.yaml", "--first-weights", "no.safetensors") == 2
    assert "no.safetensors" in capsys.readouterr().err


def test_a_file_of_two_state_dicts_is_used_as_the_error_says(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "tiny.yaml").write_text(TINY, encoding="utf-8")
    compiled = wavetwin.compile("tiny.yaml")
    first, second = (
        {name: value + shift for name, value in wavetwin.build_model(compiled).state_dict().items()}
        for shift in (0, 1)
    )
    torch.save({"student": first, "teacher": second}, "both.pt")
    label = ["kernels", "tiny.yaml", "tiny.yaml", "--second-weights", "both.pt"]
    assert run(*label) == 2
    said = capsys.readouterr().err
    assert "both.pt: error: state-dict-unclear: holds 2 state dicts: 'student'" in said
    assert "--first-state-dict or --second-state-dict" in said
    assert run(*label, "--second-state-dict", "teacher", "--out", "out") == 0
    assert read_csv(project / "out/similarity.csv")[0]["beside"] == "tiny, both.pt"
    assert run(*label, "--second-state-dict", "neither") == 2
    assert run("kernels", "tiny.yaml", "tiny.yaml", "--first-state-dict", "student") == 2
    assert "no weights file whose state dict student" in capsys.readouterr().err

    # A spec's initial weights have no key of their own: the file is made one of one state dict.
    start = "stem.initial_weights.checkpoint="
    both = wavetwin.compile("tiny.yaml", [f"{start}both.pt"])
    assert both.plan.initial_weights is not None
    model = wavetwin.build_model(both)
    with pytest.raises(RunError, match="holds 2 state dicts") as caught:
        load_free_channels(model, both.plan.initial_weights, project)
    remedy = caught.value.remedy or ""
    found = re.search(
        r"`wavetwin (import weights FILE --spec SPEC --state-dict \S+ --out NEW)`", remedy
    )
    assert found is not None
    names = {"FILE": "both.pt", "SPEC": "tiny.yaml", "NEW": "one.safetensors"}
    assert cli.main([names.get(word, word) for word in found[1].split()]) == 0
    one = wavetwin.compile("tiny.yaml", [f"{start}one.safetensors"])
    assert one.plan.initial_weights is not None
    load_free_channels(model, one.plan.initial_weights, project)
    assert torch.equal(model.state_dict()["stem.free.weight"], first["stem.free.weight"])


@pytest.mark.slow  # a whole study
def test_runs_give_curves_and_their_last_weights(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "tiny.yaml").write_text(TINY, encoding="utf-8")
    compiled = wavetwin.compile("tiny.yaml")
    lines = [epoch(1, 2.0, 0.5), epoch(2, 1.0, 0.25)]
    run_folder = write_run(project / "runs", compiled.plan, epochs=lines)
    graph = json.dumps(compiled.graph.to_json())
    (run_folder / "graph.json").write_text(graph, encoding="utf-8")
    label = ["sparse", "tiny.yaml", "--runs", str(run_folder)]
    assert run(*label, "--out", "sparse") == 0
    rows = read_csv(project / "sparse/errors.csv")
    assert [(row["epoch"], row["top1_error"]) for row in rows] == [("1", "0.5"), ("2", "0.25")]
    assert "Top-1 error on the validation images" in (project / "sparse/study.html").read_text(
        encoding="utf-8"
    )
    # Before the first checkpoint the layer is the initial one, afterwards the last.
    assert run("kernels", "tiny.yaml", str(run_folder), "--out", "before") == 0
    assert read_csv(project / "before/similarity.csv")[0]["beside"] == "tiny, initial, seed 0"
    model = wavetwin.build_model(compiled)
    last = run_folder / "checkpoints/last"
    last.mkdir(parents=True)
    save_file(model.state_dict(), last / "model.safetensors")
    assert run("kernels", "tiny.yaml", str(run_folder), "--out", "after") == 0
    after = read_csv(project / "after/similarity.csv")
    assert after[0]["beside"] == "tiny, model.safetensors"
    assert float(after[0]["mean"]) == pytest.approx(1.0, abs=1e-6)
    capsys.readouterr()
    no_validation = write_run(
        project / "runs", compiled.plan, epochs=[epoch(1, 2.0, None)], suffix="-2"
    )
    assert run("sparse", "tiny.yaml", "--runs", str(no_validation)) == 2
    assert "no errors on validation images" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0.4", "101", "nan", "wide"])
def test_the_window_of_gratings_is_a_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("discrepancy", "--gratings", text)
    assert stop.value.code == 2
    assert "must be a number from 0.5 to 100" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("nothing is to be measured")

    monkeypatch.setattr("wavetwin.commands.study._measure", fails)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert cli.main(["study", "discrepancy", "--out", str(tmp_path / "file/study")]) == 2
    assert f"{tmp_path / 'file'}: error: cannot-write: is a file" in capsys.readouterr().err
