"""`--help` ends with calls that parse, and shells complete commands, options, choices and files."""

import argparse
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from wavetwin.commands import cli
from wavetwin.commands.completion import SHELLS
from wavetwin.commands.examples import EXAMPLES, TITLE


def leaves(
    parser: argparse.ArgumentParser, name: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the commands that do something, by their names."""
    below = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    for action in below:
        for choice, each in action.choices.items():
            yield from leaves(each, f"{name} {choice}".strip())
    if not below:
        yield name, parser


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    return cli.make_parser(None, loads_all=True)


def test_every_help_ends_with_examples_that_parse(parser: argparse.ArgumentParser) -> None:
    found = dict(leaves(parser, ""))
    assert found.keys() == EXAMPLES.keys()
    for name, each in found.items():
        text = each.format_help()
        assert f"\n{TITLE}\n  $ wavetwin {name}" in text, name
        for line in EXAMPLES[name]:
            assert f"\n  $ {line}\n" in f"{text}\n", name
            program, *arguments = shlex.split(line)
            assert program == "wavetwin"
            if ">" in arguments:
                arguments = arguments[: arguments.index(">")]
            own, _, _ = cli._split(arguments, "--")
            assert " ".join(own).startswith(name)
            parser.parse_args(own)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shells")
    (folder / "specs").mkdir()
    (folder / "specs/cnn.yaml").touch()
    for shell in SHELLS:
        with pytest.MonkeyPatch.context() as patch:
            written: list[str] = []
            patch.setattr("wavetwin.commands.completion.hand_over", written.append)
            assert cli.main(["completion", shell]) == 0
        (folder / f"wavetwin.{shell}").write_text("".join(written), encoding="utf-8")
    return folder


BASH = """
source wavetwin.bash
complete_line() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
  local function=$(complete -p wavetwin | sed 's/.*-F \\([^ ]*\\).*/\\1/')
  $function wavetwin "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  echo "${COMPREPLY[@]}"
}
"""


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        (["wavetwin", "comp"], "completion"),
        (["wavetwin", "runs", "reind"], "reindex"),
        (["wavetwin", "init", "--dataset", "fashion"], "fashion_mnist"),
        (["wavetwin", "check", "--stri"], "--strict"),
        (["wavetwin", "check", "--format", "sar"], "sarif"),
    ],
)
def test_bash_completes(scripts: Path, line: list[str], completed: str) -> None:
    program = f"{BASH}complete_line {shlex.join(line)}"
    done = subprocess.run(
        ["bash", "-c", program], cwd=scripts, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [completed], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_script(scripts: Path, shell: str) -> None:
    """Needs the shells: apt-get install zsh fish."""
    program = shutil.which(shell)
    assert program is not None, f"{shell} is not installed"
    checked = [program, "-n", f"wavetwin.{shell}"]
    done = subprocess.run(checked, cwd=scripts, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_fish_completes(scripts: Path) -> None:
    program = shutil.which("fish")
    assert program is not None, "fish is not installed"
    lines = {
        "wavetwin comp": "completion",
        "wavetwin runs reind": "reindex",
        "wavetwin check specs/": "specs/cnn.yaml",
    }
    for line, completed in lines.items():
        command = f"source wavetwin.fish; complete -C {shlex.quote(line)}"
        done = subprocess.run(
            [program, "-c", command], cwd=scripts, capture_output=True, text=True, check=True
        )
        assert [each.split("\t")[0] for each in done.stdout.splitlines()] == [completed]
