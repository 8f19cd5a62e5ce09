"""The wheel in empty folders, with the versions that pyproject.toml allows: the lowest of each, and the newest.

Each slow test makes an environment below the temporary folder, first of the compiler alone; with torch it
has some gigabytes, since torch comes with what it needs for CUDA.
"""

import re
import shutil
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from ruamel.yaml import YAML

import wavetwin
from tests.support.environments import Environment, make_distributions
from tests.support.shipped import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {
    name: [Requirement(line) for line in lines if not line.startswith("wavetwin")]
    for name, lines in PROJECT["optional-dependencies"].items()
    if name not in ("dev", "docs")
}
TRIED = ("run", "data", "tensorboard")
"""Extras with which a network is trained here."""
CORE_MEGABYTES = 60


def lowest(requirement: Requirement) -> str:
    (bound,) = requirement.specifier
    assert bound.operator == ">="
    return f"{requirement.name}=={bound.version}"


def test_every_dependency_has_a_lower_bound_that_the_pinned_version_obeys() -> None:
    pinned = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text()))
    names = {name.lower(): Version(version) for name, version in pinned.items()}
    for requirement in [*CORE, *(each for extra in EXTRAS.values() for each in extra)]:
        version = names[requirement.name.lower()]
        assert version in requirement.specifier
        assert Version(lowest(requirement).split("==")[1]) <= version


def test_what_a_release_says_of_itself_is_of_one_version() -> None:
    version = PROJECT["version"]
    assert wavetwin.__version__ == version
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"(?m)^## (\S+?),? ", changes)[1] == version  # pyright: ignore[reportOptionalSubscript]
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["license"]) == (version, PROJECT["license"])
    assert (ROOT / "wavetwin/py.typed").exists()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, made = make_distributions(tmp_path_factory.mktemp("dist"))
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "CHANGELOG.md",
        "constraints-hashed.txt",
        "docs/errors.md",
        "tests/test_versions.py",
        "specs/digits/cnn.yaml",
    ):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(".venv")]
    return made


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a folder whose environment is removed in the end: some gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path / "environment", ignore_errors=True)


def begin(environment: Environment) -> None:
    """Do in an empty folder what the compiler does alone."""
    environment.wavetwin("init", "study", "--twin", "cmod")
    environment.folder /= "study"
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    environment.run(["git", "add", "-A"])
    environment.run(["git", *identity, "commit", "-q", "-m", "begin"])
    environment.wavetwin("check", "specs")
    environment.wavetwin("build", "specs")
    assert "CMod" in environment.wavetwin("diff", "specs/cnn.yaml", "specs/cmod.yaml", code=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_compiler_alone(wheel: Path, tmp_path: Path) -> None:
    environment = Environment("{}.{}".format(*sys.version_info), tmp_path)
    environment.install(str(wheel))
    (site,) = (tmp_path / "environment/lib").glob("python*/site-packages")
    installed = {
        folder.name.partition("-")[0].lower().replace(".", "_")
        for folder in site.glob("*.dist-info")
    } - {
        "pip",
        "setuptools",
    }
    assert installed == {
        "annotated_types", "jinja2", "markdown_it_py", "markupsafe", "mdurl", "pydantic", "pydantic_core",
        "pygments", "rich", "ruamel_yaml", "shtab", "typing_extensions", "typing_inspection", "wavetwin",
    }  # fmt: skip
    num_bytes = sum(
        file.stat().st_size
        for file in site.rglob("*")
        if file.is_file() and file.relative_to(site).parts[0] not in ("pip", "setuptools")
    )
    assert num_bytes < CORE_MEGABYTES * 1e6
    begin(environment)
    told = environment.wavetwin("run", "specs/cnn.yaml", code=2)
    assert told == (
        "error: needs-torch: training needs torch, which is not installed\n"
        "  help: pip install 'wavetwin[run]'\n"
    )
    assert "needs-torch" in environment.wavetwin("explain", "needs-torch")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("version", "is_lowest"),
    [("3.11", True), ("3.12", False), ("3.13", False)],
    ids=["lowest on 3.11", "newest on 3.12", "newest on 3.13"],
)
def test_from_an_empty_folder_to_a_report(
    version: str, is_lowest: bool, wheel: Path, place: Path
) -> None:
    environment = Environment(version, place)
    requirements = [*CORE, *(each for name in TRIED for each in EXTRAS[name])]
    # The lowest scikit-learn takes whatever SciPy there is, and the newest do not take the lowest NumPy.
    chosen = [*map(lowest, requirements), "scipy==1.12.0"] if is_lowest else ["numpy>=2"]
    environment.install(f"{wheel}[{','.join(TRIED)}]", *chosen)
    do_a_study(environment, exports_twins=not is_lowest)


def do_a_study(environment: Environment, *, exports_twins: bool) -> None:
    """Train, evaluate, report and export, from an empty folder on; torch 2.7 exports CNNs alone."""
    begin(environment)
    epochs = ("--set", "training.epochs=2")
    environment.wavetwin("build", "--standalone", *epochs, "specs/cmod.yaml", "--out", "apart")
    (built,) = (environment.folder / "apart").iterdir()
    for script in ("train.py", "evaluate.py"):
        options = ("--device", "cpu", "--limit-batches", "4", "--workers", "0")
        environment.python(str(built / script), *options)
    environment.wavetwin("run", "specs/cnn.yaml", *epochs, "--device", "cpu")
    files = environment.folder.rglob("runs/*/*/scores.json")
    cmod, cnn = sorted((str(file.parent) for file in files), key=lambda path: "/cnn/" in path)
    runs = [cnn, cmod]
    assert list(environment.folder.rglob("events.out.tfevents.*"))
    assert environment.wavetwin("runs", "list")
    environment.wavetwin("report", *runs, "--trials", "-o", "report.html")
    assert (environment.folder / "report.html").read_text("utf-8").startswith("<!doctype html>")
    environment.wavetwin("export", "hub", cmod, "hub")
    environment.wavetwin("export", "torch", cmod if exports_twins else cnn, "network.pt2")
    program = "import wavetwin; print(wavetwin.from_pretrained('hub').num_classes)"
    assert environment.python("-c", program) == "10\n"
