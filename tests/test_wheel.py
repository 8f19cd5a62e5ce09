"""The wheel holds the templates and the starter specs, and is the same package as the checkout it was built from."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.shipped import ROOT
from wavetwin.diagnostics import CompileError
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.package import Package, load_package, sha256_of
from wavetwin.provenance.record import collect_provenance

SPEC = """
extends: wavetwin:digits/cnn.yaml
stem: {free_channels: 4, kernel_size: 3, stride: 2, norm: null}
backbone: {layers: [{flatten: {}}, {linear: {}}]}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the wheel is installed in, as `pip install --target` would."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "checkout"
    # A copy, so that a file which appears meanwhile in the work tree changes nothing.
    for name in ("wavetwin", "templates", "specs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    result = subprocess.run([*command, str(source)], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    (wheel,) = folder.glob("*.whl")
    site = folder / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    return site


@pytest.fixture(scope="module")
def package(installed: Path) -> Package:
    return load_package(installed / "wavetwin")


def test_the_wheel_is_the_checkouts_package(installed: Path, package: Package) -> None:
    checkout = load_package(installed.parent / "checkout" / "wavetwin")
    assert package.templates == installed / "wavetwin" / "templates"
    assert checkout.templates == installed.parent / "checkout" / "templates"
    assert dict(package.sha256) == dict(checkout.sha256)
    assert package.digest == checkout.digest
    assert (package.is_wheel, checkout.is_wheel) == (True, False)
    assert package.version == checkout.version == "0.1.0"
    assert package.changed_since_install == ()


def test_a_wheel_in_a_repository_of_specs(installed: Path, tmp_path: Path) -> None:
    spec = tmp_path / "a.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    # As a virtual environment inside the project: ignored by git, and still a wheel.
    site = tmp_path / ".venv" / "site-packages"
    shutil.copytree(installed, site)
    (tmp_path / ".gitignore").write_text(".venv/\ngenerated/\n", encoding="utf-8")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "specs"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)

    provenance = collect_provenance(
        [spec], tmp_path, GitState(), package=load_package(site / "wavetwin")
    )
    assert [source.kind for source in provenance.sources] == ["git", "wheel"]
    assert provenance.source("wavetwin").commit is None
    assert not provenance.dirty

    # Built by the installed wheel itself, in a process that sees no checkout.
    environment = os.environ | {"PYTHONPATH": str(site)}
    code = (
        "import sys; from wavetwin.commands.cli import main; file = sys.argv[1];"
        "sys.exit(main(['build', file]) or main(['diff', file, file, '--html', 'page.html']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(spec)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "Both have the digest" in page
    manifest = json.loads((tmp_path / "generated" / "a" / "manifest.json").read_bytes())
    assert manifest["sources"] == [source.to_json() for source in provenance.sources]
    # Starters are inputs by their own names, wherever the wheel lies: inside the project here.
    assert manifest["inputs"]["spec"] == {
        "a.yaml": sha256_of(spec.read_bytes()),
        **{
            f"wavetwin:{name}": sha256_of((ROOT / "specs" / name).read_bytes())
            for name in ("base/digits.yaml", "digits/cnn.yaml")
        },
    }

    starter = site / "wavetwin" / "specs" / "digits" / "cnn.yaml"
    text = starter.read_text(encoding="utf-8")
    starter.write_text(text + "# edited\n", encoding="utf-8")
    code = "import sys; from wavetwin.commands.cli import main; sys.exit(main(['build', 'a.yaml']))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 2
    assert b"modified: wavetwin:digits/cnn.yaml\n" in result.stderr
    starter.write_text(text, encoding="utf-8")

    with (site / "wavetwin" / "provenance" / "package.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    package = load_package(site / "wavetwin")
    assert package.changed_since_install == ("wavetwin/provenance/package.py",)
    with pytest.raises(CompileError, match="dirty-inputs"):
        collect_provenance([spec], tmp_path, GitState(), package=package)
