r"""Write text to standard output and standard error; no other module does.

Summaries, tags, manifests, scores, names of files, classes and tensors come from others, and so do
the messages of libraries about them. What a terminal would act on (control characters), and what
hides or reorders text (bidirectional overrides, zero-width characters), is shown as an escape such
as `\x1b`; no markup is interpreted. Standard library only: scripts use it before they import torch.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "Parser",
    "as_json",
    "complain",
    "escape",
    "guard_messages",
    "hand_over",
    "paint",
    "printable",
    "printable_lines",
    "say",
    "show_fault",
    "show_warning",
]

_COLOUR = re.compile(r"(\x1b\[[0-9;]+m)", re.ASCII)


def printable(text: str) -> str:
    """Return the text as part of one line, with what is not printable as escapes; a tab is kept."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else escape(char) for char in text)


def printable_lines(text: str) -> str:
    """Return the text with what is not printable as escapes; tabs and ends of lines are kept."""
    return "\n".join(printable(line) for line in text.split("\n"))


def escape(char: str) -> str:
    """Return a character as Python writes it in plain ASCII."""
    return char.encode("unicode_escape").decode("ascii")


def paint(text: str, codes: str) -> str:
    """Return the text made printable, in the colour or weight of these codes."""
    return f"\x1b[{codes}m{printable(text)}\x1b[0m"


def say(text: str, *, colours: bool = False) -> None:
    """Write lines to standard output; their ends are in the text.

    `colours` keeps what `paint` added: whoever asks for it has made the rest printable.
    """
    sys.stdout.write(_safe(text, colours))
    sys.stdout.flush()


def complain(text: str, *, colours: bool = False) -> None:
    """Write lines to standard error, as `say` does to standard output."""
    sys.stderr.write(_safe(text, colours))


def hand_over(text: str) -> None:
    """Write what another program reads, such as a path: exactly, unless a person is to read it."""
    if sys.stdout.isatty():
        say(text)
    else:
        sys.stdout.write(text)


def as_json(document: Any, indent: int = 1) -> str:
    """Return a document as JSON with the characters of all languages, and escapes for what `say` escapes."""
    import json

    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.isascii() and "\x7f" not in text:
        return text + "\n"
    return "\n".join(_json_line(line) for line in text.split("\n")) + "\n"


def show_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Write a traceback, whose message may quote a file, to standard error (`sys.excepthook`)."""
    import traceback

    complain("".join(traceback.format_exception(kind, error, trace)))


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Write a warning of a library, which may quote a file (`warnings.showwarning`)."""
    text = printable_lines(warnings.formatwarning(message, category, filename, lineno, line))
    if file is None:
        complain(text)
    else:
        file.write(text)


def guard_messages() -> None:
    """Have this process's tracebacks and warnings written as `complain` writes."""
    sys.excepthook = show_fault
    warnings.showwarning = show_warning


class _Help(argparse.HelpFormatter):
    """Help whose paragraphs are filled each for itself; one with indented lines stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            each if "\n  " in each else super(_Help, self)._fill_text(each, width, indent)
            for each in paragraphs
        )


class Parser(argparse.ArgumentParser):
    """An argument parser whose messages quote arguments without what a terminal would act on."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": _Help, **named})

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and exit with code 2."""
        super().error(printable_lines(message))


def _safe(text: str, colours: bool) -> str:
    if not colours:
        return printable_lines(text)
    parts = _COLOUR.split(text)
    # Every second part is a colour.
    return "".join(part if n % 2 else printable_lines(part) for n, part in enumerate(parts))


def _json_line(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else _json_escape(char) for char in line)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
