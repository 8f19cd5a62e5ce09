"""The glossary of names: words that only we would understand are not used, and modules say what they do."""

from __future__ import annotations

import re

from tests.support.paths import ROOT

PRIVATE = re.compile(
    r"\b(operands?|allowances?|stand-ins?|battery|set aside|clash\w*|facts|score book|lives)\b",
    re.IGNORECASE,
)
SOURCES = {".py", ".md", ".yaml", ".json", ".j2", ".cpp", ".h", ".ipynb"}
FIELD = re.compile(r"""(["'`])lives\1|\blives: NotRequired""")
"""The sessions in manifest.json: files that exist have this name for them."""


def test_no_private_word_is_used() -> None:
    files = [
        *(ROOT / "wavetwin").rglob("*.py"),
        *(ROOT / "templates").rglob("*.*"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
    ]
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in files
        for match in PRIVATE.finditer(FIELD.sub("", file.read_text(encoding="utf-8")))
    ]
    assert found == []


ABSENT = re.compile(
    r"\b(architecture|decisions|numerics|performance|spec-language|style|systems|systems-language|users)\.md\b"
    r"|\b(seed|poster|source) 00\d",
    re.IGNORECASE,
)
"""Documents that a reader does not have."""


def test_what_is_cited_can_be_read() -> None:
    """Papers and pages of docs/ are cited; notes that only the project's authors have are not."""
    folders = ("wavetwin", "specs", "templates", "benchmarks", "docs")
    files = [ROOT / "README.md", ROOT / "Makefile"]
    for folder in folders:
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in SOURCES]
    assert len(files) > 500
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in files
        for match in ABSENT.finditer(file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_modules_say_what_they_do() -> None:
    """The first line is a sentence that begins with a verb, not with a noun, its name or a question."""
    first = re.compile(r'r?"""(.+)')
    faulty: list[str] = []
    for file in sorted((ROOT / "wavetwin").rglob("*.py")):
        line = first.match(file.read_text(encoding="utf-8"))
        text = "" if line is None else line[1].removesuffix('"""')
        is_sentence = text.endswith(".") or text.startswith("`wavetwin ")
        is_noun = re.match(r"(What|The|An?|How|Which|Where|Whether|Everything|\w+:) ", text)
        if not is_sentence or is_noun:
            faulty.append(f"{file.relative_to(ROOT)}: {text}")
    assert faulty == []


def test_modules_are_short() -> None:
    """A module is one idea, and a person reads it in one go."""
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "wavetwin").rglob("*.py")
    }
    assert lines
    assert {path: count for path, count in lines.items() if count > 400} == {}
