"""`wavetwin new`: write a spec that extends another one and says only what differs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from wavetwin.commands.arguments import add_overrides
from wavetwin.commands.output import FINE, USER_FAULT, project_of, report
from wavetwin.diagnostics.terminal import complain, say

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from wavetwin.compiler.compiled import Compiled
    from wavetwin.compiler.parse.tree import SpecNode
    from wavetwin.diagnostics import Diagnostic

Nested = Mapping[str, "Nested | str"]
"""Fields by their keys; of a value its text."""

_SUFFIX = ".yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "name", metavar="NAME", help="of the spec, beside its parent; or a path that ends in .yaml"
    )
    parser.add_argument(
        "--from",
        dest="parent",
        metavar="SPEC",
        required=True,
        help="what it extends: a spec's path, or a starter, wavetwin:digits/cnn.yaml; or a sweep, whose "
        "best point it is",
    )
    parser.add_argument(
        "--runs",
        metavar="DIR",
        help="of a sweep: where its runs are kept; default: the project's runs/",
    )
    add_overrides(parser, "a field that differs, for example --set stem.free_channels=40")
    parser.add_argument("--strict", action="store_true", help="warnings fail the command")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Compose the spec, check it as if it were there, and write it.

    Raises:
        CompileError: the parent or the new spec is at fault, or a file is there already.
        RunError: of a sweep, no point is trained to the end.
    """
    from pathlib import Path

    from wavetwin.compiler.compiled import compile_spec
    from wavetwin.compiler.parse.compose import SourceCache
    from wavetwin.compiler.parse.parents import spec_path
    from wavetwin.compiler.parse.project import find_project, real_path
    from wavetwin.compiler.parse.tree import parse_bytes
    from wavetwin.diagnostics import CompileError
    from wavetwin.explain.text_table import quoted, shown
    from wavetwin.files.atomic import write_file

    history = _take_winner(options)
    if options.runs is not None and not history:
        complain(f"wavetwin new: --runs is of a sweep, and {options.parent} is none\n")
        return USER_FAULT
    parent = spec_path(options.parent)
    target = _target(options.name, options.parent)
    project = project_of(options) or find_project(target)
    faults = list(_faults_of_place(options.name, target))
    if faults:
        raise CompileError(faults)
    origin = compile_spec(parent, project=_project_of_parent(options.parent, project))
    text = _text(options, target, project, origin, history)
    cache = SourceCache(project)
    cache.sources[real_path(target)] = parse_bytes(text.encode(), cache.display(target))
    compiled = compile_spec(target, project=project, cache=cache)
    code = report(options, compiled.warnings) if compiled.warnings else FINE
    if code != FINE:
        return code
    write_file(target, text)
    here = Path.cwd()
    child, source = quoted(shown(target, here)), quoted(options.parent)
    say(f"{'wrote':12}{shown(target, here)}\n{'next':12}wavetwin diff {source} {child}\n")
    return FINE


def _take_winner(options: argparse.Namespace) -> Sequence[str]:
    """Put a sweep's base and the values of its best point in its place; return where they are from.

    Raises:
        CompileError: the sweep is at fault.
        RunError: it has no point that is trained to the end.
    """
    from pathlib import Path

    from wavetwin.compiler.compiled import compile_spec
    from wavetwin.compiler.parse.compose import SWEEP_MARK, SourceCache, find_node
    from wavetwin.compiler.parse.override import parse_override
    from wavetwin.compiler.parse.project import find_project

    path = Path(options.parent)
    if not path.is_file():
        return ()  # a starter, or reported where parents are read
    project = project_of(options) or find_project(path)
    if find_node(SourceCache(project).read(path).tree, [SWEEP_MARK]) is None:
        return ()
    from wavetwin.sweep.winner import find_winner

    runs = None if options.runs is None else Path(options.runs).absolute()
    winner = find_winner(path, project, runs)
    base = compile_spec(winner.base, project=project)
    differing: list[str] = []
    for number, text in enumerate(winner.overrides, 1):
        keys = text.partition("=")[0].split(".")
        node = find_node(parse_override(text, number).tree, keys)
        if node is None or not _is_same(node, base, keys):
            differing.append(text)
    options.parent = os.path.relpath(winner.base)
    options.overrides = [*differing, *options.overrides]
    return winner.origin


def _target(name: str, parent: str) -> Path:
    """Return where the spec goes: beside its parent, or a starter's child into the project's specs/."""
    from pathlib import Path

    from wavetwin.compiler.parse.project import find_project
    from wavetwin.provenance.starters import PREFIX

    if name.endswith(_SUFFIX) or Path(name).name != name:
        file = Path(name if name.endswith(_SUFFIX) else name + _SUFFIX)
    elif not parent.startswith(PREFIX):
        file = Path(parent).parent / f"{name}{_SUFFIX}"
    else:
        specs = find_project(Path.cwd()) / "specs"
        file = (specs if specs.is_dir() else Path.cwd()) / f"{name}{_SUFFIX}"
    return Path(os.path.abspath(file))  # noqa: PTH100  resolve() would follow links


def _project_of_parent(parent: str, project: Path) -> Path | None:
    """Return the project that a parent is compiled in; None of a starter: it has its own."""
    from wavetwin.provenance.starters import PREFIX

    return None if parent.startswith(PREFIX) else project


def _faults_of_place(name: str, target: Path) -> Iterator[Diagnostic]:
    """Yield that the file is there, or that its folder is not."""
    from wavetwin.diagnostics import Diagnostic

    if os.path.lexists(target):
        headline = "a file of this name is there already; nothing was written"
        help_text = f"choose another name than {name!r}, or move the file away"
        yield Diagnostic("output-exists", headline, subject=str(target), help=help_text)
    elif not target.parent.is_dir():
        headline = "there is no such folder to write a spec into"
        help_text = "make it first"
        yield Diagnostic("output-not-written", headline, subject=str(target.parent), help=help_text)


def _text(
    options: argparse.Namespace,
    target: Path,
    project: Path,
    origin: Compiled,
    history: Sequence[str],
) -> str:
    """Return the new spec's text.

    Raises:
        CompileError: a field is set twice, or is what the parent has.
    """
    from pathlib import Path

    from wavetwin.commands.modeline import modeline
    from wavetwin.compiler.render.files import text_environment
    from wavetwin.compiler.render.spec_yaml import dump_spec
    from wavetwin.provenance.package import imported_package
    from wavetwin.provenance.starters import PREFIX

    name: str = options.parent
    if not name.startswith(PREFIX):
        relative = os.path.relpath(Path(name).absolute(), target.parent)
        name = Path(relative).as_posix()
    values = _values(options.overrides, origin)
    environment = text_environment(imported_package().templates)
    extends = dump_spec({"extends": name}).removeprefix("extends: ").strip()
    return environment.get_template("project/child.yaml.j2").render(
        modeline=modeline(target, project),
        parent=origin.name,
        extends=extends,
        lines=list(_lines(values, ())),
        history=history,
    )


def _values(overrides: Sequence[str], origin: Compiled) -> Nested:
    """Return what differs, in the schema's order of sections; each value is the text that was given.

    Raises:
        CompileError: `bad-override`, `bad-argument`.
    """
    from wavetwin.compiler.parse.compose import find_node
    from wavetwin.compiler.parse.override import parse_override
    from wavetwin.compiler.schema import ExperimentSpec
    from wavetwin.diagnostics import CompileError, Diagnostic

    nested: dict[str, Nested | str] = {}
    faults: list[Diagnostic] = []
    for number, text in enumerate(overrides, 1):
        parsed = parse_override(text, number)
        faults += parsed.diagnostics
        if parsed.tree is None:
            continue
        key, _, value = text.partition("=")
        keys = key.split(".")
        node = find_node(parsed.tree, keys)
        assert node is not None, text
        if not value.isprintable():
            headline, help_text = "a value stands on one line of the spec", "write it in brackets"
        elif not _put(nested, keys, value.strip()):
            headline, help_text = f"{key} is set twice", "say all that differs in one --set"
        elif _is_same(node, origin, keys):
            headline = f"{key} is {value.strip()} in {origin.name} already"
            help_text = "leave it out: the new spec says what differs"
        else:
            continue
        faults.append(
            Diagnostic("bad-argument", headline, subject=f"--set[{number}]", help=help_text)
        )
    if faults:
        raise CompileError(faults)
    return {key: nested[key] for key in (*ExperimentSpec.model_fields, *nested) if key in nested}


def _is_same(node: SpecNode, origin: Compiled, keys: Sequence[str]) -> bool:
    """Return whether the parent's resolved spec has this value."""
    from wavetwin.compiler.parse.nodes import to_plain

    found: object = origin.resolved
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found is not None and found == to_plain(node)


def _put(nested: dict[str, Nested | str], keys: Sequence[str], value: str) -> bool:
    """Put a value at its keys, and return whether it stands alone there."""
    for key in keys[:-1]:
        inner = nested.setdefault(key, {})
        if not isinstance(inner, dict):
            return False
        nested = inner
    if keys[-1] in nested:
        return False
    nested[keys[-1]] = value
    return True


def _lines(nested: Nested, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the YAML lines of fields, each value below what the field is."""
    margin = "  " * len(path)
    for key, value in nested.items():
        if isinstance(value, str):
            about = _about((*path, key))
            if about:
                yield f"{margin}# {about}"
            yield f"{margin}{key}: {value}"
        else:
            yield f"{margin}{key}:"
            yield from _lines(value, (*path, key))


def _about(path: tuple[str, ...]) -> str:
    """Return the first sentence of what a field is; empty where the language has no such field."""
    from wavetwin.compiler.validate.fields import model_at
    from wavetwin.compiler.validate.json_schema import field_descriptions

    model = model_at(path[:-1])
    if model is None or path[-1] not in model.model_fields:
        return ""
    description = field_descriptions(model)[path[-1]]
    return description.partition(". ")[0].partition("; default")[0].rstrip(".")
