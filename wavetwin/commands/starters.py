"""`wavetwin specs`: list the specs that come with wavetwin, or print one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavetwin.commands.output import FINE
from wavetwin.diagnostics.terminal import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a folder of them (digits), or one whose text is printed (digits/cnn.yaml)",
    )
    parser.add_argument(
        "--parts", action="store_true", help="list the parts in base/, too, which specs share"
    )
    parser.epilog = "A spec of yours extends one so: extends: wavetwin:digits/cnn.yaml"
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """List starters with their summaries, or print the text of those that are named.

    Raises:
        CompileError: a name is neither a starter nor a folder of them.
    """
    from wavetwin.compiler.parse.parents import spec_path
    from wavetwin.provenance.starters import PREFIX, starter_names

    names = starter_names()
    listed: dict[str, None] = {}
    texts: list[str] = []
    for given in options.names:
        name = given.removeprefix(PREFIX)
        below = [each for each in names if each.startswith(f"{name.rstrip('/')}/")]
        listed |= dict.fromkeys(below)
        if not below:
            texts.append(spec_path(PREFIX + name).read_text(encoding="utf-8"))
    if not options.names:
        listed = dict.fromkeys(names if options.parts else filter(_is_spec, names))
    say("\n".join(texts) + _table(list(listed)))
    return FINE


def _is_spec(name: str) -> bool:
    from wavetwin.compiler.parse.project import is_fragment
    from wavetwin.provenance.starters import starter_file, starter_folder

    file, folder = starter_file(name), starter_folder()
    return file is not None and folder is not None and not is_fragment(file, folder)


def _table(names: Sequence[str]) -> str:
    """Return a line for each starter: its name and its summary, a parent's where it has none."""
    from wavetwin.compiler.parse.compose import SourceCache, load_spec
    from wavetwin.explain.text_table import align
    from wavetwin.provenance.starters import PREFIX, starter_file, starter_folder

    folder = starter_folder()
    if folder is None or not names:
        return ""
    cache = SourceCache(folder)
    rows: list[tuple[str, str]] = []
    for name in names:
        file = starter_file(name)
        if file is not None:
            summary = load_spec(file, folder, cache=cache).node("summary")
            rows.append((PREFIX + name, "" if summary is None else str(summary.value)))
    return "\n".join(align(rows)) + "\n"
