"""Write the reference pages of the documentation site, as Markdown, from the tables that the code uses.

`make docs` makes them (docs/site/hooks.py); they are not committed, and no page of docs/ links to them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from wavetwin.commands.cli import COMMANDS, make_parser
from wavetwin.compiler.lint import LINT_RULES
from wavetwin.diagnostics.codes import DESCRIPTIONS, RUN_CODES
from wavetwin.explain.field_text import SpecField, explain_field, spec_fields
from wavetwin.explain.sweep_fields import explain_sweep_field, sweep_fields
from wavetwin.files.environment import LAUNCHER_VARIABLES, VARIABLES
from wavetwin.files.written import BUILD_FILES, RUN_FILES
from wavetwin.runtime.process.scripts import make_script_parser

ROOT = Path(__file__).parents[2]
WIDTH = "100"
"""Columns of the commands' help."""
MODULES = (
    "wavetwin",
    "wavetwin.notebook.loaded_run",
    "wavetwin.runtime.layers",
    "wavetwin.transforms",
    "wavetwin.diagnostics",
)
"""What is public: docs/compatibility.md."""
LABEL = re.compile(r"  (type|default|read by|digest|example) +(.*)")


def pages() -> dict[str, str]:
    """Return every page by its path below docs/."""
    return {
        "reference/fields.md": fields_page(),
        "reference/sweep-fields.md": sweep_fields_page(),
        "reference/diagnostics.md": diagnostics_page(),
        "reference/commands.md": commands_page(),
        "reference/python.md": python_page(),
        "reference/files.md": files_page(),
        "reference/environment.md": environment_page(),
    }


def fields_page() -> str:
    """Return every field of a spec, once, in the order of the language."""
    parts = [
        "# Fields of a spec",
        "`wavetwin explain FIELD` prints the same. An item of a list, or a name that the spec gives, is "
        "written `*`. A section that stands in several places is shown at the first one.",
    ]
    shown: set[object] = set()
    section = None
    for field in spec_fields():
        key = (field.model.declared or field.model, field.path[-1])
        if key in shown:
            continue
        shown.add(key)
        if field.path[0] != section and len(field.path) > 1:
            section = field.path[0]
            parts.append(f"## {section}")
        elif section is None:
            section = ""
            parts.append("## At the top")
        parts.append(field_entry(field, explain_field(field)))
    return "\n\n".join(parts) + "\n"


def sweep_fields_page() -> str:
    """Return every field of a sweep."""
    parts = [
        "# Fields of a sweep",
        "`wavetwin explain sweep.FIELD` prints the same; [sweeps](../sweeps.md) says how they work together.",
    ]
    parts += [field_entry(each, explain_sweep_field(each), level="##") for each in sweep_fields()]
    return "\n\n".join(parts) + "\n"


def field_entry(field: SpecField, explanation: str, level: str = "###") -> str:
    """Return what `wavetwin explain` prints of a field, as Markdown."""
    path, *lines = explanation.splitlines()
    description: list[str] = []
    rows: list[tuple[str, list[str]]] = []
    for line in lines:
        started = LABEL.fullmatch(line)
        if started:
            rows.append((started[1], [started[2]]))
        elif rows:
            rows[-1][1].append(line[12:])
        else:
            description.append(line.strip())
    parts = [f"{level} `{path}`", escaped(" ".join(description))]
    facts = [f"- {key}: {escaped(' '.join(text))}" for key, text in rows if key != "example"]
    parts.append("\n".join(facts))
    parts += [fenced("\n".join(text), "yaml") for key, text in rows if key == "example"]
    return "\n\n".join(parts)


def diagnostics_page() -> str:
    """Return every code: what it means, cause and cure, and a message as it is printed."""
    parts = [
        "# Diagnostics",
        "Every message has a code, which keeps its meaning from version to version; `wavetwin explain CODE` "
        "prints what it means. The messages below are those that the tests compare: headline, line, and under "
        "`help` what to do. Codes of runs and scripts say what to do in their text.",
    ]
    examples = messages()
    for code in sorted(DESCRIPTIONS):
        parts.append(f"## `{code}`")
        if code in LINT_RULES:
            rule = LINT_RULES[code]
            parts.append(f"Warning. {escaped(rule.meaning)}")
            rows = (("cause", rule.cause), ("cure", rule.cure), ("number", rule.number))
            parts.append("\n".join(f"- {name}: {escaped(text)}" for name, text in rows))
        else:
            parts.append(escaped(DESCRIPTIONS[code]))
        if code in examples and code not in RUN_CODES:
            parts.append(fenced(examples[code], "text"))
    return "\n\n".join(parts) + "\n"


def messages() -> dict[str, str]:
    """Return a message of each code that a bad spec or a bad sweep of the tests has."""
    found: dict[str, str] = {}
    for file in sorted((ROOT / "tests").glob("bad_*/*/expected.txt")):
        code = file.parent.name
        for message in file.read_text(encoding="utf-8").split("\n\n"):
            if f": {code}: " in message.partition("\n")[0] and code not in found:
                lines = message.rstrip("\n").splitlines()
                found[code] = "\n".join(line for line in lines if not line.startswith("exit code "))
    return found


def commands_page() -> str:
    """Return the help of every command, of its actions, and of the generated scripts."""
    parts = ["# Commands", "What `--help` prints."]
    for name in COMMANDS:
        (command,) = (
            each for each in parsers(make_parser(name)) if each.prog == f"wavetwin {name}"
        )
        parts += [f"## wavetwin {name}", fenced(help_of(command), "text")]
        for action in parsers(command):
            parts += [f"### {action.prog}", fenced(help_of(action), "text")]
    for script, training in (("train.py", True), ("evaluate.py", False)):
        parser = make_script_parser("Of the folder that was built.", training=training)
        parser.prog = script
        parts += [f"## {script}", fenced(help_of(parser), "text")]
    return "\n\n".join(parts) + "\n"


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of a command's actions."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def help_of(parser: argparse.ArgumentParser) -> str:
    """Return a parser's help at a fixed width."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        assert shutil.get_terminal_size().columns == int(WIDTH)
        return parser.format_help().rstrip("\n")
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def python_page() -> str:
    """Return the public modules, for mkdocstrings to read their docstrings."""
    parts = [
        "# Python",
        "From the docstrings. [From Python](../api.md) shows the calls together, [layers](../layers.md) and "
        "[transforms](../transforms.md) the modules.",
    ]
    for module in MODULES:
        parts += [f"## {module}", f"::: {module}"]
    return "\n\n".join(parts) + "\n"


def files_page() -> str:
    """Return the files of a build and of a run."""
    return (
        "\n\n".join(
            [
                "# Files of a build and of a run",
                "## A folder in `generated/`",
                table(("file", "what it is"), BUILD_FILES),
                "## A folder in `runs/NAME/`",
                table(("file", "what it is"), RUN_FILES),
            ]
        )
        + "\n"
    )


def environment_page() -> str:
    """Return the environment variables."""
    return (
        "\n\n".join(
            [
                "# Environment variables",
                "None of them changes an experiment: specs alone do.",
                "## For you to set",
                table(("variable", "what it does"), VARIABLES),
                "## Set by torchrun, Slurm and slurm.sh",
                table(("variable", "what is read from it"), LAUNCHER_VARIABLES),
            ]
        )
        + "\n"
    )


def table(head: Iterable[str], rows: Mapping[str, str]) -> str:
    """Return a table of names and texts."""
    lines = [f"| {' | '.join(head)} |", "|---|---|"]
    lines += [f"| `{name}` | {escaped(text)} |" for name, text in rows.items()]
    return "\n".join(lines)


def fenced(text: str, language: str) -> str:
    """Return a fenced block."""
    return f"```{language}\n{text}\n```"


def escaped(text: str) -> str:
    """Return text whose characters mean themselves in Markdown, but for `code`."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<>\[\]|])", r"\\\1", part)
        for part in parts
    )
