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
from tests.support.environments import Environment, find_interpreter, make_distributions
from tests.support.shipped import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {
    name: [Requirement(line) for line in lines if not line.startswith("wavetwin")]
    for name, lines in PROJECT["optional-dependencies"].items()
    if name != "dev"
}
TRIED = ("run", "data", "tensorboard")
"""Extras with which a network is trained here."""
OWN_TESTS = {
    "torchvision": [
        "tests/runtime/data/test_listed_transforms.py",
        "tests/runtime/process/test_torchvision_compat.py",
    ],
    "video": ["tests/runtime/evaluation/test_perturbations.py"],
    "mlflow": ["tests/runtime/loggers/test_services.py::test_mlflow"],
    "wandb": ["tests/runtime/loggers/test_services.py::test_wandb"],
    "figures": ["tests/explain/paper"],
    "sweep": ["tests/sweep/test_course.py", "tests/sweep/test_engines.py"],
    "sweep-ray": ["tests/sweep/test_clusters.py::test_a_ray_of_ones_own_ends_with_the_command"],
    "onnx": ["tests/exporting"],
}
"""What the other extras are for, as their own tests have it."""
TOOLS = (
    "PyWavelets", "beartype", "hypothesis", "jaxtyping", "pytest", "pytest-timeout", "pytest-xdist",
)  # fmt: skip
"""What these tests need."""
NEWEST = ["3.12", "3.13", *filter(find_interpreter, ["3.14"])]
"""Pythons with the newest dependencies. Not every system has 3.14: it is tried where it is."""
CORE_MEGABYTES = 60


def lowest(requirement: Requirement) -> str:
    (bound,) = requirement.specifier
    assert bound.operator == ">="
    return f"{requirement.name}=={bound.version}"


def pinned() -> dict[str, str]:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    return dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", text))


def test_every_dependency_has_a_lower_bound_that_the_pinned_version_obeys() -> None:
    names = {name.lower(): Version(version) for name, version in pinned().items()}
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
    [("3.11", True), *((version, False) for version in NEWEST)],
    ids=["lowest on 3.11", *(f"newest on {version}" for version in NEWEST)],
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


def test_every_extra_is_tried_with_its_lowest_versions() -> None:
    assert {*TRIED, *OWN_TESTS, "mnist", "docs"} == EXTRAS.keys()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_extras_at_their_lowest(wheel: Path, place: Path) -> None:
    """One environment for all, with the torch that the lowest torchvision asks for."""
    environment = Environment("3.11", place)
    extras = [name for name in EXTRAS if name != "docs"]
    requirements = [*CORE, *(each for name in extras for each in EXTRAS[name])]
    lines = [lowest(each) for each in requirements if each.name != "torch"]
    constraints = place / "lowest.txt"
    constraints.write_text("\n".join([*lines, "scipy==1.12.0"]), encoding="utf-8")
    tools = [f"{name}=={pinned()[name]}" for name in TOOLS]
    environment.install(f"{wheel}[{','.join(extras)}]", "-c", str(constraints), *tools)
    environment.wavetwin("data", "prepare", "mnist", "--data-root", "data")
    environment.folder = ROOT
    environment.variables["WAVETWIN_TEST_CONSTRAINTS"] = str(constraints)
    # Old packages use what newer ones have deprecated.
    options = ["-q", "-n", "0", "-m", "slow or not slow", "-W", "ignore::DeprecationWarning"]
    tests = [each for name in OWN_TESTS for each in OWN_TESTS[name]]
    python = str(environment.bin / "python")
    environment.run([python, "-m", "pytest", *options, "-p", "no:cacheprovider", *tests])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_site_with_the_lowest_versions(wheel: Path, place: Path) -> None:
    environment = Environment("3.11", place)
    chosen = [lowest(each) for each in [*CORE, *EXTRAS["docs"]]]
    environment.install(f"{wheel}[docs]", *chosen)
    environment.folder = ROOT
    environment.variables["NO_MKDOCS_2_WARNING"] = "1"
    command = [str(environment.bin / "mkdocs"), "build", "--strict", "--quiet"]
    environment.run([*command, "--site-dir", str(place / "site")])
    assert (place / "site/index.html").exists()


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
