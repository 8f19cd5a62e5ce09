"""`wavetwin data check` and `wavetwin data prepare`."""

from __future__ import annotations

import gzip
import os
import pickle  # noqa: TID251 (to make a hostile one)
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.data_files import (
    WNIDS,
    jpeg,
    write_all,
    write_cifar,
    write_imagenet,
    write_tiny_imagenet,
)
from tests.support.official_data import change_dataset
from tests.support.plans import ONE_CROP, make_plan
from wavetwin.commands import cli
from wavetwin.commands.data_check import check_data
from wavetwin.ir.datasets import DATASETS
from wavetwin.ir.evaluations import EVALUATIONS, Evaluation
from wavetwin.runtime.data.availability import look_for
from wavetwin.runtime.data.prepare import prepare_mnist
from wavetwin.runtime.process.errors import RunError

SPEC = "wavetwin: 1\nbackbone: {arch: resnet18}\ndata: {dataset: DATASET}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".wavetwin.toml").touch()
    for name in ("digits", "mnist", "cifar10"):
        text = SPEC.replace("DATASET", name)
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("WAVETWIN_DATA", raising=False)
    return tmp_path


def test_digits_are_complete(project: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["data", "check", "digits.yaml"]) == 0
    assert capsys.readouterr().out == (
        "data set: digits\nlooked in:\n  --data-root: names none\n  WAVETWIN_DATA: names none\n"
        f"  {project}/config/wavetwin/config.toml: names none\n"
        "images: 1237 train, 200 validation, 360 test\n"
        "classes of all training and test images:\n"
        "  class 0: zero, 143 train, 35 test\n  class 1: one, 146 train, 36 test\n"
        "  class 2: two, 142 train, 35 test\n  ...\n  class 7: seven, 143 train, 36 test\n"
        "  class 8: eight, 141 train, 33 test\n  class 9: nine, 143 train, 37 test\ncomplete\n"
    )


def test_warnings_are_of_the_data_alone(project: Path, capsys: pytest.CaptureFixture[str]):
    late = ["--set", "training.epochs=2", "--set", "training.schedule={name: step, step_epochs: 5}"]
    idle = ["--set", "data.augmentation=[{random_vertical_flip: {p: 0}}]"]
    assert cli.main(["check", "digits.yaml", *late, *idle]) == 0
    codes = ("schedule-without-effect", "setting-without-effect")
    err = capsys.readouterr().err
    assert all(f"warning: {code}: " in err for code in codes)
    assert cli.main(["data", "check", "digits.yaml", *late]) == 0
    assert capsys.readouterr().err == ""
    assert cli.main(["data", "check", "digits.yaml", *late, *idle]) == 0
    err = capsys.readouterr().err
    assert "warning: setting-without-effect: random_vertical_flip" in err
    assert codes[0] not in err


def test_it_says_where_it_looked(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    config = project / "config/wavetwin/config.toml"
    write_all(config.parent, {"config.toml": f'data_root = "{project}/c"\n'.encode()})
    assert cli.main(["data", "check", "mnist.yaml"]) == 1
    out = capsys.readouterr().out
    assert f"{config}: {project}/c, used (there is no such folder)\n" in out
    assert f"  missing: {project}/c/MNIST/raw/t10k-labels-idx1-ubyte (or .gz)\n" in out
    assert "how to get it: `wavetwin data prepare mnist`" in out
    assert out.endswith("\nnot complete\n")
    monkeypatch.setenv("WAVETWIN_DATA", "/variable")
    assert cli.main(["data", "check", "mnist.yaml", "--data-root", "/line"]) == 1
    out = capsys.readouterr().out
    assert "--data-root: /line, used" in out
    assert "WAVETWIN_DATA: /variable, not used\n" in out
    assert f"{config}: not asked\n" in out
    monkeypatch.delenv("WAVETWIN_DATA")
    config.unlink()
    assert cli.main(["data", "check", "mnist.yaml"]) == 1
    assert "missing: no data root is known" in capsys.readouterr().out


def test_exit_codes_of_faults(project: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["data", "check", "mnist.yaml", "--set", "data.dataset=mnits"]) == 2
    write_all(project / "config/wavetwin", {"config.toml": b"data_root = 3\n"})
    assert cli.main(["data", "check", "mnist.yaml"]) == 2
    assert "data_root is 3" in capsys.readouterr().err


def test_presence_needs_no_torch(project: Path):
    program = (
        "import sys\nfrom wavetwin.commands.cli import main\ncode = main(sys.argv[1:])\n"
        "sys.exit('torch' if 'torch' in sys.modules else code)"
    )
    write_cifar(project, "cifar10")
    arguments = ["data", "check", "cifar10.yaml", "--data-root", str(project)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "images: 45 train" not in done.stdout
    assert "data.validation 5000 sets all 50 training images aside" in done.stdout


def test_counts_and_checksums_of_small_files(tmp_path: Path):
    write_cifar(tmp_path, "cifar10")
    plan = make_plan(dataset="cifar10", validation=5, training_images=45, channels=3)
    availability = look_for(plan.data, tmp_path)
    assert availability.counts == {"train": 45, "validation": 5, "test": 10}
    assert availability.differences == ["'cifar10' has 10 test images, the official one has 10000"]
    assert len(availability.found) == 6
    verified = look_for(plan.data, tmp_path, verify=True)
    assert len(verified.differences) == 7
    (tmp_path / "cifar-10-batches-py/data_batch_4").unlink()
    missing = look_for(plan.data, tmp_path).missing
    assert missing == [str(tmp_path / "cifar-10-batches-py/data_batch_4")]


def test_verifying_lists_damaged_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    change_dataset(monkeypatch, "tiny_imagenet", test_images=6)
    folder = write_tiny_imagenet(tmp_path)
    data = make_plan(
        dataset="tiny_imagenet",
        channels=3,
        num_classes=3,
        validation=1,
        validation_per_class=True,
        training_images=9,
    ).data
    damaged = folder / f"train/{WNIDS[1]}/images/{WNIDS[1]}_2.JPEG"
    damaged.write_bytes(damaged.read_bytes()[:300])
    assert look_for(data, tmp_path).is_complete
    availability = look_for(data, tmp_path, verify=True)
    assert not availability.is_complete
    (line,) = availability.damaged
    assert line.startswith(f"{damaged} cannot be read as an image")


def suite(mode: str, root: str) -> Evaluation:
    return EVALUATIONS.read({"mode": mode, "root": root}, fills=True)


def test_roots_of_the_battery_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    change_dataset(monkeypatch, "imagenet", test_images=6)
    write_imagenet(tmp_path)
    plan = make_plan(
        dataset="imagenet",
        channels=3,
        num_classes=3,
        validation=1,
        validation_per_class=True,
        training_images=9,
        evaluation=(ONE_CROP, suite("corruptions", "C"), suite("perturbations", "P")),
    )
    for n, wnid in enumerate(WNIDS):
        write_all(tmp_path / "C/fog/1", {f"{wnid}/a.JPEG": jpeg(n)})
        write_all(tmp_path / "C/fog/2", {f"{wnid}/a.JPEG": jpeg(n)} if n else {})
    complete, text = check_data(plan, tmp_path, verify=False)
    assert not complete
    assert "images: 9 train, 3 validation, 6 test\n" in text
    assert f"corruptions C:\n  found: {tmp_path}/C: 2 of 75 sets\n" in text
    assert "  missing: and 66 more\n" in text
    assert text.endswith(f"perturbations P:\n  missing: {tmp_path}/P\nnot complete\n")
    (tmp_path / "P").mkdir()
    (tmp_path / "P/tilt").mkdir()
    _, text = check_data(plan, tmp_path, verify=False)
    assert f"  missing: {tmp_path}/P/tilt has 0 of 3 classes\n" in text


@pytest.mark.slow
def test_prepare_mnist_makes_the_official_files(project: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["data", "prepare", "mnist"]) == 2
    assert "nowhere to write to" in capsys.readouterr().err
    root = project / "root"
    assert cli.main(["data", "prepare", "mnist", "--data-root", str(root)]) == 0
    assert capsys.readouterr().out.count(": written, ") == 4
    assert sorted(path.name for path in (root / "MNIST/raw").iterdir()) == sorted(
        DATASETS["mnist"].files
    )
    arguments = ["data", "check", "mnist.yaml", "--data-root", str(root), "--verify"]
    assert cli.main(arguments) == 0
    assert "images: 55000 train, 5000 validation, 10000 test" in capsys.readouterr().out
    labels = root / "MNIST/raw/t10k-labels-idx1-ubyte"
    before = labels.stat().st_mtime_ns
    assert all(line.endswith("already there") for line in prepare_mnist(DATASETS["mnist"], root))
    assert labels.stat().st_mtime_ns == before
    labels.write_bytes(labels.read_bytes()[:-1] + b"\0")
    with pytest.raises(RunError, match="t10k-labels-idx1-ubyte is there and is not the official"):
        prepare_mnist(DATASETS["mnist"], root)


def test_a_package_with_other_contents_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake = tmp_path / "mnist.pkl.gz"
    monkeypatch.setattr("wavetwin.runtime.data.prepare._find_mnist", lambda: fake)

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path}/sentinel",)

    fake.write_bytes(gzip.compress(pickle.dumps(Hostile(), protocol=2)))
    with pytest.raises(RunError, match=r"mnist\.pkl\.gz asks for posix\.system"):
        prepare_mnist(DATASETS["mnist"], tmp_path)
    fake.write_bytes(gzip.compress(pickle.dumps(([1], [2]))))
    with pytest.raises(RunError, match="has not three pairs of images and classes"):
        prepare_mnist(DATASETS["mnist"], tmp_path)
    fake.write_bytes(b"no gzip")
    with pytest.raises(RunError, match=r"mnist\.pkl\.gz cannot be read"):
        prepare_mnist(DATASETS["mnist"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.pkl.gz"]


def test_prepare_imagenet_asks_for_the_archives(project: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["data", "prepare", "imagenet", "--data-root", str(project)]) == 2
    assert "--from DIR" in capsys.readouterr().err
    arguments = ["data", "prepare", "imagenet", "--data-root", str(project), "--from", "."]
    assert cli.main(arguments) == 2
    assert "has no ILSVRC2012_img_train.tar" in capsys.readouterr().err
