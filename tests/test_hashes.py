"""constraints-hashed.txt has the versions of constraints.txt, and pip installs by it what has these hashes alone."""

import hashlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.support.environments import Environment, make_distributions
from tests.support.paths import ROOT

PIN = re.compile(r"(?m)^([\w.-]+)==(\S+)")
HASHED = ROOT / "constraints-hashed.txt"
OWN_CHOICE = {"torch", "torchvision"}
"""Left out: the file's head says why."""


def pins(file: Path) -> dict[str, str]:
    found = PIN.findall(file.read_text(encoding="utf-8"))
    return {canonicalize_name(name): version for name, version in found}


def test_the_hashes_are_of_the_versions_of_the_constraints() -> None:
    """`make hashes` was run after the last change."""
    constraints = pins(ROOT / "constraints.txt")
    assert constraints.keys() >= OWN_CHOICE
    assert pins(HASHED) == {
        name: version for name, version in constraints.items() if name not in OWN_CHOICE
    }


def test_each_version_has_hashes_and_no_address() -> None:
    head, *blocks = re.split(r"(?m)^(?=\w)", HASHED.read_text(encoding="utf-8"))
    assert all(line.startswith("# ") for line in head.splitlines())
    line = re.compile(r"[\w.-]+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n")
    assert [block for block in blocks if not line.fullmatch(block)] == []


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    yield Environment("{}.{}".format(*sys.version_info), tmp_path)
    shutil.rmtree(tmp_path / "environment")


def hash_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_is_installed_is_compared_with_its_hash(
    environment: Environment, tmp_path: Path
) -> None:
    """As SECURITY.md has it; torch's lines are of the wheels that this machine's pip chooses."""
    _, wheel = make_distributions(tmp_path / "dist")
    address = f"{wheel.as_uri()}#sha256={hash_of(wheel)}"
    checked = ("--require-hashes", "-c", str(HASHED))
    environment.install("pip>=26.1")
    damaged = tmp_path / "damaged.txt"
    text = HASHED.read_text(encoding="utf-8")
    block = re.search(r"(?m)^rich==.*\n(    .*\n)+", text)
    assert block is not None
    damaged.write_text(
        text.replace(block[0], re.sub("sha256:...", "sha256:000", block[0])), "utf-8"
    )
    pip = [str(environment.bin / "python"), "-m", "pip"]
    refused = [*pip, "download", "--no-deps", "--require-hashes", "-c", str(damaged), "rich"]
    assert "DO NOT MATCH THE HASHES" in environment.run(refused, code=1)

    environment.install(*checked, f"wavetwin @ {address}")
    assert "wavetwin[run]" in environment.wavetwin("explain", "needs-torch")

    wheels = tmp_path / "wheels"
    constraints = str(ROOT / "constraints.txt")
    options = ("--quiet", "--only-binary", ":all:", "-d", str(wheels))
    environment.run([*pip, "download", *options, "-c", constraints, "torch"])
    lines = []
    for file in sorted(wheels.iterdir()):
        name, version, _, _ = parse_wheel_filename(file.name)
        if name not in pins(HASHED):
            lines.append(f"{name}=={version} --hash=sha256:{hash_of(file)}\n")
    (tmp_path / "torch.txt").write_text("".join(lines), encoding="utf-8")
    environment.install(*checked, "-r", str(tmp_path / "torch.txt"), f"wavetwin[run] @ {address}")
    program = "import torch, wavetwin; print(torch.__version__.split('+')[0])"
    assert environment.python("-c", program).strip() == pins(ROOT / "constraints.txt")["torch"]
