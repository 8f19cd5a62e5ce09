"""`wavetwin fmt`: write specs in one form, which keeps what they say and their comments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wavetwin.commands.output import DIFFERS, FINE, report
from wavetwin.diagnostics.listing import plural
from wavetwin.diagnostics.terminal import complain, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from wavetwin.diagnostics import Diagnostic


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="specs, sweeps and what specs share; or folders of them",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say which files are written otherwise"
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Format the files; with `--check` return 1 where one is not as it would be written.

    Raises:
        CompileError: a path means nothing, or a folder holds no spec.
    """
    from wavetwin.files.atomic import write_file

    faults: list[Diagnostic] = []
    changed: list[Path] = []
    files = list(_files(options.files))
    for file in files:
        data = file.read_bytes()
        text, found = _formatted(data, file)
        faults += found
        if text is None or text.encode() == data:
            continue
        changed.append(file)
        if not options.check:
            write_file(file, text)
    verb = "differs" if options.check else "written"
    complain("".join(f"{verb:12}{printable(str(file))}\n" for file in changed))
    code = report(options, faults) if faults or options.format != "text" else FINE
    if code != FINE:
        return code
    complain(f"{plural(len(files), 'file')}, {len(changed)} {'to be ' * options.check}written\n")
    return DIFFERS if options.check and changed else FINE


def _files(paths: Sequence[str]) -> Iterator[Path]:
    """Yield each file once, in order.

    Raises:
        CompileError: `file-not-found`, `no-specs`.
    """
    from wavetwin.compiler.parse.project import find_yaml, spec_not_found
    from wavetwin.diagnostics import CompileError, Diagnostic

    seen: set[Path] = set()
    faults: list[Diagnostic] = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            found = find_yaml(path)
            if not found:
                help_text = "name a folder that holds .yaml files, or a file"
                headline = "there is no .yaml file in this folder"
                faults.append(Diagnostic("no-specs", headline, subject=text, help=help_text))
        elif path.is_file():
            found = [path]
        else:
            faults.append(spec_not_found(path, text))
            continue
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file
    if faults:
        raise CompileError(faults)


def _formatted(data: bytes, file: Path) -> tuple[str | None, Sequence[Diagnostic]]:
    """Return a file's text as it should be written, or what keeps it from that."""
    from wavetwin.compiler.format import format_text
    from wavetwin.compiler.parse.tree import parse_bytes
    from wavetwin.diagnostics import Diagnostic

    parsed = parse_bytes(data, str(file))
    faults = [each for each in parsed.diagnostics if each.severity == "error"]
    if parsed.tree is None and all(each.code == "empty-document" for each in faults):
        faults = []
    if faults:
        return None, faults
    text = format_text(data.decode("utf-8"))
    if text is not None:
        return text, ()
    headline = (
        "cannot be written in another way without a value or a comment being lost; it is as it was"
    )
    help_text = (
        "move comments within brackets above them, and write fields that are left empty as null"
    )
    return None, [Diagnostic("not-formatted", headline, subject=str(file), help=help_text)]
