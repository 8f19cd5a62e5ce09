"""Files that git converts on their way in and out: the fault says so, and its remedy helps."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.provenance.test_provenance import Checkout, git, write
from wavetwin.diagnostics import CompileError, Diagnostic

CHANGED = "wavetwin: 1\n# $Id$\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


def commit(root: Path, message: str = "state") -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)


def write_anew(root: Path, *files: Path) -> None:
    for file in files:
        file.unlink()
        git(root, "checkout", "--", str(file))


def refused(checkout: Checkout) -> Diagnostic:
    with pytest.raises(CompileError) as caught:
        checkout.collect()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "dirty-inputs"
    return diagnostic


def follow(root: Path, diagnostic: Diagnostic) -> None:
    """Do what the help says, word for word."""
    remedy = (diagnostic.help or "").split(", or build with --allow-dirty")[0]
    remedy = remedy.removeprefix("at the repository's root ")
    for line, file in re.findall(r"add `([^`]*)` to ([^,]*)", remedy):
        with (root / file).open("a", encoding="utf-8") as attributes:
            attributes.write(f"{line}\n")
    steps = [step for step in re.split(", (?!with)", remedy) if not step.startswith("add ")]
    for step in steps:
        if step == "commit":
            git(root, "add", "--", *map(str, root.rglob(".gitattributes")))
            git(root, "commit", "-q", "--allow-empty", "-m", "as the help says")
        else:
            command = re.sub("^write them anew(, with nothing else uncommitted)?: ", "", step)
            assert command.startswith(("git add --renormalize", "rm -- ", "git rm ")), step
            neutral = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
            subprocess.run(command, shell=True, cwd=root, check=True, env=os.environ | neutral)  # noqa: S602


CASES: dict[str, tuple[Sequence[str], str, str]] = {
    # Settings of the repository, its attributes, what the message names.
    "autocrlf": (["core.autocrlf=true"], "", "core.autocrlf=true"),
    "eol": ([], "*.yaml eol=crlf\n", "eol=crlf"),
    "text and core.eol": (["core.eol=crlf"], "*.yaml text\n", "text"),
    "text=auto and core.eol": (["core.eol=crlf"], "* text=auto\n", "text=auto"),
    "ident": ([], "*.yaml ident\n", "ident"),
    "encoding": (
        [],
        "base.yaml working-tree-encoding=UTF-16LE text\n",
        "working-tree-encoding=UTF-16LE",
    ),
    "ident and line ends": (["core.autocrlf=true"], "*.yaml ident\n", "core.autocrlf=true, ident"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("where", ["in the tree", "in the repository"])
def test_the_remedy_for_a_conversion(checkout: Checkout, name: str, where: str):
    settings, attributes, cause = CASES[name]
    root = checkout.root
    write(checkout.base, CHANGED)
    commit(root)
    for setting in settings:
        git(root, "config", *setting.split("=", 1))
    if where == "in the tree":
        write(root / ".gitattributes", attributes)
        git(root, "add", ".gitattributes")
        git(root, "commit", "-q", "-m", "attributes")
    else:
        write(root / ".git/info/attributes", attributes)
    write_anew(root, checkout.base)
    before = checkout.base.read_bytes()
    assert before != CHANGED.encode()
    assert git(root, "status", "--porcelain") == ""

    fault = refused(checkout)
    assert fault.notes == (
        f"modified: specs/base.yaml (by git itself, which calls it clean: {cause})",
    )
    assert checkout.base.read_bytes() == before
    follow(root, fault)
    assert not checkout.collect().dirty
    assert checkout.base.read_bytes() == CHANGED.encode()
    assert git(root, "status", "--porcelain") == ""


def test_the_remedy_for_a_filter(checkout: Checkout, tmp_path: Path):
    """As of git-lfs: what is committed is a pointer to the content."""
    root, store, calls = checkout.root, tmp_path / "store", tmp_path / "calls"
    git(root, "config", "filter.big.clean", f"echo >>'{calls}'; cat >'{store}'; echo pointer")
    git(root, "config", "filter.big.smudge", f"cat >/dev/null; cat '{store}'")
    git(root, "config", "filter.big.required", "true")
    write(root / ".gitattributes", "base.yaml filter=big\n")
    write(checkout.base, CHANGED)
    commit(root)
    assert git(root, "show", "HEAD:specs/base.yaml") == "pointer"
    assert git(root, "status", "--porcelain") == ""
    called = calls.read_bytes()

    fault = refused(checkout)
    assert calls.read_bytes() == called
    assert fault.notes == (
        "modified: specs/base.yaml (by git itself, which calls it clean: filter=big)",
    )
    follow(root, fault)
    assert not checkout.collect().dirty
    assert checkout.base.read_bytes() == CHANGED.encode()
    assert git(root, "show", "HEAD:specs/base.yaml") == CHANGED.strip()


def test_names_are_written_as_patterns_and_words_of_a_shell(checkout: Checkout):
    """`a b.yaml` has a space; the base of the chain is fine."""
    git(checkout.root, "config", "core.autocrlf", "true")
    odd = [
        write(checkout.root / f"specs/{name}.yaml", "wavetwin: 1\n")
        for name in ('o[d]* "d', "#d", "!d")
    ]
    commit(checkout.root)
    write_anew(checkout.root, checkout.spec, *odd)
    with pytest.raises(CompileError) as caught:
        checkout.collect(*odd, checkout.spec)
    follow(checkout.root, caught.value.diagnostics[0])
    assert not checkout.collect(*odd, checkout.spec).dirty
    assert git(checkout.root, "check-attr", "text", "--", "specs/odd.yaml").endswith("unspecified")


@pytest.mark.parametrize("where", ["in the tree", "in the repository"])
def test_many_files_are_switched_off_by_a_pattern(checkout: Checkout, where: str):
    files = [write(checkout.root / f"specs/{n}.yaml", "wavetwin: 1\n") for n in range(5)]
    files += [write(checkout.root / f"specs/deep/{n}.yaml", "wavetwin: 1\n") for n in range(5)]
    commit(checkout.root)
    git(checkout.root, "config", "core.autocrlf", "true")
    if where == "in the repository":
        write(checkout.root / ".git/info/attributes", "*.md text\n")
    write_anew(checkout.root, *files)
    with pytest.raises(CompileError) as caught:
        checkout.collect(*files)
    (fault,) = caught.value.diagnostics
    assert "add `*.yaml -text -ident" in (fault.help or "")
    assert [*map(len, (fault.notes, files))] == [9, 10]
    assert fault.notes[-1].endswith("and 2 more")
    untracked = write(checkout.root / "specs/new.yaml", "wavetwin: 1\n")
    follow(checkout.root, fault)
    assert not checkout.collect(*files).dirty
    assert git(checkout.root, "status", "--porcelain") == "?? specs/new.yaml"
    assert untracked.read_bytes() == b"wavetwin: 1\n"


def test_an_edit_is_an_edit_whatever_git_converts(checkout: Checkout):
    root = checkout.root
    git(root, "config", "core.autocrlf", "true")
    write(checkout.base, "wavetwin: 1\r\nsummary: edited\r\n")
    fault = refused(checkout)
    assert fault.notes == ("modified: specs/base.yaml",)
    assert (fault.help or "").startswith("commit them, or build with --allow-dirty")
    # Line ends that somebody's editor wrote and git stores as they are.
    git(root, "config", "core.autocrlf", "false")
    write(checkout.base, "wavetwin: 1\r\n")
    assert refused(checkout).notes == ("modified: specs/base.yaml",)
    # A filter that is named and not installed changes nothing.
    write(root / ".git/info/attributes", "*.yaml filter=none -text\n")
    assert refused(checkout).notes == ("modified: specs/base.yaml",)


def test_edits_and_conversions_have_a_remedy_each(checkout: Checkout):
    root = checkout.root
    git(root, "config", "core.autocrlf", "true")
    write_anew(root, checkout.base)
    write(root / "wavetwin/ir/graph.py", "X = 2\n")
    fault = refused(checkout)
    assert fault.notes == (
        "modified: specs/base.yaml (by git itself, which calls it clean: core.autocrlf=true)",
        "modified: wavetwin/ir/graph.py",
    )
    assert "commit the others, or build with --allow-dirty" in (fault.help or "")
