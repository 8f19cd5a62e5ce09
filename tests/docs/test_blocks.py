"""Every fenced block of README.md and docs/ is run, compared or compiled, or says that it is not and why.

`sh`, `console`, `python`, `yaml` and `toml` are for the reader to use; blocks without a language, and `text`, are output. A
block that nobody runs has `no-run: REASON` behind its language. Blocks of `OWN` have a test of their own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.documented import (
    Block,
    Shell,
    documented_blocks,
    is_dirty,
    missing_lines,
    shell_of_a_new_user,
)
from tests.support.paths import ROOT
from wavetwin.commands import cli
from wavetwin.runtime.process.user_config import read_user_config

OWN: dict[tuple[str, str], str] = {
    ("docs/adding.md", "python"): "tests/ir/test_added_kinds.py",
    ("docs/layers.md", "python"): "tests/runtime/layers/test_documented_layers.py",
    ("docs/own-code.md", "python"): "tests/compiler/resolve/test_own_code_page.py",
    ("docs/own-code.md", "yaml"): "tests/compiler/resolve/test_own_code_page.py",
    ("docs/sequential.md", "yaml"): "tests/compiler/graph/test_sequential_page.py",
    ("docs/transforms.md", "python"): "tests/transforms/test_documented.py",
    ("docs/fine-tuning.md", "sh"): "tests/runtime/training/starting/test_documents.py",
    ("docs/ci.md", "yaml"): "tests/commands/test_ci_page.py",
    ("docs/diff.md", "console"): "tests/commands/test_diff_command.py",
    **{
        ("docs/tutorial.md", language): "tests/test_tutorial.py"
        for language in ("sh", "python", "yaml")
    },
}
"""Page and language, and the test that runs all of them."""
USED = {"sh", "console", "python", "yaml", "toml"}
OUTPUT = {"", "text"}
BASES = {
    "docs/data.md": "wavetwin:resnet34/RwyI.yaml",
    "docs/building.md": "wavetwin:alexnet/AI.yaml",
    "docs/evaluation.md": "wavetwin:digits/cnn.yaml",
    "docs/lint.md": "wavetwin:alexnet/AI.yaml",
    "docs/poolings.md": "wavetwin:resnet34/RI.yaml",
    "docs/studies.md": "wavetwin:alexnet/AI.yaml",
    "docs/fine-tuning.md": "wavetwin:resnet34/RI.yaml",
}
"""What a page's fragments of specs are fragments of."""
SHORTER = (
    "points: 32, max_epochs: 20, grace_epochs: 5",
    "points: 2, max_epochs: 2, grace_epochs: 1",
)
"""Of docs/sweeps.md, whose sweep would take an hour."""
FAILING = re.compile(r"wavetwin (diff|check) ")
"""Differences and faults are what these are asked for: exit codes 1 and 2."""


def blocks_to_run() -> list[Block]:
    """Return the blocks that this file runs."""
    return [
        each
        for each in documented_blocks()
        if each.language in USED and each.reason is None and not is_own(each)
    ]


def is_own(block: Block) -> bool:
    named = re.match(r"# specs/", block.text) is not None and block.page == "docs/fine-tuning.md"
    return named or (block.page, block.language) in OWN


def test_every_block_is_run_or_says_why_not() -> None:
    unknown = [each for each in documented_blocks() if each.language not in USED | OUTPUT]
    assert unknown == []
    for block in documented_blocks():
        if block.language in OUTPUT:
            assert block.info == ""
            commands = re.findall(
                r"^(?:\$ |wavetwin \w|python \w|torchrun )", block.text, re.MULTILINE
            )
            assert commands == [], f"{block.page}, {block.number}: commands that nobody runs"
        elif block.info:
            assert block.reason, f"{block.page}, {block.number}: no reason is given"
        if block.language == "console" and block.reason is None:
            assert list(block.parts), f"{block.page}, {block.number}: no command"
    for (page, _), test in OWN.items():
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")
    assert len(blocks_to_run()) > 40


def torchvision_weights(folder: Path) -> None:
    """The file that docs/fine-tuning.md names, of random numbers."""
    script = (
        "import torch; from pathlib import Path\n"
        "from wavetwin.runtime import import_torchvision\n"
        "Path('weights').mkdir()\n"
        "torch.save(import_torchvision().models.resnet18().state_dict(), 'weights/resnet18.pth')\n"
        "torch.save(import_torchvision().models.resnet34().state_dict(), 'resnet34.pth')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)


PREPARE_FRAGMENT: dict[str, Callable[[Path], None]] = {"docs/fine-tuning.md": torchvision_weights}


def fragments() -> Iterator[Any]:
    for each in blocks_to_run():
        if each.language == "yaml" and not re.match(r"# \w+/", each.text):
            marks = [pytest.mark.slow] if each.page in PREPARE_FRAGMENT else []
            yield pytest.param(each, id=f"{each.page}-{each.number}", marks=marks)


@pytest.mark.parametrize("block", [*fragments()])
def test_a_fragment_of_a_spec_is_one(
    block: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    (tmp_path / ".wavetwin.toml").touch()
    parent = YAML(typ="safe").load(block.text).get("extends")
    folder = tmp_path / "specs"
    text = block.text
    if parent is None and "wavetwin: 1" not in text:
        head = (
            f"wavetwin: 1\nextends: {BASES[block.page]}\n"
            if block.page in BASES
            else "wavetwin: 1\n"
        )
        text = f"{head}{text}"
    elif isinstance(parent, str) and not parent.startswith("wavetwin:"):
        (found,) = folder.rglob(parent)
        folder = found.parent
    file = folder / "fragment.yaml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    PREPARE_FRAGMENT.get(block.page, lambda _: None)(tmp_path)
    assert cli.main(["check", str(file)]) == 0, capsys.readouterr()


def test_a_users_file_is_read(tmp_path: Path) -> None:
    (block,) = (each for each in blocks_to_run() if each.language == "toml")
    file = tmp_path / "wavetwin/config.toml"
    file.parent.mkdir()
    file.write_text(block.text, encoding="utf-8")
    config = read_user_config({"XDG_CONFIG_HOME": str(tmp_path)})
    expected = tomllib.loads(block.text)
    assert config.section("mlflow").text("experiment") == expected["mlflow"]["experiment"]
    assert config.section("wandb").text("mode") == expected["wandb"]["mode"]


PAGES = sorted(
    {each.page for each in blocks_to_run() if each.language in ("sh", "console", "python")}
)
SBATCH = "#!/bin/sh\necho Submitted batch job 7\n"
LINT = """\
wavetwin: 1
data: {dataset: cifar10}
backbone:
  arch: sequential
  layers:
    - pool: {kernel_size: 3}
    - flatten: {}
    - linear: {}
stem: {free_channels: 8}
training: {optimizer: {weight_decay: 1e-4}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the shipped specs, two commits, and a short run of the digits' CNN and of its twin."""
    above = tmp_path_factory.mktemp("pages")
    shell = shell_of_a_new_user(above / "project")
    shutil.copytree(ROOT / "specs", shell.folder / "specs")
    (shell.folder / ".wavetwin.toml").touch()
    (shell.folder / ".gitignore").write_text("/generated/\n/runs/\n", encoding="utf-8")
    base = shell.folder / "specs/base/digits.yaml"
    text = base.read_text(encoding="utf-8")
    assert "epochs: 20" in text
    base.write_text(text.replace("epochs: 20", "epochs: 2"), encoding="utf-8")
    shell.run(
        "git init -q\ngit add -A\ngit commit -q -m first\ngit commit -q --allow-empty -m second\n"
    )
    shell.run("wavetwin run specs/digits/cnn.yaml\nwavetwin run specs/digits/twin_mod.yaml\n")
    return shell.folder


def prepare(page: str, shell: Shell, project: Path) -> None:
    """Write what a page takes for granted."""
    shutil.rmtree(shell.folder)
    shutil.copytree(project, shell.folder)
    if page == "docs/lint.md":
        (shell.folder / "my.yaml").write_text(LINT, encoding="utf-8")
    if page == "docs/comparison.md":
        shutil.copytree(ROOT / "benchmarks/peers", shell.folder / "benchmarks/peers")
    if page == "docs/import.md":
        torchvision_weights(shell.folder)
    if page == "docs/slurm.md":
        shell.run("wavetwin build specs/digits/twin_mod.yaml\n")
        programs = shell.folder.parent / "programs"
        programs.mkdir()
        (programs / "sbatch").write_text(SBATCH, encoding="utf-8")
        (programs / "sbatch").chmod(0o755)
        shell.variables["PATH"] = f"{programs}:{shell.variables['PATH']}"
    if page in ("docs/evaluation.md", "docs/report.md"):
        shell.run("cp runs/twin_mod/*/checkpoints/best.safetensors mine.safetensors\n")
    if page == "docs/report.md":
        shell.run("wavetwin evaluate mine.safetensors --spec specs/digits/twin_mod.yaml\n")
    if page == "docs/studies.md":
        script = (
            "from PIL import Image; from pathlib import Path; from skimage import data\n"
            "Path('photographs').mkdir()\n"
            "for name in ('camera', 'chelsea'):\n"
            "    Image.fromarray(getattr(data, name)()).save(f'photographs/{name}.png')\n"
        )
        subprocess.run([sys.executable, "-c", script], cwd=shell.folder, check=True)
    if page == "docs/sweeps.md":
        shutil.copy(shell.folder / "specs/digits/cnn.yaml", shell.folder / "specs/mnist_conv.yaml")
        text = "extends: digits/cnn.yaml\ndata: {validation: 137}\n"
        (shell.folder / "specs/mnist_conv.yaml").write_text(text, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, project: Path, tmp_path: Path) -> None:
    """Commands and snippets, in their order, in one project; what is quoted is printed."""
    shell = shell_of_a_new_user(tmp_path / "project")
    prepare(page, shell, project)
    blocks = [each for each in blocks_to_run() if each.page == page]
    for block in blocks:
        if block.language == "yaml" and (named := re.match(r"# (\S+\.yaml)\n", block.text)):
            target = shell.folder / named[1]
            target.parent.mkdir(exist_ok=True)
            target.write_text(block.text.replace(*SHORTER), encoding="utf-8")
            shell.run("git add -A && git commit -q -m page\n")
        elif block.language == "sh":
            shell.run("".join(map(tolerant, block.text.splitlines())))
        elif block.language == "console":
            for command, quoted in block.parts:
                shell.run(tolerant(command))
                assert not missing_lines(quoted, shell.printed), shell.printed
    run_snippets(shell, [each.text for each in blocks if each.language == "python"])


def run_snippets(shell: Shell, snippets: list[str]) -> None:
    """Run a page's Python, one after the other, in one process."""
    text = "\n".join(snippets)
    if is_dirty():
        text = re.sub(r"(wavetwin\.(?:train|evaluate)\(compiled)", r"\1, allow_dirty=True", text)
    (shell.folder / "page.py").write_text(text, encoding="utf-8")
    shell.run("python page.py\n")


def tolerant(line: str) -> str:
    """Return a command; one that is asked whether things differ or are at fault may say that they are."""
    if not FAILING.match(line):
        return f"{line}\n"
    return f"{{ {line.partition('  #')[0]}; }} || test $? -le 2\n"
