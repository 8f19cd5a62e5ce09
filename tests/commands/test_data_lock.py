"""Images of one's own: named folders, their lock, and lists that divide them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.photographs import piece
from wavetwin.commands import cli
from wavetwin.commands.data_lock import lock_images
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.diagnostics import CompileError
from wavetwin.explain.diff.difference import Experiment, compare
from wavetwin.ir.plan import TrainingPlan
from wavetwin.runtime.data import load_data
from wavetwin.runtime.process.errors import RunError

SPEC = """wavetwin: 1
EXTENDS
backbone: {arch: sequential, layers: [{pool: {kind: global_average}}, {flatten: {}}, {linear: {}}]}
stem: {free_channels: 4, kernel_size: 3, norm: batch}
data: {dataset: folder, folder: birds, image_size: [8, 12], augmentation: none}
training: {batch_size: 6, epochs: 1}
"""
CLASSES = ("robin", "wren", "jay")


def write_folder(root: Path, **counts: int) -> None:
    for split, number in counts.items():
        for n in range(number):
            file = root / "birds" / split / CLASSES[n % 3] / f"{n:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            piece(n, 16).save(file)


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / ".wavetwin.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAVETWIN_DATA", str(tmp_path / "root"))
    path = tmp_path / "specs/birds.yaml"
    path.write_text(SPEC.replace("EXTENDS\n", ""), encoding="utf-8")
    return path


def locked(spec: Path, *overrides: str) -> Compiled:
    lock_images(spec, overrides)
    name = next(path.name for path in spec.parent.glob("_*.yaml"))
    spec.write_text(SPEC.replace("EXTENDS", f"extends: {name}"), encoding="utf-8")
    return compile_spec(spec, overrides)


def test_a_lock_says_the_classes_and_builds_read_no_images(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path("root").absolute()
    write_folder(root, train=60, test=9)
    with pytest.raises(CompileError) as refused:
        compile_spec(spec)
    (fault,) = refused.value.diagnostics
    assert fault.code == "num-classes-missing"
    assert "`wavetwin data prepare specs/birds.yaml` writes" in (fault.help or "")
    assert cli.main(["data", "prepare", "specs/birds.yaml"]) == 0
    assert capsys.readouterr().out == (
        "specs/_birds.yaml: written\n  3 classes; images: 60 train, 9 test\n"
        "  validation: 2 of each class are held out of train (data.validation)\n"
        "  next: add _birds.yaml to `extends` of specs/birds.yaml, and commit both\n"
    )
    prepare = ["data", "prepare", "specs/birds.yaml", "--set", "data.validation=5"]
    assert cli.main(prepare) == 0
    told = capsys.readouterr().out
    assert "  validation: 5 of each class are held out of train, as data.validation says\n" in told
    told = lock_images(spec, ["data.validation=0"])
    assert "  validation: none, as data.validation says\n" in told
    compiled = locked(spec)
    shutil.move(root, root.with_name("away"))
    again = compile_spec(spec)
    assert again.digest == compiled.digest
    assert spec.parent / "_birds.yaml" in again.files
    data = again.plan.data
    assert data.lock is not None
    assert data.lock.classes == ("jay", "robin", "wren")
    assert (data.num_classes, data.validation, data.training_images) == (3, 2, 54)
    assert again.plan.iterations_per_epoch == 9
    assert TrainingPlan.from_json(again.plan.to_json()) == again.plan
    # What spec.lock.yaml says is the same experiment, without the file that was extended.
    alone = spec.with_name("alone.yaml")
    from wavetwin.compiler.render.spec_yaml import dump_spec

    alone.write_text(dump_spec(again.resolved), encoding="utf-8")
    assert compile_spec(alone).digest == again.digest
    with pytest.raises(RunError, match="is not there"):
        lock_images(spec)
    shutil.move(root.with_name("away"), root)
    assert cli.main(["data", "prepare", "specs/birds.yaml"]) == 0
    assert "specs/_birds.yaml: already so\n" in capsys.readouterr().out


def test_other_images_than_the_lock_are_told(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path("root").absolute()
    write_folder(root, train=18, test=6)
    before = locked(spec)
    data = load_data(before.plan, workers=0)
    assert [len(x) for x in (data.train, data.validation, data.test)] == [15, 3, 6]
    assert data.validation_note == "validation: 1 of each class, held out of the training images"
    assert cli.main(["data", "check", "specs/birds.yaml"]) == 0
    (root / "birds/train/jay/99.png").write_bytes((root / "birds/train/jay/02.png").read_bytes())
    with pytest.raises(
        RunError, match=r"19 images in train, the spec's lock says 18: jay"
    ) as error:
        load_data(before.plan, workers=0)
    assert error.value.code == "data-lock-differs"
    assert "--allow-other-data takes it as it is" in (error.value.remedy or "")
    allowed = load_data(before.plan, workers=0, allow_other_data=True)
    assert len(allowed.train) == 16
    assert any("the spec's lock says 18" in note for note in allowed.data_notes)
    capsys.readouterr()
    assert cli.main(["data", "check", "specs/birds.yaml"]) == 1
    shown = capsys.readouterr().out
    assert "  not as locked: " in shown
    assert "`wavetwin data prepare SPEC` write the lock anew" in shown
    after = locked(spec)
    assert after.digest != before.digest
    assert after.model_digest == before.model_digest
    found = compare(Experiment("a", before), Experiment("b", after))
    (effect,) = (each for each in found.effects if "data.lock" in each.fields)
    assert effect.kind == "data set"
    (root / "birds/train/jay/99.png").unlink()
    (root / "birds/train/jay/02.png").write_bytes(b"of another size")
    with pytest.raises(RunError, match=r"as many images .* names, sizes or order are others"):
        load_data(before.plan, workers=0)
    shutil.move(root / "birds/test/jay", root / "birds/test/owl")
    shutil.move(root / "birds/train/jay", root / "birds/train/owl")
    with pytest.raises(
        RunError, match="has owl, which the spec's lock does not list, and has no jay"
    ):
        load_data(before.plan, workers=0, allow_other_data=True)


def test_val_beside_test_validates(spec: Path) -> None:
    write_folder(Path("root"), train=12, val=6, test=3)
    compiled = locked(spec)
    assert compiled.plan.data.validation == 0
    data = load_data(compiled.plan, workers=0)
    assert [len(x) for x in (data.train, data.validation, data.test)] == [12, 6, 3]
    assert data.validation_note == "validation: the 6 images of val"
    # The rules know that images validate.
    compile_spec(spec, ["evaluation=[{mode: one_crop, split: validation}]"])
    (warning,) = (
        each
        for each in compile_spec(spec, ["data.validation=1"]).warnings
        if each.code == "setting-without-effect"
    )
    assert "the 6 images of val are used by nothing" in warning.headline
    with pytest.raises(CompileError, match="the smallest class has 4 training images"):
        compile_spec(spec, ["data.validation=4"])


def test_test_images_alone(spec: Path) -> None:
    write_folder(Path("root"), test=6)
    compiled = locked(spec)
    assert compiled.plan.data.training_images is None
    known = replace(
        compiled.plan, data=replace(compiled.plan.data, mean=(0.5,) * 3, std=(1.0,) * 3)
    )
    data = load_data(known, workers=0)
    assert len(data.test) == 6
    with pytest.raises(RunError, match=r"no training images: .*/birds/train is not there"):
        data.split("train")


def write_list(root: Path, *rows: str, header: str = "path,label,split") -> Path:
    file = root / "birds/splits.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


ROWS = [
    f"{'train' if n < 9 else 'test'}/{CLASSES[n % 3]}/{n % 9:02}.png,{CLASSES[n % 3]},"
    f"{'train' if n % 2 else 'test'}"
    for n in range(12)
]


def test_a_list_divides_the_images(spec: Path) -> None:
    write_folder(Path("root"), train=9, test=9)
    file = write_list(Path("root"), *ROWS)
    by_list = "data.split_list=splits.csv"
    compiled = locked(spec, by_list)
    assert (spec.parent / "_birds.splits.yaml").is_file()
    lock = compiled.plan.data.lock
    assert lock is not None
    assert (lock.train, lock.test, lock.val) == ((2, 2, 2), (2, 2, 2), ())
    assert lock.list_sha256 is not None
    data = load_data(compiled.plan, workers=0)
    # The order is the list's; the first image of each class is held out.
    (batch,) = data.evaluation_batches("test", lambda x: x, 12)
    assert batch.labels.tolist() == [1, 0, 2, 1, 0, 2]
    assert len(data.train) == len(data.validation) == 3
    file.write_text(file.read_text().replace("wren,train", "wren,test"), encoding="utf-8")
    with pytest.raises(RunError, match=r"images in train, the spec's lock says 6") as error:
        load_data(compiled.plan, workers=0)
    assert error.value.code == "data-lock-differs"
    only = [row for row in ROWS if row.endswith("test")]
    write_list(Path("root"), *only)
    tested = compile_spec(
        spec, [by_list, "data.lock=null", "data.num_classes=3", "data.normalise=none"]
    )
    assert len(load_data(tested.plan, workers=0).test) == 6
    assert "birds/splits.csv names none" in str(load_data(tested.plan, workers=0).no_training)


FAULTS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "no file": (lambda rows: [*rows, "train/jay/77.png,jay,train"], r":14 names .*77\.png, which is no"),
    "label": (lambda rows: [*rows, "test/jay/05.png,owl,test"], ":14 has the label 'owl', the training"),
    "twice": (lambda rows: [*rows, f"./{rows[0]}"], ":14 names train/robin/00.png, which line 2"),
    "out": (lambda rows: [rows[0], "../x.png,jay,train"], r":3 names '\.\./x\.png', which leads out"),
    "absolute": (lambda rows: ["/etc/passwd,jay,train"], ":2 names '/etc/passwd', which leads out"),
    "split": (lambda rows: [rows[0], rows[1].replace(",train", ",dev")], ":3 has the split 'dev'"),
    "empty": (lambda rows: [rows[0], "train/jay/02.png,,train"], ":3 has no label"),
    "short": (lambda rows: [rows[0], "train/jay/02.png"], ":3 has no label, split"),
    "quotes": (lambda rows: [rows[0], '"train/jay'], r":3 is no CSV"),
    "nothing": (lambda rows: [], ":1 names no images"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_list_name_its_line(spec: Path, name: str) -> None:
    write_folder(Path("root"), train=9, test=9)
    change, message = FAULTS[name]
    write_list(Path("root"), *change(ROWS))
    with pytest.raises(RunError, match=message) as error:
        lock_images(spec, ["data.split_list=splits.csv"])
    assert error.value.code == "data-list-wrong"
    assert error.value.remedy


def test_columns_of_a_list_may_have_any_order(spec: Path) -> None:
    write_folder(Path("root"), train=6, test=3)
    rows = [f"x,{row.split(',')[2]},{row.split(',')[1]},{row.split(',')[0]}" for row in ROWS[:6]]
    write_list(Path("root"), *rows, header="\ufeffmore,split,label,path")
    compiled = locked(spec, "data.split_list=splits.csv")
    assert load_data(compiled.plan, workers=0).class_names == ("jay", "robin", "wren")
    write_list(Path("root"), *rows, header="more,split,name,path")
    with pytest.raises(RunError, match=":1 has no column label"):
        lock_images(spec, ["data.split_list=splits.csv"])
    (Path("root/birds/splits.csv")).unlink()
    with pytest.raises(RunError, match="is not there: the list"):
        lock_images(spec, ["data.split_list=splits.csv"])


def test_what_is_no_lock_is_left_alone(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(Path("root"), train=6, test=3)
    other = spec.with_name("_birds.yaml")
    other.write_text("data: {validation: 1}\n", encoding="utf-8")
    assert cli.main(["data", "prepare", "specs/birds.yaml"]) == 2
    assert "is there, and is no lock" in capsys.readouterr().err
    assert cli.main(["data", "prepare", "specs/birds.yaml", "--out", "specs/_lock.yaml"]) == 0
    assert cli.main(["data", "prepare", "specs/birds.yaml", "--set", "data.dataset=mnist"]) == 2
    assert "the classes of mnist are known" in capsys.readouterr().err
    assert cli.main(["data", "prepare", "sparrows"]) == 2
    assert "neither a data set that is laid out nor a spec" in capsys.readouterr().err
    for name in ("../birds", "a/b", ""):
        with pytest.raises(CompileError):
            compile_spec(spec, [f"data.folder='{name}'"])


def test_workers_read_the_same_images_in_the_same_order(spec: Path) -> None:
    write_folder(Path("root"), train=18, test=6)
    plan = locked(spec, "data.augmentation=crop_flip").plan
    whole = list(load_data(plan, workers=0).training_batches(0))
    data = load_data(plan, workers=2)
    for first in (0, 1):
        for batch, expected in zip(data.training_batches(0, first), whole[first:], strict=True):
            assert torch.equal(batch.images, expected.images)
            assert torch.equal(batch.labels, expected.labels)
    shares = [list(data.training_batches(0, 0, rank, 2)) for rank in range(2)]
    for parts, expected in zip(zip(*shares, strict=True), whole, strict=True):
        assert torch.equal(torch.cat([part.images for part in parts]), expected.images)
